/**
 * Which membership is in force on this node, and what follows from it: who votes, who is fed, whose clock counts. A list of all config entries of the log,
 * cut and compacted together with it, so that a truncated entry restores its predecessor (catalogue B89), and a snapshot can carry the membership at its own
 * index and not the latest (B90, B91).
 * Invariants: the history ascends and is never empty; the last of it is in force; a peer once known keeps its incarnation and its count of sessions, so that
 * a member that is removed and added again in one term never meets an old session's number (B50).
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex, NodeId } from './ids.ts'
import { isElector, memberOf, noMembership, wasRemoved } from './membership.ts'
import type { Membership, MembershipAt } from './membership.ts'
import { electorateOf, slotIn } from './quorum.ts'
import type { Electorate } from './quorum.ts'

/** What we know of another node apart from any leadership. Changed in core.ts, replication.ts and here. */
export interface Peer {
  readonly id: NodeId
  /** Its place among the electors; undefined = it has no vote. */
  slot: number | undefined
  /** Its restart counter as last heard; 0 = not heard. */
  incarnation: number
  /** Sessions that we have opened with it; goes into the next one's number. */
  sessionCount: number
}

export interface Members {
  readonly ownId: NodeId
  readonly history: MembershipAt[]
  /** In force: the last of the history. */
  current: MembershipAt
  electorate: Electorate
  /** undefined = we have no vote. */
  ownSlot: number | undefined
  /** The other members, ascending. */
  peers: readonly Peer[]
  readonly everKnown: Map<NodeId, Peer>
  /** By slot, for counting. */
  values: Float64Array
}

export function createMembers(ownId: NodeId, recovered: readonly MembershipAt[], first: Membership | undefined): Members {
  const history = recovered.length > 0 ? [...recovered] : [{ index: 0 as LogIndex, membership: first ?? noMembership }]
  assert(
    history.every((at, i) => i === 0 || at.index > (history[i - 1]?.index ?? 0)),
    'memberships-ascend',
  )
  const current = mustLast(history)
  const members: Members = {
    ownId,
    history,
    current,
    electorate: electorateOf(current.membership),
    ownSlot: undefined,
    peers: [],
    everKnown: new Map(),
    values: new Float64Array(0),
  }
  putInForce(members)
  return members
}

/** A config entry is in the log now. */
export function addMembership(members: Members, at: MembershipAt): void {
  assert(at.index > members.current.index || members.current.index === 0, 'membership-behind', at.index, members.current.index)
  // What we were configured with is no entry: the first one takes its place.
  if (members.current.index === 0) members.history.length = 0
  members.history.push(at)
  putInForce(members)
}

/** Everything from `index` on is no part of the log any more. True when another membership is in force now. */
export function truncateMemberships(members: Members, index: LogIndex, first: Membership | undefined): boolean {
  const { history } = members
  const before = history.length
  while ((history.at(-1)?.index ?? 0) >= index) history.pop()
  if (history.length === before) return false
  if (history.length === 0) history.push({ index: 0 as LogIndex, membership: first ?? noMembership })
  putInForce(members)
  return true
}

/** The log was compacted: what was in force at `index` is the oldest that is kept. */
export function compactMemberships(members: Members, index: LogIndex): void {
  const { history } = members
  while ((history[1]?.index ?? Infinity) <= index) history.shift()
}

const none: MembershipAt = { index: 0 as LogIndex, membership: noMembership }

/** The membership in force at `index`, by the log up to there; none when the first is not there yet. */
export function membershipAt({ history }: Members, index: LogIndex): MembershipAt {
  let found = none
  for (const at of history) if (at.index <= index) found = at
  return found
}

function putInForce(members: Members): void {
  const current = mustLast(members.history)
  const { membership } = current
  members.current = current
  members.electorate = electorateOf(membership)
  members.values = new Float64Array(members.electorate.ids.length)
  members.ownSlot = slotIn(members.electorate, members.ownId)
  for (const peer of members.everKnown.values()) peer.slot = undefined
  members.peers = membership.members
    .filter(member => member.id !== members.ownId)
    .map(member => {
      const peer = knowPeer(members, member.id)
      peer.slot = slotIn(members.electorate, member.id)
      return peer
    })
}

/** Remembered from now on, member or not. */
export function knowPeer(members: Members, id: NodeId): Peer {
  let peer = members.everKnown.get(id)
  if (peer === undefined) {
    peer = { id, slot: slotIn(members.electorate, id), incarnation: 0, sessionCount: 0 }
    members.everKnown.set(id, peer)
  }
  return peer
}

/** Nobody else has ever had a vote, as far as our log tells. */
export function isAlone({ history, ownId }: Members): boolean {
  return history.every(
    ({ membership }) => membership.voters.length === 1 && membership.outgoing.length === 0 && membership.voters[0] === ownId,
  )
}

/** By what is committed, we belonged to the group and do not any more. */
export function isRemovedAt(members: Members, commitIndex: LogIndex): boolean {
  const { membership } = membershipAt(members, commitIndex)
  return wasRemoved(membership, members.ownId) && !isElector(members.current.membership, members.ownId)
}

/** A member, in whatever way. */
export function isMember(members: Members, id: NodeId): boolean {
  return memberOf(members.current.membership, id) !== undefined
}

function mustLast(history: readonly MembershipAt[]): MembershipAt {
  const last = history.at(-1)
  assert(last !== undefined, 'memberships-empty')
  return last
}
