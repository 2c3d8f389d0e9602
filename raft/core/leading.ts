/**
 * A leader: takes proposals, decides what is committed, keeps its followers' clocks and leases alive, and gives up when it does not hear a majority.
 * Invariants: a log entry of its own term comes first (no-op); only an entry of its own term is committed by counting (Raft §5.4.2, Figure 8), and only
 * what a majority has on disk, itself counted by its own disk like anybody else (catalogue I8).
 */
import { assert } from '../../src/platform/assert.ts'
import {
  changeElectorate,
  followMedian,
  forgetOldClocks,
  leapTo,
  noteClock,
  stampNow,
  startLeadingTime,
  wantedLeap,
} from './cluster-time.ts'
import { maybeStepAside, maybeSteer, noteCatchUp } from './changing.ts'
import { isHardStateDurable, takeAppendEpoch } from './durability.ts'
import { EntryKind } from './entry.ts'
import type { Propose } from './event.ts'
import type { EntryId, LogIndex } from './ids.ts'
import { tryReserve } from './limits.ts'
import { appendToLog, termAt } from './log.ts'
import { memberOf } from './membership.ts'
import type { Membership } from './membership.ts'
import { addMembership } from './members.ts'
import { becomeFollower, changeRole, commitTo, refuse, releaseApply, wallNow } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { Progress } from './progress.ts'
import { addProposal, settleProposals } from './proposals.ts'
import { reachedByAll } from './quorum.ts'
import { feedAll, followMembership, sendHeartbeats } from './replication.ts'
import type { LeaderRole } from './role.ts'
import { isHandingOver, onTransferTick } from './transfer.ts'

/** Ticket of entries that the core makes for itself: no-op, first configuration, leap of time. Nobody waits for their outcome. */
const ownTicket = 0

export function becomeLeader(node: NodeState, reason: string): void {
  assert(node.role.kind === 'candidate', 'leads-from', node.role.kind)
  assert(node.votedFor === node.config.id, 'leads-without-own-vote', node.votedFor)
  assert(isHardStateDurable(node.durability), 'leads-before-durable', node.term)
  const { config, nowMs, log } = node
  const isFirst = log.lastIndex === 0
  const nextIndex = (log.lastIndex + 1) as LogIndex
  const leader: LeaderRole = {
    kind: 'leader',
    leaderId: config.id,
    peers: [],
    firstOwnIndex: nextIndex,
    timeSettledIndex: nextIndex,
    heartbeatDueMs: nowMs + config.heartbeatIntervalMs,
    transfer: undefined,
    round: 0,
    read: undefined,
    readRound: 0,
    confirmedRound: 0,
    steeredIndex: 0 as LogIndex,
    steeredMs: nowMs,
    hasTriedHandOver: false,
  }
  changeRole(node, leader, reason)
  followMembership(node, leader)
  startLeadingTime(node.clusterTime, nowMs, isFirst)
  if (isFirst) appendMembership(node, leader, node.members.current.membership, ownTicket)
  else appendOwn(node, EntryKind.noop, ownTicket, 1)
  maybeLeap(node, leader)
  sendHeartbeats(node, leader)
  feedAll(node, leader)
}

/** A wish to append. Its outcomes come under its ticket: `appended`, then `committed` or `unknown`; or `rejected` alone. */
export function onPropose(node: NodeState, event: Propose): void {
  const { ticket, count, bytes } = event
  assert(count >= 1, 'propose-count', count)
  assert(bytes >= 1, 'propose-bytes', bytes)
  const { role, output } = node
  if (role.kind !== 'leader') {
    output.outcomes.push({ kind: 'rejected', ticket, reason: 'notLeader' })
    return refuse(node, 'R-19-not-leader')
  }
  if (isHandingOver(role)) {
    output.outcomes.push({ kind: 'rejected', ticket, reason: 'transferring' })
    return refuse(node, 'R-40-transferring')
  }
  if (!tryReserve(node.uncommitted, bytes)) {
    output.outcomes.push({ kind: 'rejected', ticket, reason: 'busy' })
    return refuse(node, 'R-20-busy')
  }
  const firstId = appendOwn(node, event.entryKind, ticket, count)
  addProposal(node.proposals, ticket, firstId.index, count, bytes)
  output.outcomes.push({ kind: 'appended', ticket, firstId, count })
  feedAll(node, role)
}

/** A membership is in force from here on (Raft §6). Every step shares a whole set of voters with the one before: their majorities meet. */
export function appendMembership(node: NodeState, leader: LeaderRole, membership: Membership, ticket: number): void {
  const { members, clusterTime } = node
  const before = members.current
  assert(before.index <= node.commitIndex, 'two-uncommitted-memberships', before.index, node.commitIndex)
  assert(shareVoters(before.membership, membership), 'membership-leap', before.index)
  const { index } = appendOwn(node, EntryKind.config, ticket, 1, membership)
  addMembership(members, { index, membership })
  changeElectorate(clusterTime, members.electorate)
  if (members.ownSlot !== undefined) noteClock(clusterTime, members.ownSlot, wallNow(node), node.nowMs)
  const anew = before.membership.leaving.filter(id => memberOf(membership, id) !== undefined && !membership.leaving.includes(id))
  followMembership(node, leader, anew)
}

