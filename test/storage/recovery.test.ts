/** The decision table of recovery on a disk: one row, one test; and what a start refuses. */
import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import type { Disk } from '../../src/platform/disk.ts'
import { encodeVersion } from '../../src/storage/data-directory.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { recordHeaderBytes } from '../../src/storage/record.ts'
import { recoveryTable } from '../../src/storage/recovery-verdict.ts'
import { decodeSegmentHeader, encodeSegmentHeader, segmentHeaderBytes, segmentName } from '../../src/storage/segment.ts'
import { decodeSidecar } from '../../src/storage/sidecar.ts'
import { StorageError } from '../../src/storage/storage-error.ts'
import { append, rigDirectory, rigIdentity, StorageRig } from './rig.ts'

const bodyBytes = 152
const recordBytes = recordHeaderBytes + bodyBytes
const logDirectory = `${rigDirectory}/log`
const first = `${logDirectory}/${segmentName(1)}`
const limits = logLimits(64 * 1024, { flushBytesMax: 2_000 })

function positionOf(index: number): number {
  return segmentHeaderBytes + (index - 1) * recordBytes
}

/** `count` entries of term 1 in one segment, all durable, the mark at `mark`. */
function rigWith(count: number, mark: number): StorageRig {
  const rig = new StorageRig('recovery', limits)
  const opened = rig.open()
  opened.hardState.save({ term: 1 as Term, votedFor: undefined }, () => undefined)
  rig.settle()
  append(opened, 1, mark, bodyBytes)
  if (mark > 0) rig.flush(opened)
  opened.log.noteDurable(mark as LogIndex)
  rig.settle()
  append(opened, 1, count - mark, bodyBytes)
  rig.flush(opened)
  rig.kill()
  return rig
}

/** Entries over several segments, all below the mark. */
function rigWithSegments(): { rig: StorageRig; segments: readonly string[] } {
  const rig = new StorageRig('segments', logLimits(4 * 1024, { slabBytes: 1024 }))
  const opened = rig.open()
  append(opened, 1, 100, bodyBytes)
  rig.flush(opened)
  rig.settle()
  opened.log.noteDurable(100 as LogIndex)
  rig.settle()
  rig.kill()
  return { rig, segments: rig.disk.files().filter(path => path.endsWith('.log')) }
}

function edit(rig: StorageRig, change: (disk: Disk) => void): void {
  const disk = rig.disk.openProcess()
  change(disk)
}

function overwrite(rig: StorageRig, path: string, position: number, bytes: Uint8Array): void {
  edit(rig, disk => disk.open(path, { create: false }).writeSync(bytes, position))
}

/** Rows of the table that a test below shows on a disk. */
const shown = new Set<string>()

/** A test of one row. `body` gives what was said of it: the sentence names the row, where it has one. */
function row(name: string, consequence: string, body: () => string): void {
  const decided = mustExist(
    recoveryTable.find(known => known.name === name),
    'no-such-row',
  )
  shown.add(name)
  it(`${name}: ${consequence}`, () => {
    const said = body()
    const named = recoveryTable.filter(known => said.includes(`(${known.name})`)).map(known => known.name)
    expect(named).toEqual(decided.verdict === 'clean' ? [] : [name])
  })
}

/** Why a start is refused. */
function refusalOf(rig: StorageRig): string {
  try {
    rig.open()
  } catch (error) {
    if (error instanceof StorageError) return error.message
    throw error
  }
  return 'not refused'
}

