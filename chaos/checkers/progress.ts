/** In one life of a process its term, its commit index and its applied index never go back, and they keep their order (A48, I3, I13). The log of a node that recovers may end before its checkpoint. */
import { expectThat } from '../violation.ts'
import type { Checker } from './checker.ts'

export function progress(): Checker {
  return {
    name: 'progress',
    nodeChanged(view, _node, now, before) {
      expectThat(now.term >= before.term, 'A48', () => `node ${view.id}: term went from ${before.term} back to ${now.term}`)
      expectThat(
        now.commitIndex >= before.commitIndex,
        'A48',
        () => `node ${view.id}: commit went from ${before.commitIndex} back to ${now.commitIndex}`,
      )
      expectThat(
        now.appliedIndex >= before.appliedIndex,
        'A48',
        () => `node ${view.id}: applied went from ${before.appliedIndex} back to ${now.appliedIndex}`,
      )
      expectThat(
        now.appliedIndex <= now.commitIndex || now.commitIndex === 0 || now.role === 'recovering',
        'A48',
        () => `node ${view.id}: applied ${now.appliedIndex} is above commit ${now.commitIndex}`,
      )
      expectThat(
        now.commitIndex <= now.lastIndex,
        'A47',
        () => `node ${view.id}: commit ${now.commitIndex} is above its last entry ${now.lastIndex}`,
      )
    },
  }
}
