/**
 * One record of the log: 48 bytes of header, then the body (DESIGN rule 2). Pure functions over bytes; nothing here knows files.
 *
 * Record header, little endian:  0 length u32 (bytes of the body) | 4 kind u8 | 5 flags u8 | 6 format u16 | 8 term u64 | 16 index u64
 * | 24 wallMs u64 | 32 prevCrc u32 | 36 bodyCrc u32 | 40 headerCrc u32 (of bytes 0..39) | 44 zero u32
 *
 * `prevCrc` is the predecessor's headerCrc (0 for the first record of all): a record counts only if it fits its predecessor, so a suffix that was
 * truncated can't come back to life behind a shorter rewrite. There is no "unchecked" value: a checksum of zero is a checksum like any other.
 */
import { EntryKind } from '../../raft/index.ts'
import type { EntryId, EntryKind as Kind, LogIndex, Term } from '../../raft/index.ts'
import { crc32cRange, isZero, readU64, writeU64 } from '../platform/bytes.ts'

export const recordHeaderBytes = 48
/** The only format so far. */
export const recordFormat = 1
/** A header that claims more is damaged. Far above every limit of a message, far below what would exhaust the memory. */
export const bodyBytesMax = 128 * 1024 * 1024

const at = {
  length: 0,
  kind: 4,
  flags: 5,
  format: 6,
  term: 8,
  index: 16,
  wallMs: 24,
  prevCrc: 32,
  bodyCrc: 36,
  headerCrc: 40,
  zero: 44,
} as const
const kindMin = Math.min(...Object.values(EntryKind))
const kindMax = Math.max(...Object.values(EntryKind))

/** A record's place in the chain: what its successor must fit. */
export interface ChainLink {
  readonly index: number
  readonly term: number
  readonly headerCrc: number
  readonly wallMs: number
}

/** The place before the first record of all. */
export const chainOrigin: ChainLink = { index: 0, term: 0, headerCrc: 0, wallMs: 0 }

export function chainId(link: ChainLink): EntryId {
  return { term: link.term as Term, index: link.index as LogIndex }
}

export interface RecordFields {
  readonly length: number
  readonly kind: Kind
  readonly term: number
  readonly index: number
  readonly wallMs: number
  readonly prevCrc: number
  readonly bodyCrc: number
}

/** Writes a header at `position`; returns its headerCrc. `bytes` and `view` are the same memory. */
export function writeRecordHeader(bytes: Uint8Array, view: DataView, position: number, fields: RecordFields): number {
  view.setUint32(position + at.length, fields.length, true)
  view.setUint32(position + at.kind, fields.kind + recordFormat * 0x1_0000, true)
  writeU64(view, position + at.term, fields.term)
  writeU64(view, position + at.index, fields.index)
  writeU64(view, position + at.wallMs, fields.wallMs)
  view.setUint32(position + at.prevCrc, fields.prevCrc, true)
  view.setUint32(position + at.bodyCrc, fields.bodyCrc, true)
  const headerCrc = crc32cRange(bytes, position, position + at.headerCrc)
  view.setUint32(position + at.headerCrc, headerCrc, true)
  view.setUint32(position + at.zero, 0, true)
  return headerCrc
}

/** Why the bytes at a position are no record that counts. */
export type RecordProblem =
  | 'end' // a header of zeros, or nothing at all: the log was never written here
  | 'cut' // the bytes end inside the record
  | 'headerCrc'
  | 'format' // format, kind, flags, length or the zero field is none of ours
  | 'prevCrc'
  | 'index'
  | 'term'
  | 'bodyCrc'

/** Checks the header at `position` of bytes that end at `end`, as the successor of `link`. The body is not looked at. */
export function checkRecordHeader(
  bytes: Uint8Array,
  view: DataView,
  position: number,
  end: number,
  link: ChainLink,
): RecordProblem | undefined {
  if (end - position < recordHeaderBytes) return isZero(bytes, position, end) ? 'end' : 'cut'
  const problem = checkRecordAlone(bytes, view, position)
  if (problem !== undefined) return problem
  if (view.getUint32(position + at.prevCrc, true) !== link.headerCrc) return 'prevCrc'
  if (recordIndex(view, position) !== link.index + 1) return 'index'
  return recordTerm(view, position) < link.term ? 'term' : undefined
}

