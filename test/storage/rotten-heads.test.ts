/**
 * A segment whose header has rotted, both copies of it. A header repeats what the record before it says: it is written anew, and what stands behind it, perhaps
 * nowhere else any more, is as good as before.
 */
import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { crc32c, viewOf } from '../../src/platform/bytes.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { append, recordsThrough, StorageRig } from './rig.ts'

const entries = 100
const bodyBytes = 152
const marked = 95

interface ALog {
  readonly rig: StorageRig
  readonly segments: readonly string[]
  readonly opened: OpenedLog
}

/** A hundred entries in six segments; the durable mark knows the first 95. The node has stopped. */
function aLog(seed: string, term = 1): ALog {
  const rig = new StorageRig(`rotten heads/${seed}`, logLimits(4 * 1024, { slabBytes: 1024 }))
  const opened = rig.open()
  opened.hardState.trustRestored('tail')
  append(opened, term, marked, bodyBytes)
  rig.flush(opened)
  rig.settle()
  opened.log.noteDurable(marked as LogIndex)
  rig.settle()
  append(opened, term, entries - marked, bodyBytes)
  rig.flush(opened)
  rig.kill()
  return { rig, opened, segments: rig.disk.files().filter(path => path.endsWith('.log')) }
}

/** What stood in these bytes is gone. */
function rot({ rig, segments }: ALog, segment: number, bytes = segmentHeaderBytes): string {
  const path = mustExist(segments.at(segment), 'segment')
  expect(rig.disk.harm(path, 0, new Uint8Array(bytes).fill(7), false)).toBe(true)
  return path
}

function withoutSidecars({ rig }: ALog): void {
  const { disk } = rig.openOptions()
  for (const name of rig.disk.files()) if (name.endsWith('.idx')) disk.remove(name)
}

function recordsOf(opened: Pick<OpenedLog, 'log'>, from: number, through = entries): Uint8Array {
  return recordsThrough(opened, from, through)
}

const firstRecord = segmentHeaderBytes + recordHeaderBytes + bodyBytes

