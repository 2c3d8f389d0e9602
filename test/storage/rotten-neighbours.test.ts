/** A record that has rotted costs itself: what stands beside it in the same block is read, given to peers and mended with, and two disks with different rot mend each other. */
import { describe, expect, it } from 'vitest'
import { UnreadableEntry } from '../../raft/index.ts'
import type { LogIndex } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, bytesOf, expectEntry, rigDirectory, StorageRig } from './rig.ts'

const limits = logLimits(64 * 1024, { slabBytes: 16 * 1024, tailBytesMax: 16 * 1024, tailBytesIdle: 1_024, openFilesMax: 4 })
const bodyBytes = 152
const size = recordHeaderBytes + bodyBytes

interface Node {
  readonly rig: StorageRig
  readonly opened: OpenedLog
  readonly path: string
  readonly notes: readonly string[]
}

/** A log of 900 entries, which has just been opened; of those in the first segment these have rotted at this byte of their record. */
function aNode(
  rotten: readonly number[],
  byte = recordHeaderBytes + 22,
  write = (log: OpenedLog): void => append(log, 1, 900, bodyBytes),
): Node {
  const rig = new StorageRig('neighbours', limits)
  const first = rig.open()
  write(first)
  rig.flush(first)
  rig.settle()
  rig.kill()
  const path = `${rigDirectory}/log/${mustExist(first.log.segments[0], 'segment').name}`
  for (const index of rotten) rig.disk.flipBit(path, segmentHeaderBytes + (index - 1) * size + byte)
  const notes: string[] = []
  return { rig, opened: rig.open({ hasPeers: () => true, note: sentence => notes.push(sentence) }), path, notes }
}

function unreadable({ opened }: Node): number[] {
  return Array.from({ length: 120 }, (_, i) => i + 1).filter(index => {
    try {
      expectEntry(opened, index, 1, bodyBytes)
      return false
    } catch (error) {
      if (!(error instanceof UnreadableEntry)) throw error
      return true
    }
  })
}

/** What one wants the other gives, once; what came of it. */
function give(from: Node, to: Node): string {
  const { wanted } = to.opened.repair
  if (wanted === undefined) return 'nothing wanted'
  const { fromIndex, lastIndex } = wanted
  try {
    const block = from.opened.log.readBlock(fromIndex as LogIndex, lastIndex as LogIndex, 1e6)
    return to.opened.repair.supply(fromIndex, bytesOf(block), 0)
  } catch (error) {
    if (!(error instanceof UnreadableEntry)) throw error
    to.opened.repair.passOver?.(fromIndex)
    return 'rotten too'
  }
}

describe('one rotten record in a block', () => {
  it.each([
    ['body', recordHeaderBytes + 22],
    ['header', 20],
  ])('costs itself, whether its %s has rotted', (_what, byte) => {
    const node = aNode([20], byte)
    expect(unreadable(node)).toEqual([20])
    expect(node.opened.repair.wanted).toEqual({ fromIndex: 20, lastIndex: 20 })
    expect(node.notes).toEqual([expect.stringContaining('record 20 at byte')])
  })

  it('lets peers have what precedes it, and what follows it', () => {
    const { log } = aNode([20]).opened
    const lastGiven = (from: number, last: number): number | undefined => log.readBlock(from as LogIndex, last as LogIndex, 1e6)?.lastIndex
    expect(lastGiven(1, 19)).toBe(19)
    expect(lastGiven(1, 60)).toBe(19)
    expect(lastGiven(21, 60)).toBe(60)
    expect(() => lastGiven(20, 60)).toThrow(/record 20 at byte/)
  })

  it('is read from the disk once for all that is beside it', () => {
    const { opened } = aNode([20])
    for (let index = 1; index < 20; index++) expectEntry(opened, index, 1, bodyBytes)
    for (let index = 21; index < 60; index++) expectEntry(opened, index, 1, bodyBytes)
    expect(opened.log.status().blockReads).toBe(1)
  })
})

