/**
 * The log as it is found at the start: segments listed, checked and chained, the end decided (recovery-verdict.ts), a torn tail cut off.
 * Sealed segments with a good sidecar are not read; the last one is read from where its sidecar ends, which is at most some megabytes from the end.
 * What was synced and is damaged or missing is never cut off: the log ends before it for now, and the place is told (`rot`): log-repair.ts gets it from
 * a peer. What can't be repaired in that way is refused with one sentence.
 */
import type { TermRun } from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { BaseMembership } from './log-base.ts'
import { baseName, encodeBase, newBaseName, readBase, writeBaseSync } from './log-base.ts'
import { chainOrigin, describeProblem, recordHeaderBytes } from './record.ts'
import type { ChainLink } from './record.ts'
import { judge } from './recovery-verdict.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  parseSegmentName,
  preparedName,
  Segment,
  segmentHeaderBytes,
  segmentName,
} from './segment.ts'
import type { ScanEnd } from './segment-scan.ts'
import { endsAsTold, ReadWindow, scanSegment } from './segment-scan.ts'
import { isWholeSegment, readSidecar, sidecarName } from './sidecar.ts'
import type { RecordsEnd } from './sidecar.ts'
import { StorageError } from './storage-error.ts'
import { noteTerm } from './term-runs.ts'

const rewriteBytes = 1024 * 1024

export interface RecoverLogOptions {
  readonly disk: Disk
  readonly directory: string
  readonly directoryId: Uint8Array
  /** The durable mark from the hard state. */
  readonly mark: number
  readonly flushBytesMax: number
}

/** What recovery has found and made whole. */
export interface RecoveredLog {
  /** Of the last config entry before the log's first; undefined when none is gone. */
  readonly baseMembership: BaseMembership | undefined
  /** Ascending, without a gap; empty for a new log. */
  readonly segments: Segment[]
  readonly last: ChainLink
  readonly runs: TermRun[]
  /** Sealed segments that had to be read because no sidecar told of them. */
  readonly unnoted: readonly Segment[]
}

/** What was found; nothing has been changed yet. */
export interface FoundLog extends RecoveredLog {
  /** Where the last segment is to be cut off; undefined when its end is in order. */
  readonly tornAt: TornTail | undefined
  /** Segments that a trim had not removed yet. */
  readonly leftovers: readonly string[]
  /** The record of where the log begins must be written anew; a sentence about it. */
  readonly baseProblem: string | undefined
  /** The first place where what was synced is damaged or missing; the segments, runs and last link reach to there. Never together with `tornAt`. */
  readonly rot: RottenPlace | undefined
  /** The last segment's file, where its head can't be believed: what it held is not known, nor whether it held anything. */
  readonly lostEnd: string | undefined
  /** Files of segments whose header can't be believed, that one among them. Without `rot` the log goes on beside them. */
  readonly unbelieved: readonly string[]
  /** Names of sidecars that are damaged. */
  readonly badSidecars: readonly string[]
  /** Sentences about small damage that needs no peer. */
  readonly notes: readonly string[]
}

export interface RottenPlace {
  /** In which the first missing record belongs: the last of the segments found. Not on disk when its file is gone, or can't be believed. */
  readonly segment: Segment
  /** Where that record begins. */
  readonly position: number
  /** What it follows. */
  readonly last: ChainLink
  /** What the next good segment file follows; undefined when there is none. */
  readonly following: ChainLink | undefined
  /** Everything up to here was durable. */
  readonly through: number
  readonly sentence: string
}

export interface TornTail {
  readonly path: string
  readonly position: number
  /** What was seen, for the log. */
  readonly sentence: string
}

/** The beginning of a segment's file. */
interface Head {
  readonly firstIndex: number
  /** What the segment follows; undefined while its header can't be believed: then it is as good as gone, and its place is filled anew. */
  prev: ChainLink | undefined
}

