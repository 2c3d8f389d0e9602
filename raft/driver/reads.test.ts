import { expect, test } from 'vitest'
import { mustExist } from '../../src/platform/assert.ts'
import type { LogIndex } from '../core/ids.ts'
import { Reads } from './reads.ts'
import type { ReadEnd } from './reads.ts'

const index = (n: number) => n as LogIndex

function aReader(reads: Reads, giveUpMs = 1_000): ReadEnd[] {
  const ends: ReadEnd[] = []
  expect(reads.add(giveUpMs, end => ends.push(end))).toBe(true)
  return ends
}

function asked(reads: Reads): number {
  return mustExist(reads.take(), 'no-question').ticket
}

test('a thousand reads of one turn are one question, and what comes while it is open is the next', () => {
  const reads = new Reads()
  const first = Array.from({ length: 1_000 }, () => aReader(reads))
  const ticket = asked(reads)
  const later = [aReader(reads), aReader(reads)]
  expect(reads.take()).toBeUndefined()
  reads.onEnd({ kind: 'ready', ticket, index: index(7) })
  reads.settle(index(7), 0)
  expect(first.every(ends => ends.length === 1 && ends[0]?.kind === 'ready')).toBe(true)
  expect(later).toEqual([[], []])
  const next = asked(reads)
  reads.onEnd({ kind: 'ready', ticket: next, index: index(7) })
  reads.settle(index(7), 0)
  expect(later.flat()).toEqual([
    { kind: 'ready', index: 7 },
    { kind: 'ready', index: 7 },
  ])
  expect(reads.count).toBe(0)
})

test('a read is done when this node has applied what it must have, and not before', () => {
  const reads = new Reads()
  const ends = aReader(reads)
  reads.onEnd({ kind: 'ready', ticket: asked(reads), index: index(9) })
  reads.settle(index(8), 0)
  expect(ends).toEqual([])
  reads.settle(index(9), 0)
  reads.settle(index(10), 0)
  expect(ends).toEqual([{ kind: 'ready', index: 9 }])
})

test('each read has a patience of its own, wherever it is by then', () => {
  const reads = new Reads()
  const applying = [aReader(reads, 100), aReader(reads, 300)]
  reads.onEnd({ kind: 'ready', ticket: asked(reads), index: index(9) })
  const open = aReader(reads, 100)
  const question = reads.take()
  expect(question?.giveUpMs).toBe(100)
  const waiting = aReader(reads, 100)
  reads.settle(index(1), 99)
  expect([...applying, open, waiting].flat()).toEqual([])
  reads.settle(index(1), 100)
  const late = [{ kind: 'refused', reason: 'deadline' }]
  expect([applying[0], open, waiting]).toEqual([late, late, late])
  expect(applying[1]).toEqual([])
  reads.settle(index(9), 200)
  expect(applying[1]).toEqual([{ kind: 'ready', index: 9 }])
  expect(reads.count).toBe(0)
})

test('an answer to a question that is over means nothing', () => {
  const reads = new Reads()
  const ends = aReader(reads)
  const ticket = asked(reads)
  reads.onEnd({ kind: 'refused', ticket, reason: 'leaderChanged' })
  reads.onEnd({ kind: 'ready', ticket, index: index(1) })
  reads.settle(index(5), 0)
  expect(ends).toEqual([{ kind: 'refused', reason: 'leaderChanged' }])
})

test('a node that goes ends every read, once', () => {
  const reads = new Reads()
  const applying = aReader(reads)
  reads.onEnd({ kind: 'ready', ticket: asked(reads), index: index(9) })
  const open = aReader(reads)
  asked(reads)
  const waiting = aReader(reads)
  reads.abandon('stopped')
  reads.settle(index(9), 5_000)
  const stopped = [{ kind: 'refused', reason: 'stopped' }]
  expect([applying, open, waiting]).toEqual([stopped, stopped, stopped])
})

test('over the bound nothing is taken, and said so at once', () => {
  const reads = new Reads()
  for (let i = 0; i < 10_000; i++) aReader(reads)
  expect(reads.add(1_000, () => undefined)).toBe(false)
  expect(reads.count).toBe(10_000)
})
