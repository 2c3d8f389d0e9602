import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TermRun } from '../../raft/index.ts'
import { noteTerm, sliceRuns, termAt, truncateRuns } from './term-runs.ts'

describe('term runs', () => {
  it('say of any entries what a plain list of terms says', () => {
    const steps = fc.array(fc.oneof(fc.record({ raise: fc.nat(2), count: fc.nat(5) }), fc.record({ cut: fc.nat(10) })), { maxLength: 30 })
    fc.assert(
      fc.property(steps, fc.nat(20), fc.nat(20), (list, from, length) => {
        const runs: TermRun[] = []
        const terms: number[] = []
        const base = 10
        for (const step of list) {
          if ('cut' in step) {
            terms.length = Math.max(0, terms.length - step.cut)
            truncateRuns(runs, base + terms.length)
            continue
          }
          const term = (terms.at(-1) ?? 1) + step.raise
          for (let i = 0; i < step.count; i++) {
            noteTerm(runs, base + terms.length, term)
            terms.push(term)
          }
        }
        for (let i = 0; i < terms.length; i++) expect(termAt(runs, base + i)).toBe(terms[i])
        expect(termAt(runs, base - 1)).toBeUndefined()
        if (from >= terms.length) return
        const last = Math.min(terms.length - 1, from + length)
        const slice = sliceRuns(runs, base + from, base + last)
        expect(slice[0]?.firstIndex).toBe(base + from)
        for (let i = from; i <= last; i++) expect(termAt(slice, base + i)).toBe(terms[i])
        expect(slice.every((run, i) => i === 0 || run.term > (slice[i - 1]?.term ?? 0))).toBe(true)
      }),
    )
  })
})
