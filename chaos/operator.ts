/**
 * The operator of a world whose members change. It knows what `raftmq cluster member list` would show (of a node that answers), starts the machine of who is
 * to come in, asks through any gateway until the answer is a yes or a no, and some time after a removal stops the machine, or forgets to. A change that was
 * accepted finishes by itself: nothing here helps it on.
 */
import type { Refusal } from '../src/broker/refusal.ts'
import type { MemberInfo, MembersChangedAnswer, MembersView, MembersWish } from '../src/broker/admin-requests.ts'
import { spread } from './chance.ts'
import type { Operator } from './faults/fault.ts'
import type { Host } from './host.ts'
import type { Marks } from './marks.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'
import { call } from './workloads/rpc.ts'

export interface OperatorParts {
  readonly scheduler: Scheduler
  readonly hosts: readonly Host[]
  readonly marks: Marks
  /** Machines are left alone from now on. */
  isOver(): boolean
  /** What a host is called and where it lives. */
  describe(host: Host): MemberInfo
  say(text: string): void
}

const timeoutMs = 3_000
/** Then the operator goes home: whether the change was taken nobody told. */
const attemptsMax = 6
const votersMax = 5

export function operator(parts: OperatorParts): Operator {
  const { scheduler, hosts, marks } = parts

  /** As the first node shows it that answers. */
  const look = (random: SimRandom): MembersView | undefined => {
    const up = hosts.filter(host => host.life !== undefined && !host.isPaused && !host.isCutOff)
    const views = random.shuffle(up).map(host => host.life?.broker.members())
    return views.find(view => view !== undefined && !view.isRemoved && view.members.length > 0)
  }

  const votersOf = (view: MembersView): readonly number[] => view.members.filter(({ role }) => role === 'voter').map(({ id }) => id)
  const hostOf = (id: number): Host | undefined => hosts.find(host => host.id === id)

  const ask = (random: SimRandom, wish: MembersWish, attempt = 1): void => {
    const gateway = random.pick(hosts.filter(host => host.isDeployed))
    call<MembersChangedAnswer | Refusal>(
      scheduler,
      random,
      gateway,
      timeoutMs,
      side => side.broker.changeMembers({ deadlineMs: side.deadlineMs, wish }, answer => side.reply(answer)),
      outcome => {
        const text = describeWish(wish)
        if (outcome.kind === 'answer') {
          const { answer } = outcome
          parts.say(`${text} through ${gateway.name}: ${answer.kind === 'refused' ? answer.code : `entry ${answer.index}`}`)
          if (answer.kind === 'membersChanged') return accepted(random, wish)
          if (answer.code === 'preconditionFailed') return
        }
        if (attempt < attemptsMax) scheduler.schedule(spread(random, 100, 2_000), () => ask(random, wish, attempt + 1))
        else parts.say(`${text}: nobody has said yes or no`)
      },
    )
  }

  const accepted = (random: SimRandom, wish: MembersWish): void => {
    marks.hit(wish.kind === 'cancel' ? 'a change of members was taken back' : 'a change of members was accepted')
    if (wish.kind === 'cancel' || random.chance(400_000)) return
    for (const id of wish.remove) scheduler.schedule(spread(random, 500, 20_000), () => retire(random, id, 3))
  }

  /** Its machine is wanted for something else: when a node that answers says that it is out, for good. */
  const retire = (random: SimRandom, id: number, patience: number): void => {
    if (parts.isOver()) return
    const view = look(random)
    const member = view?.members.find(other => other.id === id)
    const isOut = view?.phase === 'steady' && view.isCommitted && (member === undefined || member.role === 'removed')
    if (isOut) return hostOf(id)?.retire()
    if (patience > 0) scheduler.schedule(5_000, () => retire(random, id, patience - 1))
  }

  const wish = (random: SimRandom, add: readonly Host[], remove: readonly number[]): true => {
    for (const host of add) host.deploy()
    ask(random, { kind: 'replace', add: add.map(host => parts.describe(host)), remove })
    return true
  }

  const outside = (random: SimRandom, view: MembersView): readonly Host[] => {
    const inside = view.members.filter(({ role }) => role !== 'removed').map(({ id }) => id)
    return random.shuffle(hosts.filter(host => !inside.includes(host.id)))
  }

  return {
    add(random) {
      const view = look(random)
      if (view === undefined) return false
      const most = Math.min(random.pick([1, 2, 2]), votersMax - votersOf(view).length)
      const hostsToAdd = outside(random, view).slice(0, Math.max(0, most))
      return hostsToAdd.length > 0 && wish(random, hostsToAdd, [])
    },
    remove(random) {
      const view = look(random)
      if (view === undefined) return false
      const voters = random.shuffle(votersOf(view))
      const most = Math.min(random.pick([1, 2, 2]), voters.length - 1)
      return most > 0 && wish(random, [], voters.slice(0, most))
    },
    replace(random) {
      const view = look(random)
      const [host] = view === undefined ? [] : outside(random, view)
      if (view === undefined || host === undefined) return false
      return wish(random, [host], random.shuffle(votersOf(view)).slice(0, 1))
    },
    cancel(random) {
      const view = look(random)
      if (view === undefined || view.phase === 'steady') return false
      ask(random, { kind: 'cancel' })
      return true
    },
  }
}

function describeWish(wish: MembersWish): string {
  if (wish.kind === 'cancel') return 'cancel'
  return [...wish.add.map(({ id }) => `+${id}`), ...wish.remove.map(id => `-${id}`)].join(' ')
}
