/**
 * All that one node's core remembers, and the few steps that every role shares: change of role, of term and vote, refusals, commit.
 * Role-bound state is in role.ts. Fields name who may change them; everything else treats them as read-only.
 */
import { assert } from '../../src/platform/assert.ts'
import type { RaftConfig, RecoveredState } from './config.ts'
import { createClusterTime, stopLeadingTime } from './cluster-time.ts'
import type { ClusterTime } from './cluster-time.ts'
import { createDurability, takeHardStateEpoch } from './durability.ts'
import type { Durability } from './durability.ts'
import type { EntryId, LogIndex, NodeId, Session, Term } from './ids.ts'
import { createPool } from './limits.ts'
import type { BytePool } from './limits.ts'
import { createLog } from './log.ts'
import { createMembers, isAlone, isRemovedAt } from './members.ts'
import type { Members, Peer } from './members.ts'
import type { Log } from './log.ts'
import type { Outgoing, Output } from './output.ts'
import { createOutput } from './output.ts'
import { abandonProposals, createProposals } from './proposals.ts'
import type { Proposals } from './proposals.ts'
import type { Refusal } from './refusal.ts'
import { assertSuccessor } from './role.ts'
import type { LeaderRole, RoleState } from './role.ts'
import type { RoleChange } from './status.ts'

export const roleChangesKept = 20

/** A vote question that was refused only because we still heard from the leader; answered again if that leader dies too. Changed in election.ts. */
export interface DeferredAsk {
  readonly from: NodeId
  readonly term: Term
  readonly last: EntryId
  readonly round: number
}

/** Our last word from a leader of the present term. While it is fresh, nobody else gets a vote. Changed in following.ts. */
export interface Lease {
  readonly holder: NodeId
  heardMs: number
}

/**
 * `whole`: it holds all that we ever acknowledged. `torn`: recovery cut off a tail that we may have acknowledged. `empty`: we may be new, or our
 * directory was lost; for a candidate whose log is empty too, the first case is taken for granted (an empty directory votes only at bootstrap, rule 12).
 */
export type LogTrust = 'whole' | 'torn' | 'empty'

export interface NodeState {
  readonly config: RaftConfig
  readonly incarnation: number
  /** Changed where the log is: `appendMembership` in leading.ts, `takeEntries` in following.ts. */
  readonly members: Members
  readonly log: Log
  readonly durability: Durability
  readonly clusterTime: ClusterTime
  readonly proposals: Proposals
  readonly uncommitted: BytePool
  readonly output: Output
  /** The last `roleChangesKept`. */
  readonly roleChanges: RoleChange[]

  /** Changed in `adoptTerm` and `castVote` only. */
  term: Term
  votedFor: NodeId | undefined
  /** Changed in `changeRole` only. */
  role: RoleState
  /** Highest entry known to be committed. Moves up only, in `commitTo`; ≤ lastIndex. */
  commitIndex: LogIndex
  appliedIndex: LogIndex

  lease: Lease | undefined
  /** We saw the process of the lease's holder die, in this term. Then its lease does not bind us. */
  hasLostLeader: boolean
  readonly deferredAsks: DeferredAsk[]
  lastEarlyRoundMs: number
  /** Number of our last pre-vote round. */
  round: number
  /** Rule 12. Left only when a leader of a term above this one is heard. */
  voteWithheldAt: Term | undefined
  /** A member told us that its membership of this index has us no more; newer than all we know. Cleared by a leader that speaks to us. */
  toldRemovedAt: LogIndex | undefined
  /** What our log is worth in a vote: `torn` or `empty` until a leader has verified it since our start. */
  logTrust: LogTrust

  /** Our calendar clock, less our monotonic one, at the last tick. */
  wallOffsetMs: number
  nowMs: number
  lastTickMs: number
  jitter: number
  /** After a stall: no campaign and no stepping down before this moment. */
  graceUntilMs: number
  /** The last tick came late too: its grace is not given twice. */
  wasStalled: boolean
  /** Persists of the present step begin here: changes of hard state in one step become one write. */
  stepPersistsFrom: number
  /** Where the state machine's checkpoint stood at the start; while we recover our log may end before it. */
  readonly checkpointIndex: LogIndex
}

function initialTrust({ last, hardState, hasTornTail }: RecoveredState): LogTrust {
  // In term 0 nobody leads: with an empty log in term 0 this directory has never acknowledged anything.
  if (last.index === 0 && (hardState.term === 0 || !hasTornTail)) return 'empty'
  return hasTornTail ? 'torn' : 'whole'
}

export interface StartMoment {
  readonly nowMs: number
  readonly wallMs: number
  readonly jitter: number
}

