import { expect, test } from 'vitest'
import fc from 'fast-check'
import {
  completeEpoch,
  createDurability,
  isHardStateDurable,
  takeAppendEpoch,
  takeHardStateEpoch,
  takeTruncationEpoch,
} from './durability.ts'
import type { Epoch, LogIndex } from './ids.ts'

type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'truncate'; readonly count: number }
  | { readonly kind: 'vote' }
  | { readonly kind: 'sync'; readonly count: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('truncate' as const), count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant('vote' as const) }),
  fc.record({ kind: fc.constant('sync' as const), count: fc.integer({ min: 1, max: 4 }) }),
)

test('the durable index is the length of what a replayed disk shares with memory', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const durability = createDurability(0 as LogIndex)
      // The twin: entries are unique objects; the disk carries out the queue in order.
      let memory: object[] = []
      let disk: object[] = []
      const queue: { epoch: Epoch; run: () => void }[] = []
      for (const action of steps) {
        if (action.kind === 'append') {
          const entries = Array.from({ length: action.count }, () => ({}))
          memory = [...memory, ...entries]
          queue.push({ epoch: takeAppendEpoch(durability, memory.length as LogIndex), run: () => (disk = [...disk, ...entries]) })
        } else if (action.kind === 'truncate') {
          const kept = memory.length - Math.min(action.count, memory.length)
          if (kept === memory.length) continue
          memory = memory.slice(0, kept)
          queue.push({ epoch: takeTruncationEpoch(durability, (kept + 1) as LogIndex), run: () => (disk = disk.slice(0, kept)) })
        } else if (action.kind === 'vote') {
          queue.push({ epoch: takeHardStateEpoch(durability), run: () => undefined })
          expect(isHardStateDurable(durability)).toBe(false)
        } else {
          const done = queue.splice(0, action.count)
          done.forEach(item => item.run())
          const last = done.at(-1)
          if (last !== undefined) completeEpoch(durability, last.epoch)
        }
        let shared = 0
        while (shared < memory.length && memory[shared] === disk[shared]) shared++
        expect(durability.durableIndex).toBeLessThanOrEqual(shared)
        if (queue.length === 0) expect(durability.durableIndex).toBe(memory.length)
      }
    }),
  )
})

test('where the ring of marks has wrapped before it grows, each sync still vouches for its own entries alone', () => {
  const durability = createDurability(0 as LogIndex)
  const epochs: Epoch[] = []
  for (let index = 1; index <= 600; index++) {
    epochs.push(takeAppendEpoch(durability, index as LogIndex))
    // One in three ends meanwhile: the ring turns, and fills.
    const ended = epochs[index / 3 - 1]
    if (ended !== undefined) completeEpoch(durability, ended)
    expect(durability.durableIndex).toBe(Math.floor(index / 3))
  }
})

test('a sync that began before a truncation does not vouch for what was rewritten', () => {
  const durability = createDurability(0 as LogIndex)
  const first = takeAppendEpoch(durability, 5 as LogIndex)
  takeTruncationEpoch(durability, 3 as LogIndex)
  const second = takeAppendEpoch(durability, 5 as LogIndex)
  completeEpoch(durability, first)
  expect(durability.durableIndex).toBe(2)
  completeEpoch(durability, second)
  expect(durability.durableIndex).toBe(5)
})

test('news that comes late or twice changes nothing', () => {
  const durability = createDurability(0 as LogIndex)
  const first = takeAppendEpoch(durability, 1 as LogIndex)
  const second = takeAppendEpoch(durability, 2 as LogIndex)
  completeEpoch(durability, second)
  completeEpoch(durability, first)
  expect(durability.durableIndex).toBe(2)
  expect(durability.durable).toBe(second)
})

test('an epoch that was never taken is our mistake', () => {
  const durability = createDurability(0 as LogIndex)
  expect(() => completeEpoch(durability, 1 as Epoch)).toThrow('durable-beyond-taken')
})
