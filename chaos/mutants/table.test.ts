/** The table of hunts counts what was killed by its own violation apart from what was killed by luck, and from what survived. */
import { expect, it } from 'vitest'
import type { Hunt } from './mutant.ts'
import { describeHunt, describeHunts, tellHunts } from './table.ts'

function aHunt(id: string, end: Hunt['end'], seconds: number, violation?: string): Hunt {
  return {
    id,
    end,
    seed: end === 'killed' ? 3 : undefined,
    violation,
    what: 'evidence',
    seedsRun: 3,
    seconds,
    others: end === 'luck' ? { 'A1: lost': 2 } : {},
  }
}

const hunts = [
  aHunt('M01', 'killed', 9, 'I5'),
  aHunt('M02', 'luck', 50),
  aHunt('M03', 'survived', 60),
  aHunt('M04', 'killed', 1, 'I5'),
  aHunt('M05', 'killed', 4, 'A1'),
]

it('a summary has the median of the killed, the slowest, and the names of the others', () => {
  expect(tellHunts(hunts, 2)).toEqual({
    hunted: 5,
    leftOut: 2,
    killed: 3,
    byLuck: ['M02'],
    survived: ['M03'],
    medianSeconds: 4,
    slowest: 'M01',
    slowestSeconds: 9,
    namedBy: { I5: 2, A1: 1 },
  })
  expect(describeHunts(tellHunts(hunts, 2))).toContain('3 of 5 mutants killed; median 4.0 s, slowest M01 with 9.0 s')
  expect(describeHunts(tellHunts(hunts, 2))).toContain('killed by luck: M02')
})

it('a mutant killed by luck is shown as such, with what happened instead', () => {
  const mutant = { id: 'M02', what: 'a mistake', file: 'f', find: 'a', replace: 'b', expected: ['I12'] } as const
  const text = describeHunt(mutant, aHunt('M02', 'luck', 50))
  expect(text).toContain('BY LUCK')
  expect(text).toContain('2 × A1: lost')
  expect(text).toContain('expected I12')
})