export function findLog(given: RecoverLogOptions): FoundLog {
  const { disk, directory } = given
  const notes: string[] = []
  const base = readBase(disk, directory, given.directoryId)
  const all = listSegments(disk, directory)
  const keptFrom = base.kind === 'found' ? base.base.link.index + 1 : base.kind === 'none' ? 1 : (all[0] ?? 1)
  const leftovers = all.filter(first => first < keptFrom).map(segmentName)
  const heads = all.filter(first => first >= keptFrom).map((firstIndex): Head => ({ firstIndex, prev: readPrev(given, firstIndex, notes) }))
  // A file has its name only when what stands before it is durable.
  const named = Math.max(0, ...heads.map(({ firstIndex, prev }) => (prev === undefined ? firstIndex - 1 : 0)))
  const options = { ...given, mark: Math.max(given.mark, named) }
  const damage = base.kind === 'bad' ? base.problem : base.kind === 'found' ? base.damage : undefined
  const baseProblem =
    damage === undefined
      ? undefined
      : `${directory}/${baseName}: it ${damage}; the log begins with entry ${keptFrom}, which is put on record again`
  const baseMembership = base.kind === 'found' ? base.base.membership : undefined
  const segments: Segment[] = []
  const runs: TermRun[] = []
  const badSidecars: string[] = []
  const unnoted: Segment[] = []
  const known = { segments, runs, notes, leftovers, baseProblem, baseMembership, badSidecars, unnoted, tornAt: undefined, rot: undefined }
  let last: ChainLink = base.kind === 'found' ? base.base.link : base.kind === 'bad' ? (prevAfter(heads, -1) ?? chainOrigin) : chainOrigin
  const ends = (how: Partial<Pick<FoundLog, 'rot' | 'tornAt'>>): FoundLog => ({
    ...known,
    lostEnd: lostEndOf(directory, heads, last.index),
    unbelieved: heads.flatMap(({ firstIndex, prev }) => (prev === undefined ? segmentName(firstIndex) : [])),
    last,
    ...how,
  })
  if (base.kind === 'bad' && last.index + 1 > keptFrom) throw beginsNowhere(directory, keptFrom, notes)
  // The place before the first entry has a term too: a peer that ends there can be fed.
  if (last.index > 0) noteTerm(runs, last.index, last.term)
  restoreHead(options, headAfter(heads, -1, last.index), last, notes)
  for (const [number, { firstIndex, prev }] of heads.entries()) {
    if (prev === undefined) {
      const following = prevAfter(heads, number)
      const hasHeld = following !== undefined || options.mark > last.index
      if (firstIndex === last.index + 1 && hasHeld) return ends({ rot: missingFile(options, segments, last, following, firstIndex) })
      continue
    }
    if (prev.index > last.index) return ends({ rot: missingFile(options, segments, last, prev) })
    checkFollows(options, last, prev)
    const segment = new Segment(prev, true)
    segments.push(segment)
    const told = prevAfter(heads, number)
    const spared = useSidecar(options, segment, told, runs)
    if (spared === 'whole') {
      last = mustExist(told, 'sealed-next')
      continue
    }
    if (spared === 'damaged') {
      badSidecars.push(sidecarName(segment))
      notes.push(`${directory}/${sidecarName(segment)}: it is damaged; the segment beside it is read instead, and it is made anew`)
    }
    const scanned = scan(options, segment, runs, spared === 'damaged' ? undefined : spared)
    last = scanned.last
    const following = headAfter(heads, number, last.index)
    if (scanned.problem === 'end') restoreHead(options, following, last, notes)
    const next = prevAfter(heads, number)
    if (isComplete(scanned, following)) {
      unnoted.push(segment)
      continue
    }
    const judged = judgeEnd(options, segment, scanned, next)
    if (judged !== undefined) return ends(judged)
  }
  if (segments.length === 0 && options.mark > last.index) return ends({ rot: missingFile(options, segments, last, undefined) })
  return ends({})
}

/** What the next segment with a header that can be believed follows. */
function prevAfter(heads: readonly Head[], number: number): ChainLink | undefined {
  for (let i = number + 1; i < heads.length; i++) {
    const prev = heads[i]?.prev
    if (prev !== undefined) return prev
  }
  return undefined
}

/** Beside a file whose header can't be believed the log may have gone on in the file before, so that it stands in nobody's way any more. */
function headAfter(heads: readonly Head[], number: number, lastIndex: number): Head | undefined {
  for (let i = number + 1; i < heads.length; i++) {
    const head = heads[i]
    if (head?.prev !== undefined || (head?.firstIndex ?? 0) > lastIndex) return head
  }
  return undefined
}

function lostEndOf(directory: string, heads: readonly Head[], lastIndex: number): string | undefined {
  const end = heads.at(-1)
  const isLost = end !== undefined && end.prev === undefined && end.firstIndex > lastIndex
  return isLost ? `${directory}/${segmentName(end.firstIndex)}` : undefined
}

/** Neither the record of where the log begins nor its first segment can be believed. */
function beginsNowhere(directory: string, keptFrom: number, notes: readonly string[]): StorageError {
  return new StorageError(
    [...notes, `${directory}: where the log begins, near entry ${keptFrom}, is lost; join as a new node`].join('; '),
    directory,
  )
}

/**
 * Makes what was found durable: after a kill the page cache may hold what no sync has carried to the disk. What stands behind the durable mark is
 * written once more, byte for byte: a sync that failed has left it in the cache as if it were on the disk, where the next sync does not look for it
 * (cockroach#37102, "fsyncgate"), and whoever supervises us starts us again on that very cache. Cuts off a torn tail first by a header of
 * zeros. The caller has put the torn tail, or the lost end, on record before.
 */
