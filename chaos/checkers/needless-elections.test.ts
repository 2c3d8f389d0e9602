/** Elections are what faults ask for; afterwards one is a violation. */
import { expect, it } from 'vitest'
import { Violation } from '../violation.ts'
import type { Glance, NodeView } from './checker.ts'
import { needlessElections } from './needless-elections.ts'

const before: Glance = { role: 'candidate', term: 7, lastIndex: 1, lastTerm: 1, commitIndex: 1, appliedIndex: 1, rewroteFrom: 0 }
const elected: Glance = { ...before, role: 'leader' }

it('an election is let pass until the last faults have had their time, and refused after it', () => {
  let nowMs = 50_000
  const checker = needlessElections(300, () => nowMs)
  const elect = (): void => checker.nodeChanged?.({ id: 2 } as NodeView, undefined as never, elected, before)
  expect(elect).not.toThrow()
  checker.healed()
  nowMs += 3_199
  expect(elect).not.toThrow()
  nowMs += 1
  expect(elect).toThrow(Violation)
})

it('where disks are slow at times a leader may hand over, and nobody may ask for votes', () => {
  let nowMs = 50_000
  const checker = needlessElections(300, () => nowMs, true)
  checker.healed()
  nowMs += 4_000
  const change = (now: Glance) => (): void =>
    checker.nodeChanged?.({ id: 2 } as NodeView, undefined as never, now, { ...before, role: 'follower' })
  expect(change(elected)).not.toThrow()
  expect(change({ ...before, role: 'preCandidate' })).toThrow(Violation)
})

it('a leader that leaves the group has the time of an election for it, and nobody has before faults are over', () => {
  let nowMs = 50_000
  const checker = needlessElections(300, () => nowMs)
  const elect = (): void => checker.nodeChanged?.({ id: 2 } as NodeView, undefined as never, elected, before)
  checker.disturbed()
  expect(checker.settledAtMs).toBe(Infinity)
  checker.healed()
  nowMs += 20_000
  checker.disturbed()
  expect(elect).not.toThrow()
  nowMs += 3_200
  expect(elect).toThrow(Violation)
})

it('a disk that hung when the faults ended has the time to finish what it began: the election may have to wait for its vote (seed 5120027)', () => {
  let nowMs = 50_000
  const checker = needlessElections(300, () => nowMs)
  const elect = (): void => checker.nodeChanged?.({ id: 2 } as NodeView, undefined as never, elected, before)
  checker.healed(70_000)
  nowMs = 73_199
  expect(elect).not.toThrow()
  checker.disturbed()
  expect(checker.settledAtMs).toBe(76_399)
  nowMs = 76_399
  expect(elect).toThrow(Violation)
})
