/**
 * Rot on both sides of the roll from one segment to the next: the last record of one, the header of the other, what that begins with. A repair goes from one file
 * to the other where the log did, whatever the size of segments is now; and nothing is taken away of which it is not on record that it may have counted.
 */
import { describe, expect, it, test } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes, segmentName } from '../../src/storage/segment.ts'
import { append, logFiles, recordsThrough, rigDirectory, StorageRig } from './rig.ts'

const limits = logLimits(4 * 1024, { slabBytes: 1024 })
const larger = logLimits(16 * 1024, { slabBytes: 1024 })
const hasPeers = (): boolean => true
const bodyBytes = 152
const recordSize = recordHeaderBytes + bodyBytes
const fileOf = (first: number): string => `${rigDirectory}/log/${segmentName(first)}`

function rot(rig: StorageRig, index: number): void {
  rig.disk.flipBit(fileOf(1), segmentHeaderBytes + (index - 1) * recordSize + 60, 3)
}

/** The header of the segment that begins with 18, and so many records behind it. */
function rotHeader(rig: StorageRig, records: number): void {
  const bytes = new Uint8Array(segmentHeaderBytes + records * recordSize).fill(7)
  expect(rig.disk.harm(fileOf(18), 0, bytes, false)).toBe(true)
}

/** Without its sidecars the whole log is read at a start. */
function end(rig: StorageRig): StorageRig {
  rig.settle()
  rig.kill()
  const { disk } = rig.openOptions()
  for (const name of logFiles(rig, '.idx')) disk.remove(name)
  return rig
}

/** A log of so many entries of term 1, which rolls before 18 and before 35. */
function aLog(mark: number, entries = 30): StorageRig {
  const rig = new StorageRig('rotten rolls', limits)
  const opened = rig.open()
  opened.hardState.trustRestored('tail')
  opened.hardState.save({ term: 1 as Term, votedFor: undefined }, () => undefined)
  append(opened, 1, mark, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(mark as LogIndex)
  append(opened, 1, entries - mark, bodyBytes)
  rig.flush(opened)
  return end(rig)
}

/** The same, and the first segment was written when they were larger. */
function lowered(): StorageRig {
  const rig = new StorageRig('rotten rolls', limits)
  let opened = rig.open({ limits: larger })
  opened.hardState.trustRestored('tail')
  append(opened, 1, 17, bodyBytes)
  rig.flush(opened)
  rig.settle()
  rig.kill()
  opened = rig.open()
  append(opened, 1, 13, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(18 as LogIndex)
  return end(rig)
}

/** A peer gives what is asked for, one record at a time, as long as it has it. */
function feed({ repair }: OpenedLog, peer: OpenedLog, commitIndex: number): void {
  for (let i = 0; i < 100; i++) {
    const { wanted } = repair
    if (wanted === undefined || wanted.fromIndex > peer.log.lastId.index) return
    if (repair.supply(wanted.fromIndex, recordsThrough(peer, wanted.fromIndex, wanted.fromIndex), commitIndex) === 'refused') return
  }
}

describe('the last record of a segment has rotted, and the header and first record of the next', () => {
  it.each([
    [18, 30],
    [20, 30],
    [20, 0],
  ])('and that is where the repair goes on, though there would be room in the first by now: mark %i, committed %i', (mark, commitIndex) => {
    const rig = aLog(mark)
    rot(rig, 17)
    rotHeader(rig, 1)
    const opened = rig.open({ hasPeers, limits: larger })
    feed(opened, aLog(mark).open(), commitIndex)
    expect(opened.log.lastId.index).toBe(30)
  })

  it('nor because the first is still as large as segments were', () => {
    const rig = lowered()
    rot(rig, 17)
    rotHeader(rig, 1)
    const opened = rig.open({ hasPeers })
    feed(opened, lowered().open(), 18)
    expect(opened.log.lastId.index).toBe(30)
  })

  it.each([limits, larger])('and no more than those two are asked for: size %#', given => {
    const rig = aLog(40, 40)
    rot(rig, 17)
    rotHeader(rig, 1)
    const opened = rig.open({ hasPeers, limits: given })
    feed(opened, aLog(18, 18).open(), 18)
    expect([opened.log.lastId.index, opened.repair.isRecovering]).toEqual([40, false])
  })

  it('and what stands behind it proves them, though the mark does not reach them and nobody knows of a commit', () => {
    const rig = aLog(12)
    rot(rig, 17)
    rotHeader(rig, 1)
    const opened = rig.open({ hasPeers })
    feed(opened, aLog(12).open(), 0)
    expect(opened.log.lastId.index).toBe(30)
  })
})

test('what loses its head while its log is being mended is not taken away without a doubt on record', () => {
  const rig = aLog(17)
  rot(rig, 5)
  rot(rig, 17)
  const opened = rig.open({ hasPeers })
  expect([opened.repair.isRecovering, opened.repair.hasTornTail]).toEqual([true, false])
  rotHeader(rig, 1)
  feed(opened, aLog(17).open(), 17)
  expect([opened.log.lastId.index, opened.repair.hasTornTail]).toEqual([17, true])
})

test('a log whose end is superseded is not waited for, wherever the power is cut, because the name of a file says how long it was', () => {
  const truth = new StorageRig('the truth', limits).open()
  append(truth, 1, 10, bodyBytes)
  append(truth, 2, 2, bodyBytes)
  for (const replaced of [11, 12]) {
    let cuts = 0
    for (let isOver = false; !isOver; cuts++) {
      const rig = aLog(17)
      rot(rig, replaced)
      rotHeader(rig, 0)
      const opened = rig.open({ hasPeers })
      rig.disk.crashAfter(rig.disk.operations + cuts + 1)
      try {
        opened.repair.supply(replaced, recordsThrough(truth, replaced, 12), 12)
        isOver = true
      } catch {
        rig.cutPower()
      }
      const again = isOver ? opened : rig.open({ hasPeers })
      feed(again, truth, 12)
      expect([replaced, cuts, again.repair.isRecovering]).toEqual([replaced, cuts, false])
    }
    expect(cuts).toBeGreaterThan(5)
  }
})

test('leftovers of a truncated suffix, behind what the next segment follows, say nothing of how far the log went', () => {
  const rig = new StorageRig('leftovers', limits)
  const opened = rig.open()
  append(opened, 1, 17, bodyBytes)
  rig.flush(opened)
  opened.hardState.save({ term: 2 as Term, votedFor: undefined }, () => undefined)
  opened.log.truncateFrom(11 as LogIndex)
  append(opened, 2, 1, bodyBytes)
  append(opened, 2, 1, 3_000)
  rig.flush(opened)
  opened.log.noteDurable(12 as LogIndex)
  rot(end(rig), 5)
  expect(rig.open({ hasPeers }).repair.heldThrough).toBe(12)
})

test('what a repair leaves behind the last record of a segment is zeros, so that the next header can rot', () => {
  const truth = new StorageRig('the truth', limits).open()
  append(truth, 1, 11, bodyBytes)
  append(truth, 2, 8, 500)
  const rig = aLog(29)
  rot(rig, 12)
  const opened = rig.open({ hasPeers })
  expect(opened.repair.supply(12, recordsThrough(truth, 12, 19), 19)).toBe('mended')
  expect(opened.log.lastId).toEqual({ term: 2, index: 19 })
  opened.hardState.trustRestored('tail')
  end(rig)
  expect(rig.disk.harm(fileOf(14), 0, new Uint8Array(segmentHeaderBytes).fill(7), false)).toBe(true)
  expect(rig.open().recovered).toMatchObject({ last: { index: 19 }, isRecovering: false })
})
