/**
 * What leaders and followers believe of each other is so. An answer to an append names a prefix that agrees with the log of that term's leader (I10),
 * and of it no more on disk than is there (I12); a leader's record of a peer names nothing that the peer's process does not hold (I10); a follower
 * calls no more verified than agrees with its leader (I9); and one node's grants of a term all go to one candidate, through all its lives (I2).
 */
import { Violation } from '../violation.ts'
import type { Said } from '../wire-tap.ts'
import type { Checker, LiveNode, NodeView } from './checker.ts'

export interface Agreement extends Checker {
  /** This leaves the node now. */
  said(view: NodeView, message: Said): void
}

/** `isLite`: disks are not read, so nothing is held against them. `isMissing`: of whose disk the leader has heard is gone, and it is not let in with another. */
export function agreement(views: readonly NodeView[], isLite = false, isMissing: (node: number) => boolean = nobody): Agreement {
  /** By node and term: whom it has told that it votes for it. */
  const grants = new Map<string, number>()

  /** By node: the highest term that it has told. */
  const told = new Map<number, number>()

  const leaderOf = (term: number): LiveNode | undefined =>
    views.find(({ node }) => node?.raft.role === 'leader' && node.raft.term === term)?.node

  const granted = (view: NodeView, node: LiveNode): void => {
    const { term, votedFor = 0 } = node.raft.core.inspect()
    const key = `${view.id}/${term}`
    const before = grants.get(key) ?? votedFor
    if (before !== votedFor)
      throw new Violation('I2', `node ${view.id} grants its vote of term ${term} to node ${votedFor}; node ${before} has it`)
    grants.set(key, votedFor)
  }

  const accepted = (view: NodeView, node: LiveNode, { term, matchedIndex, durableIndex }: Said & { kind: 'appendAccepted' }): void => {
    if (!isLite && durableIndex >= node.log.firstIndex && !view.trueLog.holdsNow(durableIndex, termIn(node, durableIndex) ?? -1))
      throw new Violation('I12', `node ${view.id} reports entries up to ${durableIndex} as durable, and its disk does not hold them`)
    const leader = leaderOf(term)
    if (leader === undefined || leader === node) return
    if (!agreesAt(leader, node, matchedIndex))
      throw new Violation(
        'I10',
        `node ${view.id} answers that it agrees with the leader of term ${term} up to ${matchedIndex}, and does not`,
      )
  }

  /** A peer's process that the leader knows by its incarnation has, in a term not above the leader's, all that is on record. */
  const checkPeers = (view: NodeView, leader: LiveNode): void => {
    const { role, term, members } = leader.raft.core.inspect()
    if (role.kind !== 'leader') return
    for (const progress of role.peers) {
      const peer = views.find(other => other.id === progress.peer)?.node
      const known = members.peers.find(({ id }) => id === progress.peer)
      if (peer === undefined || known === undefined || peer.raft.term > term || isMissing(progress.peer)) continue
      const { incarnation } = peer.raft.core.inspect()
      if (known.incarnation !== incarnation || sessionIncarnation(progress.session) !== incarnation) continue
      if (!agreesAt(leader, peer, progress.matchedIndex))
        throw new Violation(
          'I10',
          `leader ${view.id} of term ${term} has node ${progress.peer} down as agreeing up to ${progress.matchedIndex}`,
        )
    }
  }

  const checkVerified = (view: NodeView, node: LiveNode): void => {
    const { role, term } = node.raft.core.inspect()
    if (role.kind !== 'follower') return
    const leader = leaderOf(term)
    if (leader !== undefined && !agreesAt(leader, node, role.verifiedIndex))
      throw new Violation(
        'I9',
        `node ${view.id} calls its log verified up to ${role.verifiedIndex}; the leader of term ${term} has another there`,
      )
  }

  /** Words of an older term may still be on their way out, but no node is in one that it has told a later one than: not after a restart either. */
  const speaks = (view: NodeView, node: LiveNode, term: number): void => {
    const before = told.get(view.id) ?? 0
    if (node.raft.term < before)
      throw new Violation('I2', `node ${view.id} is in term ${node.raft.term}, and has told others of term ${before}`)
    told.set(view.id, Math.max(before, term))
  }

  return {
    name: 'agreement',
    diskLost({ id }) {
      told.delete(id)
      for (const key of grants.keys()) if (key.startsWith(`${id}/`)) grants.delete(key)
    },
    nodeChanged(view, node, now) {
      if (now.role === 'leader') checkPeers(view, node)
      else checkVerified(view, node)
    },
    said(view, message) {
      const { node } = view
      if (node === undefined) return
      // A pre-vote is about a term that nobody is in yet; and a node may be in one that it has not told of, because its disk does not know it yet.
      if (message.kind !== 'preVote' && message.kind !== 'preVoteReply') speaks(view, node, message.term)
      if (message.kind === 'appendAccepted') accepted(view, node, message)
      else if (message.kind === 'voteReply' && message.granted && message.term === node.raft.term) granted(view, node)
      else if (message.kind === 'vote' && message.term === node.raft.term) granted(view, node)
      else if (message.kind === 'heartbeat' || message.kind === 'heartbeatReply')
        this.nodeChanged?.(view, node, { role: node.raft.role } as never, undefined as never)
    },
  }
}

function nobody(): boolean {
  return false
}

/** Whether two logs hold the same entry at this index, and so the same up to it. What one of them has deleted was committed. */
function agreesAt(leader: LiveNode, other: LiveNode, index: number): boolean {
  if (index < leader.log.firstIndex || index < other.log.firstIndex) return true
  const term = termIn(leader, index)
  return term !== undefined && term === termIn(other, index)
}

function termIn({ log }: LiveNode, index: number): number | undefined {
  if (index > log.lastId.index || index < log.firstIndex) return undefined
  const { termRuns } = log
  for (let i = termRuns.length - 1; i >= 0; i -= 1) if ((termRuns[i]?.firstIndex ?? 0) <= index) return termRuns[i]?.term
  return undefined
}

/** Sessions count up to 2^22 within an incarnation (raft/core/session.ts). */
function sessionIncarnation(session: number): number {
  return Math.floor(session / 2 ** 22)
}