describe('a segment whose header has rotted is whole all the same', () => {
  for (const hasSidecars of [true, false])
    for (const segment of [0, 1, 2, -2, -1])
      it(`also alone, and up to its last record: segment ${segment}, ${hasSidecars ? 'with' : 'without'} sidecars (seed 80002242)`, () => {
        const log = aLog('whole')
        const { rig, segments } = log
        const before = segments.map(path => rig.disk.contentOf(path)?.slice())
        const path = rot(log, segment)
        if (!hasSidecars) withoutSidecars(log)
        const opened = rig.open()
        expect(opened.recovered).toMatchObject({ last: { index: entries }, hasTornTail: false, isRecovering: false })
        expect(opened.notes.filter(note => note.startsWith(path))).toEqual([
          `${path}: its header fails its checksum`,
          `${path}: the record behind its header follows the one before it; the header is written anew`,
        ])
        expect(recordsOf(opened, 1).length).toBe(entries * (recordHeaderBytes + bodyBytes))
        rig.cutPower()
        expect(segments.map(each => rig.disk.contentOf(each)?.slice())).toEqual(before)
        expect(rig.open().notes).toEqual([])
      })

  it('where all of them have rotted, too', () => {
    const log = aLog('all')
    for (const segment of log.segments.keys()) rot(log, segment)
    expect(log.rig.open().recovered).toMatchObject({ last: { index: entries }, hasTornTail: false, isRecovering: false })
  })

  it('but a header that is whole, and of something that we do not know, is left as it is, and ends the start', () => {
    const log = aLog('unknown')
    const path = mustExist(log.segments.at(-1), 'segment')
    const header = mustExist(log.rig.disk.contentOf(path), 'content').slice(0, segmentHeaderBytes)
    viewOf(header).setUint32(4, 9, true)
    viewOf(header).setUint32(60, crc32c(header.subarray(0, 60)), true)
    expect(log.rig.disk.harm(path, 0, header.fill(0, 256), false)).toBe(true)
    expect(() => log.rig.open({ hasPeers: () => true })).toThrow(
      `${path}: its header has the unknown format 9; start the build that has written it`,
    )
    expect(log.rig.disk.contentOf(path)?.slice(0, segmentHeaderBytes)).toEqual(header)
  })

  it('but not where the first record behind it is of another log', () => {
    const log = aLog('stranger')
    const [before, after] = [log, aLog('other', 3)].map(each => mustExist(each.segments.at(-1), 'segment'))
    expect(before).toBe(after)
    const stranger = mustExist(aLog('other', 3).rig.disk.contentOf(after ?? ''), 'content').slice()
    stranger.fill(7, 0, segmentHeaderBytes)
    expect(log.rig.disk.harm(before ?? '', 0, stranger, false)).toBe(true)
    expect(() => log.rig.open()).toThrow(/86\.log: what it begins with can't be believed; entries 86\.\.95 were on this disk/)
  })
})

describe('a segment whose header and first record have rotted', () => {
  it.each([0, 2, -1])('needs no more than that record from a peer: segment %i', segment => {
    const log = aLog('first record')
    const before = log.segments.map(path => log.rig.disk.contentOf(path)?.slice())
    rot(log, segment, firstRecord)
    const { repair, log: mended } = log.rig.open({ hasPeers: () => true })
    const from = mustExist(repair.wanted, 'wanted').fromIndex
    const peer = aLog('first record').rig.open()
    expect(repair.supply(from, recordsOf(peer, from, from), 0)).toBe('mended')
    expect(mended.lastId.index).toBe(entries)
    log.rig.cutPower()
    expect(log.segments.map(path => log.rig.disk.contentOf(path)?.slice())).toEqual(before)
    expect(log.rig.open().recovered).toMatchObject({ last: { index: entries }, isRecovering: false })
  })

  it('goes with what is superseded: an entry was committed behind another one than ours before it', () => {
    const log = aLog('superseded')
    const path = rot(log, 1, firstRecord)
    const { repair } = log.rig.open({ hasPeers: () => true })
    const from = mustExist(repair.wanted, 'wanted').fromIndex
    const peer = aLog('elsewhere', 2).rig.open()
    expect(repair.supply(from, recordsOf(peer, from), entries)).toBe('mended')
    expect(log.rig.disk.files()).not.toContain(path)
    log.rig.cutPower()
    expect(log.rig.open().recovered).toMatchObject({ last: { index: from - 1 }, hasTornTail: true, isRecovering: false })
  })

  it('goes by nothing that was written of it before, when others have committed something else in its place, wherever the power is cut', () => {
    const peer = aLog('replacement', 2).rig.open()
    const records = recordsOf(peer, 1)
    let cuts = 0
    for (let isOver = false; !isOver; cuts++) {
      const log = aLog('replaced')
      rot(log, 0, firstRecord)
      const { repair } = log.rig.open({ hasPeers: () => true })
      log.rig.disk.crashAfter(log.rig.disk.operations + cuts + 1)
      isOver = !isCutShort(() => repair.supply(1, records, entries))
      const again = isOver ? undefined : log.rig.open({ hasPeers: () => true })
      for (let wanted = again?.repair.wanted; wanted !== undefined; wanted = again?.repair.wanted)
        again?.repair.supply(wanted.fromIndex, recordsOf(peer, wanted.fromIndex), entries)
      log.rig.kill()
      const { log: mended } = log.rig.open()
      const held = recordsOf({ log: mended }, 1, mended.lastId.index)
      expect([cuts, held.length > 0 && Buffer.compare(held, records.subarray(0, held.length))]).toEqual([cuts, 0])
    }
    expect(cuts).toBeGreaterThan(20)
  })
})

function isCutShort(supply: () => unknown): boolean {
  try {
    supply()
    return false
  } catch {
    return true
  }
}
