/**
 * What must hold of one Raft core between two events (raft/core/invariants.ts), held against every node whenever something of it has changed; a leader
 * commits through entries of its own term only (I8, Raft §5.4.2); and nothing is applied that the node's own disk does not hold (I13): a checkpoint would know of entries that a restart does not find.
 */
import { checkCore } from '../../raft/index.ts'
import { expectThat } from '../violation.ts'
import type { Checker } from './checker.ts'
import { termOf } from './readable.ts'

export function coreInvariants(): Checker {
  return {
    name: 'core invariants',
    nodeChanged(view, node, now, before) {
      checkCore(node.raft.core)
      if (now.role === 'leader' && before.role === 'leader' && now.term === before.term && now.commitIndex > before.commitIndex) {
        const term = termOf(node.log, now.commitIndex)
        expectThat(
          term === now.term,
          'I8',
          () => `node ${view.id} leads term ${now.term} and commits up to entry ${now.commitIndex} of term ${term}`,
        )
      }
      if (now.appliedIndex === before.appliedIndex || now.appliedIndex === 0) return
      const term = termOf(node.log, now.appliedIndex) ?? 0
      expectThat(
        view.trueLog.durableTo(now.appliedIndex, term),
        'I13',
        () => `node ${view.id} has applied entry ${now.appliedIndex}, which its own disk does not hold`,
      )
    },
  }
}