export function createNodeState(config: RaftConfig, recovered: RecoveredState, start: StartMoment): NodeState {
  const log = createLog(recovered)
  const { isRecovering } = recovered
  assert(isRecovering || recovered.appliedIndex <= log.lastIndex, 'applied-beyond-log', recovered.appliedIndex, log.lastIndex)
  const appliedIndex = Math.min(recovered.appliedIndex, log.lastIndex) as LogIndex
  assert(recovered.appliedIndex >= log.firstIndex - 1, 'applied-below-log', recovered.appliedIndex, log.firstIndex)
  assert(recovered.incarnation >= 1, 'incarnation', recovered.incarnation)
  const { hardState } = recovered
  // The hard state is synced before any entry of its term: if the log knows a later term, a slot was lost, and with it perhaps a vote.
  const isBehindLog = hardState.term < log.lastTerm
  const term = isBehindLog ? log.lastTerm : hardState.term
  const members = createMembers(config.id, recovered.memberships, config.first)
  // Alone, nobody else can have had our vote, and no term of ours can have left a trace outside our own log. Rot may hide who came later.
  const isWithheld = (recovered.isVoteWithheld || isBehindLog) && (isRecovering || !isAlone(members))
  const clusterTime = createClusterTime(members.electorate, config.timeLeapMs, recovered.lastWallMs, start.nowMs)
  if (members.ownSlot !== undefined) clusterTime.offsets[members.ownSlot] = start.wallMs - start.nowMs
  const firstDeadlineMs = isAlone(members) ? start.nowMs : start.nowMs + config.electionTimeoutMs * (1 + start.jitter)
  return {
    config,
    incarnation: recovered.incarnation,
    members,
    log,
    durability: createDurability(log.lastIndex),
    clusterTime,
    proposals: createProposals(),
    uncommitted: createPool(config.uncommittedBytesMax),
    output: createOutput(appliedIndex, Math.min(firstDeadlineMs, start.nowMs + config.heartbeatIntervalMs)),
    roleChanges: [],
    term,
    votedFor: isBehindLog ? undefined : hardState.votedFor,
    role: isRecovering ? { kind: 'recovering', leaderId: undefined } : newFollower(undefined, firstDeadlineMs),
    commitIndex: appliedIndex,
    appliedIndex,
    lease: undefined,
    hasLostLeader: false,
    deferredAsks: [],
    lastEarlyRoundMs: -Infinity,
    round: 0,
    voteWithheldAt: isWithheld ? term : undefined,
    toldRemovedAt: undefined,
    logTrust: initialTrust(recovered),
    wallOffsetMs: start.wallMs - start.nowMs,
    nowMs: start.nowMs,
    lastTickMs: start.nowMs,
    jitter: start.jitter,
    graceUntilMs: -Infinity,
    wasStalled: false,
    stepPersistsFrom: 0,
    checkpointIndex: recovered.appliedIndex,
  }
}

export function peerOf(node: NodeState, id: NodeId): Peer | undefined {
  for (const peer of node.members.peers) if (peer.id === id) return peer
  return undefined
}

/** Out of the group, by what is committed in our log or by a member's word. */
export function isRemoved(node: NodeState): boolean {
  return node.toldRemovedAt !== undefined || isRemovedAt(node.members, node.commitIndex)
}

/** Says no, or looks away: the reason goes to the trace. */
export function refuse(node: NodeState, reason: Refusal): void {
  node.output.refusals.push(reason)
}

/** Hands a message to the driver. All but a leader's own rest on the last change of term and vote. */
export function send(node: NodeState, to: NodeId, message: Outgoing['message']): void {
  assert(to !== node.config.id, 'message-to-self', to)
  assert(message.term === node.term, 'message-of-other-term', message.term, node.term)
  node.output.messages.push({ kind: 'message', to, after: node.durability.hardState, message })
}

/** Our calendar clock now, as the last tick showed it and our monotonic clock ran on. */
export function wallNow(node: NodeState): number {
  return Math.floor(node.wallOffsetMs + node.nowMs)
}

/** The whole range [timeout, 2 × timeout), by the last jitter that the driver drew. */
export function nextElectionDeadline(node: NodeState): number {
  return node.nowMs + node.config.electionTimeoutMs * (1 + node.jitter)
}

function newFollower(leaderId: NodeId | undefined, electionDeadlineMs: number): RoleState {
  const none = 0 as LogIndex
  return {
    kind: 'follower',
    leaderId,
    session: 0 as Session,
    verifiedIndex: none,
    toldCommitIndex: none,
    reportedIndex: none,
    electionDeadlineMs,
    earlyDeadlineMs: Infinity,
    read: undefined,
  }
}

