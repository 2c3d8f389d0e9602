/**
 * Who belongs to the group, and that it changes as Raft allows it. A node goes by the newest membership of its log, committed or not (A58); while its log
 * is being mended, by the one that its state remembers, if that is newer. No log holds a membership behind another one that is not committed, and none
 * that was written before an entry of its own term was committed; neighbours share a whole set of voters; and nobody asks for votes or leads whom its own
 * log does not call an elector.
 *
 * Other checkers ask here whose disks, votes and clocks count. Without a change that is everybody.
 */
import { EntryKind, decodeMembership, firstMembership, isElector, nodeId, phaseOf, type Member, type Membership } from '../../raft/index.ts'
import type { ReferenceReplica } from '../reference.ts'
import { expectThat } from '../violation.ts'
import type { Checker, LiveNode } from './checker.ts'
import { readEntry } from './readable.ts'

export interface Roster extends Checker {
  /** By the committed log. */
  readonly newest: Membership
  /** By the committed log, and all that may be in force somewhere because they stand in a log behind it. */
  readonly possible: readonly Membership[]
  /** A change is under way, or may be. */
  readonly isChanging: boolean
  /** Whether this node is an elector by the committed log. */
  isElector(node: number): boolean
  /** What a log held to be in force before its last change: a commit that comes in the same step as a membership was counted by that. */
  before(node: number): Membership | undefined
}

/** The sets of which each must have a majority. */
export function halvesOf({ voters, outgoing }: Membership): readonly (readonly number[])[] {
  return outgoing.length === 0 ? [voters] : [voters, outgoing]
}

/** What this node goes by. */
export function inForce(node: LiveNode): Membership {
  return node.raft.core.inspect().members.current.membership
}

/** More than half of each half. */
export function isQuorum(membership: Membership, has: (node: number) => boolean): boolean {
  return halvesOf(membership).every(half => half.filter(has).length > half.length / 2)
}

export interface RosterOptions {
  readonly reference: ReferenceReplica
  /** Numbers of the nodes that the group begins with. */
  readonly founders: readonly number[]
  /** The committed log has another membership now. */
  readonly changed?: (membership: Membership) => void
}

interface Held {
  /** Index and membership of the config entries that its log has shown, ascending. */
  entries: { readonly index: number; readonly membership: Membership }[]
  before: Membership | undefined
}

