/**
 * Looking into the log: entries, links and ranges of records, from the newest part in memory (tail-cache.ts) or from blocks read back from the segments
 * (block-reader.ts). Functions over what the log holds; nothing is changed here. What has rotted throws `UnreadableEntry`, but where it is said otherwise.
 */
import { decodeMembership, UnreadableEntry } from '../../raft/index.ts'
import type { EntryId, LogIndex, MembershipAt, RecordBlock, StoredEntry, Term, TermRun } from '../../raft/index.ts'
import { assert, mustExist } from '../platform/assert.ts'
import type { BlockReader } from './block-reader.ts'
import type { DurableMark } from './hard-state.ts'
import type { BaseMembership } from './log-base.ts'
import { linkOf, recordBodyBytes, recordHeaderBytes, recordKind, recordTerm, recordWallMs } from './record.ts'
import type { ChainLink } from './record.ts'
import { segmentHeaderBytes } from './segment.ts'
import type { Segment } from './segment.ts'
import type { Slab } from './slab.ts'
import type { RecordsEnd } from './sidecar.ts'
import { StorageError } from './storage-error.ts'
import type { TailCache } from './tail-cache.ts'
import { sliceRuns, termAt } from './term-runs.ts'

/** What a log holds, as its owner (commit-log.ts) keeps it. */
export interface HeldLog {
  /** Oldest first. */
  readonly segments: Segment[]
  readonly runs: TermRun[]
  readonly tail: TailCache
  readonly blocks: BlockReader
  /** The last entry, or what the first one will follow. */
  last: ChainLink
}

export function firstIndexOf(held: HeldLog): LogIndex {
  return (held.segments[0]?.firstIndex ?? held.last.index + 1) as LogIndex
}

export function entryAt(held: HeldLog, index: LogIndex): StoredEntry {
  const place = placeOf(held, index)
  const { view } = place
  const start = place.startOf(index)
  const bodyStart = start + recordHeaderBytes
  return {
    index,
    term: recordTerm(view, start) as Term,
    kind: recordKind(view, start),
    wallMs: recordWallMs(view, start),
    body: place.bytes.subarray(bodyStart, bodyStart + recordBodyBytes(view, start)),
  }
}

