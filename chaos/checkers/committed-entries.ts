/**
 * What is committed stays (A47, I6, I7): every node that calls an index committed holds the same entry there as the first node that did, in every
 * later life too; and no node drops an entry that it has itself called committed.
 */
import { crc32c } from '../../src/platform/bytes.ts'
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Checker } from './checker.ts'
import { readEntry } from './readable.ts'

export function committedEntries(reference: ReferenceReplica): Checker {
  /** By node: how far this life's committed entries have been compared. */
  const compared = new Map<number, number>()
  return {
    name: 'committed entries',
    nodeStarted(view) {
      compared.set(view.id, 0)
    },
    logChanged(view, node, fromIndex) {
      if (fromIndex <= (compared.get(view.id) ?? 0)) {
        throw new Violation('A47', `node ${view.id} cut its log back to ${fromIndex}, below its own commit ${node.raft.commitIndex}`)
      }
    },
    nodeChanged(view, node, now, before) {
      if (now.commitIndex === before.commitIndex) return
      const from = Math.max(compared.get(view.id) ?? 0, node.log.firstIndex - 1) + 1
      for (let index = from; index <= now.commitIndex; index += 1) {
        const entry = readEntry(node.log, index)
        if (entry === undefined) continue
        const known = reference.entry(index)
        if (known.term !== entry.term || known.wallMs !== entry.wallMs || known.crc !== crc32c(entry.body)) {
          throw new Violation(
            'A47',
            `node ${view.id} calls another entry ${index} committed (term ${entry.term}) than node ${known.firstNode} did (term ${known.term})`,
          )
        }
      }
      compared.set(view.id, now.commitIndex)
    },
  }
}
