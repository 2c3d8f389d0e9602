/**
 * A leader feeds its peers: what to send to whom and when, and what their answers mean.
 * Invariants: at most one append for each peer stands in the output unsent, and it grows until the driver takes it (so many proposals of one turn become
 * one slice); the window bounds what is in flight; a bare commit index is sent only where it helps, and not when entries are about to carry it.
 */
import { assert } from '../../src/platform/assert.ts'
import { noteClock, readClusterTime } from './cluster-time.ts'
import type { EntryId, LogIndex, NodeId } from './ids.ts'
import { isWindowFull } from './inflight.ts'
import { lastPossibleMatch, termAt } from './log.ts'
import type { AppendAccepted, AppendConflict, AppendRefused, HeartbeatReply } from './message.ts'
import { peerOf, refuse } from './node-state.ts'
import type { Peer } from './members.ts'
import type { NodeState } from './node-state.ts'
import type { Output } from './output.ts'
import { createProgress, isCurrentConflict, onMatched, onSent, openSession, outrunsPending, startProbe, startSnapshot } from './progress.ts'
import type { PendingAppend, Progress } from './progress.ts'
import type { LeaderRole } from './role.ts'
import { makeSession } from './session.ts'
import type { Session } from './ids.ts'

/** The next session with a peer, whichever process of it we know. */
export function nextSession(peer: Peer): Session {
  peer.sessionCount++
  return makeSession(peer.incarnation, peer.sessionCount)
}

export function progressOf(leader: LeaderRole, id: NodeId): Progress | undefined {
  for (const progress of leader.peers) if (progress.peer === id) return progress
  return undefined
}

/** Sends to every peer what it can take now. */
export function feedAll(node: NodeState, leader: LeaderRole): void {
  for (const progress of leader.peers) feed(node, progress)
}

/** Sends one peer what it can take now: entries, else the news of a commit, else nothing. */
export function feed(node: NodeState, progress: Progress): void {
  const { flow, pending, nextIndex } = progress
  if (flow.kind === 'snapshot') return
  const { lastIndex } = node.log
  // A probe carries entries too, but none to a peer that still holds unwritten ones: each new connection would bring it more.
  const isOpen = flow.kind === 'probe' ? progress.durableIndex === progress.matchedIndex : !isWindowFull(flow.inflight)
  if (pending !== undefined) {
    if (isOpen) pending.lastIndex = lastIndex
    pending.commitIndex = node.commitIndex
    progress.toldCommitIndex = node.commitIndex
    return
  }
  if (flow.kind === 'probe') {
    if (flow.sentMs !== undefined) return
    flow.sentMs = node.nowMs
  } else if (!(isOpen && nextIndex <= lastIndex)) {
    // Commit helps the peer as far as what we have sent it reaches.
    if (Math.min(node.commitIndex, nextIndex - 1) <= progress.toldCommitIndex) return
  }
  emitAppend(node, progress, isOpen ? lastIndex : ((nextIndex - 1) as LogIndex))
}

function emitAppend(node: NodeState, progress: Progress, lastIndex: LogIndex): void {
  const prevIndex = (progress.nextIndex - 1) as LogIndex
  const prevTerm = termAt(node.log, prevIndex)
  if (prevTerm === undefined) return offerSnapshot(node, progress)
  assert(lastIndex >= prevIndex, 'append-range', prevIndex, lastIndex)
  assert(node.durability.hardState <= node.durability.durable, 'leads-before-durable', node.term)
  const append: PendingAppend = {
    kind: 'append',
    to: progress.peer,
    after: 0 as PendingAppend['after'],
    term: node.term,
    session: progress.session,
    prev: { term: prevTerm, index: prevIndex },
    lastIndex,
    commitIndex: node.commitIndex,
  }
  progress.pending = append
  progress.toldCommitIndex = node.commitIndex
  node.output.messages.push(append)
}

/** What the peer needs is not in our log, or too far back: it is told to fetch files, now and at the pace of heartbeats. */
function offerSnapshot(node: NodeState, progress: Progress): void {
  refuse(node, 'R-25-needs-snapshot')
  startSnapshot(progress, node.nowMs)
  const { term, commitIndex } = node
  const message = { kind: 'snapshotOffer', term, session: progress.session, commitIndex } as const
  node.output.messages.push({ kind: 'message', to: progress.peer, after: 0 as Output['messages'][number]['after'], message })
}

/** Files are faster: appends would have to carry, and the peer to apply, more entries than the configuration allows. */
function isFarBehind(node: NodeState, agreedIndex: LogIndex): boolean {
  return node.appliedIndex - agreedIndex > node.config.snapshotLagEntries
}