/** The only way from one role to another. */
export function changeRole(node: NodeState, next: RoleState, reason: string): void {
  const previous = node.role
  assertSuccessor(previous.kind, next.kind)
  if (previous.kind === 'leader') leaveLeadership(node, previous)
  if ((previous.kind === 'leader' || previous.kind === 'follower') && previous.read !== undefined)
    node.output.reads.push({ kind: 'refused', ticket: previous.read.ticket, reason: 'leaderChanged' })
  node.role = next
  if (previous.kind !== next.kind || previous.leaderId !== next.leaderId) recordRoleChange(node, previous.kind, reason)
}

/** One line for status and trace, each time that the role or the leader is another. */
export function recordRoleChange(node: NodeState, from: RoleState['kind'], reason: string): void {
  const change: RoleChange = { atMs: node.nowMs, from, to: node.role.kind, term: node.term, leaderId: node.role.leaderId, reason }
  node.output.roleChanges.push(change)
  node.roleChanges.push(change)
  if (node.roleChanges.length > roleChangesKept) node.roleChanges.shift()
}

export function becomeFollower(node: NodeState, leaderId: NodeId | undefined, reason: string): void {
  changeRole(node, newFollower(leaderId, nextElectionDeadline(node)), reason)
}

/** What a leader owes when it ends: its proposals' ends, its unsent appends withdrawn (their entries may be other ones by the time they are read). */
function leaveLeadership(node: NodeState, { transfer }: LeaderRole): void {
  if (transfer !== undefined) {
    const { to } = transfer
    node.output.transfers.push(transfer.phase === 'told' ? { kind: 'handedOver', to } : { kind: 'failed', to, reason: 'leadershipLost' })
  }
  abandonProposals(node.proposals, node.uncommitted, node.output.outcomes)
  const { messages } = node.output
  let kept = 0
  for (const message of messages) if (message.kind !== 'append') messages[kept++] = message
  messages.length = kept
  stopLeadingTime(node.clusterTime, node.nowMs)
}

/** A higher term: no vote in it yet, no leader, no lease. */
export function adoptTerm(node: NodeState, term: Term, reason: string): void {
  assert(term > node.term, 'term-goes-back', term, node.term)
  node.term = term
  node.votedFor = undefined
  forgetLeader(node)
  // A term alone is no reason to wait longer: only a vote given, or a leader heard, is (catalogue B18).
  const { role } = node
  const keepsDeadline = role.kind !== 'leader' && role.kind !== 'recovering'
  changeRole(node, newFollower(undefined, keepsDeadline ? role.electionDeadlineMs : nextElectionDeadline(node)), reason)
  persistHardState(node)
}

/** Our one vote in this term. */
export function castVote(node: NodeState, candidate: NodeId): void {
  assert(node.votedFor === undefined, 'voted-already', node.votedFor, candidate)
  assert(node.voteWithheldAt === undefined, 'vote-withheld', candidate)
  node.votedFor = candidate
  persistHardState(node)
}

/** A candidate's own: the next term and its vote for itself are one change. */
export function startTerm(node: NodeState): void {
  assert(node.voteWithheldAt === undefined, 'campaign-withheld')
  node.term = (node.term + 1) as Term
  node.votedFor = node.config.id
  forgetLeader(node)
  persistHardState(node)
}

function forgetLeader(node: NodeState): void {
  node.lease = undefined
  node.hasLostLeader = false
  node.deferredAsks.length = 0
}

function persistHardState(node: NodeState): void {
  const { persists } = node.output
  const state = { term: node.term, votedFor: node.votedFor }
  const last = persists[persists.length - 1]
  // A term and a vote of one step are one write: nobody has seen the state in between.
  if (last?.kind === 'hardState' && persists.length > node.stepPersistsFrom) {
    persists[persists.length - 1] = { kind: 'hardState', epoch: last.epoch, state }
    return
  }
  persists.push({ kind: 'hardState', epoch: takeHardStateEpoch(node.durability), state })
}

/** Moves commit up to `index`, if that is further. Our own disk decides how much of it may be applied. */
export function commitTo(node: NodeState, index: LogIndex): boolean {
  assert(index <= node.log.lastIndex, 'commit-beyond-log', index, node.log.lastIndex)
  if (index <= node.commitIndex) return false
  node.commitIndex = index
  return true
}

/** What may be applied has perhaps grown: committed, and on our own disk. */
export function releaseApply(node: NodeState): void {
  const { output, durability } = node
  const upTo = Math.min(node.commitIndex, durability.durableIndex) as LogIndex
  if (upTo > output.applyTo) output.applyTo = upTo
}