export function roster({ reference, founders, changed }: RosterOptions): Roster {
  const first = firstMembership(
    founders.map(id => ({ id: nodeId(id), name: `node-${id}`, address: `node-${id}:9000`, clientAddress: `node-${id}:8000` })),
  )
  const held = new Map<number, Held>()
  let committed: Membership = first
  /** All that ever were, by index; before the first entry that of the configuration. */
  const everCommitted = new Map([[0, first]])
  /** Seen in a log behind the committed one, by term and index. */
  const uncommitted = new Map<string, { readonly index: number; readonly membership: Membership }>()

  const read = (body: Uint8Array): Membership => {
    const decoded = decodeMembership(body)
    expectThat(decoded.kind === 'ok', 'A58', () => `a membership in the log is none: ${decoded.kind === 'bad' ? decoded.problem : ''}`)
    return decoded.membership
  }

  const expectOrder = (view: { readonly id: number }, node: LiveNode, index: number, known: Held): void => {
    // What this very step has committed is not with the reference yet.
    const commitIndex = Math.max(reference.commitIndex, node.raft.commitIndex)
    const where = (): string => `node ${view.id} has a membership at entry ${index}`
    const before = known.entries.at(-1)
    if (before !== undefined)
      expectThat(before.index <= commitIndex, 'A58', () => `${where()} behind that of entry ${before.index}, which is not committed`)
    if (index <= commitIndex || index === 1) return
    const began = node.log.termRuns.findLast(run => run.firstIndex <= index)?.firstIndex ?? index
    expectThat(
      began < index && began <= commitIndex,
      'A58',
      () => `${where()}, written before an entry of its own term was committed (the term began with ${began}, committed is ${commitIndex})`,
    )
  }

  const expectNeighbours = (index: number, left: Membership, right: Membership): void => {
    const isKept = sameIds(left.voters, right.voters) && (sameIds(left.outgoing, right.outgoing) || right.outgoing.length === 0)
    const isJoint = left.outgoing.length === 0 && sameIds(right.outgoing, left.voters)
    expectThat(isKept || isJoint, 'A58', () => `the membership of entry ${index} shares no set of voters with the one before it`)
  }

  const checkInForce = (view: { readonly id: number }, node: LiveNode, known: Held): void => {
    const { index, membership } = node.raft.core.inspect().members.current
    const newest = known.entries.at(-1)
    if (newest === undefined || newest.index < node.log.firstIndex) return
    // Rotten since it was written: the node has read it, and nobody can now.
    if (index > newest.index && index <= node.log.lastId.index && readEntry(node.log, index) === undefined) return
    // Of a log that has rotted only the beginning is there; what was applied outlives it, and until it is mended its node has no word in anything.
    const inLog = known.entries.findLast(entry => entry.index === index)?.membership
    const isMending = node.raft.role === 'recovering'
    const expected = isMending ? (inLog ?? everCommitted.get(index)) : index === newest.index ? newest.membership : undefined
    expectThat(
      expected !== undefined && isSame(expected, membership),
      'A58',
      () => `node ${view.id} goes by a membership of entry ${index}; the newest of its log is that of ${newest.index}`,
    )
  }

  return {
    name: 'membership',
    get newest() {
      return committed
    },
    get possible() {
      return [committed, ...[...uncommitted.values()].map(({ membership }) => membership)]
    },
    get isChanging() {
      return uncommitted.size > 0 || phaseOf(committed) !== 'steady'
    },
    isElector: node => isElector(committed, nodeId(node)),
    before: node => held.get(node)?.before,
    nodeStarted(view) {
      held.set(view.id, { entries: [], before: undefined })
    },
    logChanged(view, node, fromIndex) {
      const known = held.get(view.id) ?? { entries: [], before: undefined }
      held.set(view.id, known)
      while ((known.entries.at(-1)?.index ?? 0) >= fromIndex) known.entries.pop()
      known.before = known.entries.at(-1)?.membership
      const last = node.log.lastId.index
      for (let index = Math.max(fromIndex, node.log.firstIndex); index <= last; index += 1) {
        const entry = readEntry(node.log, index)
        if (entry?.kind !== EntryKind.config) continue
        const { term, body } = entry
        expectOrder(view, node, index, known)
        const membership = read(body)
        known.entries.push({ index, membership })
        if (index > reference.commitIndex) uncommitted.set(`${term}/${index}`, { index, membership })
      }
      if (known.entries.length > 0) checkInForce(view, node, known)
    },
    committed({ index, membership }) {
      for (const [key, other] of uncommitted) if (other.index <= index) uncommitted.delete(key)
      if (membership === undefined) return
      if (index > 1) expectNeighbours(index, committed, membership)
      committed = membership
      everCommitted.set(index, membership)
      changed?.(membership)
    },
    nodeChanged(view, node, now, before) {
      const known = held.get(view.id)
      if (known !== undefined) known.before = undefined
      if (known !== undefined && before.role === 'recovering' && now.role !== 'recovering') checkInForce(view, node, known)
      if (now.role === before.role && now.term === before.term) return
      if (now.role !== 'leader' && now.role !== 'candidate' && now.role !== 'preCandidate') return
      // A leader carries its own removal to its end.
      if (now.role === 'leader' && before.role === 'leader') return
      expectThat(
        mayStillBeElector(node, view.id),
        'A58',
        () => `node ${view.id} is ${now.role} in term ${now.term}, and has no vote by its own log`,
      )
    },
  }
}

/**
 * Whose removal stands in its log, but may not be committed, may have to win all the same (thesis 4.2.2): after a start it knows of no commit but that of its
 * checkpoint.
 */
function mayStillBeElector(node: LiveNode, id: number): boolean {
  const { history } = node.raft.core.inspect().members
  const from = history.findLast(({ index }) => index <= node.raft.commitIndex)?.index ?? 0
  return history.some(({ index, membership }) => index >= from && isElector(membership, nodeId(id)))
}

function isSame(left: Membership, right: Membership): boolean {
  return (
    left === right ||
    (left.idMax === right.idMax &&
      sameIds(left.voters, right.voters) &&
      sameIds(left.outgoing, right.outgoing) &&
      sameIds(left.goal ?? [], right.goal ?? []) &&
      sameIds(left.leaving, right.leaving) &&
      left.members.length === right.members.length &&
      left.members.every((member, i) => isSameMember(member, right.members[i])))
  )
}

function isSameMember(left: Member, right: Member | undefined): boolean {
  return (
    left.id === right?.id &&
    left.name === right.name &&
    left.address === right.address &&
    left.clientAddress === right.clientAddress &&
    left.directory === right.directory
  )
}

function sameIds(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((id, i) => id === right[i])
}
