/**
 * ReadIndex (thesis 6.4): an index such that whoever has applied it has seen all that was acknowledged anywhere before he asked. No entry is made, and no
 * clock is trusted: the leader proves by a round of heartbeats, begun after the read came in, that a majority still has no higher term.
 *
 *     follower ── readIndex ──▶ leader: notes its commit index ── heartbeat, round n ──▶ majority
 *         ◀── readIndexReply ───────── confirmed by answers to round n or a later one ◀───┘        … and waits to have applied that index
 *
 * One read of this node is open at a time, and one of each peer at the leader: whoever drives us gathers what comes meanwhile into the next. So nothing
 * here grows, and a number names a read for good: it is one of this process, and rises.
 * Invariants: a round counts only if it began after the read (catalogue B116, B120); before an entry of our own term is committed the index is that entry's,
 * for what earlier leaders committed is known to us no sooner (B117, Raft §8); nothing of a read outlives the role in which it was asked.
 */
import { assert } from '../../src/platform/assert.ts'
import type { ReadIndexWish } from './event.ts'
import type { LogIndex, NodeId } from './ids.ts'
import { reachedByQuorum } from './leading.ts'
import type { ReadIndex, ReadIndexReply } from './message.ts'
import { refuse, send } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { ReadEnd } from './output.ts'
import type { Progress } from './progress.ts'
import { progressOf, sendHeartbeats } from './replication.ts'
import type { FollowerRole, LeaderRole } from './role.ts'

/** This node wants to read. */
export function onReadIndexWish(node: NodeState, event: ReadIndexWish): void {
  const { role, nowMs } = node
  const { ticket, giveUpMs } = event
  if (role.kind === 'leader') {
    if (role.read !== undefined) return refuseWish(node, ticket, 'busy')
    role.read = { ticket, giveUpMs, ...noteRead(node, role) }
    return beginRound(node, role)
  }
  if (role.kind !== 'follower' || role.leaderId === undefined) return refuseWish(node, ticket, 'noLeader')
  if (role.read !== undefined) return refuseWish(node, ticket, 'busy')
  role.read = { ticket, giveUpMs, askedMs: nowMs }
  ask(node, role, role.leaderId)
}

function refuseWish(node: NodeState, ticket: number, reason: 'busy' | 'noLeader'): void {
  node.output.reads.push({ kind: 'refused', ticket, reason })
  refuse(node, 'R-43-no-read')
}

function ask(node: NodeState, role: FollowerRole, leaderId: NodeId): void {
  assert(role.read !== undefined, 'asks-without-read')
  const { term, incarnation } = node
  send(node, leaderId, { kind: 'readIndex', term, incarnation, read: role.read.ticket })
}

/** A peer wants to read. A question that comes twice is answered twice, and the second answer means nothing. */
export function onReadIndex(node: NodeState, from: NodeId, request: ReadIndex): void {
  const { role } = node
  if (request.term < node.term || role.kind !== 'leader') {
    answer(node, from, request, undefined)
    return refuse(node, 'R-44-read-not-leading')
  }
  const progress = progressOf(role, from)
  if (progress === undefined) return refuse(node, 'R-01-not-a-voter')
  const { incarnation, read } = request
  const known = progress.read
  // The older note will do for a question that was repeated; one that was overtaken on its way is nobody's any more.
  if (known !== undefined && (incarnation < known.incarnation || (incarnation === known.incarnation && read <= known.read))) return
  progress.read = { incarnation, read, ...noteRead(node, role) }
  beginRound(node, role)
}

function answer(
  node: NodeState,
  to: NodeId,
  { incarnation, read }: Pick<ReadIndex, 'incarnation' | 'read'>,
  index: LogIndex | undefined,
): void {
  send(node, to, { kind: 'readIndexReply', term: node.term, incarnation, read, index })
}

function noteRead(node: NodeState, leader: LeaderRole): { readonly index: LogIndex; readonly round: number } {
  return { index: Math.max(node.commitIndex, leader.firstOwnIndex) as LogIndex, round: leader.round + 1 }
}

/** One round for reads is under way at a time; what comes in meanwhile waits for the next, or for an ordinary heartbeat. */
function beginRound(node: NodeState, leader: LeaderRole): void {
  if (leader.readRound > leader.confirmedRound) return
  sendHeartbeats(node, leader)
  leader.readRound = leader.round
  confirmReads(node, leader)
}

const answeredRoundOf = (progress: Progress): number => progress.answeredRound

/** A majority may have answered a later round than before. */
export function confirmReads(node: NodeState, leader: LeaderRole): void {
  const round = reachedByQuorum(node, leader, leader.round, answeredRoundOf)
  if (round <= leader.confirmedRound) return
  assert(round <= leader.round, 'confirmed-unsent-round', round, leader.round)
  leader.confirmedRound = round
  let isRoundWanted = false
  const { read: own } = leader
  if (own !== undefined && own.round <= round) {
    leader.read = undefined
    node.output.reads.push({ kind: 'ready', ticket: own.ticket, index: own.index })
  } else if (own !== undefined) isRoundWanted = own.round > leader.round
  for (const progress of leader.peers) {
    const { read } = progress
    if (read === undefined) continue
    if (read.round <= round) {
      progress.read = undefined
      answer(node, progress.peer, read, read.index)
    } else if (read.round > leader.round) isRoundWanted = true
  }
  if (isRoundWanted) beginRound(node, leader)
}

/** The leader's answer, to the read that is open or to none. */
export function onReadIndexReply(node: NodeState, from: NodeId, reply: ReadIndexReply): void {
  const { role } = node
  if (role.kind !== 'follower' || role.leaderId !== from) return refuse(node, 'R-45-read-not-open')
  if (reply.incarnation !== node.incarnation || reply.read !== role.read?.ticket) return refuse(node, 'R-45-read-not-open')
  const { ticket } = role.read
  role.read = undefined
  const { index } = reply
  node.output.reads.push(index === undefined ? { kind: 'refused', ticket, reason: 'leaderChanged' } : { kind: 'ready', ticket, index })
}

/** Time has passed: a question may be lost, and no read waits for ever. */
export function onReadTick(node: NodeState): void {
  const { role, nowMs } = node
  if (role.kind !== 'leader' && role.kind !== 'follower') return
  if (role.kind === 'leader') confirmReads(node, role)
  const { read } = role
  if (read === undefined) return
  if (nowMs >= read.giveUpMs) {
    role.read = undefined
    node.output.reads.push({ kind: 'refused', ticket: read.ticket, reason: 'deadline' } satisfies ReadEnd)
  } else if (role.kind === 'follower' && role.read !== undefined && role.leaderId !== undefined) {
    if (nowMs - role.read.askedMs < node.config.heartbeatIntervalMs) return
    role.read.askedMs = nowMs
    ask(node, role, role.leaderId)
  }
}
