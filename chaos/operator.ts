/**
 * The operator of a world whose members change. It knows what `raftmq cluster member list` would show (of a node that answers), starts the machine of who is
 * to come in, asks through any gateway until the answer is a yes or a no, and some time after a removal stops the machine, or forgets to. It never takes away the machine of a
 * node that it has asked for since. A change that was accepted finishes by itself: nothing here helps it on. It asks for nothing that would leave a group
 * without a majority of disks, and what it does about a lost one is in mending.ts.
 */
import type { Refusal } from '../src/broker/refusal.ts'
import type { MemberInfo, MembersChangedAnswer, MembersView, MembersWish } from '../src/broker/admin-requests.ts'
import type { Membership } from '../raft/index.ts'
import { spread } from './chance.ts'
import type { Operator } from './faults/fault.ts'
import type { Host } from './host.ts'
import type { Marks } from './marks.ts'
import { mending, type Mending } from './mending.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'
import { expectThat } from './violation.ts'
import { call } from './workloads/rpc.ts'

export interface OperatorParts {
  readonly scheduler: Scheduler
  readonly hosts: readonly Host[]
  readonly marks: Marks
  /** For what no fault has asked of it. */
  readonly random: SimRandom
  /** No group is made smaller than this: what rots on the disk of one machine is to have another copy. */
  readonly votersMin: number
  /** Members are being changed, as far as any log shows. */
  isChanging(): boolean
  /** The group goes by a disk of this node that is gone. */
  isMissing(node: number): boolean
  /** The group that comes of it can do without the disks that are missing. */
  mayAsk(wish: MembersWish): boolean
  /** Machines are left alone from now on. */
  isOver(): boolean
  /** What a host is called and where it lives. */
  describe(host: Host): MemberInfo
  say(text: string): void
}

/** What faults ask for, and what the world asks it at the end. */
export interface SimulatedOperator extends Operator {
  /** What it has asked for, and may have been taken without its knowing. */
  readonly wishes: readonly MembersWish[]
  readonly mending: Mending
  /** Looks who is in, and gives machines back to those that it has asked for without ever being told whether they would be. There may be no others. */
  giveBack(membership: Membership): void
}

const timeoutMs = 3_000
/** Then the operator goes home: whether the change was taken nobody told. */
const attemptsMax = 6
const votersMax = 5
/** After this nobody takes a wish any more that was given up. */
const lateMs = 10_000

/** Entry of the change, and how often the node had been asked for before it. */
interface Removal {
  readonly id: number
  readonly index: number
  readonly asks: number | undefined
}

