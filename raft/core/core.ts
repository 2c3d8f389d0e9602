/**
 * The Raft core of one node: a function of its events. `step` is the only way to change it, and the same events give the same outputs; it reads no
 * clock, draws no number, touches no disk and no socket (all of that comes in as events and goes out through `output`).
 * Here: what concerns every role, namely time, terms and the way of each event to the part that knows what to do. Read next: role.ts, following.ts,
 * election.ts, leading.ts, replication.ts.
 */
import { assert, assertNever } from '../../src/platform/assert.ts'
import { noteClock, readClusterTime } from './cluster-time.ts'
import { onChangeMembership } from './changing.ts'
import type { RaftConfig, RecoveredState } from './config.ts'
import { validateConfig } from './config.ts'
import { completeEpoch } from './durability.ts'
import {
  onCampaign,
  onCandidateDurable,
  onElectionTick,
  onPeerDied,
  onPreVote,
  onPreVoteReply,
  onTimeoutNow,
  onVote,
  onVoteReply,
} from './election.ts'
import type { Durable, Event, PeerConnected, Receive, Tick } from './event.ts'
import { judgeSnapshot, onAppend, onFollowerDurable, onHeartbeat, onSnapshotHeld, onSnapshotOffer } from './following.ts'
import type { SnapshotVerdict } from './following.ts'
import type { EntryId, LogIndex, NodeId } from './ids.ts'
import { compactLog } from './log.ts'
import { appendMembership, maybeAdvanceCommit, onLeaderDurable, onLeaderTick, onPropose } from './leading.ts'
import { compactMemberships, knowPeer } from './members.ts'
import { makeStatus } from './make-status.ts'
import type { Message } from './message.ts'
import { adoptTerm, createNodeState, peerOf, refuse, releaseApply, send } from './node-state.ts'
import type { NodeState, StartMoment } from './node-state.ts'
import { emptyOutput } from './output.ts'
import type { Output } from './output.ts'
import { onEventRecovering } from './recovering.ts'
import {
  forgetUnsent,
  onAppendAccepted,
  onAppendConflict,
  onAppendRefused,
  onHeartbeatReply,
  onPeerConnected,
  onPeerDisconnected,
  onSentUpTo,
} from './replication.ts'
import { confirmReads, onReadIndex, onReadIndexReply, onReadIndexWish, onReadTick } from './reads.ts'
import type { RaftStatus } from './status.ts'
import { moveTransfer, onTransfer, onTransferPeerLost } from './transfer.ts'

export class RaftCore {
  readonly #node: NodeState

  /** Starts as a follower. `start`: the driver's clocks now, and a number in [0, 1) for the first election deadline. */
  constructor(config: RaftConfig, recovered: RecoveredState, start: StartMoment) {
    const problems = validateConfig(config)
    assert(problems.length === 0, 'raft-config', problems.join('; '))
    this.#node = createNodeState(config, recovered, start)
  }

  /** What is to be done: filled by `step` and `sentUpTo`, emptied by `clearOutput`. Always the same object. */
  get output(): Output {
    return this.#node.output
  }

  /** The driver has carried out, or taken over, all that the output asked for. */
  clearOutput(): void {
    const node = this.#node
    if (node.role.kind === 'leader') forgetUnsent(node.role)
    emptyOutput(node.output)
  }

  /** Something happened. Bounded work; fills `output`. */
  step(event: Event): void {
    const node = this.#node
    node.stepPersistsFrom = node.output.persists.length
    if (event.kind !== 'applied' && event.kind !== 'compacted' && event.nowMs > node.nowMs) node.nowMs = event.nowMs
    dispatch(node, event)
    node.output.deadlineMs = nextDeadline(node)
  }

