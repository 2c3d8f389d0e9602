import { expect, test } from 'vitest'
import fc from 'fast-check'
import type { NodeId } from './ids.ts'
import { electorateOf, isVoteWon as isWonBy, majorityOf, reachedBy, reachedByAll } from './quorum.ts'
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

const isVoteWon = (cast: readonly Ballot[]): boolean =>
  isWonBy(electorateOf({ voters: cast.map((_, i) => (i + 1) as NodeId), outgoing: [] }), cast)

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

const half = fc
  .uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 7 })
  .map(ids => ids.sort((a, b) => a - b) as NodeId[])

/** Dumb twin: an index is reached when more than half of either set says at least that. */
function reachedInBoth(sets: readonly (readonly NodeId[])[], valueOf: ReadonlyMap<NodeId, number>): number {
  const candidates = [...valueOf.values()]
  const isReached = (candidate: number) => sets.every(set => 2 * set.filter(id => (valueOf.get(id) ?? 0) >= candidate).length > set.length)
  return Math.max(-Infinity, ...candidates.filter(isReached))
}

test('what both halves of a joint membership have reached equals what counting in each gives', () => {
  fc.assert(
    fc.property(half, half, fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 9, maxLength: 9 }), (voters, outgoing, numbers) => {
      const electorate = electorateOf({ voters, outgoing })
      const valueOf = new Map(electorate.ids.map(id => [id, numbers[id - 1] ?? 0]))
      const values = Float64Array.from(electorate.ids, id => valueOf.get(id) ?? 0)
      expect(reachedByAll(electorate, values)).toBe(reachedInBoth([voters, outgoing], valueOf))
    }),
    { numRuns: 2_000 },
  )
})

test('who wins in one membership leaves nobody a win in a neighbouring one that shares a whole set of voters', () => {
  const cast = fc.array(fc.constantFrom<'a' | 'b'>('a', 'b'), { minLength: 9, maxLength: 9 })
  fc.assert(
    fc.property(half, half, cast, (before, after, votes) => {
      const wins = (sides: Parameters<typeof electorateOf>[0], who: 'a' | 'b'): boolean => {
        const electorate = electorateOf(sides)
        return isWonBy(
          electorate,
          electorate.ids.map(id => (votes[id - 1] === who ? 'granted' : 'refused')),
        )
      }
      const steady = { voters: before, outgoing: [] }
      const joint = { voters: after, outgoing: before }
      const settled = { voters: after, outgoing: [] }
      expect(wins(steady, 'a') && wins(joint, 'b')).toBe(false)
      expect(wins(joint, 'a') && wins(settled, 'b')).toBe(false)
    }),
    { numRuns: 2_000 },
  )
})

test('where nobody votes nothing is reached and no vote is won', () => {
  const nobody = electorateOf({ voters: [], outgoing: [] })
  expect(reachedByAll(nobody, new Float64Array(0))).toBe(-Infinity)
  expect(isWonBy(nobody, [])).toBe(false)
})