/** Two fields that rule nearly every place out, for a search byte by byte: only what passes is worth a checksum. A whole header must fit there. */
export function mayBeRecord(view: DataView, position: number): boolean {
  return view.getUint16(position + at.format, true) === recordFormat && view.getUint32(position + at.zero, true) === 0
}

/** What a header proves by itself, without its predecessor. A whole header must be there. */
export function checkRecordAlone(bytes: Uint8Array, view: DataView, position: number): RecordProblem | undefined {
  if (crc32cRange(bytes, position, position + at.headerCrc) !== view.getUint32(position + at.headerCrc, true)) {
    return isZero(bytes, position, position + recordHeaderBytes) ? 'end' : 'headerCrc'
  }
  const kind = view.getUint8(position + at.kind)
  const isOurs =
    kind >= kindMin &&
    kind <= kindMax &&
    view.getUint8(position + at.flags) === 0 &&
    view.getUint16(position + at.format, true) === recordFormat &&
    view.getUint32(position + at.zero, true) === 0 &&
    recordBodyBytes(view, position) <= bodyBytesMax &&
    Number.isSafeInteger(recordTerm(view, position)) &&
    Number.isSafeInteger(recordIndex(view, position)) &&
    Number.isSafeInteger(recordWallMs(view, position))
  return isOurs ? undefined : 'format'
}

/** Checks the whole record, body included. */
export function checkRecord(bytes: Uint8Array, view: DataView, position: number, end: number, link: ChainLink): RecordProblem | undefined {
  return checkRecordHeader(bytes, view, position, end, link) ?? checkRecordBody(bytes, view, position, end)
}

/** Checks the body of a record whose header is good. */
export function checkRecordBody(bytes: Uint8Array, view: DataView, position: number, end: number): RecordProblem | undefined {
  const bodyStart = position + recordHeaderBytes
  const bodyEnd = bodyStart + recordBodyBytes(view, position)
  if (bodyEnd > end) return 'cut'
  return crc32cRange(bytes, bodyStart, bodyEnd) === view.getUint32(position + at.bodyCrc, true) ? undefined : 'bodyCrc'
}

export function recordBodyBytes(view: DataView, position: number): number {
  return view.getUint32(position + at.length, true)
}

/** Header and body. */
export function recordBytes(view: DataView, position: number): number {
  return recordHeaderBytes + view.getUint32(position + at.length, true)
}

export function recordKind(view: DataView, position: number): Kind {
  return view.getUint8(position + at.kind) as Kind
}

export function recordTerm(view: DataView, position: number): number {
  return readU64(view, position + at.term)
}

export function recordIndex(view: DataView, position: number): number {
  return readU64(view, position + at.index)
}

export function recordWallMs(view: DataView, position: number): number {
  return readU64(view, position + at.wallMs)
}

/** The predecessor's headerCrc, as this record has it. */
export function recordPrevCrc(view: DataView, position: number): number {
  return view.getUint32(position + at.prevCrc, true)
}

export function recordHeaderCrc(view: DataView, position: number): number {
  return view.getUint32(position + at.headerCrc, true)
}

/** The link that a good record's successor must fit. */
export function linkOf(view: DataView, position: number): ChainLink {
  return {
    index: recordIndex(view, position),
    term: recordTerm(view, position),
    headerCrc: recordHeaderCrc(view, position),
    wallMs: recordWallMs(view, position),
  }
}

const problemTexts: Readonly<Record<RecordProblem, string>> = {
  end: 'is missing',
  cut: 'is cut short',
  headerCrc: 'fails its header checksum',
  format: 'has an unknown format or kind',
  prevCrc: 'does not fit the record before it',
  index: 'has the wrong index',
  term: 'has a term below the one before it',
  bodyCrc: 'fails its body checksum',
}

/** The problem as the end of a sentence: "record 17 …". */
export function describeProblem(problem: RecordProblem): string {
  return problemTexts[problem]
}
