/** RaftNode as the broker floor wants to see it: numbers without brands, proposals of data entries only. */
import {
  EntryKind,
  logIndex,
  nodeId,
  phaseOf,
  UnreadableEntry,
  type MembershipChange,
  type RaftNode,
  type RejectReason,
} from '../../raft/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { BrokerRaft, FollowerHealth } from '../broker/raft-view.ts'
import type { MembersView, MembersWish, MemberView } from '../broker/admin-requests.ts'

/** The same leader, or the one that it is handing over to, takes them a little later: nothing to begin anew for. */
function isPassing(reason: RejectReason): boolean {
  return reason === 'busy' || reason === 'transferring'
}

/** `raft` is asked for with each call: the broker is made before the node that it rides on is started. */
export function raftView(raft: () => RaftNode, clock: Clock): BrokerRaft {
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
      rejected(refused === 'busy' ? 'full' : 'busy')
      return true
    },
    sendToPeer: (peer, buffers) => raft().sendToPeer(nodeId(peer), buffers),
    clusterTimeMs: () => raft().clusterTimeMs(),
    entryBody: index => readBody(raft(), index),
    followers(): readonly FollowerHealth[] {
      return raft()
        .peers()
        .map(({ id, sinceContactMs, appliedIndex, matchedIndex }) => ({ node: id, sinceContactMs, appliedIndex, matchedIndex }))
    },
    isConnected: peer => raft().isConnectedTo(nodeId(peer)),
    membership: () => membersView(raft()),
    changeMembers(wish, done) {
      const refused = raft().changeMembership(changeOf(wish), outcome => {
        if (outcome.kind === 'applied') done({ kind: 'done', index: outcome.index })
        else done(outcome.kind === 'unknown' ? { kind: 'unknown' } : { kind: 'rejected', reason: outcome.reason })
      })
      if (refused !== undefined) done({ kind: 'rejected', reason: refused })
    },
    readIndex(patienceMs, done) {
      const refused = raft().readIndex(patienceMs, end => done(end.kind === 'ready'))
      // Too many wait: as if it had not been answered. A node that has stopped answers nobody.
      if (refused === 'busy') clock.soon(() => done(false))
    },
    transferLeadership: (to, patienceMs, done) =>
      raft().transferLeadership(nodeId(to), patienceMs, end => done(end.kind === 'handedOver' ? undefined : end.reason)),
    supportedLevels: () => raft().supportedLevels(),
  }
}

function readBody(raft: RaftNode, index: number): Uint8Array | undefined {
  // The state may know of entries that the log, being mended, does not reach to yet.
  if (raft.role === 'recovering') return undefined
  try {
    return raft.entry(logIndex(index)).body
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}

function changeOf(wish: MembersWish): MembershipChange {
  if (wish.kind === 'cancel') return wish
  const add = wish.add.map(({ id, name, peerAddress, clientAddress }) => ({ id: nodeId(id), name, address: peerAddress, clientAddress }))
  return { kind: 'replace', add, remove: wish.remove.map(nodeId) }
}

function membersView(raft: RaftNode): MembersView {
  const { membership: at, isMembershipCommitted, isRemoved } = raft.membership()
  const { membership } = at
  const { voters, outgoing, goal, leaving } = membership
  const wanted = goal ?? voters
  const members = membership.members.map(({ id, name, address, clientAddress }): MemberView => {
    const isVoter = voters.includes(id) || outgoing.includes(id)
    const role = leaving.includes(id) ? 'removed' : isVoter && (outgoing.length === 0 || outgoing.includes(id)) ? 'voter' : 'learner'
    const isJoining = wanted.includes(id) && role === 'learner'
    return { id, name, peerAddress: address, clientAddress, role, isJoining, isParting: isVoter && !wanted.includes(id) }
  })
  return { index: at.index, isCommitted: isMembershipCommitted, phase: phaseOf(membership), members, isRemoved }
}
