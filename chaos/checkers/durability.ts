/**
 * Committed means on a majority of true disks (I12): at the moment a node first calls an entry committed, a power cut of all machines would leave
 * it on more than half of them. Every acknowledgement rests on commit, so none can be given before that.
 */
import { Violation } from '../violation.ts'
import type { Checker, NodeView } from './checker.ts'

export function durability(views: readonly NodeView[]): Checker {
  // Who was found to hold most is asked first: a node that lags would be read from where it stands, for each entry anew.
  const byProof = [...views]
  const majority = Math.floor(views.length / 2) + 1
  return {
    name: 'durability',
    committed(record) {
      let holders = 0
      byProof.sort((left, right) => right.trueLog.provedTo - left.trueLog.provedTo)
      for (const view of byProof) {
        if (view.trueLog.durableTo(record.index, record.term)) holders += 1
        if (holders >= majority) return
      }
      throw new Violation(
        'I12',
        `entry ${record.index} of term ${record.term} is called committed, but only ${holders} of ${views.length} disks hold it`,
      )
    },
  }
}
