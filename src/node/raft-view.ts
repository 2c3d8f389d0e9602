/** RaftNode as the broker floor wants to see it: numbers without brands, proposals of data entries only. */
import { EntryKind, logIndex, nodeId, UnreadableEntry, type RaftNode, type RejectReason } from '../../raft/index.ts'
import type { BrokerRaft, FollowerHealth } from '../broker/raft-view.ts'

/** The same leader, or the one that it is handing over to, takes them a little later: nothing to begin anew for. */
function isPassing(reason: RejectReason): boolean {
  return reason === 'busy' || reason === 'transferring'
}

/** `raft` is asked for with each call: the broker is made before the node that it rides on is started. */
export function raftView(raft: () => RaftNode): BrokerRaft {
  return {
    get term() {
      return raft().term
    },
    get isLeader() {
      return raft().role === 'leader'
    },
    get leaderId() {
      return raft().leaderId
    },
    get commitIndex() {
      return raft().commitIndex
    },
    propose(bodies, rejected) {
      const refused = raft().propose(EntryKind.data, bodies, outcome => {
        if (outcome.kind === 'rejected') rejected(isPassing(outcome.reason) ? 'busy' : 'notLeader')
      })
      if (refused === undefined) return true
      if (!isPassing(refused)) return false
      rejected('busy')
      return true
    },
    sendToPeer: (peer, buffers) => raft().sendToPeer(nodeId(peer), buffers),
    clusterTimeMs: () => raft().clusterTimeMs(),
    entryBody: index => readBody(raft(), index),
    followers(): readonly FollowerHealth[] {
      if (raft().role !== 'leader') return []
      return raft()
        .status()
        .peers.map(peer => ({
          node: peer.id,
          sinceContactMs: peer.sinceContactMs,
          appliedIndex: peer.appliedIndex,
          matchedIndex: peer.matchedIndex,
        }))
    },
    isConnected: peer => raft().isConnectedTo(nodeId(peer)),
    transferLeadership: (to, patienceMs, done) =>
      raft().transferLeadership(nodeId(to), patienceMs, end => done(end.kind === 'handedOver' ? undefined : end.reason)),
    supportedLevels: () => raft().supportedLevels(),
  }
}

function readBody(raft: RaftNode, index: number): Uint8Array | undefined {
  try {
    return raft.entry(logIndex(index)).body
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}