export function settleLog(options: RecoverLogOptions, found: FoundLog): void {
  const { disk, directory } = options
  const last = found.segments.at(-1)
  if (last !== undefined) {
    withFile(disk, `${directory}/${last.name}`, file => {
      rewrite(file, unmarkedFrom(last, options.mark), last.endPosition)
      if (found.tornAt !== undefined) file.writeSync(new Uint8Array(recordHeaderBytes), found.tornAt.position)
      file.syncSync()
    })
  }
  const first = found.segments[0]
  if (found.baseProblem !== undefined && first !== undefined)
    writeBaseSync(disk, directory, encodeBase({ link: first.prev, membership: found.baseMembership }, options.directoryId))
  // Oldest first, each for good before the next: a crash in between leaves no gap.
  for (const name of found.leftovers) {
    disk.remove(`${directory}/${name}`)
    disk.syncDirectory(directory)
  }
  for (const name of disk.list(directory)) if (isUseless(name, found)) disk.remove(`${directory}/${name}`)
  // Once the log has gone on in the file before, nobody could tell such a file from a part of it.
  for (const name of found.unbelieved) disk.remove(`${directory}/${name}`)
  disk.syncDirectory(directory)
}

/** Where the first record behind the mark begins, or one not long before it. */
function unmarkedFrom(segment: Segment, mark: number): number {
  if (mark >= segment.lastIndex) return segment.endPosition
  return segment.point(segment.pointBefore(Math.max(segment.firstIndex, mark + 1))).position
}

function rewrite(file: DiskFile, from: number, to: number): void {
  const piece = new Uint8Array(Math.min(rewriteBytes, Math.max(0, to - from)))
  for (let position = from; position < to; position += piece.length) {
    const count = file.readSync(piece.subarray(0, Math.min(piece.length, to - position)), position)
    file.writeSync(piece.subarray(0, count), position)
  }
}

/** What never got its name, and sidecars that are damaged or without a segment. */
function isUseless(name: string, found: FoundLog): boolean {
  if (found.badSidecars.includes(name)) return true
  if (name === preparedName || name === newBaseName || name.endsWith('.idx.tmp')) return true
  return name.endsWith('.idx') && !found.segments.some(segment => sidecarName(segment) === name)
}

function listSegments(disk: Disk, directory: string): number[] {
  const firsts: number[] = []
  for (const name of disk.list(directory)) {
    const firstIndex = parseSegmentName(name)
    if (firstIndex !== undefined) firsts.push(firstIndex)
  }
  return firsts.sort((a, b) => a - b)
}

/** What a segment follows; undefined when its header has rotted. */
function readPrev(options: RecoverLogOptions, firstIndex: number, notes: string[]): ChainLink | undefined {
  const path = `${options.directory}/${segmentName(firstIndex)}`
  const bytes = new Uint8Array(segmentHeaderBytes)
  const count = withFile(options.disk, path, file => file.readSync(bytes, 0))
  const header = decodeSegmentHeader(bytes.subarray(0, count))
  if (header.kind === 'bad') {
    if (!header.isDamaged) throw new StorageError(`${path}: its header ${header.problem}; start the build that has written it`, path)
    notes.push(`${path}: its header ${header.problem}`)
    return undefined
  }
  if (header.prev.index + 1 !== firstIndex) {
    throw new StorageError(
      `${path}: its header is that of a segment beginning with entry ${header.prev.index + 1}; the file was renamed or copied`,
      path,
    )
  }
  if (!options.directoryId.every((byte, i) => byte === header.directoryId[i])) {
    throw new StorageError(`${path}: the segment belongs to another data directory`, path)
  }
  if (header.isHalfLost) {
    notes.push(`${path}: one of the two copies of its header has rotted; written anew`)
    writeHead(options, path, header.prev)
  }
  return header.prev
}

/**
 * A header repeats what the record before it says, and no more. So one that has rotted is written anew, where the first record behind it is ours: it follows
 * the last one before it. What stands in that segment may be nowhere else any more.
 */
function restoreHead(options: RecoverLogOptions, head: Head | undefined, last: ChainLink, notes: string[]): void {
  if (head === undefined || head.prev !== undefined || head.firstIndex !== last.index + 1) return
  const path = `${options.directory}/${segmentName(head.firstIndex)}`
  const first = withFile(options.disk, path, file => new ReadWindow(file).recordAt(segmentHeaderBytes, last))
  // Its body may have rotted too: that is for the scan.
  if (first.size === 0) return
  writeHead(options, path, last)
  notes.push(`${path}: the record behind its header follows the one before it; the header is written anew`)
  head.prev = last
}

function writeHead(options: RecoverLogOptions, path: string, prev: ChainLink): void {
  withFile(options.disk, path, file => {
    file.writeSync(encodeSegmentHeader(prev, options.directoryId), 0)
    file.syncSync()
  })
}

