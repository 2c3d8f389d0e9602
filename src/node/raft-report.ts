/** What a node tells of its Raft (raft.md §6.4), from one call of `RaftNode.status`: plain numbers and short texts that survive JSON. */
import { phaseOf, type RaftNodeStatus } from '../../raft/index.ts'
import type { FetchReport, RaftReport } from '../broker/reports.ts'

/** Told in a report; there are some forty codes in all. */
export const refusalsToldMax = 12

export interface ReportedBesides {
  /** Of the newest checkpoint. */
  readonly snapshotIndex: number
  readonly fetch: FetchReport | undefined
}

export function raftReport(status: RaftNodeStatus, { snapshotIndex, fetch }: ReportedBesides): RaftReport {
  const { cursors, metrics } = status
  return {
    votedFor: status.votedFor,
    cursors: { ...cursors, snapshot: { index: snapshotIndex, term: snapshotIndex === cursors.applied.index ? cursors.applied.term : 0 } },
    epochs: status.epochs,
    sinceLeaderMs: status.sinceLeaderMs,
    membership: membershipOf(status),
    transfer: status.transfer,
    isVoteWithheld: status.isVoteWithheld,
    isVoteConditional: status.isVoteConditional,
    pools: status.pools,
    refusals: status.refusals.slice(0, refusalsToldMax),
    peers: status.peers,
    links: status.links.map(link => ({
      peer: link.peer,
      control: link.control === 'open',
      data: link.data === 'open',
      waitingBytes: link.waitingBytes,
      incarnation: link.incarnation ?? 0,
      lastProblem: link.lastProblem ?? '',
    })),
    syncs: metrics.flushes,
    entriesPerSync: status.entriesPerFlush,
    syncP50Ms: status.syncP50Ms,
    syncP99Ms: status.syncP99Ms,
    syncLatelyMs: status.syncLatelyMs,
    readsOpen: status.readsOpen,
    messagesHeld: status.messagesHeld,
    proposals: metrics.proposals,
    proposalsRejected: metrics.proposalsRejected,
    proposalsUnknown: metrics.proposalsUnknown,
    stalls: metrics.stalls,
    stallMsLongest: metrics.stallMsLongest,
    fetch,
    damage: status.damage,
    failure: status.failure,
    clusterTimeMs: status.clusterTimeMs,
  }
}

function membershipOf({ membership: at, committedMembershipIndex }: RaftNodeStatus): RaftReport['membership'] {
  const { membership } = at
  const { members, voters, outgoing, goal, leaving } = membership
  const learners = members.map(({ id }) => id).filter(id => !voters.includes(id) && !outgoing.includes(id) && !leaving.includes(id))
  return {
    index: at.index,
    committedIndex: committedMembershipIndex,
    phase: phaseOf(membership),
    voters,
    outgoing,
    learners,
    removed: leaving,
    goal: goal ?? [],
  }
}
