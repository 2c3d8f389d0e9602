/** A log that is found rotten at a start is mended by proof alone: our own chain, our own mark, or what a peer knows to be committed. */
import { expect, test } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, StorageRig } from './rig.ts'

const bodyBytes = 400
const last = 60

/** A log of `last` entries: of term 1, and from `otherFrom` on of term 2. Equal arguments give equal bytes. */
function aLog(seed: string, otherFrom = Infinity): { rig: StorageRig; opened: OpenedLog; path: string } {
  const rig = new StorageRig(`repair/${seed}`)
  const opened = rig.open()
  append(opened, 1, Math.min(last, otherFrom - 1), bodyBytes)
  if (otherFrom <= last) append(opened, 2, last - otherFrom + 1, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(last as LogIndex)
  rig.settle()
  return {
    rig,
    opened,
    path: mustExist(
      rig.disk.files().find(name => name.endsWith('.log')),
      'segment',
    ),
  }
}

/** The record at `index` of the first segment has rotted, and the node starts on it. */
function rotten(
  seed: string,
  index: number,
  ...others: readonly number[]
): { rig: StorageRig; opened: OpenedLog; path: string; content: () => Uint8Array } {
  const { rig, path } = aLog(seed)
  rig.kill()
  for (const bad of [index, ...others]) rig.disk.flipBit(path, segmentHeaderBytes + (bad - 1) * (recordHeaderBytes + bodyBytes) + 60, 3)
  // Without its sidecars the whole log is read at a start.
  const { disk } = rig.openOptions()
  for (const name of rig.disk.files()) if (name.endsWith('.idx')) disk.remove(name)
  const opened = rig.open({ hasPeers: () => true })
  expect(opened.repair.isRecovering).toBe(true)
  expect(opened.repair.wanted?.fromIndex).toBe(index)
  return { rig, opened, path, content: () => mustExist(rig.disk.contentOf(path), 'segment').slice() }
}

function recordsOf(opened: OpenedLog, from: number, through: number): Uint8Array {
  const block = mustExist(opened.log.readBlock(from as LogIndex, through as LogIndex, Infinity), 'block')
  expect(block.lastIndex).toBe(through)
  return Buffer.concat(block.buffers)
}

test('what our own next record follows is what stood there, and it is there for good', () => {
  const { rig, opened } = rotten('own', 20)
  expect(opened.repair.supply(20, recordsOf(aLog('peer').opened, 20, 20), 0)).toBe('mended')
  rig.cutPower()
  expect(rig.open().recovered.last).toEqual({ term: 1, index: last })
})

test('two that were both found rotten at their start mend each other by turns, though neither has all that the other lacks when they begin', () => {
  const one = rotten('turns', 20, 33).opened
  const other = rotten('turns', 27).opened
  expect(other.repair.supply(27, new Uint8Array(0), 0)).toBe('refused')
  expect(one.repair.supply(20, recordsOf(other, 20, 20), 0)).toBe('progress')
  expect(one.repair.wanted?.fromIndex).toBe(33)
  expect(other.repair.supply(27, recordsOf(one, 27, 27), 0)).toBe('mended')
  expect(one.repair.supply(33, recordsOf(other, 33, 33), 0)).toBe('mended')
  expect([one.log.lastId.index, other.log.lastId.index]).toEqual([last, last])
})

test('records of another history that nobody knows to be committed are not written, not even up to our mark', () => {
  const { opened, content } = rotten('other', 20)
  const other = aLog('peer', 20).opened
  const before = content()
  for (let index = 20; index <= last; index++) opened.repair.supply(index, recordsOf(other, index, index), 0)
  expect(opened.repair.isRecovering).toBe(true)
  expect(content()).toEqual(before)
})

test('what our next segment does not follow does not stand before it', () => {
  const end = mustExist(aLog('spans').opened.log.segmentSpans()[0], 'segment').lastIndex
  const { opened, content } = rotten('sealed', end)
  const before = content()
  expect(opened.repair.supply(end, recordsOf(aLog('peer', end).opened, end, end), 0)).toBe('progress')
  expect(content()).toEqual(before)
})

test('a committed record that follows another one than ours ends our log there, and the mark says so', () => {
  const { rig, opened } = rotten('superseded', 20)
  const other = aLog('peer', 15).opened
  expect(opened.repair.supply(20, recordsOf(other, 20, 20), 19)).toBe('refused')
  expect(opened.repair.isRecovering).toBe(true)
  expect(opened.repair.supply(20, recordsOf(other, 20, 20), 20)).toBe('mended')
  rig.cutPower()
  const again = rig.open()
  expect(again.recovered.last).toEqual({ term: 1, index: 19 })
  expect(again.recovered.hasTornTail).toBe(true)
})

test('what was unfinished behind the rot is not forgotten with it: the tail counts as torn', () => {
  const short = 20
  const rig = new StorageRig('repair/unfinished')
  const first = rig.open()
  first.hardState.trustRestored('tail')
  append(first, 1, short, bodyBytes)
  rig.flush(first)
  first.log.noteDurable(short as LogIndex)
  rig.settle()
  rig.kill()
  const path = mustExist(
    rig.disk.files().find(name => name.endsWith('.log')),
    'segment',
  )
  const end = segmentHeaderBytes + short * (recordHeaderBytes + bodyBytes)
  const file = rig.openOptions().disk.open(path, { create: false })
  file.writeSync(new Uint8Array(100).fill(7), end)
  file.syncSync()
  rig.disk.flipBit(path, end - bodyBytes, 3)
  rig.kill()
  const opened = rig.open({ hasPeers: () => true })
  expect([opened.repair.isRecovering, opened.repair.hasTornTail]).toEqual([true, false])
  expect(opened.repair.supply(short, recordsOf(aLog('unfinished').opened, short, short), short)).toBe('mended')
  expect(opened.repair.hasTornTail).toBe(true)
  rig.cutPower()
  expect(rig.open().recovered).toMatchObject({ hasTornTail: true, isRecovering: false, last: { index: short } })
})

test('what others committed in a later term in place of ours does not look like a vote that was lost, not even to the start after', () => {
  const rig = new StorageRig('repair/later')
  const first = rig.open()
  first.hardState.save({ term: 1 as Term, votedFor: 1 }, () => undefined)
  append(first, 1, last, bodyBytes)
  rig.flush(first)
  first.log.noteDurable(last as LogIndex)
  rig.settle()
  rig.kill()
  const path = mustExist(
    rig.disk.files().find(name => name.endsWith('.log')),
    'segment',
  )
  rig.disk.flipBit(path, segmentHeaderBytes + 19 * (recordHeaderBytes + bodyBytes) + 60, 3)
  const { disk } = rig.openOptions()
  for (const name of rig.disk.files()) if (name.endsWith('.idx')) disk.remove(name)
  const opened = rig.open({ hasPeers: () => true })
  const peer = aLog('later', 20).opened
  for (let index = 20; opened.repair.isRecovering && index <= last; index++)
    opened.repair.supply(index, recordsOf(peer, index, index), last)
  expect(opened.repair.isRecovering).toBe(false)
  expect(opened.log.lastId.term).toBe(2)
  expect(opened.repair.isHardStateOld).toBe(false)
  rig.cutPower()
  const { recovered } = rig.open()
  expect(recovered).toMatchObject({ isVoteWithheld: false, hardState: { term: 2, votedFor: undefined } })
})

test('what a rotten log held is known: to its mark, to its last segment, and to the last whole record in there, behind any hole', () => {
  expect(rotten('held', 20).opened.repair.heldThrough).toBe(last)
  // A mark that knows nothing, and a hole in the last segment with records behind it.
  const rig = new StorageRig('repair/held, unmarked')
  const opened = rig.open()
  append(opened, 1, 150, 90)
  rig.flush(opened)
  rig.kill()
  const { disk } = rig.openOptions()
  for (const name of rig.disk.files()) if (name.endsWith('.idx')) disk.remove(name)
  const segments = rig.disk.files().filter(name => name.endsWith('.log'))
  expect(segments.length).toBe(2)
  const second = mustExist(segments[1], 'second')
  rig.disk.flipBit(mustExist(segments[0], 'first'), segmentHeaderBytes + 70, 3)
  rig.disk.flipBit(second, segmentHeaderBytes + 2 * (recordHeaderBytes + 90) + 20, 3)
  const { repair } = rig.open({ hasPeers: () => true })
  expect(repair.isRecovering).toBe(true)
  expect(repair.heldThrough).toBe(150)
})

test('a log that is whole holds what it holds', () => {
  expect(aLog('whole').opened.repair.heldThrough).toBeUndefined()
})
