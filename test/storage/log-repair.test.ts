/** A log that is found rotten at a start is mended by proof alone: our own chain, our own mark, or what a peer knows to be committed. */
import { describe, expect, it, test } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog, OpenLogOptions } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, rigDirectory, StorageRig } from './rig.ts'

const bodyBytes = 400
const last = 60

interface ALog {
  readonly rig: StorageRig
  readonly opened: OpenedLog
  /** Its first segment. */
  readonly path: string
}

/** A log of so many entries: of term 1, and from `otherFrom` on of term 2. Equal arguments give equal bytes. `begin` runs before the first. */
function aLog(seed: string, otherFrom = Infinity, entries = last, begin?: (opened: OpenedLog) => void): ALog {
  const rig = new StorageRig(`repair/${seed}`)
  const opened = rig.open()
  begin?.(opened)
  append(opened, 1, Math.min(entries, otherFrom - 1), bodyBytes)
  if (otherFrom <= entries) append(opened, 2, entries - otherFrom + 1, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(entries as LogIndex)
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

/** These records of the first segment have rotted, and the node starts on it. */
function startOnRot({ rig, path }: ALog, bad: readonly number[], changes: Partial<OpenLogOptions> = {}): OpenedLog {
  rig.kill()
  for (const index of bad) rig.disk.flipBit(path, segmentHeaderBytes + (index - 1) * (recordHeaderBytes + bodyBytes) + 60, 3)
  // Without its sidecars the whole log is read at a start.
  const { disk } = rig.openOptions()
  for (const name of rig.disk.files()) if (name.endsWith('.idx')) disk.remove(name)
  const opened = rig.open({ hasPeers: () => true, ...changes })
  expect(opened.repair.isRecovering).toBe(true)
  expect(opened.repair.wanted?.fromIndex).toBe(bad[0])
  return opened
}

function rotten(seed: string, ...bad: readonly number[]): ALog & { content: () => Uint8Array } {
  const log = aLog(seed)
  const { rig, path } = log
  return { rig, path, opened: startOnRot(log, bad), content: () => mustExist(rig.disk.contentOf(path), 'segment').slice() }
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

test('a segment from the time when segments were larger is mended in its place (story 78)', () => {
  const opened = startOnRot(aLog('larger'), [20], { limits: logLimits(4 * 1024, { slabBytes: 1024 }) })
  expect(opened.repair.supply(20, recordsOf(aLog('peer').opened, 20, 20), 0)).toBe('mended')
  expect(opened.log.lastId.index).toBe(last)
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

test('what rots before the hole while that is mended takes nothing back of what the log is known to hold (seed 22001002)', () => {
  const log = aLog('meanwhile')
  const { log: known, repair } = startOnRot(log, [20, 30])
  const peer = aLog('meanwhile peer').opened
  log.rig.disk.flipBit(log.path, segmentHeaderBytes + 9 * (recordHeaderBytes + bodyBytes) + 60, 3)
  expect(repair.supply(20, recordsOf(peer, 20, 20), last)).toBe('progress')
  expect(repair.wanted?.fromIndex).toBe(10)
  expect(known.lastId.index).toBe(19)
  expect(repair.supply(10, recordsOf(peer, 10, 10), last)).toBe('progress')
  expect(known.lastId.index).toBe(29)
  expect(repair.supply(30, recordsOf(peer, 30, 30), last)).toBe('mended')
  expect(known.lastId.index).toBe(last)
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

test('where a log ends that was superseded is its mark also when it is closed: the next start misses nothing', () => {
  const { rig, opened } = rotten('superseded and closed', 20)
  expect(opened.repair.supply(20, recordsOf(aLog('peer', 15).opened, 20, 20), 20)).toBe('mended')
  let isClosed = false
  opened.log.close(() => opened.hardState.close(() => (isClosed = true)))
  rig.settle()
  expect(isClosed).toBe(true)
  rig.kill()
  expect(rig.open().recovered).toMatchObject({ last: { term: 1, index: 19 }, isRecovering: false })
})

test('a hard state that the mended log shows to be an old one withholds the vote, and at later starts too', () => {
  const log = aLog('old state', 30, last, ({ hardState }) => hardState.save({ term: 1 as Term, votedFor: 1 }, () => undefined))
  const { repair, hardState } = startOnRot(log, [20])
  expect(repair.supply(20, recordsOf(aLog('peer', 30).opened, 20, 20), 0)).toBe('mended')
  expect(repair.isHardStateOld).toBe(true)
  // As the core does when it hears of it.
  hardState.save({ term: 2 as Term, votedFor: undefined }, () => undefined)
  log.rig.settle()
  log.rig.kill()
  expect(log.rig.open().recovered).toMatchObject({ hardState: { term: 2 }, isVoteWithheld: true })
})

test('what was unfinished behind the rot is not forgotten with it: the tail counts as torn', () => {
  const short = 20
  const log = aLog('unfinished', Infinity, short, ({ hardState }) => hardState.trustRestored('tail'))
  const { rig, path } = log
  const file = rig.openOptions().disk.open(path, { create: false })
  file.writeSync(new Uint8Array(100).fill(7), segmentHeaderBytes + short * (recordHeaderBytes + bodyBytes))
  file.syncSync()
  const { repair } = startOnRot(log, [short])
  expect(repair.hasTornTail).toBe(false)
  expect(repair.supply(short, recordsOf(aLog('unfinished').opened, short, short), short)).toBe('mended')
  expect(repair.hasTornTail).toBe(true)
  rig.cutPower()
  expect(rig.open().recovered).toMatchObject({ hasTornTail: true, isRecovering: false, last: { index: short } })
})

test('a torn end that is met when the rot before it is mended is on record before it is cut off', () => {
  const log = aLog('torn behind', Infinity, last, ({ hardState }) => hardState.trustRestored('tail'))
  const { rig } = log
  const file = rig.openOptions().disk.open(
    mustExist(
      rig.disk.files().findLast(name => name.endsWith('.log')),
      'segment',
    ),
    { create: false },
  )
  const { endPosition } = mustExist(log.opened.log.segments.at(-1), 'segment')
  file.writeSync(new Uint8Array(100).fill(7), endPosition)
  file.syncSync()
  const { repair } = startOnRot(log, [20])
  expect(repair.hasTornTail).toBe(false)
  expect(repair.supply(20, recordsOf(aLog('torn behind').opened, 20, 20), 0)).toBe('mended')
  expect(repair.hasTornTail).toBe(true)
  rig.cutPower()
  expect(rig.open().recovered).toMatchObject({ hasTornTail: true, isRecovering: false, last: { index: last } })
})

test('what others committed in a later term in place of ours does not look like a vote that was lost, not even to the start after', () => {
  const log = aLog('later', Infinity, last, ({ hardState }) => hardState.save({ term: 1 as Term, votedFor: 1 }, () => undefined))
  const { repair, log: mended } = startOnRot(log, [20])
  const peer = aLog('later', 20).opened
  for (let index = 20; repair.isRecovering && index <= last; index++) repair.supply(index, recordsOf(peer, index, index), last)
  expect(repair.isRecovering).toBe(false)
  expect(mended.lastId.term).toBe(2)
  expect(repair.isHardStateOld).toBe(false)
  log.rig.cutPower()
  const { recovered } = log.rig.open()
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

/** So many entries in one segment, of which the durable mark knows the first ones; what was in doubt at its making is not any more. */
const [marked, written] = [18, 20]
function beyondItsMark(seed: string): ALog {
  const log = aLog(seed, Infinity, marked, ({ hardState }) => hardState.trustRestored('tail'))
  append(log.opened, 1, written - marked, bodyBytes)
  log.rig.flush(log.opened)
  log.rig.kill()
  return log
}

function isCutShort(supply: () => unknown): boolean {
  try {
    supply()
    return false
  } catch {
    return true
  }
}

describe('a last segment that is not there any more is made anew up to the mark, and what stood behind that is in doubt', () => {
  const peer = aLog('gone peer', Infinity, written).opened
  const gone = (): ALog => {
    const log = beyondItsMark('gone')
    log.rig.openOptions().disk.remove(log.path)
    return log
  }

  it('when it is whole', () => {
    const { rig } = gone()
    const { repair } = rig.open({ hasPeers: () => true })
    expect([repair.wanted, repair.hasTornTail]).toEqual([{ fromIndex: 1, lastIndex: marked }, false])
    expect(repair.supply(1, recordsOf(peer, 1, marked), marked)).toBe('mended')
    expect(repair.hasTornTail).toBe(true)
    rig.cutPower()
    expect(rig.open().recovered).toMatchObject({ hasTornTail: true, isRecovering: false, last: { index: marked } })
  })

  it('wherever the power is cut meanwhile', () => {
    let cuts = 0
    for (; ; cuts++) {
      const { rig } = gone()
      const { repair } = rig.open({ hasPeers: () => true })
      rig.disk.crashAfter(rig.disk.operations + cuts + 1)
      if (!isCutShort(() => repair.supply(1, recordsOf(peer, 1, 5), marked))) break
      const again = rig.open({ hasPeers: () => true }).repair
      // What of it was written before the cut goes on from there.
      for (let { wanted } = again; wanted !== undefined; { wanted } = again)
        expect(again.supply(wanted.fromIndex, recordsOf(peer, wanted.fromIndex, marked), marked)).not.toBe('refused')
      expect(again.hasTornTail).toBe(true)
    }
    expect(cuts).toBeGreaterThan(4)
  })
})

test('a segment in the middle that is not there any more leaves no doubt about the end', () => {
  const log = aLog('middle', Infinity, 120, ({ hardState }) => hardState.trustRestored('tail'))
  const [, middle, third] = log.opened.log.segments
  log.rig.kill()
  const { disk } = log.rig.openOptions()
  const { name, firstIndex } = mustExist(middle, 'segment')
  disk.remove(`${rigDirectory}/log/${name}`)
  const { repair } = log.rig.open({ hasPeers: () => true })
  const end = mustExist(third, 'segment').firstIndex - 1
  const peer = aLog('middle peer', Infinity, 120).opened
  for (let index = firstIndex; index <= end; index++) repair.supply(index, recordsOf(peer, index, index), 120)
  expect([repair.isRecovering, repair.hasTornTail]).toEqual([false, false])
})

/** The header, and that of the first record. */
const headBytes = segmentHeaderBytes + recordHeaderBytes

describe('a last segment whose head has rotted, with its first record, leaves in doubt what it held (seed 30009036)', () => {
  it('when the mark is in it', () => {
    const { rig, path } = beyondItsMark('head')
    expect(rig.disk.harm(path, 0, new Uint8Array(headBytes).fill(7), false)).toBe(true)
    const { repair } = rig.open({ hasPeers: () => true })
    expect([repair.wanted, repair.hasTornTail, repair.heldThrough]).toEqual([{ fromIndex: 1, lastIndex: marked }, true, written])
  })

  /** A second segment that has just begun, and whose head has rotted; the mark lies in the first. */
  const justBegun = (seed: string): { rig: StorageRig; segments: OpenedLog['log']['segments']; lastIndex: number; bytes: number } => {
    const rig = new StorageRig(`repair/${seed}`)
    const first = rig.open()
    first.hardState.trustRestored('tail')
    append(first, 1, 30, bodyBytes)
    rig.flush(first)
    first.log.noteDurable(30 as LogIndex)
    rig.settle()
    while (first.log.segments.length < 2) {
      append(first, 1, 1, bodyBytes)
      rig.flush(first)
    }
    rig.kill()
    const [before, begun] = first.log.segmentSpans()
    expect(mustExist(begun, 'span').lastIndex).toBeGreaterThan(30)
    const { segments } = first.log
    const path = `${rigDirectory}/log/${mustExist(segments[1], 'segment').name}`
    expect(rig.disk.harm(path, 0, new Uint8Array(headBytes).fill(7), false)).toBe(true)
    return { rig, segments, ...mustExist(before, 'span') }
  }

  it('when the mark does not reach it, and alone is not begun with', () => {
    const { rig, segments, lastIndex } = justBegun('beyond')
    const path = `${rigDirectory}/log/${mustExist(segments[1], 'segment').name}`
    expect(() => rig.open()).toThrow(`${path}: its head can't be read, and entries behind ${lastIndex} may have been acknowledged in it`)
    const { recovered } = rig.open({ hasPeers: () => true })
    expect(recovered).toMatchObject({ last: { index: lastIndex }, isRecovering: false, hasTornTail: true })
  })

  it('and none that the one before it was on the disk to its end', () => {
    const { rig, segments, lastIndex, bytes } = justBegun('before')
    rig.disk.flipBit(`${rigDirectory}/log/${mustExist(segments[0], 'segment').name}`, bytes - 10, 3)
    const { repair } = rig.open({ hasPeers: () => true })
    expect([repair.isRecovering, repair.wanted]).toEqual([true, { fromIndex: lastIndex, lastIndex }])
  })
})

test('what waits for a proof is forgotten for a peer that it does not fit, and that one is asked from the beginning', () => {
  const { opened } = rotten('first of all', 20, 21, 22)
  const strayed = aLog('first of all strayed', 21, 24).opened
  const good = aLog('first of all good').opened
  for (let index = 20; index <= 24; index++) expect(opened.repair.supply(index, recordsOf(strayed, index, index), 0)).toBe('progress')
  expect(opened.repair.supply(25, new Uint8Array(0), 0)).toBe('refused')
  expect(opened.repair.supply(25, recordsOf(good, 25, 25), 0)).toBe('progress')
  expect(opened.repair.wanted?.fromIndex).toBe(20)
  for (let index = 20; index <= 21; index++) expect(opened.repair.supply(index, recordsOf(good, index, index), 0)).toBe('progress')
  expect(opened.repair.startOver?.()).toBe(true)
  expect(opened.repair.startOver?.()).toBe(false)
  for (let index = 20; index <= 21; index++) expect(opened.repair.supply(index, recordsOf(good, index, index), 0)).toBe('progress')
  expect(opened.repair.supply(22, recordsOf(good, 22, 22), 0)).toBe('mended')
})

/** Supplies what a peer has, all of it committed, until it has no more of what is wanted. */
function supplyAll({ repair }: OpenedLog, peer: OpenedLog, piece = last): void {
  const { index: peerLast } = peer.log.lastId
  while (repair.isRecovering) {
    const { fromIndex } = mustExist(repair.wanted, 'wanted')
    if (fromIndex > peerLast) return
    const through = Math.min(peerLast, fromIndex + piece - 1)
    expect(repair.supply(fromIndex, recordsOf(peer, fromIndex, through), peerLast)).not.toBe('refused')
  }
}

describe('rot over the place where our log was superseded', () => {
  const bad = [20, 21, 22, 23, 24, 25, 26, 27, 28]
  const trusted = ({ hardState }: OpenedLog): void => hardState.trustRestored('tail')

  it('is mended with what is committed, and the log ends there, shorter than it was', () => {
    const log = aLog('parted', Infinity, last, trusted)
    const opened = startOnRot(log, bad)
    supplyAll(opened, aLog('parted peer', 25, 40).opened)
    expect([opened.repair.isRecovering, opened.repair.hasTornTail, opened.log.lastId]).toEqual([false, false, { term: 2, index: 40 }])
    log.rig.cutPower()
    expect(log.rig.open().recovered).toMatchObject({ last: { term: 2, index: 40 }, isRecovering: false, hasTornTail: false })
  })

  it('is not taken for that by what nobody knows to be committed', () => {
    const log = aLog('parted, unknown', Infinity, last, trusted)
    const { repair } = startOnRot(log, bad)
    const peer = aLog('parted peer', 25, 40).opened
    expect(repair.supply(20, recordsOf(peer, 20, 40), 24)).toBe('progress')
    expect([repair.wanted, repair.isRecovering, repair.heldThrough]).toEqual([{ fromIndex: 41, lastIndex: 41 }, true, last])
  })

  it('ends at the first record of a later term when no more has come', () => {
    const opened = startOnRot(aLog('parted by pieces', Infinity, last, trusted), bad)
    supplyAll(opened, aLog('parted peer', 25, 40).opened, 2)
    expect([opened.repair.isRecovering, opened.log.lastId]).toEqual([false, { term: 2, index: 25 }])
  })

  it('takes later segments away, of which the mark knows nothing yet', () => {
    const rig = new StorageRig('repair/parted, segments')
    const first = rig.open()
    trusted(first)
    append(first, 1, 120, bodyBytes)
    rig.flush(first)
    const { path } = aLog('parted, segments')
    expect(rig.disk.files().filter(name => name.endsWith('.log')).length).toBe(4)
    const opened = startOnRot({ rig, path, opened: first }, bad)
    supplyAll(opened, aLog('parted peer', 25, 30).opened)
    expect([opened.repair.isRecovering, opened.log.lastId]).toEqual([false, { term: 2, index: 30 }])
    rig.cutPower()
    expect(rig.open().recovered).toMatchObject({ last: { term: 2, index: 30 }, isRecovering: false, hasTornTail: false })
  })

  it('is mended again from wherever the power was cut meanwhile, and never taken for torn before its new end', () => {
    const peer = aLog('parted peer', 25, 40).opened
    let cuts = 0
    for (; ; cuts++) {
      const log = aLog('parted and cut', Infinity, last, trusted)
      const opened = startOnRot(log, bad)
      const { rig } = log
      rig.disk.crashAfter(rig.disk.operations + cuts + 1)
      if (!isCutShort(() => supplyAll(opened, peer))) break
      const again = rig.open({ hasPeers: () => true })
      supplyAll(again, peer)
      expect([cuts, again.repair.isRecovering, again.log.lastId]).toEqual([cuts, false, { term: 2, index: 40 }])
    }
    expect(cuts).toBeGreaterThan(20)
  })
})

describe('directly behind the rot, above the mark', () => {
  const log = (seed: string, entries: number): ALog => {
    const made = aLog(seed, Infinity, marked, ({ hardState }) => hardState.trustRestored('tail'))
    append(made.opened, 1, entries - marked, bodyBytes)
    made.rig.flush(made.opened)
    return made
  }

  // One sector was half written when the power went: it held the last marked record, and the first of a flush of which the rest came through.
  test('a torn end is cut off, and not asked of peers who never had it', () => {
    const ours = log('torn beside', marked + 4)
    const opened = startOnRot(ours, [marked, marked + 1])
    expect(opened.repair.wanted).toEqual({ fromIndex: marked, lastIndex: marked })
    supplyAll(opened, aLog('torn beside peer', Infinity, marked).opened)
    expect([opened.repair.isRecovering, opened.repair.hasTornTail, opened.log.lastId.index]).toEqual([false, true, marked])
    ours.rig.cutPower()
    expect(ours.rig.open().recovered).toMatchObject({ last: { index: marked }, isRecovering: false, hasTornTail: true })
  })

  test('what a later flush proves to have been synced is not cut off', () => {
    const opened = startOnRot(log('synced beside', marked + 15), [marked, marked + 1, marked + 2])
    expect(opened.repair.wanted).toEqual({ fromIndex: marked, lastIndex: marked + 2 })
    supplyAll(opened, aLog('synced beside peer', Infinity, marked + 2).opened)
    expect([opened.repair.isRecovering, opened.repair.hasTornTail, opened.log.lastId.index]).toEqual([false, false, marked + 15])
  })

  test('what was synced is cut off as torn when others have committed something of a later term in its place', () => {
    const opened = startOnRot(log('synced, superseded', marked + 15), [marked, marked + 1, marked + 2])
    supplyAll(opened, aLog('synced, superseded peer', marked + 1, marked + 1).opened)
    expect([opened.repair.isRecovering, opened.repair.hasTornTail]).toEqual([false, true])
    expect(opened.log.lastId).toEqual({ term: 2, index: marked + 1 })
  })
})