/** The driver handed an append's entries up to `lastIndex` to the connection; what did not fit follows if the window allows. */
export function onSentUpTo(node: NodeState, leader: LeaderRole, id: NodeId, lastIndex: LogIndex, bytes: number): void {
  const progress = progressOf(leader, id)
  assert(progress !== undefined, 'sent-to-stranger', id)
  onSent(progress, lastIndex, bytes)
  if (progress.flow.kind === 'replicate') feed(node, progress)
}

/** The output is being emptied: appends that nobody could take are not pending any more. Heartbeats' answers bring them back. */
export function forgetUnsent(leader: LeaderRole): void {
  for (const progress of leader.peers) progress.pending = undefined
}

/** Puts an append without entries into the output, to make the peer say where it stands. */
function ask(node: NodeState, progress: Progress): void {
  assert(progress.flow.kind === 'replicate', 'ask-while-probing', progress.peer)
  progress.flow.movedMs = node.nowMs
  emitAppend(node, progress, (progress.nextIndex - 1) as LogIndex)
}

/** min(match, commit): nothing that the receiver may lack (catalogue B45). */
export function sendHeartbeats(node: NodeState, leader: LeaderRole): void {
  leader.round++
  const clusterTimeMs = node.commitIndex < leader.timeSettledIndex ? undefined : readClusterTime(node.clusterTime, node.nowMs)
  const { term } = node
  for (const { peer, session, matchedIndex } of leader.peers) {
    const commitIndex = Math.min(matchedIndex, node.commitIndex) as LogIndex
    const message = { kind: 'heartbeat', term, session, commitIndex, clusterTimeMs, round: leader.round } as const
    node.output.messages.push({ kind: 'message', to: peer, after: 0 as Output['messages'][number]['after'], message })
  }
}

/** The progress that an answer is about, if it is one of the present session. */
function current(node: NodeState, leader: LeaderRole, from: NodeId, session: Session): Progress | undefined {
  const progress = progressOf(leader, from)
  assert(progress !== undefined, 'answer-from-stranger', from)
  if (progress.session !== session) {
    refuse(node, 'R-15-stale-session-reply')
    return undefined
  }
  progress.contactMs = node.nowMs
  progress.hasAnswered = true
  return progress
}

/** Returns whether the commit index may have moved. */
export function onAppendAccepted(node: NodeState, leader: LeaderRole, from: NodeId, reply: AppendAccepted): boolean {
  const progress = current(node, leader, from, reply.session)
  if (progress === undefined) return false
  const { matchedIndex, durableIndex } = reply
  if (matchedIndex > node.log.lastIndex || durableIndex > matchedIndex) {
    refuse(node, 'R-17-beyond-log')
    return false
  }
  const durableBefore = progress.durableIndex
  const isLost = termAt(node.log, matchedIndex) === undefined
  if (progress.flow.kind === 'snapshot' && (isLost || isFarBehind(node, matchedIndex))) return false
  if (outrunsPending(progress, matchedIndex)) withdraw(node, progress)
  // An unsent probe in the output is answered already: it must not leave as part of the window that opens here.
  const wasProbe = progress.flow.kind === 'probe'
  if (wasProbe) withdraw(node, progress)
  onMatched(progress, matchedIndex, durableIndex, node.nowMs)
  if (wasProbe && isFarBehind(node, progress.matchedIndex)) offerSnapshot(node, progress)
  else feed(node, progress)
  return progress.durableIndex > durableBefore
}

/** The peer lacks what we built on. Back to the last place where both logs could agree, never below what has matched. */
export function onAppendConflict(node: NodeState, leader: LeaderRole, from: NodeId, reply: AppendConflict): void {
  const progress = current(node, leader, from, reply.session)
  if (progress === undefined) return
  if (reply.hint.index > reply.refusedIndex) return refuse(node, 'R-17-beyond-log')
  if (needsNoSnapshot(node, progress, reply.hint)) {
    startProbe(progress, (reply.hint.index + 1) as LogIndex)
    return feed(node, progress)
  }
  if (!isCurrentConflict(progress, reply.refusedIndex)) return refuse(node, 'R-16-stale-conflict')
  const agreed = lastPossibleMatch(node.log, reply.hint.index, reply.hint.term, progress.matchedIndex)
  withdraw(node, progress)
  startProbe(progress, (agreed + 1) as LogIndex)
  if (isFarBehind(node, agreed)) return offerSnapshot(node, progress)
  feed(node, progress)
}

