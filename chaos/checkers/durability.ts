/**
 * Committed means on a majority of true disks (I12), of each half of a joint membership: at the moment a node first calls an entry committed, a power cut of
 * all machines would leave it on more than half of them. Every acknowledgement rests on commit, so none can be given before that.
 */
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Checker, CommittedRecord, NodeView } from './checker.ts'
import { halvesOf, inForce, type Roster } from './membership.ts'

export function durability(reference: ReferenceReplica, roster: Roster, views: readonly NodeView[]): Checker {
  // Who was found to hold most is asked first: a node that lags would be read from where it stands, for each entry anew.
  const byProof = [...views]

  /** What was acknowledged before a disk was lost is counted by whoever heard it: rightly, for no more than a minority is lost at a time. */
  const holds = ({ trueLog, lostDisk }: NodeView, { index, term }: CommittedRecord): boolean =>
    trueLog.durableTo(index, term) || lostDisk?.held(index, term) === true

  const isHeldBy = (half: readonly number[], record: CommittedRecord): boolean => {
    let holders = 0
    for (const view of byProof) {
      if (half.includes(view.id) && holds(view, record)) holders += 1
      if (holders > half.length / 2) return true
    }
    return false
  }

  return {
    name: 'durability',
    committed(record) {
      const { firstNode } = reference.entry(record.index)
      const node = views.find(view => view.id === firstNode)?.node
      if (node === undefined) return
      byProof.sort((left, right) => right.trueLog.provedTo - left.trueLog.provedTo)
      const now = inForce(node)
      if (halvesOf(now).every(half => isHeldBy(half, record))) return
      const before = roster.before(firstNode)
      if (before !== undefined && halvesOf(before).every(half => isHeldBy(half, record))) return
      throw new Violation(
        'I12',
        `entry ${record.index} of term ${record.term} is called committed, and no majority of the disks of ${halvesOf(now).join(' and of ')} holds it`,
      )
    },
  }
}
