/**
 * Committed means on a majority of true disks (I12): at the moment a node first calls an entry committed, a power cut of all machines would leave
 * it on more than half of them. Every acknowledgement rests on commit, so none can be given before that.
 */
import { Violation } from '../violation.ts'
import type { Checker, NodeView } from './checker.ts'

export function durability(views: readonly NodeView[]): Checker {
  const majority = Math.floor(views.length / 2) + 1
  return {
    name: 'durability',
    committed(record) {
      let holders = 0
      for (const view of views) if (view.trueLog.durableTo(record.index, record.term)) holders += 1
      if (holders < majority) {
        throw new Violation(
          'I12',
          `entry ${record.index} of term ${record.term} is called committed, but only ${holders} of ${views.length} disks hold it`,
        )
      }
    },
  }
}
