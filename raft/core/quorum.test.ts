import { expect, test } from 'vitest'
import fc from 'fast-check'
import { isVoteWon, majorityOf, reachedBy } from './quorum.ts'
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

const ballots = fc.array(fc.constantFrom<Ballot>('open', 'granted', 'conditional', 'refused'), { minLength: 1, maxLength: 7 })

test('a vote that is won stays won, whatever the open ballots turn out to be', () => {
  fc.assert(
    fc.property(ballots, fc.constantFrom<Ballot>('granted', 'conditional', 'refused'), (cast, late) => {
      if (!isVoteWon(cast)) return
      const open = cast.indexOf('open')
      if (open >= 0) expect(isVoteWon(cast.with(open, late))).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

test('two candidates never both win the ballots of one term', () => {
  fc.assert(
    fc.property(ballots, cast => {
      // Each voter grants one of the two at most; a conditional grant of one is a refusal, or nothing, for the other.
      const rival = cast.map((ballot): Ballot => (ballot === 'granted' || ballot === 'conditional' ? 'refused' : 'granted'))
      expect(isVoteWon(cast) && isVoteWon(rival)).toBe(false)
    }),
    { numRuns: 1_000 },
  )
})

test.each<[readonly Ballot[], boolean]>([
  [['granted', 'granted', 'refused'], true],
  [['granted', 'granted', 'open'], true],
  [['granted', 'conditional', 'open'], false],
  [['granted', 'conditional', 'refused'], false],
  [['granted', 'conditional', 'conditional'], true],
  [['conditional'], true],
  [['open'], false],
  [['granted', 'granted', 'open', 'open'], false],
])('ballots %j: won is %s', (cast, isWon) => {
  expect(isVoteWon(cast)).toBe(isWon)
})
