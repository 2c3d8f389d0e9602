/** The cluster on one screen, from what this node knows: answered at once, also without a leader. */
import type { Broker } from './broker.ts'
import type { ClusterNode, ClusterStatusAnswer } from './reports.ts'

export function clusterStatus(broker: Broker): ClusterStatusAnswer {
  const { raft, view, clusterName, node } = broker
  return {
    kind: 'clusterStatus',
    clusterName,
    answeredBy: node,
    leader: raft.leaderId,
    term: raft.term,
    commitIndex: raft.commitIndex,
    clusterTimeMs: raft.clusterTimeMs(),
    nodes: broker.nodes.map((info): ClusterNode => {
      const known = broker.reports.of(info.id)
      return {
        ...info,
        isUp: view.isNodeUp(info.id),
        isConnected: info.id === node || raft.isConnected(info.id),
        report: known?.report,
        reportAgeMs: known?.ageMs ?? 0,
      }
    }),
    featureLevel: view.featureLevel,
    topicCount: view.sizes().topics,
    groupCount: view.sizes().groups,
  }
}
