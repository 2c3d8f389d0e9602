/**
 * One segment of the log, as memory knows it: where it begins and ends, and a sparse index from entry to byte. No file is touched here.
 *
 *   00000000000000004181.log    [ header block 512 ][ record 4181 ][ record 4182 ] … [ zeros, written ahead ]
 *
 * Header block, little endian:  0 magic u32 | 4 format u32 | 8 first index u64 | 16 term of the entry before u64 | 24 its headerCrc u32 | 28 zero u32
 * | 32 its wallMs u64 | 40 directory id 16 bytes | 56 zero u32 | 60 crc u32 (of bytes 0..59) | the same again at 256 | zeros up to 512
 * It is written and synced before the file gets its name, so a named segment has a good header, or has rotted; one copy is enough to go on.
 *
 * Invariant: points ascend in index and position; the first point is the first record (also of an empty segment: where it will be).
 */
import type { EntryId } from '../../raft/index.ts'
import { assert, mustExist } from '../platform/assert.ts'
import { crc32cRange, isZero, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import { chainId } from './record.ts'
import type { ChainLink } from './record.ts'

/** One sector: it is on the disk whole or not at all. The first record begins behind it. */
export const segmentHeaderBytes = 512
export const directoryIdBytes = 16
/** A point of the sparse index for about every so many bytes of records: what a read of one old entry loads and checks. */
export const pointSpacingBytes = 64 * 1024
/** Positions are kept in 32 bits. */
export const segmentBytesMax = 2 * 1024 * 1024 * 1024
/** The next segment while it is being prepared: it has no first index yet. */
export const preparedName = 'prepared.tmp'

const segmentMagic = 0x4c_51_4d_52 // "RMQL"
const segmentFormat = 1
const at = { magic: 0, format: 4, firstIndex: 8, prevTerm: 16, prevCrc: 24, prevWallMs: 32, directoryId: 40, crc: 60 } as const
const headerBytes = 64
/** Where the header stands a second time. */
const copyAt = 256
const suffix = '.log'
const digits = 20

export function segmentName(firstIndex: number): string {
  return String(firstIndex).padStart(digits, '0') + suffix
}

/** The first index of a segment's file name; undefined for any other name. */
export function parseSegmentName(name: string): number | undefined {
  if (name.length !== digits + suffix.length || !name.endsWith(suffix)) return undefined
  const text = name.slice(0, digits)
  if (!/^\d+$/.test(text)) return undefined
  const firstIndex = Number(text)
  return Number.isSafeInteger(firstIndex) && firstIndex >= 1 ? firstIndex : undefined
}

export function encodeSegmentHeader(prev: ChainLink, directoryId: Uint8Array): Uint8Array {
  assert(directoryId.length === directoryIdBytes, 'directory-id-length', directoryId.length)
  const bytes = new Uint8Array(segmentHeaderBytes)
  const view = viewOf(bytes)
  view.setUint32(at.magic, segmentMagic, true)
  view.setUint32(at.format, segmentFormat, true)
  writeU64(view, at.firstIndex, prev.index + 1)
  writeU64(view, at.prevTerm, prev.term)
  view.setUint32(at.prevCrc, prev.headerCrc, true)
  writeU64(view, at.prevWallMs, prev.wallMs)
  bytes.set(directoryId, at.directoryId)
  view.setUint32(at.crc, crc32cRange(bytes, 0, at.crc), true)
  bytes.copyWithin(copyAt, 0, headerBytes)
  return bytes
}

export type SegmentHeader =
  | {
      readonly kind: 'ok'
      readonly prev: ChainLink
      readonly directoryId: Uint8Array
      /** One of the two copies has rotted. Segments of earlier builds had only one. */
      readonly isHalfLost: boolean
    }
  | {
      readonly kind: 'bad'
      /** The end of a sentence: "its header …". */
      readonly problem: string
      /** Neither copy is what was written. Else one is whole, and is of something that we do not know. */
      readonly isDamaged: boolean
    }

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader {
  if (bytes.length < segmentHeaderBytes) return { kind: 'bad', problem: 'is cut short', isDamaged: true }
  const first = decodeCopy(bytes.subarray(0, headerBytes))
  const second = decodeCopy(bytes.subarray(copyAt, copyAt + headerBytes))
  if (first.kind === 'bad') {
    if (second.kind === 'bad') return first.isDamaged ? second : first
    return { ...second, isHalfLost: true }
  }
  return { ...first, isHalfLost: second.kind === 'bad' && !isZero(bytes, copyAt, copyAt + headerBytes) }
}

function decodeCopy(bytes: Uint8Array): SegmentHeader {
  const view = viewOf(bytes)
  if (crc32cRange(bytes, 0, at.crc) !== view.getUint32(at.crc, true)) return { kind: 'bad', problem: 'fails its checksum', isDamaged: true }
  if (view.getUint32(at.magic, true) !== segmentMagic) return { kind: 'bad', problem: 'is none of a log segment', isDamaged: false }
  if (view.getUint32(at.format, true) !== segmentFormat)
    return { kind: 'bad', problem: `has the unknown format ${view.getUint32(at.format, true)}`, isDamaged: false }
  const prev = {
    index: readU64(view, at.firstIndex) - 1,
    term: readU64(view, at.prevTerm),
    headerCrc: view.getUint32(at.prevCrc, true),
    wallMs: readU64(view, at.prevWallMs),
  }
  return { kind: 'ok', prev, directoryId: bytes.slice(at.directoryId, at.directoryId + directoryIdBytes), isHalfLost: false }
}

/** A place in the sparse index: the record `index` begins at `position` of the file. */
export interface SegmentPoint {
  readonly index: number
  readonly position: number
}

export class Segment {
  readonly firstIndex: number
  /** What the first record follows. */
  readonly prev: ChainLink
  readonly name: string
  /** Of the last record; `firstIndex − 1` when there is none. */
  lastIndex: number
  /** Behind the last record. */
  endPosition: number = segmentHeaderBytes
  /** Its config entries, ascending: few. */
  readonly configs: number[] = []
  /** The file is there, under its name. */
  isOnDisk: boolean
  /** Relative to firstIndex. */
  #indexes: Uint32Array<ArrayBuffer> = new Uint32Array(8)
  #positions: Uint32Array<ArrayBuffer> = new Uint32Array(8)
  #points = 0

  constructor(prev: ChainLink, isOnDisk: boolean) {
    this.prev = prev
    this.firstIndex = prev.index + 1
    this.lastIndex = prev.index
    this.name = segmentName(this.firstIndex)
    this.isOnDisk = isOnDisk
    this.addPoint(this.firstIndex, segmentHeaderBytes)
  }

  get isEmpty(): boolean {
    return this.lastIndex < this.firstIndex
  }

  get prevId(): EntryId {
    return chainId(this.prev)
  }

  get points(): number {
    return this.#points
  }

  point(n: number): SegmentPoint {
    assert(n < this.#points, 'point', n, this.#points)
    return {
      index: this.firstIndex + mustExist(this.#indexes[n], 'point-index', n),
      position: mustExist(this.#positions[n], 'point-position', n),
    }
  }

  /** The record `index` begins at `position`: adds a point when the last one is far enough away, or `isForced`. */
  maybeAddPoint(index: number, position: number, isForced = false): void {
    const last = this.#positions[this.#points - 1] ?? 0
    if (position === last) return
    if (isForced || position - last >= pointSpacingBytes) this.addPoint(index, position)
  }

  addPoint(index: number, position: number): void {
    assert(position < segmentBytesMax * 2, 'segment-position', position)
    if (this.#points === this.#indexes.length) {
      this.#indexes = grown(this.#indexes)
      this.#positions = grown(this.#positions)
    }
    this.#indexes[this.#points] = index - this.firstIndex
    this.#positions[this.#points] = position
    this.#points++
  }

  /** Number of the last point at or before an entry. */
  pointBefore(index: number): number {
    const relative = index - this.firstIndex
    let low = 0
    let high = this.#points - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#indexes[middle] ?? 0) <= relative) low = middle
      else high = middle - 1
    }
    return low
  }

  /** At or a little before where an entry of this segment begins. */
  positionNear(index: number): number {
    return this.point(this.pointBefore(index)).position
  }

  /** Forgets everything from `index` on, which began at `position`. */
  truncate(index: number, position: number): void {
    assert(index >= this.firstIndex, 'truncate-segment', index, this.firstIndex)
    const relative = index - this.firstIndex
    // The first point stays: also of an empty segment it says where the first record will be.
    while (this.#points > 1 && (this.#indexes[this.#points - 1] ?? 0) >= relative) this.#points--
    while ((this.configs.at(-1) ?? 0) >= index) this.configs.pop()
    this.lastIndex = index - 1
    this.endPosition = position
  }
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const result = new Uint32Array(array.length * 2)
  result.set(array)
  return result
}