/** A whole file is not there, or is, but can't be believed: its place is a segment that will be made. */
function missingFile(
  { directory, mark }: RecoverLogOptions,
  segments: Segment[],
  last: ChainLink,
  following: ChainLink | undefined,
  unbelieved?: number,
): RottenPlace {
  const segment = new Segment(last, false)
  segments.push(segment)
  const from = last.index + 1
  const through = following?.index ?? mark
  const place = { segment, position: segmentHeaderBytes, last, following, through }
  if (unbelieved !== undefined && (following !== undefined || segments.length > 1)) {
    const path = `${directory}/${segmentName(unbelieved)}`
    return {
      ...place,
      sentence: `${path}: what it begins with can't be believed; entries ${from}..${through} were on this disk`,
    }
  }
  const what =
    following === undefined
      ? `${directory}: the log is gone; entries ${from}..${mark} were on this disk`
      : `${directory}: entries ${from}..${through} are missing: a segment file before ${segmentName(through + 1)} is gone`
  return { ...place, sentence: what }
}

function checkFollows({ directory }: RecoverLogOptions, last: ChainLink, prev: ChainLink): void {
  if (prev.index === last.index && prev.headerCrc === last.headerCrc && prev.term === last.term) return
  const path = `${directory}/${segmentName(prev.index + 1)}`
  throw new StorageError(`${path}: it does not continue the segment before it, which ends with entry ${last.index}`, path)
}

/** It ends where the next segment begins. Of one whose header can't be believed there is only the name, so nothing else may stand in its place here. */
function isComplete({ last, problem }: ScanEnd, next: Head | undefined): boolean {
  if (next?.firstIndex !== last.index + 1) return false
  return next.prev === undefined ? problem === 'end' : next.prev.headerCrc === last.headerCrc
}

/** What the sidecar spares: all of a sealed segment, the beginning of any, nothing (then the segment is as if it had none). */
function useSidecar(
  options: RecoverLogOptions,
  segment: Segment,
  next: ChainLink | undefined,
  runs: TermRun[],
): 'whole' | 'damaged' | RecordsEnd | undefined {
  const sidecar = readSidecar(options.disk, options.directory, segment)
  if (sidecar === undefined || sidecar === 'damaged') return sidecar
  const isWhole = next !== undefined && isWholeSegment(sidecar, next)
  const { last, endPosition } = sidecar
  const end = { last, position: endPosition }
  const isThere = withFile(options.disk, `${options.directory}/${segment.name}`, file => {
    if (file.sizeBytes() < endPosition) return false
    const point = sidecar.points.at(-1)
    return isWhole || (point !== undefined && endsAsTold(file, point, end))
  })
  if (!isThere) return undefined
  for (const point of sidecar.points) segment.maybeAddPoint(point.index, point.position, true)
  for (const run of sidecar.runs) noteTerm(runs, run.firstIndex, run.term)
  segment.configs.push(...sidecar.configs)
  segment.lastIndex = last.index
  segment.endPosition = endPosition
  return isWhole ? 'whole' : end
}

function scan(options: RecoverLogOptions, segment: Segment, runs: TermRun[], from: RecordsEnd | undefined): ScanEnd {
  return withFile(options.disk, `${options.directory}/${segment.name}`, file => scanSegment(file, segment, runs, from))
}

/** What the end of a scan means: rot, a torn tail, or undefined for a clean end. */
function judgeEnd(
  options: RecoverLogOptions,
  segment: Segment,
  end: ScanEnd,
  following: ChainLink | undefined,
): { readonly rot: RottenPlace } | { readonly tornAt: TornTail } | undefined {
  const { mark, flushBytesMax, directory } = options
  const index = end.last.index + 1
  const isFollowed = end.chainedBytesBehind >= flushBytesMax
  const row = judge({ problem: end.problem, isSealed: following !== undefined, isMarked: index <= mark, isFollowed })
  const path = `${directory}/${segment.name}`
  const place = `${path}: record ${index} at byte ${end.position} ${describeProblem(end.problem)}`
  switch (row.verdict) {
    case 'clean':
      return undefined
    case 'torn':
      return { tornAt: { path, position: end.position, sentence: `${place}; it was never synced and is cut off (${row.name})` } }
    case 'rot': {
      const known = mark >= index ? `entries ${index}..${mark} were on this disk` : 'it was on this disk'
      const sentence = `${place} (${row.name}); ${known}, so nothing is cut off`
      return { rot: { segment, position: end.position, last: end.last, following, through: following?.index ?? mark, sentence } }
    }
  }
}

function withFile<T>(disk: Disk, path: string, use: (file: DiskFile) => T): T {
  const file = disk.open(path, { create: false })
  try {
    return use(file)
  } finally {
    file.close()
  }
}
