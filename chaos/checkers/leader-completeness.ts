/** Who becomes leader holds every entry that was committed in an earlier term (I5, Raft §5.4). */
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Checker } from './checker.ts'
import { termOf } from './readable.ts'

export function leaderCompleteness(reference: ReferenceReplica): Checker {
  return {
    name: 'leader completeness',
    nodeChanged(view, node, now, before) {
      if (now.role !== 'leader' || (before.role === 'leader' && before.term === now.term)) return
      // A leader of an old term may learn of its election late: what younger leaders have committed since is not its duty.
      let index = reference.commitIndex
      while (index > 0 && reference.entry(index).committedInTerm >= now.term) index -= 1
      if (index === 0) return
      const committed = reference.entry(index)
      // Retention may have deleted it: only what was applied.
      if (index < node.log.firstIndex) return
      const held = termOf(node.log, index)
      if (held !== committed.term) {
        throw new Violation(
          'I5',
          `node ${view.id} leads term ${now.term} without entry ${index} of term ${committed.term}, committed in term ${committed.committedInTerm}` +
            ` (its log ends at ${now.lastIndex}, term ${now.lastTerm})`,
        )
      }
    },
  }
}
