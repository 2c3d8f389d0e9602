/** The operator of a changing group makes no mistakes that would be laid at the door of the product. */
import { expect, it } from 'vitest'
import type { MembersView, MembersWish } from '../src/broker/admin-requests.ts'
import { membershipOf } from './checkers/group-of.ts'
import { drawConfiguration } from './configuration.ts'
import type { Host } from './host.ts'
import { Marks } from './marks.ts'
import { operator, type SimulatedOperator } from './operator.ts'
import type { PlanItem } from './schedule.ts'
import { batchTimeoutMs } from './seed-batch.ts'
import { SimRandom } from './sim/random.ts'
import { Scheduler } from './sim/scheduler.ts'
import { Violation } from './violation.ts'
import { runSeed } from './world.ts'

interface Group {
  readonly its: SimulatedOperator
  readonly random: SimRandom
  readonly hosts: readonly { readonly id: number; isDeployed: boolean }[]
  view: MembersView
  /** What a node answers to a wish; undefined = nothing. */
  answer: number | undefined
  passes(ms: number): void
}

function viewOf(index: number, voters: readonly number[]): MembersView {
  const members = voters.map(id => ({ id, role: 'voter' }))
  return { index, isCommitted: true, phase: 'steady', isRemoved: false, members } as unknown as MembersView
}

/** Nodes 1 and 2 are the group, node 3 is outside. */
function aGroup(votersMin = 1): Group {
  const scheduler = new Scheduler()
  const group = { view: viewOf(1, [1, 2]), answer: 10 } as { view: MembersView; answer: number | undefined }
  const hosts = [1, 2, 3].map(id => {
    const broker = {
      members: () => group.view,
      changeMembers: (_: { wish: MembersWish }, done: (answer: unknown) => void) => {
        if (group.answer !== undefined) done({ kind: 'membersChanged', index: group.answer })
      },
    }
    const life = { process: scheduler.newProcess(`node-${id}`), broker, nowMs: () => scheduler.nowMs, openCalls: new Set() }
    return {
      id,
      name: `node-${id}`,
      life,
      isDeployed: id < 3,
      isPaused: false,
      isCutOff: false,
      deploy() {
        this.isDeployed = true
      },
      retire() {
        this.isDeployed = false
      },
    }
  })
  const its = operator({
    scheduler,
    hosts: hosts as unknown as readonly Host[],
    marks: new Marks(),
    random: new SimRandom('mending'),
    votersMin,
    isChanging: () => group.view.phase !== 'steady',
    isMissing: () => false,
    mayAsk: () => true,
    describe: ({ id }) => ({ id }) as never,
    isOver: () => false,
    say: () => undefined,
  })
  const random = new SimRandom('operator')
  const passes = (ms: number): void => {
    const untilMs = scheduler.nowMs + ms
    scheduler.schedule(ms, () => undefined)
    while (scheduler.nowMs < untilMs) scheduler.step()
  }
  return Object.assign(group, { its, random, hosts, passes })
}

/** Whether a machine is gone after removals that were each seen to be over in this view. Now and then an operator forgets about a machine. */
function isGoneAfter(seen: MembersView): boolean {
  const group = aGroup()
  const isGone = (): boolean => group.hosts.some(({ id, isDeployed }) => id < 3 && !isDeployed)
  for (let i = 0; i < 10 && !isGone(); i += 1) {
    group.view = viewOf(1, [1, 2])
    group.its.remove(group.random)
    group.passes(400)
    group.view = seen
    group.passes(60_000)
  }
  return isGone()
}

it('a removed node loses its machine when a node that knows of the removal says so', () => {
  expect(isGoneAfter(viewOf(9, [3]))).toBe(false)
  expect(isGoneAfter(viewOf(12, [1, 2]))).toBe(false)
  expect(isGoneAfter(viewOf(12, [3]))).toBe(true)
})

it('a group is made no smaller than its disks allow', () => {
  expect(aGroup(1).its.remove(new SimRandom('removes'))).toBe(true)
  expect(aGroup(2).its.remove(new SimRandom('removes'))).toBe(false)
})

it('a node that nobody has asked for has no machine in the end, and may not be a member', () => {
  const group = aGroup()
  const giveBack = (): void => group.its.giveBack(membershipOf(1, 2, 3))
  expect(giveBack).toThrow(Violation)
  group.answer = undefined
  group.its.add(group.random)
  group.passes(60_000)
  for (const host of group.hosts) if (host.id === 3) host.isDeployed = false
  expect(giveBack).not.toThrow()
  expect(group.hosts.map(host => host.isDeployed)).toEqual([true, true, true])
})

it(
  'whoever leaves a bare quorum, and whose machine is taken away, is not waited for (seed 55 beside a mutant)',
  { timeout: batchTimeoutMs },
  () => {
    const drawn = drawConfiguration(4, 'membership')
    const features = [...drawn.features.filter(feature => feature !== 'oldBuilds'), 'core'] as const
    const configuration = { ...drawn, features, faults: {}, stormEndMs: 30_000, loadEndMs: 55_000 }
    const plan: readonly PlanItem[] = [
      { key: 'memberAdd-1', atMs: 12_000, kind: 'memberAdd', durationMs: 1 },
      { key: 'memberRemove-1', atMs: 29_990, kind: 'memberRemove', durationMs: 1 },
    ]
    const outcome = runSeed(configuration.seed, { configuration, plan, keepsLines: true })
    expect(outcome.violation).toBeUndefined()
    const healed = outcome.lines.find(({ text }) => text.endsWith('are healed'))
    const leaves = outcome.lines.filter(({ atMs, text }) => text === 'is not needed any more' && atMs > (healed?.atMs ?? Infinity))
    expect(leaves.map(({ who }) => healed?.text.includes(who))).toContain(true)
  },
)