export function operator(parts: OperatorParts): SimulatedOperator {
  const { scheduler, hosts, marks } = parts
  /** How often each node was asked for. */
  const asksFor = new Map<number, number>()
  const open = new Set<number>()
  const wishes = new Set<MembersWish>()

  /** As the first node shows it that answers. */
  const look = (random: SimRandom): MembersView | undefined => {
    const up = hosts.filter(host => host.life !== undefined && !host.isPaused && !host.isCutOff)
    const views = random.shuffle(up).map(host => host.life?.broker.members())
    return views.find(view => view !== undefined && !view.isRemoved && view.members.length > 0)
  }

  const votersOf = (view: MembersView): readonly number[] => view.members.filter(({ role }) => role === 'voter').map(({ id }) => id)
  const hostOf = (id: number): Host | undefined => hosts.find(host => host.id === id)

  const end = (wish: MembersWish, done: () => void): void => {
    wishes.delete(wish)
    done()
  }

  const ask = (random: SimRandom, wish: MembersWish, done: () => void, attempt = 1): void => {
    wishes.add(wish)
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
          if (answer.kind === 'membersChanged') {
            accepted(random, wish, answer.index)
            return end(wish, done)
          }
          // A no to a second attempt may be due to the first.
          if (answer.code === 'preconditionFailed') {
            if (attempt > 1) leaveOpen(wish)
            return end(wish, done)
          }
        }
        if (attempt < attemptsMax) return void scheduler.schedule(spread(random, 100, 2_000), () => ask(random, wish, done, attempt + 1))
        parts.say(`${text}: nobody has said yes or no`)
        leaveOpen(wish)
        scheduler.schedule(lateMs, () => end(wish, done))
      },
    )
  }

  const leaveOpen = (wish: MembersWish): void => {
    if (wish.kind === 'replace') for (const { id } of wish.add) open.add(id)
  }

  const accepted = (random: SimRandom, wish: MembersWish, index: number): void => {
    marks.hit(wish.kind === 'cancel' ? 'a change of members was taken back' : 'a change of members was accepted')
    if (wish.kind === 'cancel') return
    // Its machine may have been taken away since it was asked for.
    for (const { id } of wish.add) hostOf(id)?.deploy()
    if (random.chance(400_000)) return
    for (const id of wish.remove) {
      // It is to come in again under its number.
      if (parts.isMissing(id) && wish.add.length === 0) continue
      const asks = asksFor.get(id)
      scheduler.schedule(spread(random, 500, 20_000), () => retire(random, { id, index, asks }, 3))
    }
  }

  /** Its machine is wanted for something else: when a node that answers, and knows of its removal, says that it is out for good. */
  const retire = (random: SimRandom, removal: Removal, patience: number): void => {
    const { id, index, asks } = removal
    if (parts.isOver() || asksFor.get(id) !== asks) return
    const view = look(random)
    const member = view?.members.find(other => other.id === id)
    const isOut = view?.phase === 'steady' && view.isCommitted && view.index > index && (member === undefined || member.role === 'removed')
    if (isOut) return hostOf(id)?.retire()
    if (patience > 0) scheduler.schedule(5_000, () => retire(random, removal, patience - 1))
  }

  const wish = (random: SimRandom, add: readonly Host[], remove: readonly number[], done = nothing): boolean => {
    const wanted: MembersWish = { kind: 'replace', add: add.map(host => parts.describe(host)), remove }
    if (!parts.mayAsk(wanted)) return false
    for (const host of add) {
      asksFor.set(host.id, (asksFor.get(host.id) ?? 0) + 1)
      host.deploy()
    }
    ask(random, wanted, done)
    return true
  }

  const outside = (random: SimRandom, view: MembersView): readonly Host[] => {
    const inside = view.members.filter(({ role }) => role !== 'removed').map(({ id }) => id)
    return random.shuffle(hosts.filter(host => !inside.includes(host.id)))
  }

  const mends = mending({
    scheduler,
    random: parts.random,
    marks,
    isMissing: id => parts.isMissing(id),
    look,
    heir: (random, view) => outside(random, view).find(host => !mends.open.includes(host.id)),
    ask,
    take: (random, add, remove, done) => {
      if (!wish(random, add, remove, done)) done()
    },
    say: text => parts.say(text),
  })

  return {
    mending: mends,
    get wishes() {
      return [...wishes]
    },
    get isChanging() {
      return parts.isChanging()
    },
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
      const most = Math.min(random.pick([1, 2, 2]), voters.length - parts.votersMin)
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
      ask(random, { kind: 'cancel' }, nothing)
      return true
    },
    giveBack({ members, leaving }) {
      for (const { id } of members) {
        const host = hostOf(id)
        if (host === undefined || host.isDeployed || leaving.includes(id)) continue
        expectThat(open.has(id), 'A58', () => `node ${id} belongs to the group, was told to be out, and nobody has asked for it since`)
        host.deploy()
      }
    },
  }
}

function nothing(): void {
  // Nobody waits for the end of it.
}

function describeWish(wish: MembersWish): string {
  if (wish.kind === 'cancel') return 'cancel'
  return [...wish.add.map(({ id }) => `+${id}`), ...wish.remove.map(id => `-${id}`)].join(' ')
}
