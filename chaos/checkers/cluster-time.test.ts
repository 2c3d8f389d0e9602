/** The stamps of entries against the calendar clocks of three machines. */
import { expect, it } from 'vitest'
import { Violation } from '../violation.ts'
import type { CommittedRecord, NodeView } from './checker.ts'
import { clusterTime } from './cluster-time.ts'

it('a stamp may follow a majority of clocks and run on from there, and not one clock alone; it never falls', () => {
  const clocks = [1_000_000, 1_000_000, 1_000_000]
  let nowMs = 0
  const views = clocks.map((_, i) => ({
    get wallMs() {
      return clocks[i]
    },
  })) as unknown as NodeView[]
  const checker = clusterTime(views, () => nowMs)
  const stamp = (wallMs: number) => (): void => checker.committed?.({ index: 1, wallMs } as CommittedRecord)
  expect(stamp(1_000_000)).not.toThrow()
  clocks[0] = 4_600_000
  expect(stamp(4_600_000)).toThrow(Violation)
  clocks[1] = 4_600_000
  expect(stamp(4_600_000)).not.toThrow()
  clocks[0] = clocks[1] = 1_010_000
  nowMs += 10_000
  expect(stamp(4_610_000)).not.toThrow()
  expect(stamp(4_609_999)).toThrow(Violation)
})
