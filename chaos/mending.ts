/**
 * What the operator does about a lost disk: hears the node say that its directory is not the one that votes, and some seconds later lets another node take
 * its place (`raftmq cluster member replace OLD NEW`), or takes the number out of the group and in again (`… replace NODE`), and looks until that is done.
 * A change that waits for a directory that is lost is taken back first: it would wait for ever.
 */
import type { MembersView, MembersWish } from '../src/broker/admin-requests.ts'
import { spread } from './chance.ts'
import type { Host } from './host.ts'
import type { Marks } from './marks.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'

export interface MendingParts {
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly marks: Marks
  /** The group goes by a disk of this node that is gone. */
  isMissing(node: number): boolean
  /** As a node shows it that answers. */
  look(random: SimRandom): MembersView | undefined
  /** A node that could take another one's place. */
  heir(random: SimRandom, view: MembersView): Host | undefined
  /** Until the answer is a yes or a no, or nobody gives one. */
  ask(random: SimRandom, wish: MembersWish, done: () => void): void
  take(random: SimRandom, add: readonly Host[], remove: readonly number[], done: () => void): void
  say(text: string): void
}

export interface Mending {
  /** It says that its directory is not the one that votes under its number. */
  refused(host: Host): void
  /** Whose disk has not been got over yet. */
  readonly open: readonly number[]
}

interface Mend {
  readonly host: Host
  readonly mayHaveHeir: boolean
  /** Who was asked for in its place. */
  heir: Host | undefined
}

const lookMs = { low: 300, high: 3_000 }
const votersMax = 5
/** Behind what is committed by so little it has caught up. */
const lagEntriesMax = 50

export function mending(parts: MendingParts): Mending {
  const { scheduler, random, marks } = parts
  const open = new Map<number, Mend>()

  const again = (mend: Mend): void => void scheduler.schedule(spread(random, lookMs.low, lookMs.high), () => step(mend))

  const close = ({ host }: Mend, how: string): void => {
    parts.say(`${how} ${host.name}`)
    open.delete(host.id)
  }

  const step = (mend: Mend): void => {
    const { host } = mend
    const view = parts.look(random)
    if (view?.isCommitted !== true || view.phase === 'joint') return again(mend)
    if (view.phase === 'catchUp') {
      const isHopeless = view.members.some(({ id, isJoining }) => isJoining && parts.isMissing(id))
      return isHopeless ? parts.ask(random, { kind: 'cancel' }, () => again(mend)) : again(mend)
    }
    if (parts.isMissing(host.id)) return takeOut(mend, view)
    const member = view.members.find(({ id, role }) => id === host.id && role === 'voter')
    if (member === undefined) return takeIn(mend, view)
    if (!hasCaughtUp(host, view)) return again(mend)
    marks.hit('a node whose disk was lost was taken in anew, and caught up')
    close(mend, 'caught up with an empty disk:')
  }

  const takeOut = (mend: Mend, view: MembersView): void => {
    const { host } = mend
    mend.heir = mend.mayHaveHeir ? parts.heir(random, view) : undefined
    parts.take(random, mend.heir === undefined ? [] : [mend.heir], [host.id], () => again(mend))
  }

  const takeIn = (mend: Mend, view: MembersView): void => {
    const voters = view.members.filter(({ role }) => role === 'voter')
    if (voters.some(({ id }) => id === mend.heir?.id)) {
      marks.hit('another node took the place of one whose disk was lost')
      return close(mend, 'another node is in the place of')
    }
    if (voters.length >= votersMax) return close(mend, 'there is no room for')
    parts.take(random, [mend.host], [], () => again(mend))
  }

  return {
    refused(host) {
      if (open.has(host.id) || !parts.isMissing(host.id)) return
      marks.hit('a node that came back with an empty disk was refused')
      const mend = { host, mayHaveHeir: random.chance(400_000), heir: undefined }
      open.set(host.id, mend)
      scheduler.schedule(spread(random, 300, 10_000), () => step(mend))
    },
    get open() {
      return [...open.keys()]
    },
  }
}

function hasCaughtUp({ life, isLost }: Host, { index }: MembersView): boolean {
  if (life === undefined || isLost || life.broker.members().isRemoved) return false
  const { raft, machine } = life.node
  return machine.appliedIndex >= index && raft.commitIndex - machine.appliedIndex <= lagEntriesMax
}
