/**
 * What a node says rests on its disk (I12): the term of every message, the vote that it tells, the vote for itself that it asks others to join, at the
 * moment when the message leaves. What it says is committed, to prove records that mend another's log, it knows to be (I17). And who speaks as a leader
 * is answered by a majority (I18).
 */
import type { Membership } from '../../raft/index.ts'
import { Violation } from '../violation.ts'
import type { Mending, Said } from '../wire-tap.ts'
import type { Checker, NodeView } from './checker.ts'
import { halvesOf } from './membership.ts'

export interface Spoken extends Checker {
  /** This leaves the node now. */
  said(view: NodeView, message: Said): void
  /** This answer leaves the node now. */
  mends(view: NodeView, answer: Mending): void
}

/** `isLite`: disks are not read, so nothing is held against them. */
export function spoken(isLite = false): Spoken {
  /** By node: the membership that it goes by, and since when; -Infinity where it went by it before it led. */
  const known = new Map<number, { readonly membership: Membership; readonly sinceMs: number }>()
  const goesBySinceMs = (id: number, membership: Membership, nowMs: number): number => {
    const before = known.get(id)
    if (before?.membership === membership) return before.sinceMs
    const sinceMs = before === undefined ? -Infinity : nowMs
    known.set(id, { membership, sinceMs })
    return sinceMs
  }

  return {
    name: 'spoken',
    nodeStarted: ({ id }) => known.delete(id),
    said(view, message) {
      const { kind, term } = message
      const where = `node ${view.id} sends a ${kind} of term ${term}`
      if (kind === 'heartbeat') checkFollowed(view, term, goesBySinceMs)
      if (isLite) return
      // What is told must outlive the loss of a slot too.
      const onDisk = view.trueVote.readWorst()
      if ((onDisk?.term ?? 0) < term) throw new Violation('I12', `${where}, its disk knows term ${onDisk?.term ?? 0}`)
      if (onDisk?.term !== term) return
      const isGrant = kind === 'voteReply' && message.granted
      if (isGrant && onDisk.votedFor === undefined) throw new Violation('I12', `${where}: a grant, and its disk knows of no vote`)
      if (kind === 'vote' && onDisk.votedFor !== view.id) throw new Violation('I12', `${where}, and its disk does not know its own vote`)
    },
    mends(view, { fromIndex, commitIndex }) {
      const known = view.node?.raft.core.inspect().commitIndex ?? 0
      if (commitIndex <= known) return
      throw new Violation(
        'I17',
        `node ${view.id} mends a log from ${fromIndex} on, as committed up to ${commitIndex}, and knows it of ${known}`,
      )
    },
  }
}

/**
 * A leader gives up when a tick finds that it has not heard a majority for an election timeout; twice that, and it has not looked. Just awake it reads its
 * mail first, and may stand still again before its next tick (seed 50001119): that it was away it learns with that, and a read that waited with it may have
 * it ask for a majority before that. Of another set of voters it has asked nothing before it went by it.
 */
function checkFollowed(view: NodeView, term: number, goesBySinceMs: (id: number, membership: Membership, nowMs: number) => number): void {
  const core = view.node?.raft.core.inspect()
  if (core?.role.kind !== 'leader' || core.term !== term) return
  const { membership } = core.members.current
  const sinceMs = goesBySinceMs(view.id, membership, core.nowMs)
  if (core.nowMs <= core.graceUntilMs || core.nowMs - core.lastTickMs > core.config.electionTimeoutMs / 2) return
  const { peers } = core.role
  for (const half of halvesOf(membership)) {
    const heardMs = half.map(id => (id === core.config.id ? core.nowMs : (peers.find(({ peer }) => peer === id)?.contactMs ?? core.nowMs)))
    heardMs.sort((left, right) => right - left)
    const silentMs = core.lastTickMs - Math.max(sinceMs, heardMs[half.length >> 1] ?? 0)
    if (silentMs <= 2 * core.config.electionTimeoutMs) continue
    throw new Violation(
      'I18',
      `node ${view.id} leads term ${term}, and no majority has answered (of ${half.join()}) for ${Math.round(silentMs)} ms`,
    )
  }
}
