import { describe, expect, it } from 'vitest'
import { EntryKind } from '../../raft/index.ts'
import type { TermRun } from '../../raft/index.ts'
import { crc32c, viewOf } from '../platform/bytes.ts'
import type { DiskFile } from '../platform/disk.ts'
import { chainOrigin, recordHeaderBytes, writeRecordHeader } from './record.ts'
import { scanSegment } from './segment-scan.ts'
import { Segment, segmentHeaderBytes } from './segment.ts'

const bodyBytes = 100_000
const recordBytes = recordHeaderBytes + bodyBytes

/** A segment of equal records, more than are read at once. */
function aSegment(count: number): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes + count * recordBytes)
  const view = viewOf(bytes)
  let prevCrc = chainOrigin.headerCrc
  for (let i = 0; i < count; i++) {
    const position = segmentHeaderBytes + i * recordBytes
    const body = bytes.subarray(position + recordHeaderBytes, position + recordBytes)
    const fields = { length: bodyBytes, kind: EntryKind.data, term: 1, index: i + 1, wallMs: 5, prevCrc, bodyCrc: crc32c(body) }
    prevCrc = writeRecordHeader(bytes, view, position, fields)
  }
  return bytes
}

/** A file of these bytes, and nothing behind them. */
function aFile(bytes: Uint8Array): DiskFile {
  const never = (): never => {
    throw new Error('a scan only reads')
  }
  return {
    path: 'segment',
    sizeBytes: () => bytes.length,
    readSync(target, position) {
      const piece = bytes.subarray(position, position + target.length)
      target.set(piece)
      return piece.length
    },
    ...{ writeSync: never, syncSync: never, truncateSync: never, writeAndSync: never, write: never, sync: never, close: never },
  }
}

function scan(bytes: Uint8Array) {
  const runs: TermRun[] = []
  return scanSegment(aFile(bytes), new Segment(chainOrigin, true), runs)
}

describe('a file that ends', () => {
  it('behind its last record has nothing torn in it, whatever was read before', () => {
    const { last, problem, position } = scan(aSegment(14))
    expect({ index: last.index, problem, position }).toEqual({ index: 14, problem: 'end', position: segmentHeaderBytes + 14 * recordBytes })
  })

  it('inside a record has that one cut off', () => {
    const bytes = aSegment(14)
    for (const missing of [1, bodyBytes, bodyBytes + 1, recordBytes - 1])
      expect(scan(bytes.subarray(0, bytes.length - missing))).toMatchObject({ last: { index: 13 }, problem: 'cut' })
  })
})
