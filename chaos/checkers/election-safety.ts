/** At most one leader in a term; a restarted process counts as another one (A46, Raft §5.2). */
import { Violation } from '../violation.ts'
import type { Checker } from './checker.ts'

export function electionSafety(): Checker {
  const leaders = new Map<number, { readonly id: number; readonly lifeNumber: number }>()
  return {
    name: 'election safety',
    nodeChanged(view, _node, now) {
      if (now.role !== 'leader') return
      const known = leaders.get(now.term)
      if (known === undefined) leaders.set(now.term, { id: view.id, lifeNumber: view.lifeNumber })
      else if (known.id !== view.id || known.lifeNumber !== view.lifeNumber) {
        throw new Violation(
          'A46',
          `node ${view.id} (life ${view.lifeNumber}) leads term ${now.term}, which node ${known.id} (life ${known.lifeNumber}) has led already`,
        )
      }
    },
  }
}