describe('two disks that have rotted in different records of one block', () => {
  it.each([
    ['bodies', recordHeaderBytes + 22],
    ['headers', 20],
  ])('mend each other, with nobody else there: %s', (_what, byte) => {
    const a = aNode([20], byte)
    const b = aNode([19, 21, 30], byte === 20 ? recordHeaderBytes + 3 : byte)
    const whole = a.rig.disk.contentOf(a.path)?.slice()
    whole?.set([(whole[segmentHeaderBytes + 19 * size + byte] ?? 0) ^ 1], segmentHeaderBytes + 19 * size + byte)
    expect([unreadable(a), unreadable(b)]).toEqual([[20], [19, 21, 30]])
    expect(give(b, a)).toBe('mended')
    expect([give(a, b), give(a, b), give(a, b)]).toEqual(['progress', 'progress', 'mended'])
    expect([unreadable(a), unreadable(b)]).toEqual([[], []])
    expect(a.rig.disk.contentOf(a.path)).toEqual(whole)
    expect(b.rig.disk.contentOf(b.path)).toEqual(whole)
    expect([a, b].map(({ opened }) => opened.holes.counts)).toEqual([
      { found: 1, mended: 1, open: 0 },
      { found: 3, mended: 3, open: 0 },
    ])
  })

  it('mend all but the record that has rotted on both, whatever stands before it', () => {
    const a = aNode([20, 40])
    const b = aNode([20, 30])
    expect([unreadable(a), unreadable(b)]).toEqual([
      [20, 40],
      [20, 30],
    ])
    for (let round = 0; round < 3; round++) {
      give(b, a)
      give(a, b)
    }
    expect([unreadable(a), unreadable(b)]).toEqual([[20], [20]])
    expect(give(aNode([]), a)).toBe('mended')
    expect(give(a, b)).toBe('mended')
    expect([unreadable(a), unreadable(b)]).toEqual([[], []])
  })
})

describe('a hole that is longer than one record', () => {
  it('is filled with pieces of different peers', () => {
    const a = aNode([20, 40], 20)
    const b = aNode([30])
    const c = aNode([25])
    expect(unreadable(a)).toEqual(Array.from({ length: 21 }, (_, i) => i + 20))
    expect([unreadable(b), unreadable(c)]).toEqual([[30], [25]])
    expect([give(b, a), give(b, a), give(c, a), give(c, a), give(b, a)]).toEqual([
      'progress',
      'rotten too',
      'progress',
      'rotten too',
      'progress',
    ])
    expect(give(c, a)).toBe('mended')
    expect(unreadable(a)).toEqual([])
  })

  it('is found to be longer by a right answer, and goes on with whoever gave it', () => {
    const a = aNode([20])
    expect(unreadable(a)).toEqual([20])
    a.rig.disk.flipBit(a.path, segmentHeaderBytes + 20 * size + 20)
    expect(give(aNode([]), a)).toBe('progress')
    expect(a.opened.repair.wanted?.fromIndex).toBe(20)
    expect(a.opened.repair.wanted?.lastIndex).toBeGreaterThan(21)
    expect(give(aNode([]), a)).toBe('mended')
    expect(unreadable(a)).toEqual([])
  })

  it('takes nothing of a peer whose log went its own way there, however often that one is asked first (seed 30000474)', () => {
    const a = aNode([20, 40], 20)
    const b = aNode([])
    const strayed = aNode([], 0, log => {
      append(log, 1, 24, bodyBytes)
      append(log, 7, 2, bodyBytes)
    })
    expect(unreadable(a)).toEqual(Array.from({ length: 21 }, (_, i) => i + 20))
    expect([give(strayed, a), give(strayed, a), a.opened.repair.wanted]).toEqual(['refused', 'refused', { fromIndex: 25, lastIndex: 40 }])
    expect(give(b, a)).toBe('mended')
    expect(unreadable(a)).toEqual([])
  })
})
