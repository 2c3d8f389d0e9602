import { expect, test } from 'vitest'
import fc from 'fast-check'
import { countBallots, majorityOf, reachedBy } from './quorum.ts'
import type { Ballot } from './quorum.ts'

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
  [6, 4],
  [7, 4],
  [8, 5],
  [9, 5],
])('the majority of %i voters is %i', (voters, majority) => {
  expect(majorityOf(voters)).toBe(majority)
})

/** Dumb twin: tries every value and counts. */
function reachedByCounting(values: readonly number[], majority: number): number {
  return Math.max(...values.filter(candidate => values.filter(value => value >= candidate).length >= majority))
}

test('what a majority has reached equals what counting every candidate gives', () => {
  const values = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(values, numbers => {
      const majority = majorityOf(numbers.length)
      expect(reachedBy(Float64Array.from(numbers), majority)).toBe(reachedByCounting(numbers, majority))
    }),
    { numRuns: 2_000 },
  )
})

/** Dumb twin: plays out every way in which the open ballots may still be cast. */
function possibleResults(ballots: readonly Ballot[]): Set<'won' | 'not'> {
  const open = ballots.indexOf('open')
  if (open < 0) {
    const unconditional = ballots.filter(ballot => ballot === 'granted').length
    const isWon = unconditional * 2 > ballots.length || !ballots.includes('refused')
    return new Set([isWon ? 'won' : 'not'])
  }
  const cast = (['granted', 'conditional', 'refused'] as const).map(ballot => possibleResults(ballots.with(open, ballot)))
  return new Set(cast.flatMap(results => [...results]))
}

test('a vote is won when no open ballot can spoil it, lost when none can save it, and open otherwise', () => {
  const ballot = fc.constantFrom<Ballot>('open', 'granted', 'conditional', 'refused')
  fc.assert(
    fc.property(fc.array(ballot, { minLength: 1, maxLength: 5 }), ballots => {
      const results = possibleResults(ballots)
      const expected = results.size === 2 ? 'open' : results.has('won') ? 'won' : 'lost'
      expect(countBallots(ballots)).toBe(expected)
    }),
    { numRuns: 1_000 },
  )
})

test('conditional grants count only when every voter grants', () => {
  expect(countBallots(['granted', 'conditional', 'open'])).toBe('open')
  expect(countBallots(['granted', 'conditional', 'refused'])).toBe('lost')
  expect(countBallots(['granted', 'conditional', 'conditional'])).toBe('won')
  expect(countBallots(['conditional'])).toBe('won')
})
