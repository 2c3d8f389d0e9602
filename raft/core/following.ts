/**
 * A follower under a leader: takes entries and heartbeats, truncates what contradicts the leader, and reports what it holds on disk.
 * Invariants: commit never passes what this session has verified (catalogue B26–B28); nothing at or below commit is ever truncated; a report names
 * only the verified prefix, never "my last index" (B35), and only its durable part moves the leader's commit.
 */
import { assert } from '../../src/platform/assert.ts'
import { changeElectorate, hearClusterTime, hearStamp, restartClusterTime } from './cluster-time.ts'
import { takeAppendEpoch, takeTruncationEpoch } from './durability.ts'
import type { LogSlice } from './entry.ts'
import type { EntryId, LogIndex, NodeId, Session, Term } from './ids.ts'
import { appendSliceToLog, firstDifference, isWellFormed, lastPossibleMatch, termAt, truncateLog } from './log.ts'
import { addMembership, truncateMemberships } from './members.ts'
import type { Append, Heartbeat, SnapshotOffer } from './message.ts'
import { becomeFollower, commitTo, nextElectionDeadline, recordRoleChange, refuse, releaseApply, send, wallNow } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { FollowerRole } from './role.ts'
import { incarnationOf } from './session.ts'

export type SnapshotVerdict =
  /** All of it is committed here already. */
  | 'old'
  /** Our log holds its last entry, and so all before: appends will do, and what stands behind may have been acknowledged. */
  | 'held'
  /** It takes the place of our whole log. Of what that holds beyond commit nothing can ever be committed that the snapshot lacks. */
  | 'install'

/** Entries of our term's leader, or the news of a commit. Raft §5.3. */
export function onAppend(node: NodeState, from: NodeId, request: Append): void {
  // 1. ignore, with a reason
  const role = hearLeader(node, from)
  if (!joinSession(node, role, from, request.session)) return
  const { slice } = request
  if (!isWellFormed(slice, node.term)) return refuse(node, 'R-12-malformed-slice')
  if (!holdsPrev(node, slice.prev)) return answerConflict(node, from, request)
  // 2. decide: what of it is new
  assert(agreesWithCommit(node, slice), 'leader-contradicts-commit', slice.lastIndex, node.commitIndex)
  const fromIndex = firstDifference(node.log, slice, node.commitIndex)
  const isNew = fromIndex <= slice.lastIndex
  if (isNew) takeEntries(node, role, slice, fromIndex)
  // 3. what this proves
  if (slice.lastIndex > role.verifiedIndex) role.verifiedIndex = slice.lastIndex
  if (request.commitIndex > role.toldCommitIndex) role.toldCommitIndex = request.commitIndex
  commitTo(node, Math.min(request.commitIndex, role.verifiedIndex) as LogIndex)
  releaseApply(node)
  maybeTrustOwnVote(node, role)
  // 4. what is new is reported when it is on disk, everything else at once
  if (!isNew) report(node, role, from)
}

/** The leader is alive; its commit index as far as it knows us to agree. Says nothing about our log, so it never meets the log's checks (catalogue B45, B52). */
export function onHeartbeat(node: NodeState, from: NodeId, request: Heartbeat): void {
  const role = hearLeader(node, from)
  if (!joinSession(node, role, from, request.session)) return
  if (request.clusterTimeMs !== undefined) hearClusterTime(node.clusterTime, request.clusterTimeMs, node.nowMs)
  commitTo(node, Math.min(request.commitIndex, role.verifiedIndex) as LogIndex)
  releaseApply(node)
  const { session } = request
  const { term, appliedIndex } = node
  // A majority's answers prove to the leader that nobody leads a later term: only who surely remembers its votes may say so.
  const round = node.voteWithheldAt === undefined && node.logTrust === 'whole' ? request.round : 0
  send(node, from, { kind: 'heartbeatReply', term, session, round, wallMs: wallNow(node), appliedIndex })
}

/**
 * The leader can't, or will not, feed us from where we are: whoever drives us fetches a snapshot. What is committed here every leader has, so the answer
 * says where it could go on if it holds that much; a snapshot that another leader made needless is left that way (raft.md B109).
 */
