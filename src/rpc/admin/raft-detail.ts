/** A node's report of its Raft as raftmq.v1 tells it. */
import type { raftmq } from '#proto/raftmq-v1.js'
import type { RaftReport } from '../../broker/reports.ts'

export function raftDetailOf(report: RaftReport): raftmq.v1.RaftDetail.$Properties {
  const { votedFor, cursors, epochs, sinceLeaderMs, membership, transfer, peers, fetch, damage, failure, ...same } = report
  const { voters, outgoing, learners, goal, removed = [] } = membership
  return {
    ...same,
    ...cursors,
    pools: [...same.pools],
    refusals: [...same.refusals],
    links: [...same.links],
    votedFor: votedFor ?? 0,
    epochTaken: epochs.taken,
    epochDurable: epochs.durable,
    epochHardState: epochs.hardState,
    ...(sinceLeaderMs === undefined ? {} : { sinceLeaderMs }),
    membership: {
      ...membership,
      voters: [...voters],
      outgoing: [...outgoing],
      learners: [...learners],
      goal: [...goal],
      removed: [...removed],
    },
    ...(transfer === undefined ? {} : { transfer }),
    peers: peers.map(({ sinceContactMs, ...peer }) => ({ ...peer, ...(sinceContactMs === undefined ? {} : { sinceContactMs }) })),
    ...(fetch === undefined ? {} : { fetch }),
    ...(damage === undefined ? {} : { damage }),
    failure: failure ?? '',
  }
}