describe('recovery finds', () => {
  row('nothing written behind the last record', 'nothing is cut off, nothing is held against the node', () => {
    const rig = rigWith(20, 10)
    rig.open().hardState.trustRestored('tail')
    rig.settle()
    rig.kill()
    const { recovered, log, notes } = rig.open()
    expect(recovered).toMatchObject({
      last: { term: 1, index: 20 },
      firstIndex: 1,
      lastWallMs: 1_020,
      hasTornTail: false,
      isVoteWithheld: false,
    })
    expect(recovered.runs).toEqual([{ firstIndex: 1, term: 1 }])
    expect(log.hasUnflushed).toBe(false)
    return notes.join()
  })

  row('damaged record above the mark, nothing proven behind it', 'cut off, and remembered until trust is restored', () => {
    const rig = rigWith(20, 10)
    rig.open().hardState.trustRestored('tail')
    rig.settle()
    // What that start found was put below the mark: a torn tail is in what came later.
    const later = rig.open()
    append(later, 1, 5, bodyBytes)
    rig.flush(later)
    rig.kill()
    overwrite(rig, first, positionOf(24) + 60, Buffer.from('garbage'))
    const opened = rig.open()
    expect(opened.recovered).toMatchObject({ last: { index: 23 }, hasTornTail: true })
    expect(opened.notes.join()).toMatch(/record 24 at byte \d+ fails its body checksum; it was never synced and is cut off/)
    rig.kill()
    expect(rig.open().recovered).toMatchObject({ last: { index: 23 }, hasTornTail: true, hardState: { term: 1 } })
    const trusted = rig.open()
    trusted.hardState.trustRestored('tail')
    rig.settle()
    rig.kill()
    expect(rig.open().recovered).toMatchObject({ last: { index: 23 }, hasTornTail: false })
    return opened.notes.join()
  })

  it('a damaged header above the mark: torn, whatever lies behind', () => {
    const rig = rigWith(30, 10)
    overwrite(rig, first, positionOf(12), Buffer.from('xxxx'))
    expect(rig.open().recovered.last.index).toBe(11)
  })

  row('bad record above the mark, later flushes behind it', 'more good ones than a flush can hold: rot, refused', () => {
    const rig = rigWith(40, 10)
    overwrite(rig, first, positionOf(12) + 60, Buffer.from('xxxx'))
    const refusal = refusalOf(rig)
    expect(refusal).toMatch(/record 12 at byte 2712 fails its body checksum /)
    // Twelve records do not fill two flushes: the same damage nearer to the end proves nothing.
    const near = rigWith(16, 10)
    overwrite(near, first, positionOf(12) + 60, Buffer.from('xxxx'))
    expect(near.open().recovered.last.index).toBe(11)
    return refusal
  })

  row('bad record at or below the durable mark', 'rot, refused, and nothing is changed', () => {
    const rig = rigWith(20, 10)
    overwrite(rig, first, positionOf(10) + 60, Buffer.from('xxxx'))
    const before = rig.disk.contentOf(first)
    const refusal = refusalOf(rig)
    expect(refusal).toBe(
      `${first}: record 10 at byte 2312 fails its body checksum (bad record at or below the durable mark); ` +
        'entries 10..10 were on this disk, so nothing is cut off; restore the file or join as a new node',
    )
    expect(rig.disk.contentOf(first)).toEqual(before)
    return refusal
  })

  row('log ends below the durable mark', 'rot, refused', () => {
    const rig = rigWith(20, 10)
    overwrite(rig, first, positionOf(9), new Uint8Array(recordHeaderBytes))
    const refusal = refusalOf(rig)
    expect(refusal).toMatch(/record 9 at byte 2112 is missing .*; entries 9..10 were on this disk/)
    return refusal
  })

  row('leftover of a truncated suffix behind the last record', 'not revived, though each of its records is whole', () => {
    const rig = new StorageRig('stale', limits)
    const opened = rig.open()
    append(opened, 1, 10, bodyBytes)
    rig.flush(opened)
    opened.log.truncateFrom(5 as LogIndex)
    append(opened, 2, 1, bodyBytes)
    rig.flush(opened)
    rig.kill()
    // The header of zeros that every write puts before old bytes is what keeps entry 6 away; without it the chain still does.
    const old = new StorageRig('stale', limits)
    const reference = old.open()
    append(reference, 1, 10, bodyBytes)
    rig.disk.openProcess()
    const stale = reference.log.readBlock(6 as LogIndex, 6 as LogIndex, 10_000)
    overwrite(rig, first, positionOf(6), Buffer.concat(stale?.buffers ?? []))
    const again = rig.open()
    expect(again.recovered).toMatchObject({ last: { term: 2, index: 5 }, hasTornTail: true })
    expect(again.notes.join()).toMatch(/record 6 at byte \d+ does not fit the record before it/)
    return again.notes.join()
  })

  row('bad record in a sealed segment', 'rot, refused, when the segment is scanned', () => {
    const { rig, segments } = rigWithSegments()
    const [sealed = ''] = segments
    overwrite(rig, sealed, segmentHeaderBytes + 100, Buffer.from('xxxx'))
    edit(rig, disk => disk.remove(sealed.replace('.log', '.idx')))
    const refusal = refusalOf(rig)
    expect(refusal).toMatch(/record 1 at byte 512 fails its body checksum .*; entries 1..100 were on this disk/)
    return refusal
  })

  it('that what the state has applied was on this disk, whatever the mark says', () => {
    const rig = rigWith(20, 10)
    const path = rig.disk.files().find(name => name.endsWith('.log'))
    rig.disk.flipBit(mustExist(path, 'segment'), positionOf(20) + 60)
    expect(rig.open({ appliedIndex: 20, hasPeers: () => true }).repair.wanted).toEqual({ fromIndex: 20, lastIndex: 20 })
  })

  it('every row of the table, each shown by a test of its own', () => {
    expect([...shown].sort()).toEqual(recoveryTable.map(({ name }) => name).sort())
  })

  it('rot in a sealed segment that was not scanned, when the entry is read: never handed out', () => {
    const { rig, segments } = rigWithSegments()
    const [sealed = ''] = segments
    overwrite(rig, sealed, segmentHeaderBytes + 100, Buffer.from('xxxx'))
    const { log } = rig.open()
    expect(() => log.entry(1 as LogIndex)).toThrow(
      /record 1 at byte 512 fails its body checksum; entries 1..1 can't be read from this disk/,
    )
    expect(() => log.readBlock(1 as LogIndex, 3 as LogIndex, 1_000)).toThrow(/record 1 at byte 512/)
    expect(log.readBlock(2 as LogIndex, 3 as LogIndex, 1_000)?.lastIndex).toBe(3)
    expect(log.entry(99 as LogIndex).index).toBe(99)
  })

  it.each(['.log', '.idx'])('a missing %s file in the middle', suffix => {
    const { rig, segments } = rigWithSegments()
    expect(segments.length).toBeGreaterThan(4)
    const second = segments[1] ?? ''
    edit(rig, disk => disk.remove(second.replace('.log', suffix)))
    if (suffix === '.idx') expect(rig.open().recovered.last.index).toBe(100)
    else expect(() => rig.open()).toThrow(/record 18 at byte \d+ is missing \(bad record in a sealed segment\)/)
  })

  it('a missing first segment', () => {
    const { rig, segments } = rigWithSegments()
    edit(rig, disk => disk.remove(segments[0] ?? ''))
    expect(() => rig.open()).toThrow(/entries 1..17 are missing: a segment file before 0+18.log is gone/)
  })

  it('a missing last segment', () => {
    const { rig, segments } = rigWithSegments()
    edit(rig, disk => disk.remove(segments.at(-1) ?? ''))
    expect(() => rig.open()).toThrow(
      /record 86 at byte \d+ is missing \(log ends below the durable mark\); entries 86..100 were on this disk/,
    )
  })

  it('a log that is gone altogether', () => {
    const { rig, segments } = rigWithSegments()
    edit(rig, disk => {
      for (const segment of segments) disk.remove(segment)
    })
    expect(() => rig.open()).toThrow(/the log is gone; entries 1..100 were on this disk/)
  })

  it('a damaged segment header, a renamed segment, a segment of another directory', () => {
    const { rig, segments } = rigWithSegments()
    const last = segments.at(-1) ?? ''
    const bytes = rig.disk.contentOf(last) ?? new Uint8Array(0)
    overwrite(rig, last, 20, Buffer.from('x'))
    const opened = rig.open()
    expect(opened.notes[0]).toBe(`${last}: one of the two copies of its header has rotted; written anew`)
    expect(opened.recovered.last.index).toBe(100)
    rig.kill()
    expect(rig.open().notes.join()).not.toContain('copies')
    overwrite(rig, last, 0, new Uint8Array(600))
    expect(() => rig.open()).toThrow(/86\.log: what it begins with can't be believed; entries 86..100 were on this disk/)
    overwrite(rig, last, 0, bytes)
    edit(rig, disk => disk.rename(last, last.replace('86.log', '87.log')))
    expect(() => rig.open()).toThrow(/its header is that of a segment beginning with entry 86; the file was renamed or copied/)
    edit(rig, disk => disk.rename(last.replace('86.log', '87.log'), last))
    const header = decodeSegmentHeader(bytes.slice(0, segmentHeaderBytes))
    if (header.kind === 'bad') throw new Error(header.problem)
    overwrite(rig, last, 0, encodeSegmentHeader(header.prev, new Uint8Array(16).fill(9)))
    expect(() => rig.open()).toThrow(`${last}: the segment belongs to another data directory`)
  })

  it('a damaged or unfitting sidecar: scans instead, with the same result', () => {
    const { rig, segments } = rigWithSegments()
    const sidecars = segments.slice(0, -1).map(path => path.replace('.log', '.idx'))
    expect(sidecars.every(path => rig.disk.contentOf(path) !== undefined)).toBe(true)
    const before = rig.open().recovered
    const [one = '', two = '', three = ''] = sidecars
    const other = rig.disk.contentOf(three) ?? new Uint8Array(0)
    overwrite(rig, one, 70, Buffer.from('xx'))
    overwrite(rig, two, 0, other)
    expect(rig.open().recovered).toEqual({ ...before, incarnation: before.incarnation + 1 })
  })
})

describe('the open segment', () => {
  /** One segment of 60 entries, flushed ten at a time, so that its sidecar has been told of a beginning. */
  function rigWithBeginning(): { rig: StorageRig; log: string; sidecar: string } {
    const rig = new StorageRig('beginning')
    const opened = rig.open()
    for (let i = 0; i < 6; i++) {
      append(opened, 1, 10, 150)
      rig.flush(opened)
    }
    rig.settle()
    rig.kill()
    const [log = ''] = rig.disk.files().filter(path => path.endsWith('.log'))
    return { rig, log, sidecar: log.replace('.log', '.idx') }
  }

  it('is read from where its sidecar ends, with the same result as without one', () => {
    const { rig, log, sidecar } = rigWithBeginning()
    const told = decodeSidecar(rig.disk.contentOf(sidecar) ?? new Uint8Array(0))
    expect(told?.last.index).toBeGreaterThan(20)
    const before = rig.open().recovered
    // A flaw far in front of the told end is not met by a start: it waits for a reader, as in a sealed segment.
    overwrite(rig, log, segmentHeaderBytes + recordHeaderBytes + 5, Buffer.from('x'))
    expect(rig.open().recovered).toEqual({ ...before, incarnation: before.incarnation + 1 })
    edit(rig, disk => disk.remove(sidecar))
    expect(() => rig.open()).toThrow(/record 1 at byte 512 fails its body checksum/)
  })

  it('is scanned whole when the record in front of the told end is not the one that was told', () => {
    const { rig, log, sidecar } = rigWithBeginning()
    const told = mustExist(decodeSidecar(rig.disk.contentOf(sidecar) ?? new Uint8Array(0)), 'sidecar')
    overwrite(rig, log, told.endPosition - 3, Buffer.from('x'))
    // Nothing else says that it was ever synced: the ordinary rules find a torn tail.
    expect(rig.open().log.lastId.index).toBe(told.last.index - 1)
  })

  it('is scanned whole when its sidecar is damaged, or of a log that was longer', () => {
    const { rig, sidecar } = rigWithBeginning()
    const before = rig.open().recovered
    overwrite(rig, sidecar, 30, Buffer.from('x'))
    expect(rig.open().recovered).toEqual({ ...before, incarnation: before.incarnation + 1 })
  })

  it('loses its sidecar before it is cut', () => {
    const { rig, sidecar } = rigWithBeginning()
    const opened = rig.open()
    opened.log.truncateFrom(3 as LogIndex)
    append(opened, 2, 2, 150)
    rig.flush(opened)
    rig.cutPower()
    expect(rig.disk.contentOf(sidecar)).toBeUndefined()
    expect(rig.open().log.lastId).toEqual({ term: 2, index: 4 })
  })
})

describe('a start refuses', () => {
  it('a directory of another node, cluster or format', () => {
    const rig = rigWith(3, 0)
    const openAs = (identity: typeof rigIdentity): unknown => rig.open({ identity })
    expect(() => openAs({ ...rigIdentity, clusterName: 'other' })).toThrow(
      '/data/VERSION: the data directory belongs to cluster test, not to other; give this node its own directory',
    )
    expect(() => openAs({ ...rigIdentity, nodeName: 'n2', nodeId: 2 })).toThrow(/belongs to node n1 \(1\), not to n2 \(2\)/)
    const directoryId = Buffer.from(rig.open().directoryId).toString('hex')
    overwrite(rig, '/data/VERSION', 0, encodeVersion({ ...rigIdentity, format: 7, directoryId }))
    expect(() => rig.open()).toThrow('/data/VERSION: the data has format 7, this program reads format 1')
  })

  it('a damaged VERSION file: makes it anew from the hard state and the configuration, and refuses without the hard state', () => {
    const rig = rigWith(5, 5)
    const text = rig.disk.contentOf('/data/VERSION') ?? new Uint8Array(0)
    for (let bit = 0; bit < text.length * 8; bit += 7) {
      rig.disk.flipBit('/data/VERSION', bit >> 3, bit & 7)
      const { notes, log } = rig.open()
      rig.kill()
      expect(log.lastId.index).toBe(5)
      // What changes no value (blank for blank) may pass unseen.
      if (notes.length > 0) expect(Buffer.from(rig.disk.contentOf('/data/VERSION') ?? []).equals(text)).toBe(true)
      else rig.disk.flipBit('/data/VERSION', bit >> 3, bit & 7)
    }
    overwrite(rig, '/data/VERSION', 0, Buffer.from('{{'))
    edit(rig, disk => disk.remove('/data/hard-state'))
    expect(() => rig.open()).toThrow(/VERSION: it is damaged/)
  })

  it('a log without a VERSION file', () => {
    const rig = rigWith(3, 0)
    edit(rig, disk => disk.remove('/data/VERSION'))
    expect(() => rig.open()).toThrow(/0+1.log: a log without a VERSION file beside it/)
  })

  it('a log without its hard state, or with both slots lost', () => {
    const rig = rigWith(3, 0)
    const bytes = rig.disk.contentOf('/data/hard-state') ?? new Uint8Array(0)
    edit(rig, disk => disk.remove('/data/hard-state'))
    expect(() => rig.open()).toThrow(
      '/data/hard-state: it is missing, so this node may have voted without knowing; restore it or join as a new node',
    )
    edit(rig, disk => disk.open('/data/hard-state', { create: true }).writeSync(new Uint8Array(bytes.length), 0))
    expect(() => rig.open()).toThrow(/neither of its slots can be read/)
  })
})
