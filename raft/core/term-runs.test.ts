import { expect, test } from 'vitest'
import fc from 'fast-check'
import type { LogIndex, Term } from './ids.ts'
import { createTermRuns, cutRuns, dropRuns, extendRuns, lastWithin, runEnd, termInRuns } from './term-runs.ts'
import type { TermRuns } from './term-runs.ts'

/** The dumb twin is the list of all terms: `terms[i]` is the term at index i + 1. */
const terms = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 30 }).map(steps => {
  let term = 1
  return steps.map(step => (term += step))
})

function runsOf(list: readonly number[]): TermRuns {
  const runs = createTermRuns([])
  list.forEach((term, i) => extendRuns(runs, (i + 1) as LogIndex, term as Term))
  return runs
}

test('runs give the same terms as the whole list, also after a cut', () => {
  fc.assert(
    fc.property(terms, fc.nat(40), (list, cut) => {
      const runs = runsOf(list)
      cutRuns(runs, (cut + 1) as LogIndex)
      const kept = list.slice(0, cut)
      kept.forEach((term, i) => expect(termInRuns(runs, (i + 1) as LogIndex)).toBe(term))
      expect(runs.firsts.length).toBe(new Set(kept).size)
      expect(termInRuns(runs, 0 as LogIndex)).toBeUndefined()
    }),
  )
})

test('a run ends where the next term begins', () => {
  fc.assert(
    fc.property(terms, fc.nat(29), (list, at) => {
      const index = Math.min(at, list.length - 1)
      const lastOfTerm = list.lastIndexOf(list[index] ?? 0)
      const end = runEnd(runsOf(list), (index + 1) as LogIndex)
      expect(end).toBe(lastOfTerm === list.length - 1 ? Infinity : lastOfTerm + 1)
    }),
  )
})

test('the last place within an index and a term is what a scan finds', () => {
  fc.assert(
    fc.property(terms, fc.nat(35), fc.nat(40), (list, index, term) => {
      const upTo = Math.min(index, list.length)
      let expected = 0
      for (let i = 1; i <= upTo; i++) if ((list[i - 1] ?? 0) <= term) expected = i
      expect(lastWithin(runsOf(list), upTo as LogIndex, term as Term)).toBe(expected)
    }),
  )
})

test('two divergent logs find their agreement with at most one probe for each term', () => {
  fc.assert(
    fc.property(terms, terms, fc.nat(30), (a, b, shared) => {
      // The follower shares a prefix with the leader and then went its own way, in terms of its own.
      const prefix = a.slice(0, shared)
      const follower = [...prefix, ...b.map(term => term + (prefix.at(-1) ?? 0))].map(term => term * 2)
      const leader = [...prefix.map(term => term * 2), ...a.slice(shared).map(term => term * 2 + 1)]
      const [ours, theirs] = [runsOf(leader), runsOf(follower)]
      let prev = leader.length
      let probes = 0
      while (prev > 0 && follower[prev - 1] !== leader[prev - 1]) {
        probes++
        const hint = lastWithin(theirs, Math.min(prev, follower.length) as LogIndex, (leader[prev - 1] ?? 0) as Term)
        prev = hint === 0 ? 0 : lastWithin(ours, hint, (follower[hint - 1] ?? 0) as Term)
      }
      expect(prev).toBeGreaterThanOrEqual(prefix.length === 0 ? 0 : Math.min(prefix.length, leader.length))
      expect(probes).toBeLessThanOrEqual(new Set([...leader, ...follower]).size + 1)
    }),
  )
})

test('an unknown term is undefined, never 0', () => {
  const runs = createTermRuns([{ firstIndex: 10 as LogIndex, term: 3 as Term }])
  expect(termInRuns(runs, 9 as LogIndex)).toBeUndefined()
  expect(termInRuns(runs, 10 as LogIndex)).toBe(3)
})

test('dropping the beginning keeps the terms of all that is left, and of nothing before', () => {
  fc.assert(
    fc.property(terms, fc.integer({ min: 1, max: 30 }), (list, from) => {
      fc.pre(from <= list.length)
      const runs = runsOf(list)
      dropRuns(runs, from as LogIndex)
      list.forEach((term, i) => expect(termInRuns(runs, (i + 1) as LogIndex)).toBe(i + 1 < from ? undefined : term))
      expect(runs.firsts.length).toBe(new Set(list.slice(from - 1)).size)
    }),
  )
})
