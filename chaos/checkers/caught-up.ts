/**
 * Nobody is given a vote before it has caught up (thesis 4.2.1, A58): when a leader writes down a joint membership, each voter that is new in it has on its
 * disk all that was committed a few election timeouts ago. A voter that has nothing can't stand in for one that fails.
 */
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Checker, NodeView } from './checker.ts'

export interface CaughtUpOptions {
  readonly views: readonly NodeView[]
  readonly reference: Pick<ReferenceReplica, 'entry'>
  readonly electionTimeoutMs: number
  readonly nowMs: () => number
  /** Its disk is gone since it had caught up. */
  readonly isMissing: (node: number) => boolean
}

/** A round of catching up takes one at most, and so much may have passed since the last one ended. */
const timeouts = 3

export function caughtUp({ views, reference, electionTimeoutMs, nowMs, isMissing }: CaughtUpOptions): Checker {
  /** When which entry was committed: of the last few election timeouts, and the newest before. */
  const recent: { readonly ms: number; readonly index: number }[] = []

  const dueIndex = (): number => {
    const dueMs = nowMs() - timeouts * electionTimeoutMs
    while ((recent[1]?.ms ?? Infinity) <= dueMs) recent.shift()
    const [oldest] = recent
    return oldest !== undefined && oldest.ms <= dueMs ? oldest.index : 0
  }

  return {
    name: 'caught up',
    committed({ index }) {
      recent.push({ ms: nowMs(), index })
      dueIndex()
    },
    logChanged(view, node, fromIndex) {
      if (node.raft.role !== 'leader') return
      const { index, membership } = node.raft.core.inspect().members.current
      if (index < fromIndex || membership.outgoing.length === 0) return
      const due = dueIndex()
      for (const id of membership.voters) {
        const other = views.find(each => each.id === id)
        if (due === 0 || other?.node === undefined || membership.outgoing.includes(id) || isMissing(id)) continue
        if (other.node.log.firstIndex > due || other.trueLog.durableTo(due, reference.entry(due).term)) continue
        throw new Violation('A58', `leader ${view.id} gives node ${id} a vote at entry ${index}, and its disk does not hold entry ${due}`)
      }
    },
  }
}
