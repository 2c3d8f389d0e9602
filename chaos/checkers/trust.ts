/**
 * Damage is never turned into "never existed" (I17, DESIGN rule 3, docs/decisions/0008). A node that found its log torn
 * knows that it may have forgotten something; it says so with each vote until its log holds again all that was committed before that start;
 * and nobody leads by such votes but with everybody's.
 */
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Said } from '../wire-tap.ts'
import type { Checker, LiveNode, NodeView } from './checker.ts'
import { halvesOf, inForce } from './membership.ts'

export interface Trust extends Checker {
  /** This leaves the node now. */
  said(view: NodeView, message: Said): void
}

interface Doubt {
  /** All that may count on what it has forgotten. */
  readonly committedBefore: number
  /**
   * Of a log that had rotted before its torn end, and is mended at the start: all that this node ever acknowledged. What was torn comes from others
   * then, too, up to a record of its own that proves it.
   */
  readonly acknowledgedBefore: number | undefined
}

export function trust(reference: ReferenceReplica): Trust {
  /** Nodes that may not be believed in full. */
  const doubts = new Map<number, Doubt>()
  /** By node and term: whether its grant was a full one. */
  const grants = new Map<string, boolean>()
  /** By node: up to where it has said that its log is on its disk. */
  const acknowledged = new Map<number, number>()

  const check = (view: NodeView, node: LiveNode): void => {
    const doubt = doubts.get(view.id)
    const { logTrust, role } = node.raft.core.inspect()
    if (doubt === undefined || logTrust === 'torn' || role.kind === 'recovering') return
    doubts.delete(view.id)
    const { lastId } = node.log
    if (lastId.index >= Math.min(doubt.committedBefore, doubt.acknowledgedBefore ?? Infinity)) return
    throw new Violation(
      'I17',
      `node ${view.id} trusts its torn log again, which ends at ${lastId.index}; ${doubt.committedBefore} entries were committed before its start`,
    )
  }

  return {
    name: 'trust',
    diskLost({ id }) {
      // Nothing is left to be doubted: an empty directory is not believed either, by the log that it has not got.
      doubts.delete(id)
      acknowledged.delete(id)
    },
    nodeStarted(view) {
      const { node } = view
      if (node === undefined) return
      const { hasTornLog, hasInstalled } = view.foundAtStart
      const { logTrust, role } = node.raft.core.inspect()
      if (hasInstalled) doubts.delete(view.id)
      else if (hasTornLog) {
        const acknowledgedBefore = role.kind === 'recovering' ? (acknowledged.get(view.id) ?? 0) : undefined
        doubts.set(view.id, { committedBefore: reference.commitIndex, acknowledgedBefore })
        if (logTrust === 'whole' && role.kind !== 'recovering')
          throw new Violation('I17', `node ${view.id} found the end of its log torn, and votes as if nothing had been there`)
        // A doubt of an earlier life may have been lifted just before that ended.
      } else check(view, node)
    },
    nodeChanged(view, node, now, before) {
      check(view, node)
      if (now.role !== 'leader' || (before.role === 'leader' && before.term === now.term)) return
      for (const half of halvesOf(inForce(node))) {
        // Who votes alone asks nobody.
        const own = node.raft.core.inspect().logTrust !== 'torn'
        const said = half.map(id => grants.get(`${id}/${now.term}`) ?? (half.length === 1 && id === view.id ? own : undefined))
        const full = said.filter(isFull => isFull === true).length
        if (full > half.length / 2 || said.every(isFull => isFull !== undefined)) continue
        const given = said.filter(isFull => isFull !== undefined).length
        // By fewer votes than a majority, whatever each is worth, is another mistake.
        throw new Violation(
          given > half.length / 2 ? 'I17' : 'I1',
          `node ${view.id} leads term ${now.term} by ${full} full votes of ${half.length}, and not by those of all`,
        )
      }
    },
    said(view, message) {
      const { node } = view
      if (message.kind === 'appendAccepted') acknowledged.set(view.id, Math.max(acknowledged.get(view.id) ?? 0, message.durableIndex))
      if (node === undefined || (message.kind !== 'vote' && !(message.kind === 'voteReply' && message.granted))) return
      check(view, node)
      const { logTrust } = node.raft.core.inspect()
      const isFull =
        message.kind === 'vote' ? logTrust === 'whole' || (logTrust === 'empty' && message.last.index === 0) : !message.isConditional
      if (isFull && logTrust === 'torn')
        throw new Violation('I17', `node ${view.id} gives a full vote in term ${message.term}, and nobody has verified its torn log`)
      grants.set(`${view.id}/${message.term}`, isFull)
    },
  }
}
