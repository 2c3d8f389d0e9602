/** The view from outside. Made on demand, holds no reference into the core that the core will change. */
import { readClusterTime } from './cluster-time.ts'
import type { EntryId, LogIndex, Term } from './ids.ts'
import { lastId, termAt } from './log.ts'
import { membershipAt } from './members.ts'
import { isRemoved } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { Progress } from './progress.ts'
import type { LeaderTransfer } from './role.ts'
import type { CursorStatus, PeerStatus, RaftStatus, TransferStatus } from './status.ts'

export function makeStatus(node: NodeState, nowMs: number): RaftStatus {
  const { role, config, log } = node
  return {
    id: config.id,
    role: role.kind,
    term: node.term,
    votedFor: node.votedFor,
    leaderId: role.leaderId,
    firstIndex: log.firstIndex,
    appliedIndex: node.appliedIndex,
    commitIndex: node.commitIndex,
    durableIndex: node.durability.durableIndex,
    last: lastId(log),
    cursors: cursorsOf(node),
    epochs: { taken: node.durability.taken, durable: node.durability.durable, hardState: node.durability.hardState },
    sinceLeaderMs: role.kind === 'follower' && node.lease !== undefined ? Math.max(0, nowMs - node.lease.heardMs) : undefined,
    voters: node.members.current.membership.voters,
    membership: node.members.current,
    isMembershipCommitted: node.members.current.index <= node.commitIndex,
    committedMembershipIndex: membershipAt(node.members, node.commitIndex).index,
    isRemoved: isRemoved(node),
    peers: peerStatuses(node, nowMs),
    clusterTimeMs: readClusterTime(node.clusterTime, nowMs),
    transfer: role.kind === 'leader' ? transferStatus(role.transfer, nowMs) : undefined,
    uncommittedBytes: node.uncommitted.used,
    isVoteWithheld: node.voteWithheldAt !== undefined,
    isVoteConditional: node.logTrust !== 'whole',
    roleChanges: [...node.roleChanges],
  }
}

/** Of a leader: all its peers. */
export function peerStatuses({ role }: NodeState, nowMs: number): readonly PeerStatus[] {
  return role.kind === 'leader' ? role.peers.map(progress => peerStatus(progress, nowMs)) : []
}

function cursorsOf({ log, appliedIndex, commitIndex, durability }: NodeState): CursorStatus {
  const entryAt = (index: LogIndex): EntryId => ({ term: termAt(log, index) ?? (0 as Term), index })
  return {
    purged: entryAt((log.firstIndex - 1) as LogIndex),
    applied: entryAt(appliedIndex),
    commit: entryAt(commitIndex),
    durable: entryAt(durability.durableIndex),
    last: lastId(log),
  }
}

function transferStatus(transfer: LeaderTransfer | undefined, nowMs: number): TransferStatus | undefined {
  return transfer && { to: transfer.to, phase: transfer.phase, leftMs: Math.max(0, transfer.deadlineMs - nowMs) }
}

function peerStatus(progress: Progress, nowMs: number): PeerStatus {
  const { flow } = progress
  return {
    id: progress.peer,
    state: flow.kind,
    session: progress.session,
    matchedIndex: progress.matchedIndex,
    durableIndex: progress.durableIndex,
    nextIndex: progress.nextIndex,
    inflightSlices: flow.kind === 'replicate' ? flow.inflight.count : 0,
    inflightBytes: flow.kind === 'replicate' ? flow.inflight.bytes : 0,
    sinceContactMs: progress.hasAnswered ? Math.max(0, nowMs - progress.contactMs) : undefined,
    appliedIndex: progress.appliedIndex,
  }
}
