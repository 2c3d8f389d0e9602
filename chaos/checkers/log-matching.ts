/**
 * Two logs that hold an entry of the same index and term hold the same entry and the same one before it (A47, Raft §5.3). Each new entry of each
 * node is compared once, with what the first holder had: same bytes, same term of the predecessor; equality of whole prefixes follows by induction.
 */
import { crc32c } from '../../src/platform/bytes.ts'
import { Violation } from '../violation.ts'
import type { Checker } from './checker.ts'
import { readEntry, termOf } from './readable.ts'

interface Seen {
  readonly term: number
  readonly previousTerm: number
  readonly kind: number
  readonly wallMs: number
  readonly bytes: number
  readonly crc: number
  readonly firstHolder: number
}

export function logMatching(): Checker {
  /** By index: one for each term that was ever seen there. */
  const seen: (Seen[] | undefined)[] = []
  return {
    name: 'log matching',
    logChanged(view, node, fromIndex) {
      const last = node.log.lastId.index
      // Also of the last entry that retention has deleted.
      let previousTerm: number = node.log.termRuns.findLast(run => run.firstIndex < fromIndex)?.term ?? 0
      for (let index = fromIndex; index <= last; index += 1) {
        const entry = readEntry(node.log, index)
        if (entry === undefined) {
          previousTerm = termOf(node.log, index) ?? 0
          continue
        }
        const crc = crc32c(entry.body)
        const here = (seen[index] ??= [])
        const known = here.find(other => other.term === entry.term)
        if (known === undefined) {
          const { term, kind, wallMs } = entry
          here.push({ term, previousTerm, kind, wallMs, bytes: entry.body.length, crc, firstHolder: view.id })
        } else {
          const differs =
            known.previousTerm !== previousTerm
              ? `predecessor (terms ${known.previousTerm} and ${previousTerm})`
              : known.crc !== crc || known.bytes !== entry.body.length
                ? 'body'
                : known.kind !== entry.kind || known.wallMs !== entry.wallMs
                  ? 'kind or time'
                  : undefined
          if (differs !== undefined) {
            throw new Violation(
              'A47',
              `entry ${index} of term ${entry.term}: nodes ${known.firstHolder} and ${view.id} differ in its ${differs}`,
            )
          }
        }
        previousTerm = entry.term
      }
    },
  }
}