export function readableBody(held: HeldLog, index: number): Uint8Array | undefined {
  try {
    return entryAt(held, index as LogIndex).body.slice()
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}

export function readBlock(held: HeldLog, fromIndex: LogIndex, lastIndex: LogIndex, bytesMax: number): RecordBlock | undefined {
  const end = Math.min(lastIndex, held.last.index)
  if (fromIndex < firstIndexOf(held) || fromIndex > end) return undefined
  const prev = idBefore(held, fromIndex)
  const buffers: Uint8Array[] = []
  let bytes = 0
  let index: number = fromIndex
  let lastWallMs = 0
  while (index <= end) {
    const place = index === fromIndex ? placeOf(held, index) : readablePlaceOf(held, index)
    if (place === undefined) break
    const start = place.startOf(index)
    const through = Math.min(end, place.lastWithin(index, bytesMax - bytes))
    const stop = place.endOf(through)
    if (buffers.length > 0 && bytes + stop - start > bytesMax) break
    buffers.push(place.bytes.subarray(start, stop))
    bytes += stop - start
    lastWallMs = recordWallMs(place.view, place.startOf(through))
    index = through + 1
    if (through < place.lastIndex) break
  }
  const last = (index - 1) as LogIndex
  return { prev, lastIndex: last, runs: sliceRuns(held.runs, fromIndex, last), bytes, lastWallMs, buffers }
}

/** What precedes the rot is given. */
function readablePlaceOf(held: HeldLog, index: number): Slab | undefined {
  try {
    return placeOf(held, index)
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}

export function bytesBehind(held: HeldLog, index: LogIndex): number {
  if (index >= held.last.index) return 0
  const next = index + 1
  let bytes = 0
  for (let i = held.segments.length - 1; i >= 0; i--) {
    const segment = mustExist(held.segments[i], 'segment')
    if (segment.firstIndex > next) {
      bytes += segment.endPosition - segmentHeaderBytes
      continue
    }
    const slab = held.tail.find(next)
    return bytes + segment.endPosition - (slab === undefined ? segment.positionNear(next) : slab.filePosition + slab.startOf(next))
  }
  return bytes
}

/** What the last record of a segment is, as the next one or the end of the log says. */
export function sealOf(
  { segments, last }: { readonly segments: readonly Segment[]; readonly last: ChainLink },
  segment: Segment,
): ChainLink {
  return segments[segments.indexOf(segment) + 1]?.prev ?? last
}

/** Where the entry after `lastIndex` begins, or would begin, in this segment. */
export function cutPosition(held: HeldLog, segment: Segment, lastIndex: number): number {
  if (lastIndex < segment.firstIndex) return segmentHeaderBytes
  const place = placeOf(held, lastIndex)
  return place.filePosition + place.endOf(lastIndex)
}

/** Where the records of a segment up to `index` end, and with which; undefined when the last of them has rotted. */
export function readableEnd(held: HeldLog, segment: Segment, index: number): RecordsEnd | undefined {
  try {
    const position = cutPosition(held, segment, index)
    return { last: mustExist(linkAt(held, index), 'readable-end', index), position }
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}

/** Where an entry begins, and what it follows. The entry itself is not read, and nothing is where its segment begins with it. */
export function beginningOf(
  held: HeldLog,
  index: number,
): { readonly segment: Segment; readonly position: number; readonly prev: ChainLink } {
  const segment = segmentOf(held, index)
  if (segment.firstIndex === index) return { segment, position: segmentHeaderBytes, prev: segment.prev }
  const place = placeOf(held, index - 1)
  return { segment, position: place.filePosition + place.endOf(index - 1), prev: linkOf(place.view, place.startOf(index - 1)) }
}

/** Memory that holds an entry of the log. */
export function placeOf(held: HeldLog, index: number): Slab {
  assert(index >= firstIndexOf(held), 'entry-below-log', index, firstIndexOf(held))
  assert(index <= held.last.index, 'entry-above-log', index, held.last.index)
  return held.tail.find(index) ?? held.blocks.blockOf(segmentOf(held, index), index)
}

export function segmentOf(held: HeldLog, index: number): Segment {
  const segments = held.segments
  let low = 0
  let high = segments.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (mustExist(segments[middle], 'segment').firstIndex <= index) low = middle
    else high = middle - 1
  }
  return mustExist(segments[low], 'segment-of', index)
}

/** The link of an entry of this log, or of the place before its first; undefined for any other. */
export function linkAt(held: HeldLog, index: number): ChainLink | undefined {
  if (index === held.last.index) return held.last
  const first = held.segments[0]
  if (first === undefined || index < first.prev.index || index > held.last.index) return undefined
  if (index === first.prev.index) return first.prev
  const place = placeOf(held, index)
  return linkOf(place.view, place.startOf(index))
}

/** A link that has rotted can't be compared; the block still proves itself. */
export function readableLinkAt(held: HeldLog, index: number): ChainLink | undefined {
  try {
    return linkAt(held, index)
  } catch (error) {
    if (error instanceof UnreadableEntry) return undefined
    throw error
  }
}

export function markAt(held: HeldLog, index: number): DurableMark {
  const link = index === 0 ? undefined : readableLinkAt(held, index)
  return { index, link: link === undefined ? undefined : { term: link.term, headerCrc: link.headerCrc } }
}

function idBefore(held: HeldLog, index: number): EntryId {
  const before = (index - 1) as LogIndex
  const term = termAt(held.runs, before)
  if (term !== undefined) return { term, index: before }
  return mustExist(held.segments[0], 'first-segment').prevId
}

/** The config entries of the log, decoded; and the last one that was trimmed away. Throws StorageError for one that holds no membership. */
export function membershipsIn(held: HeldLog, base: BaseMembership | undefined, directory: string): MembershipAt[] {
  const kept = held.segments.flatMap(({ configs }) => configs.map(index => ({ index, body: entryAt(held, index as LogIndex).body })))
  return (base === undefined ? kept : [base, ...kept]).map(({ index, body }) => {
    const decoded = decodeMembership(body)
    if (decoded.kind === 'bad') throw new StorageError(`entry ${index} holds no membership: ${decoded.problem}`, directory)
    return { index: index as LogIndex, membership: decoded.membership }
  })
}

/** A file of the log, up to some entry. */
export interface LogFile {
  readonly name: string
  readonly bytes: number
  /** The checksum that its first record follows. */
  readonly prevCrc: number
}

/** The files that hold the entries up to `index`, and how many bytes of each. */
export function filesThrough(held: HeldLog, index: number): readonly LogFile[] {
  return held.segments
    .filter(segment => segment.firstIndex <= index)
    .map(segment => {
      const bytes = segment.lastIndex <= index ? segment.endPosition : cutPosition(held, segment, index)
      return { name: segment.name, bytes, prevCrc: segment.prev.headerCrc }
    })
}