export function onSnapshotOffer(node: NodeState, from: NodeId, request: SnapshotOffer): void {
  const role = hearLeader(node, from)
  if (!joinSession(node, role, from, request.session)) return
  if (node.commitIndex > role.verifiedIndex) role.verifiedIndex = node.commitIndex
  // What we agree on from here on does not show yet that we hold all that is committed (maybeTrustOwnVote).
  if (request.commitIndex > role.toldCommitIndex) role.toldCommitIndex = request.commitIndex
  node.output.snapshotOfferedBy = from
  report(node, role, from)
}

/**
 * The snapshot that we were to fetch ends with an entry of our log: the leader, which has probed us further back, finds that entry in its own and probes
 * there. We take nothing for committed by it: the snapshot may be of a leader of another term.
 */
export function onSnapshotHeld(node: NodeState, role: FollowerRole, last: EntryId): void {
  if (role.leaderId === undefined || role.session === 0 || judgeSnapshot(node, last) !== 'held') return
  const { term } = node
  send(node, role.leaderId, { kind: 'appendConflict', term, session: role.session, refusedIndex: last.index, hint: last })
}

/** What is to be done with a snapshot at `last`, which was committed wherever it was taken. */
export function judgeSnapshot(node: NodeState, last: EntryId): SnapshotVerdict {
  if (last.index <= node.commitIndex) return 'old'
  return termAt(node.log, last.index) === last.term ? 'held' : 'install'
}

/** More of our log is on disk: the leader wants to know, once for each sync. */
export function onFollowerDurable(node: NodeState, role: FollowerRole): void {
  if (role.leaderId === undefined || role.session === 0) return
  maybeTrustOwnVote(node, role)
  if (Math.min(role.verifiedIndex, node.durability.durableIndex) > role.reportedIndex) report(node, role, role.leaderId)
}

/** Our term has a leader and it speaks to us: whatever we were, we follow, and for a while nobody else gets our vote. */
function hearLeader(node: NodeState, from: NodeId): FollowerRole {
  assert(node.role.kind !== 'leader', 'two-leaders-in-term', node.term, from)
  if (node.role.kind !== 'follower') becomeFollower(node, from, `heard leader ${from} of term ${node.term}`)
  const { role } = node
  assert(role.kind === 'follower', 'hears-leader-as', role.kind)
  if (role.leaderId === undefined) {
    role.leaderId = from
    recordRoleChange(node, 'follower', `heard leader ${from} of term ${node.term}`)
  }
  assert(role.leaderId === from, 'two-leaders-in-term', node.term, from)
  if (node.lease?.holder === from) node.lease.heardMs = node.nowMs
  else node.lease = { holder: from, heardMs: node.nowMs }
  node.toldRemovedAt = undefined
  node.hasLostLeader = false
  node.deferredAsks.length = 0
  role.electionDeadlineMs = nextElectionDeadline(node)
  role.earlyDeadlineMs = Infinity
  if (node.voteWithheldAt !== undefined && node.term > node.voteWithheldAt) node.voteWithheldAt = undefined
  return role
}

/** Whether the session is one for us, and not older than the newest. A newer one begins with nothing verified and nothing reported. */
function joinSession(node: NodeState, role: FollowerRole, from: NodeId, session: Session): boolean {
  const incarnation = incarnationOf(session)
  if (incarnation !== 0 && incarnation !== node.incarnation) {
    refuse(node, 'R-11-other-incarnation')
    send(node, from, { kind: 'appendRefused', term: node.term, session })
    return false
  }
  if (session < role.session) {
    refuse(node, 'R-10-stale-session')
    return false
  }
  if (session > role.session) {
    role.session = session
    role.verifiedIndex = 0 as LogIndex
    role.toldCommitIndex = 0 as LogIndex
    role.reportedIndex = 0 as LogIndex
  }
  return true
}