function shareVoters(a: Membership, b: Membership): boolean {
  const halves = [a.voters, a.outgoing].filter(half => half.length > 0).map(half => half.join())
  return halves.includes(b.voters.join()) || halves.includes(b.outgoing.join())
}

function appendOwn(node: NodeState, entryKind: EntryKind, ticket: number, count: number, membership?: Membership): EntryId {
  const { log, term, durability } = node
  const firstIndex = (log.lastIndex + 1) as LogIndex
  const wallMs = stampNow(node.clusterTime, node.nowMs)
  appendToLog(log, count, term)
  const epoch = takeAppendEpoch(durability, log.lastIndex)
  node.output.persists.push({ kind: 'appendOwn', epoch, ticket, entryKind, firstIndex, count, term, wallMs, membership })
  return { term, index: firstIndex }
}

/** An entry of our own term is committed, and on our disk with all before it: whatever we had forgotten, it is there now. */
function maybeTrustOwnLog(node: NodeState, leader: LeaderRole): void {
  if (node.logTrust === 'whole') return
  if (Math.min(node.commitIndex, node.durability.durableIndex) >= leader.firstOwnIndex) node.logTrust = 'whole'
}

/** Our own disk has got further. */
export function onLeaderDurable(node: NodeState, leader: LeaderRole): void {
  maybeAdvanceCommit(node, leader)
  maybeTrustOwnLog(node, leader)
}

/** Something is on more disks than before: perhaps on a majority's. */
export function maybeAdvanceCommit(node: NodeState, leader: LeaderRole): void {
  const { log, durability } = node
  const index = Math.min(reachedByQuorum(node, leader, durability.durableIndex, durableIndexOf), log.lastIndex) as LogIndex
  if (index <= node.commitIndex) return
  if (termAt(log, index) !== node.term) return
  assert(index >= leader.firstOwnIndex, 'commits-foreign-term', index, leader.firstOwnIndex)
  commitTo(node, index)
  maybeTrustOwnLog(node, leader)
  settleProposals(node.proposals, index, node.term, node.uncommitted, node.output.outcomes)
  releaseApply(node)
  maybeSteer(node, leader, appendMembership)
  feedAll(node, leader)
}

const durableIndexOf = (progress: Progress): number => progress.durableIndex
const contactMsOf = (progress: Progress): number => progress.contactMs

/** What a majority of each half has reached: our own number, if we vote, and one for each peer that does. */
export function reachedByQuorum(node: NodeState, leader: LeaderRole, own: number, valueOf: (progress: Progress) => number): number {
  const { electorate, values, ownSlot, peers } = node.members
  if (ownSlot !== undefined) values[ownSlot] = own
  for (let i = 0; i < peers.length; i++) {
    const slot = peers[i]?.slot
    const progress = leader.peers[i]
    if (slot !== undefined && progress !== undefined) values[slot] = valueOf(progress)
  }
  return reachedByAll(electorate, values)
}

export function onLeaderTick(node: NodeState, leader: LeaderRole): void {
  const { nowMs, config, clusterTime } = node
  if (!hearsMajority(node, leader)) {
    if (nowMs < node.graceUntilMs) refuse(node, 'R-23-stalled')
    else return becomeFollower(node, undefined, `gave up: no majority heard for ${Math.round(nowMs - heardByMajority(node, leader))} ms`)
  }
  if (leader.transfer !== undefined && nowMs >= Math.min(leader.transfer.deadlineMs, leader.heartbeatDueMs)) onTransferTick(node, leader)
  if (maybeStepAside(node, leader)) return
  for (const progress of leader.peers) noteCatchUp(node, progress)
  maybeSteer(node, leader, appendMembership)
  forgetOldClocks(clusterTime, nowMs - config.electionTimeoutMs)
  followMedian(clusterTime, nowMs)
  maybeLeap(node, leader)
  if (nowMs < leader.heartbeatDueMs) return
  leader.heartbeatDueMs = nowMs + config.heartbeatIntervalMs
  sendHeartbeats(node, leader)
}

/** CheckQuorum: a leader that a majority has not answered for an election timeout must expect that there is another one. */
function hearsMajority(node: NodeState, leader: LeaderRole): boolean {
  return node.nowMs - heardByMajority(node, leader) < node.config.electionTimeoutMs
}

/** The latest moment since which a majority, ourselves included, has been heard. */
function heardByMajority(node: NodeState, leader: LeaderRole): number {
  return reachedByQuorum(node, leader, node.nowMs, contactMsOf)
}

/** A majority of clocks is far ahead of cluster time: an entry of its own takes it there. One at a time. */
function maybeLeap(node: NodeState, leader: LeaderRole): void {
  if (isHandingOver(leader)) return
  const wallMs = wantedLeap(node.clusterTime, node.nowMs)
  if (wallMs === undefined) return
  leapTo(node.clusterTime, wallMs, node.nowMs)
  leader.timeSettledIndex = appendOwn(node, EntryKind.timeLeap, ownTicket, 1).index
  feedAll(node, leader)
}
