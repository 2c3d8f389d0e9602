/** How quick is quick enough, when all is well. */
import { expect, it } from 'vitest'
import { idOf } from './checkers/id-of.ts'
import { expectQuick } from './trial.ts'

it('half of the tries must be quick, and a quarter where links lose chunks or disks are slow at times (seed 32004350)', () => {
  const judged = (share: number, ...times: readonly number[]): string => idOf(() => expectQuick('a send', times, share, 50))
  expect([judged(1 / 2, 3, 60, 3, 60, 3), judged(1 / 2, 3, 60, 3, 60, 60)]).toEqual(['none', 'A53'])
  expect([judged(1 / 4, 3, 3, 3, 60, 60, 60, 60, 60, 60), judged(1 / 4, 3, 3, 60, 60, 60, 60, 60, 60, 60)]).toEqual(['none', 'A53'])
})

it('a share of all is the slowest of them, and no tries are none that was slow', () => {
  expect(idOf(() => expectQuick('a message', [3, 3, 49], 1, 50))).toBe('none')
  expect(() => expectQuick('a message', [3, 60, 3], 1, 50)).toThrow('a message takes 60.0 ms at its slowest, not 50.0')
  expect(idOf(() => expectQuick('a message', [], 1, 50))).toBe('none')
})