/** Whether our log holds the entry before the slice. What is committed here every leader has (leader completeness), also where we have compacted it away. */
function holdsPrev(node: NodeState, prev: EntryId): boolean {
  if (prev.index > node.log.lastIndex) return false
  const term = termAt(node.log, prev.index)
  if (term === prev.term) return true
  if (term === undefined && prev.index <= node.commitIndex) return true
  assert(prev.index > node.commitIndex, 'leader-contradicts-commit', prev.index, node.commitIndex)
  return false
}

/** Entries that are committed here are not looked at one by one; the last of those in the slice speaks for all before it (log matching). */
function agreesWithCommit({ log, commitIndex }: NodeState, slice: LogSlice): boolean {
  const index = Math.min(slice.lastIndex, commitIndex) as LogIndex
  if (index <= slice.prev.index) return true
  const known = termAt(log, index)
  return known === undefined || slice.runs.findLast(run => run.firstIndex <= index)?.term === known
}

function answerConflict(node: NodeState, from: NodeId, request: Append): void {
  refuse(node, 'R-13-gap')
  const { prev } = request.slice
  const { log } = node
  const index = lastPossibleMatch(log, prev.index, prev.term, node.commitIndex)
  // Of an entry that we have compacted away we know no term; it is committed, so any bound that lets it through will do.
  const hint: EntryId = { index, term: termAt(log, index) ?? prev.term }
  send(node, from, { kind: 'appendConflict', term: node.term, session: request.session, refusedIndex: prev.index, hint })
}

function takeEntries(node: NodeState, role: FollowerRole, slice: LogSlice, fromIndex: LogIndex): void {
  const { log, durability, output } = node
  const isRewritten = fromIndex <= log.lastIndex
  if (isRewritten) {
    assert(fromIndex > node.commitIndex, 'truncate-committed', fromIndex, node.commitIndex)
    assert(fromIndex > role.verifiedIndex, 'truncate-verified', fromIndex, role.verifiedIndex)
    truncateLog(log, fromIndex)
    if (truncateMemberships(node.members, fromIndex, node.config.first)) changeElectorate(node.clusterTime, node.members.electorate)
    output.persists.push({ kind: 'truncateFrom', epoch: takeTruncationEpoch(durability, fromIndex), index: fromIndex })
  }
  assert(fromIndex === log.lastIndex + 1, 'append-gap', fromIndex, log.lastIndex)
  appendSliceToLog(log, slice)
  for (const at of slice.memberships) {
    if (at.index < fromIndex) continue
    addMembership(node.members, at)
    changeElectorate(node.clusterTime, node.members.electorate)
  }
  output.persists.push({ kind: 'appendSlice', epoch: takeAppendEpoch(durability, log.lastIndex), slice, fromIndex })
  if (isRewritten) restartClusterTime(node.clusterTime, slice.lastWallMs, node.nowMs)
  else hearStamp(node.clusterTime, slice.lastWallMs, node.nowMs)
}

/** What of our log agrees with the leader's, and how much of that is on disk. */
function report(node: NodeState, role: FollowerRole, to: NodeId): void {
  const matchedIndex = role.verifiedIndex
  const durableIndex = Math.min(matchedIndex, node.durability.durableIndex) as LogIndex
  role.reportedIndex = durableIndex
  send(node, to, { kind: 'appendAccepted', term: node.term, session: role.session, matchedIndex, durableIndex })
}

/**
 * Our votes count in full again when, since our start, our durable log has agreed with a leader's up to an entry of that leader's own term and up to
 * the commit index that it told us. Then it holds all that anybody may have committed with the help of what we have forgotten: of earlier terms by
 * leader completeness, of this term by the commit index, which was told after the leader had dropped the answers of our earlier process.
 */
function maybeTrustOwnVote(node: NodeState, role: FollowerRole): void {
  if (node.logTrust === 'whole') return
  // A leader that does not know which process of ours it talks to may still count an answer of the last one.
  if (incarnationOf(role.session) !== node.incarnation) return
  const agreedIndex = Math.min(role.verifiedIndex, node.durability.durableIndex) as LogIndex
  const agreedTerm: Term | undefined = termAt(node.log, agreedIndex)
  if (agreedTerm === node.term && agreedIndex >= role.toldCommitIndex) node.logTrust = 'whole'
}