  /**
   * An OutgoingAppend's entries up to `lastIndex` (its `prev.index` for an empty one), `bytes` of records, were handed to a connection. Call it once
   * for each one that was, in the turn in which it was taken from the output; the next part may then stand behind the last message of the output.
   */
  sentUpTo(peer: NodeId, lastIndex: LogIndex, bytes: number): void {
    const { role } = this.#node
    assert(role.kind === 'leader', 'sent-without-leading', peer)
    onSentUpTo(this.#node, role, peer, lastIndex, bytes)
    moveTransfer(this.#node, role)
  }

  /** What is to be done with a snapshot that ends with `last`. Ask again at the moment of installing: our log may have grown since. */
  judgeSnapshot(last: EntryId): SnapshotVerdict {
    return judgeSnapshot(this.#node, last)
  }

  /** Seen from outside; `nowMs` monotonic, as in the events. */
  status(nowMs: number): RaftStatus {
    return makeStatus(this.#node, nowMs)
  }

  /** The cluster time at `nowMs`: on a leader the time itself, elsewhere our estimate of it (rule 7 stamps proposals with it). */
  clusterTimeMs(nowMs: number): number {
    return readClusterTime(this.#node.clusterTime, nowMs)
  }

  /** For invariants.ts and tests. Not to be changed. */
  inspect(): NodeState {
    return this.#node
  }
}

function dispatch(node: NodeState, event: Event): void {
  if (node.role.kind === 'recovering') return onEventRecovering(node, event)
  switch (event.kind) {
    case 'tick':
      return onTick(node, event)
    case 'woke':
      return seeCalendar(node, event.wallMs)
    case 'receive':
      return onReceive(node, event)
    case 'propose':
      return onPropose(node, event)
    case 'durable':
      return onDurable(node, event)
    case 'applied':
      assert(event.index <= node.output.applyTo, 'applied-too-far', event.index, node.output.applyTo)
      assert(event.index >= node.appliedIndex, 'applied-goes-back', event.index, node.appliedIndex)
      node.appliedIndex = event.index
      return
    case 'compacted':
      assert(event.firstIndex <= node.appliedIndex + 1, 'compacted-unapplied', event.firstIndex, node.appliedIndex)
      compactMemberships(node.members, (event.firstIndex - 1) as LogIndex)
      return compactLog(node.log, event.firstIndex)
    case 'peerDied':
      if (node.role.kind === 'leader') onTransferPeerLost(node, node.role, event.peer)
      return onPeerDied(node, event.peer, event.jitter)
    case 'peerConnected':
      return onConnected(node, event)
    case 'peerDisconnected':
      if (node.role.kind !== 'leader') return
      onTransferPeerLost(node, node.role, event.peer)
      onPeerDisconnected(node, node.role, event.peer)
      return
    case 'transfer':
      return onTransfer(node, event)
    case 'readIndex':
      return onReadIndexWish(node, event)
    case 'campaign':
      return onCampaign(node)
    case 'changeMembership':
      return onChangeMembership(node, event, appendMembership)
    case 'toldRemoved':
      if (event.index > node.members.current.index) node.toldRemovedAt = event.index
      return
    case 'snapshotHeld':
      if (node.role.kind === 'follower') onSnapshotHeld(node, node.role, event.last)
      return
    case 'repaired':
      return assert(false, 'repaired-while-whole', node.role.kind)
    default:
      return assertNever(event)
  }
}

function onTick(node: NodeState, event: Tick): void {
  const { config } = node
  assert(event.jitter >= 0 && event.jitter < 1, 'jitter', event.jitter)
  node.jitter = event.jitter
  seeCalendar(node, event.wallMs)
  // We ask for a tick each heartbeat interval. If none came for much longer, our process stood still, and the leader's or the followers' words may
  // wait in our sockets: they are read first. Once only, or a node that is always late would never act.
  const isStalled = node.nowMs - node.lastTickMs > config.electionTimeoutMs / 2
  if (isStalled && !node.wasStalled) node.graceUntilMs = node.nowMs + config.heartbeatIntervalMs
  node.wasStalled = isStalled
  node.lastTickMs = node.nowMs
  if (node.role.kind === 'leader') onLeaderTick(node, node.role)
  else if (node.role.kind !== 'recovering') onElectionTick(node, node.role)
  onReadTick(node)
}

function seeCalendar(node: NodeState, wallMs: number): void {
  node.wallOffsetMs = wallMs - node.nowMs
  const { ownSlot } = node.members
  if (ownSlot !== undefined) noteClock(node.clusterTime, ownSlot, wallMs, node.nowMs)
}

function onDurable(node: NodeState, event: Durable): void {
  completeEpoch(node.durability, event.epoch)
  releaseApply(node)
  const { role } = node
  if (role.kind === 'candidate') onCandidateDurable(node, role)
  else if (role.kind === 'leader') onLeaderDurable(node, role)
  else if (role.kind === 'follower') onFollowerDurable(node, role)
}

function onConnected(node: NodeState, event: PeerConnected): void {
  const peer = knowPeer(node.members, event.peer)
  assert(event.incarnation >= 1, 'peer-incarnation', event.incarnation)
  const isNew = event.incarnation !== peer.incarnation
  peer.incarnation = event.incarnation
  if (node.role.kind === 'leader') onPeerConnected(node, node.role, peer, isNew)
}

/** Terms first (Raft §5.1), then the part that knows this message. Vote questions look at terms themselves: they must not always take one over. */
function onReceive(node: NodeState, event: Receive): void {
  const { from, message } = event
  // Whoever asks is answered, member or not: our own log may be behind the membership that the asker goes by (thesis 4.2.2). Answers are another thing.
  if (from === node.config.id) return refuse(node, 'R-01-not-a-voter')
  if (!isQuestion(message) && peerOf(node, from) === undefined) return refuse(node, 'R-01-not-a-voter')
  if (message.kind === 'preVote') return onPreVote(node, from, message)
  if (message.kind === 'vote') return onVote(node, from, message)
  if (message.term > node.term) {
    if (node.voteWithheldAt !== undefined && !isFromLeader(message)) return refuse(node, 'R-05-vote-withheld')
    adoptTerm(node, message.term, `${message.kind} of ${from} is of term ${message.term}`)
  }
  switch (message.kind) {
    case 'append':
      if (message.term < node.term) return refuseOldLeader(node, from, message)
      return onAppend(node, from, message)
    case 'heartbeat':
      if (message.term < node.term) return refuseOldLeader(node, from, message)
      return onHeartbeat(node, from, message)
    case 'timeoutNow':
      if (message.term < node.term) return refuse(node, 'R-02-stale-term')
      return onTimeoutNow(node, from, message)
    case 'snapshotOffer':
      if (message.term < node.term) return refuseOldLeader(node, from, message)
      return onSnapshotOffer(node, from, message)
    case 'preVoteReply':
      // A granting voter may be behind our term: the round is what counts.
      return onPreVoteReply(node, from, message)
    case 'readIndex':
      return onReadIndex(node, from, message)
    default:
      if (message.term < node.term) return refuse(node, 'R-03-stale-reply')
      return onReply(node, from, message)
  }
}

function isQuestion(message: Message): boolean {
  return message.kind === 'preVote' || message.kind === 'vote' || isFromLeader(message)
}

function isFromLeader(message: Message): boolean {
  const { kind } = message
  return kind === 'append' || kind === 'heartbeat' || kind === 'timeoutNow' || kind === 'snapshotOffer'
}

/** An answer in our own term. */
function onReply(
  node: NodeState,
  from: NodeId,
  message: Exclude<
    Message,
    { kind: 'preVote' | 'preVoteReply' | 'vote' | 'append' | 'heartbeat' | 'timeoutNow' | 'snapshotOffer' | 'readIndex' }
  >,
): void {
  if (message.kind === 'voteReply') return onVoteReply(node, from, message)
  if (message.kind === 'readIndexReply') return onReadIndexReply(node, from, message)
  const { role } = node
  if (role.kind !== 'leader') return refuse(node, 'R-14-not-leading')
  switch (message.kind) {
    case 'appendAccepted':
      if (onAppendAccepted(node, role, from, message)) maybeAdvanceCommit(node, role)
      return moveTransfer(node, role)
    case 'appendConflict':
      return onAppendConflict(node, role, from, message)
    case 'appendRefused':
      return onAppendRefused(node, role, from, message)
    case 'heartbeatReply':
      onHeartbeatReply(node, role, from, message)
      return confirmReads(node, role)
    default:
      return assertNever(message)
  }
}

/** Whoever still leads an older term hears of ours, and gives up. */
function refuseOldLeader(
  node: NodeState,
  from: NodeId,
  message: Extract<Message, { kind: 'append' | 'heartbeat' | 'snapshotOffer' }>,
): void {
  refuse(node, 'R-02-stale-term')
  send(node, from, { kind: 'appendRefused', term: node.term, session: message.session })
}

/** When the core wants to be asked again, at the latest: a heartbeat interval after the last tick, so that a stall can be seen. */
function nextDeadline(node: NodeState): number {
  const { role } = node
  const routine = node.lastTickMs + node.config.heartbeatIntervalMs
  if (role.kind === 'recovering') return routine
  if (role.kind === 'leader') return Math.min(routine, role.heartbeatDueMs, role.transfer?.deadlineMs ?? Infinity)
  const wanted = role.kind === 'follower' ? Math.min(role.electionDeadlineMs, role.earlyDeadlineMs) : role.electionDeadlineMs
  return Math.min(routine, Math.max(wanted, Math.min(node.graceUntilMs, routine)))
}
