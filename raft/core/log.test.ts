import { expect, test } from 'vitest'
import fc from 'fast-check'
import type { LogSlice, TermRun } from './entry.ts'
import type { LogIndex, Term } from './ids.ts'
import { appendSliceToLog, createLog, firstDifference, isWellFormed, termAt, truncateLog } from './log.ts'
import type { Log } from './log.ts'

function runsOf(terms: readonly number[], firstIndex = 1): TermRun[] {
  const runs: TermRun[] = []
  terms.forEach((term, i) => {
    if (runs.at(-1)?.term !== term) runs.push({ firstIndex: (firstIndex + i) as LogIndex, term: term as Term })
  })
  return runs
}

function aLog(terms: readonly number[]): Log {
  const last = { index: terms.length as LogIndex, term: (terms.at(-1) ?? 0) as Term }
  const common = {
    firstIndex: 1 as LogIndex,
    last,
    runs: runsOf(terms),
    memberships: [],
    appliedIndex: 0 as LogIndex,
    lastWallMs: 0,
    incarnation: 1,
  }
  return createLog({
    ...common,
    hardState: { term: last.term, votedFor: undefined },
    hasTornTail: false,
    isVoteWithheld: false,
    isRecovering: false,
  })
}

function aSlice(terms: readonly number[], prevIndex: number): LogSlice {
  const prev = { index: prevIndex as LogIndex, term: (terms[prevIndex - 1] ?? 0) as Term }
  const runs = runsOf(terms.slice(prevIndex), prevIndex + 1)
  return { prev, lastIndex: terms.length as LogIndex, runs, memberships: [], bytes: 0, lastWallMs: 0, ticket: 0 }
}

const terms = fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 20 }).map(steps => {
  let term = 1
  return steps.map(step => (term += step))
})

test('the first difference is what comparing entry by entry finds', () => {
  fc.assert(
    fc.property(terms, terms, fc.nat(20), fc.nat(5), (ours, theirs, from, after) => {
      const prevIndex = Math.min(from, theirs.length, ours.length)
      let expected = Math.min(Math.max(prevIndex, after), theirs.length) + 1
      while (expected <= theirs.length && expected <= ours.length && ours[expected - 1] === theirs[expected - 1]) expected++
      expect(firstDifference(aLog(ours), aSlice(theirs, prevIndex), after as LogIndex)).toBe(expected)
    }),
    { numRuns: 1_000 },
  )
})

test('a log that takes a slice holds the terms of both', () => {
  fc.assert(
    fc.property(terms, fc.nat(20), fc.nat(20), (whole, cut, from) => {
      const kept = Math.min(cut, Math.max(0, whole.length - 1))
      const log = aLog(whole.slice(0, kept))
      if (whole.length === 0) return
      const slice = aSlice(whole, Math.min(from, kept))
      expect(isWellFormed(slice, (whole.at(-1) ?? 0) as Term)).toBe(true)
      appendSliceToLog(log, slice)
      expect(whole.map((_, i) => termAt(log, (i + 1) as LogIndex))).toEqual(whole)
      expect(log.lastTerm).toBe(whole.at(-1))
    }),
  )
})

test('truncation gives back the last term of what is left', () => {
  const log = aLog([1, 1, 3, 3])
  truncateLog(log, 3 as LogIndex)
  expect([log.lastIndex, log.lastTerm]).toEqual([2, 1])
  truncateLog(log, 1 as LogIndex)
  expect([log.lastIndex, log.lastTerm]).toEqual([0, 0])
})

const good = aSlice([1, 2, 2, 4], 1)
const index = (n: number) => n as LogIndex
const run = (firstIndex: number, term: number): TermRun => ({ firstIndex: index(firstIndex), term: term as Term })
test.each<[string, LogSlice, number]>([
  ['of a later term than its leader', good, 3],
  ['that ends before it begins', { ...good, lastIndex: index(0) }, 4],
  ['with entries but no runs', { ...good, runs: [] }, 4],
  ['whose runs leave a hole at the start', { ...good, runs: [run(3, 2)] }, 4],
  ['whose terms fall', { ...good, runs: [run(2, 3), run(3, 2)] }, 4],
  ['whose terms begin below prev', { ...good, prev: { index: index(1), term: 3 as Term } }, 4],
  ['whose runs reach behind its end', { ...good, lastIndex: index(3) }, 4],
  ['whose prev has a term but no index', { ...good, prev: { index: index(0), term: 1 as Term } }, 4],
])('a slice %s is malformed', (_, slice, leaderTerm) => {
  expect(isWellFormed(slice, leaderTerm as Term)).toBe(false)
})

test('the slice that those differ from is well-formed', () => {
  expect(isWellFormed(good, 4 as Term)).toBe(true)
})
