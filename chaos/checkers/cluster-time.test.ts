/** The stamps of entries against the calendar clocks of three machines. */
import { expect, it } from 'vitest'
import { Violation } from '../violation.ts'
import type { CommittedRecord, NodeView } from './checker.ts'
import { clusterTime } from './cluster-time.ts'
import { rosterOf } from './group-of.ts'

it('a stamp may follow a majority of clocks and run on from there, and not one clock alone; it never falls', () => {
  const clocks = [1_000_000, 1_000_000, 1_000_000]
  let nowMs = 0
  const views = clocks.map((_, i) => ({
    get wallMs() {
      return clocks[i]
    },
  })) as unknown as NodeView[]
  const checker = clusterTime(rosterOf(1, 2, 3), views, () => nowMs)
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

it('what a majority of clocks showed counts, though no node was seen to change meanwhile; not what one showed long ago and another shows now', () => {
  const clocks = [1_000_000, 1_000_000, 1_000_000]
  let nowMs = 0
  const views = clocks.map((_, i) => ({
    get wallMs() {
      return (clocks[i] ?? 0) + nowMs
    },
  })) as unknown as NodeView[]
  const jump = (checker: ReturnType<typeof clusterTime>, node: number, toMs: number): void => {
    checker.clockMoves()
    clocks[node] = toMs
    checker.clockMoves()
  }
  const stamp = (checker: ReturnType<typeof clusterTime>, wallMs: number) => (): void =>
    checker.committed?.({ index: 1, wallMs } as CommittedRecord)
  const late = clusterTime(rosterOf(1, 2, 3), views, () => nowMs)
  jump(late, 0, 4_600_000)
  jump(late, 0, 1_000_000)
  nowMs += 5_000
  jump(late, 1, 4_600_000)
  expect(stamp(late, 4_600_000)).toThrow(Violation)
  clocks.fill(1_000_000)
  const soon = clusterTime(rosterOf(1, 2, 3), views, () => nowMs)
  jump(soon, 0, 4_600_000)
  jump(soon, 1, 4_600_000)
  jump(soon, 0, 1_000_000)
  expect(stamp(soon, 4_600_000)).not.toThrow()
})