/** It was offered a snapshot, and it holds an entry of our log from which appends will do. */
function needsNoSnapshot(node: NodeState, progress: Progress, { index, term }: EntryId): boolean {
  return progress.flow.kind === 'snapshot' && termAt(node.log, index) === term && !isFarBehind(node, index)
}

/** The follower is another process than the session says. Until we hear which, it gets a session that names none. */
export function onAppendRefused(node: NodeState, leader: LeaderRole, from: NodeId, reply: AppendRefused): void {
  const progress = current(node, leader, from, reply.session)
  const peer = peerOf(node, from)
  if (progress === undefined || peer === undefined) return
  refuse(node, 'R-18-unknown-session')
  peer.incarnation = 0
  restartSession(node, peer, progress)
}

export function onHeartbeatReply(node: NodeState, leader: LeaderRole, from: NodeId, reply: HeartbeatReply): void {
  const peer = peerOf(node, from)
  const progress = current(node, leader, from, reply.session)
  if (progress === undefined || peer === undefined) return
  if (reply.round > leader.round) return refuse(node, 'R-17-beyond-log')
  if (reply.round > progress.answeredRound) progress.answeredRound = reply.round
  if (peer.slot !== undefined) noteClock(node.clusterTime, peer.slot, reply.wallMs, node.nowMs)
  if (reply.appliedIndex > progress.appliedIndex) progress.appliedIndex = reply.appliedIndex
  // It lives, so what it has not answered for a whole interval may be lost: probe again, or ask where it stands.
  const { flow } = progress
  const patienceMs = node.config.heartbeatIntervalMs
  if (flow.kind === 'probe') {
    if (flow.sentMs !== undefined && node.nowMs - flow.sentMs >= patienceMs) flow.sentMs = undefined
    feed(node, progress)
  } else if (flow.kind === 'snapshot') {
    if (node.nowMs - flow.offeredMs >= patienceMs) offerSnapshot(node, progress)
  } else if (progress.pending === undefined && progress.nextIndex > progress.durableIndex + 1 && node.nowMs - flow.movedMs >= patienceMs) {
    ask(node, progress)
  } else feed(node, progress)
}

/** A new incarnation of the peer, or a new connection to the one we know. */
export function onPeerConnected(node: NodeState, leader: LeaderRole, peer: Peer, isNewIncarnation: boolean): void {
  const progress = progressOf(leader, peer.id)
  // A node that is no member, or none any more, may be connected and is not fed.
  if (progress === undefined) return
  if (isNewIncarnation) return restartSession(node, peer, progress)
  if (progress.flow.kind === 'probe') progress.flow.sentMs = undefined
  feed(node, progress)
}

/** What was in flight on the data connection is lost. */
export function onPeerDisconnected(node: NodeState, leader: LeaderRole, id: NodeId): void {
  const progress = progressOf(leader, id)
  if (progress === undefined) return
  withdraw(node, progress)
  startProbe(progress, (progress.matchedIndex + 1) as LogIndex)
  // Nobody is there to answer: the new connection, or an answered heartbeat, sets the probe off.
  if (progress.flow.kind === 'probe') progress.flow.sentMs = node.nowMs
}

function restartSession(node: NodeState, peer: Peer, progress: Progress): void {
  withdraw(node, progress)
  openSession(progress, nextSession(peer))
  feed(node, progress)
}

/**
 * Another membership is in force: who is new is fed from now on, who is gone is not, and all others go on as they were (catalogue B97). Who was leaving and
 * comes in `anew` may have another disk: what it held before is not counted, nor that it had caught up.
 */
export function followMembership(node: NodeState, leader: LeaderRole, anew: readonly NodeId[] = []): void {
  const { config, log, nowMs, members } = node
  const before = leader.peers.splice(0)
  const nextIndex = (log.lastIndex + 1) as LogIndex
  const bounds = { slicesMax: config.inflightSlicesMax, bytesMax: config.inflightBytesMax }
  for (const peer of members.peers) {
    const known = anew.includes(peer.id) ? undefined : before.find(progress => progress.peer === peer.id)
    leader.peers.push(known ?? createProgress(peer.id, { session: nextSession(peer), nextIndex, nowMs, ...bounds }))
  }
  for (const progress of before) if (!leader.peers.includes(progress)) withdraw(node, progress)
}

/** Takes an unsent append out of the output again: it rests on a progress that is not so any more. */
function withdraw(node: NodeState, progress: Progress): void {
  if (progress.pending === undefined) return
  const { messages } = node.output
  const at = messages.indexOf(progress.pending)
  assert(at >= 0, 'pending-not-in-output', progress.peer)
  messages.splice(at, 1)
  progress.pending = undefined
}
