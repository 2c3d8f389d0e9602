/**
 * The file of a segment whose header and first record have rotted, when the durable mark does not tell that it held anything: the log goes on in the file before
 * it, and the vote is in doubt. That file is no part of the log from then on, whatever stands in it, and whichever build has left it there.
 */
import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes, segmentName } from '../../src/storage/segment.ts'
import { append, logFiles, recordsThrough, rigDirectory, StorageRig } from './rig.ts'

const limits = logLimits(4 * 1024, { slabBytes: 1024 })
const hasPeers = (): boolean => true
const bodyBytes = 152
const recordSize = recordHeaderBytes + bodyBytes
const fileOf = (first: number): string => `${rigDirectory}/log/${segmentName(first)}`

function withoutSidecars(rig: StorageRig): void {
  const { disk } = rig.openOptions()
  for (const name of logFiles(rig, '.idx')) disk.remove(name)
}

function harm(rig: StorageRig, path: string, from: number, bytes: number): void {
  expect(rig.disk.harm(path, from, new Uint8Array(bytes).fill(7), false)).toBe(true)
}

/** 1..17 in one file, 18..20 in another, the mark at 17. */
function twoFiles(seed: string, largeBytes = bodyBytes): StorageRig {
  const rig = new StorageRig(`stale heads/${seed}`, limits)
  const opened = rig.open()
  opened.hardState.trustRestored('tail')
  opened.hardState.save({ term: 1 as Term, votedFor: undefined }, () => undefined)
  append(opened, 1, 17, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(17 as LogIndex)
  rig.settle()
  append(opened, 1, 3, largeBytes)
  rig.flush(opened)
  rig.kill()
  expect(logFiles(rig)).toEqual([fileOf(1), fileOf(18)])
  return rig
}

interface Next {
  readonly mark: number
  readonly last: number
  /** How the node stopped then. */
  readonly end?: 'kill' | 'power'
  /** The build before let the file lie. */
  readonly isLeft?: boolean
  /** Of the bodies in the second file. */
  readonly largeBytes?: number
}

/** The second file, with its records as they were written, and without a header. */
function leave(rig: StorageRig, content: Uint8Array): void {
  const disk = rig.disk.openProcess()
  const file = disk.open(fileOf(18), { create: true })
  file.writeSync(content.fill(7, 0, segmentHeaderBytes), 0)
  file.syncSync()
  disk.syncDirectory(`${rigDirectory}/log`)
}

/** What began the second file has rotted. A new leader's 18 and 19 are small and find room in the first one, and 20 begins a third. */
function wentOn(seed: string, { mark, last, end = 'kill', isLeft = false, largeBytes = bodyBytes }: Next): StorageRig {
  const rig = twoFiles(seed, largeBytes)
  const content = mustExist(rig.disk.contentOf(fileOf(18)), 'content').slice()
  harm(rig, fileOf(18), 0, segmentHeaderBytes + recordHeaderBytes + largeBytes)
  const opened = rig.open({ hasPeers })
  expect(opened.recovered).toMatchObject({ last: { index: 17 }, hasTornTail: true, isRecovering: false })
  opened.hardState.trustRestored('tail')
  opened.hardState.save({ term: 2 as Term, votedFor: undefined }, () => undefined)
  append(opened, 2, 2, 40)
  append(opened, 2, last - 19, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(mark as LogIndex)
  rig.settle()
  if (end === 'power') rig.cutPower()
  else rig.kill()
  if (isLeft) leave(rig, content)
  withoutSidecars(rig)
  return rig
}

/** Who holds what the group has committed. */
function theTruth(last = 39): OpenedLog {
  const opened = new StorageRig('the truth', limits).open()
  append(opened, 1, 17, bodyBytes)
  append(opened, 2, Math.min(last - 17, 2), 40)
  append(opened, 2, Math.max(last - 19, 0), bodyBytes)
  return opened
}

/** A peer gives what is asked for, one record at a time, as long as it can. */
function feed({ repair }: OpenedLog, peer: OpenedLog, commitIndex: number): void {
  for (let i = 0; i < 100; i++) {
    const { wanted } = repair
    if (wanted === undefined || wanted.fromIndex > peer.log.lastId.index) return
    if (repair.supply(wanted.fromIndex, recordsThrough(peer, wanted.fromIndex, wanted.fromIndex), commitIndex) === 'refused') return
  }
}

const rot = (rig: StorageRig, index: number): void => rig.disk.flipBit(fileOf(1), segmentHeaderBytes + (index - 1) * recordSize + 60, 3)

describe('a segment file whose beginning has rotted above the mark', () => {
  it('is removed when the log goes on without it, and not before the doubt about its end is on record, wherever the power is cut', () => {
    let cuts = 0
    for (let isOver = false; !isOver; cuts++) {
      const rig = twoFiles(`cut ${cuts}`)
      harm(rig, fileOf(18), 0, segmentHeaderBytes + recordSize)
      rig.disk.crashAfter(rig.disk.operations + cuts + 1)
      try {
        rig.open({ hasPeers })
        isOver = true
      } catch {
        rig.cutPower()
      }
      const { recovered } = rig.open({ hasPeers })
      expect([cuts, recovered.hasTornTail, recovered.last.index, logFiles(rig)]).toEqual([cuts, true, 17, [fileOf(1)]])
    }
    expect(cuts).toBeGreaterThan(5)
  })

  it.each([false, true])('is in nobody’s way later (left by the build before: %s)', isLeft => {
    const opened = wentOn('later', { mark: 30, last: 39, isLeft }).open({ hasPeers })
    expect([opened.log.lastId.index, opened.repair.isRecovering]).toEqual([39, false])
    expect(logFiles(wentOn('later', { mark: 30, last: 39, isLeft }))).toHaveLength(isLeft ? 4 : 3)
  })

  it('nor after a power cut', () => {
    for (let seed = 0; seed < 20; seed++) {
      const { repair } = wentOn(`power ${seed}`, { mark: 25, last: 30, end: 'power', isLeft: true }).open({ hasPeers })
      expect([seed, repair.isRecovering]).toEqual([seed, false])
    }
  })

  it('does not bring an old history back when what took its place has rotted, and takes no later segment along', () => {
    const rig = wentOn('history', { mark: 30, last: 39, isLeft: true })
    rot(rig, 18)
    const opened = rig.open({ hasPeers })
    const old = twoFiles('old').open()
    opened.repair.supply(18, recordsThrough(old, 18, 18), 0)
    feed(opened, theTruth(), 39)
    expect(logFiles(rig)).toContain(fileOf(20))
    expect(opened.log.lastId).toEqual({ term: 2, index: 39 })
  })

  it.each([19, 39])('nor where its records were larger than the room in the file before: last %i', last => {
    const rig = wentOn('large', { mark: 19, last, isLeft: true, largeBytes: 300 })
    rot(rig, 18)
    const opened = rig.open({ hasPeers })
    opened.repair.supply(18, recordsThrough(twoFiles('large', 300).open(), 18, 18), 0)
    expect([opened.repair.isRecovering, opened.log.lastId.index]).toEqual([true, 17])
  })

  it('nor where that is the end of the log, which is rotten, and not torn', () => {
    const rig = wentOn('end', { mark: 19, last: 19, isLeft: true })
    rot(rig, 18)
    const opened = rig.open({ hasPeers })
    expect(opened.recovered).toMatchObject({ isRecovering: true, last: { index: 17 } })
    opened.repair.supply(18, recordsThrough(twoFiles('old').open(), 18, 18), 0)
    expect([opened.repair.isRecovering, opened.log.lastId.index]).toEqual([true, 17])
  })

  it.each([
    { mark: 19, last: 19, rotten: [17] },
    { mark: 19, last: 19, rotten: [17, 18] },
    { mark: 30, last: 39, rotten: [17] },
    { mark: 30, last: 39, rotten: [17, 18] },
  ])('does not take the place of what follows the same record: $rotten rotten, mark $mark of $last', ({ mark, last, rotten }) => {
    const rig = wentOn('beside', { mark, last, isLeft: true })
    for (const index of rotten) rot(rig, index)
    const opened = rig.open({ hasPeers })
    feed(opened, theTruth(18), 18)
    expect(opened.log.lastId).toEqual({ term: 2, index: last })
  })

  it('says nothing of how far the log went', () => {
    const rig = wentOn('held', { mark: 18, last: 19, isLeft: true })
    rot(rig, 18)
    harm(rig, fileOf(18), segmentHeaderBytes, 3 * recordSize)
    expect(rig.open({ hasPeers }).repair.heldThrough).toBe(19)
  })

  it('proves nothing that the durable mark contradicts', () => {
    const rig = twoFiles('mark')
    const content = mustExist(rig.disk.contentOf(fileOf(18)), 'content').slice()
    const opened = rig.open()
    opened.log.truncateFrom(11 as LogIndex)
    opened.hardState.save({ term: 2 as Term, votedFor: undefined }, () => undefined)
    append(opened, 2, 7, bodyBytes)
    rig.flush(opened)
    opened.log.noteDurable(17 as LogIndex)
    rig.settle()
    rig.kill()
    leave(rig, content)
    withoutSidecars(rig)
    rot(rig, 11)
    const { repair } = rig.open({ hasPeers })
    repair.supply(11, recordsThrough(twoFiles('old').open(), 11, 17), 10)
    expect(repair.isRecovering).toBe(true)
  })

  it('keeps no header behind it from being written anew', () => {
    const rig = wentOn('behind', { mark: 19, last: 30, isLeft: true })
    harm(rig, fileOf(20), 0, segmentHeaderBytes)
    expect(rig.open({ hasPeers }).log.lastId.index).toBe(30)
  })
})

describe('a segment whose header has rotted', () => {
  /** Thirty entries in two files, 18 being the first of the second one. */
  function aLog(seed: string, mark: number): StorageRig {
    const rig = new StorageRig(`stale heads/${seed}`, limits)
    const opened = rig.open()
    opened.hardState.trustRestored('tail')
    append(opened, 1, mark, bodyBytes)
    rig.flush(opened)
    opened.log.noteDurable(mark as LogIndex)
    rig.settle()
    append(opened, 1, 30 - mark, bodyBytes)
    rig.flush(opened)
    rig.kill()
    return rig
  }

  /** So are the last record before it and the first ones behind it; a peer has given what it was asked for. */
  function mended(mark: number, rottenBehind: number, commitIndex: number): OpenedLog {
    const rig = aLog('mended', mark)
    withoutSidecars(rig)
    rot(rig, 17)
    harm(rig, fileOf(18), 0, segmentHeaderBytes + rottenBehind * recordSize)
    const opened = rig.open({ hasPeers })
    feed(opened, aLog('peer', 17).open(), commitIndex)
    return opened
  }

  it.each([
    [12, 30],
    [17, 0],
    [20, 0],
    [20, 30],
  ])('proves the last record before it, which has rotted too: mark %i, committed as far as a peer knows %i', (mark, commitIndex) => {
    expect(mended(mark, 0, commitIndex).log.lastId.index).toBe(30)
  })

  it.each([
    [18, 0],
    [18, 30],
    [20, 0],
    [20, 30],
  ])(
    'keeps what stands behind its first record, when that and the last one before it have rotted: mark %i, committed %i',
    (mark, commitIndex) => {
      expect(mended(mark, 1, commitIndex).log.lastId.index).toBe(30)
    },
  )

  it.each([
    [17, 0],
    [17, 30],
    [20, 30],
  ])('is in doubt when what stands behind the last record before it has rotted too: mark %i, committed %i', (mark, commitIndex) => {
    const rig = aLog('slack', mark)
    withoutSidecars(rig)
    const file = rig.disk.openProcess().open(fileOf(1), { create: false })
    const garbage = new Uint8Array(recordSize - 60 + recordHeaderBytes).fill(7)
    file.writeSync(garbage, segmentHeaderBytes + 16 * recordSize + 60)
    file.syncSync()
    harm(rig, fileOf(18), 0, segmentHeaderBytes)
    const opened = rig.open({ hasPeers })
    feed(opened, aLog('peer', 17).open(), commitIndex)
    expect(opened.repair.isRecovering).toBe(false)
    expect(opened.log.lastId.index === 30 || opened.repair.hasTornTail).toBe(true)
  })

  it.each([0, segmentHeaderBytes])(
    'keeps what later flushes wrote behind its first records, which have rotted too: rot from byte %i on',
    from => {
      const aLongLog = (seed: string): StorageRig => {
        const rig = new StorageRig(`stale heads/${seed}`)
        const opened = rig.open()
        opened.hardState.trustRestored('tail')
        append(opened, 1, 80, bodyBytes)
        rig.flush(opened)
        opened.log.noteDurable(80 as LogIndex)
        rig.settle()
        for (let i = 0; i < 20; i++) {
          append(opened, 1, 3, bodyBytes)
          rig.flush(opened)
        }
        rig.kill()
        return rig
      }
      const rig = aLongLog('flushes')
      withoutSidecars(rig)
      expect(logFiles(rig)).toEqual([fileOf(1), fileOf(80)])
      harm(rig, fileOf(80), from, segmentHeaderBytes + 2 * recordSize - from)
      const opened = rig.open({ hasPeers })
      feed(opened, aLongLog('peer').open(), 140)
      expect(opened.log.lastId.index).toBe(140)
    },
  )
})
