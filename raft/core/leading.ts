/**
 * A leader: takes proposals, decides what is committed, keeps its followers' clocks and leases alive, and gives up when it does not hear a majority.
 * Invariants: a log entry of its own term comes first (no-op); only an entry of its own term is committed by counting (Raft §5.4.2, Figure 8), and only
 * what a majority has on disk, itself counted by its own disk like anybody else (catalogue I8).
 */
import { assert } from '../../src/platform/assert.ts'
import { followMedian, leapTo, stampNow, startLeadingTime, wantedLeap } from './cluster-time.ts'
import { isHardStateDurable, takeAppendEpoch } from './durability.ts'
import { EntryKind } from './entry.ts'
import type { Propose } from './event.ts'
import type { EntryId, LogIndex } from './ids.ts'
import { tryReserve } from './limits.ts'
import { appendToLog, termAt } from './log.ts'
import { becomeFollower, changeRole, commitTo, refuse, releaseApply } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import { createProgress } from './progress.ts'
import { addProposal, settleProposals } from './proposals.ts'
import { majorityOf, reachedBy } from './quorum.ts'
import { feedAll, nextSession, sendHeartbeats } from './replication.ts'
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
  const bounds = { slicesMax: config.inflightSlicesMax, bytesMax: config.inflightBytesMax }
  const leader: LeaderRole = {
    kind: 'leader',
    leaderId: config.id,
    peers: node.peers.map(peer => createProgress(peer.id, { session: nextSession(peer), nextIndex, nowMs, ...bounds })),
    firstOwnIndex: nextIndex,
    timeSettledIndex: nextIndex,
    heartbeatDueMs: nowMs + config.heartbeatIntervalMs,
    transfer: undefined,
    round: 0,
  }
  changeRole(node, leader, reason)
  startLeadingTime(node.clusterTime, nowMs, isFirst)
  appendOwn(node, isFirst ? EntryKind.config : EntryKind.noop, ownTicket, 1)
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

function appendOwn(node: NodeState, entryKind: EntryKind, ticket: number, count: number): EntryId {
  const { log, term, durability } = node
  const firstIndex = (log.lastIndex + 1) as LogIndex
  const wallMs = stampNow(node.clusterTime, node.nowMs)
  appendToLog(log, count, term)
  const epoch = takeAppendEpoch(durability, log.lastIndex)
  node.output.persists.push({ kind: 'appendOwn', epoch, ticket, entryKind, firstIndex, count, term, wallMs })
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
  const { scratch, log, config, durability } = node
  scratch[0] = durability.durableIndex
  for (let i = 0; i < leader.peers.length; i++) scratch[i + 1] = leader.peers[i]?.durableIndex ?? 0
  const index = Math.min(reachedBy(scratch, majorityOf(config.voters.length)), log.lastIndex) as LogIndex
  if (index <= node.commitIndex) return
  if (termAt(log, index) !== node.term) return
  assert(index >= leader.firstOwnIndex, 'commits-foreign-term', index, leader.firstOwnIndex)
  commitTo(node, index)
  maybeTrustOwnLog(node, leader)
  settleProposals(node.proposals, index, node.term, node.uncommitted, node.output.outcomes)
  releaseApply(node)
  feedAll(node, leader)
}

export function onLeaderTick(node: NodeState, leader: LeaderRole): void {
  const { nowMs, config, clusterTime } = node
  if (!hearsMajority(node, leader)) {
    if (nowMs < node.graceUntilMs) refuse(node, 'R-23-stalled')
    else return becomeFollower(node, undefined, `gave up: no majority heard for ${Math.round(nowMs - heardByMajority(node, leader))} ms`)
  }
  if (leader.transfer !== undefined && nowMs >= Math.min(leader.transfer.deadlineMs, leader.heartbeatDueMs)) onTransferTick(node, leader)
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
  const { scratch } = node
  scratch[0] = node.nowMs
  for (let i = 0; i < leader.peers.length; i++) scratch[i + 1] = leader.peers[i]?.contactMs ?? 0
  return reachedBy(scratch, majorityOf(node.config.voters.length))
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
