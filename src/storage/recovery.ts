/**
 * The log as it is found at the start: segments listed, checked and chained, the end decided (recovery-verdict.ts), a torn tail cut off.
 * Sealed segments with a good sidecar are not read; the last one is read from where its sidecar ends, which is at most some megabytes from the end.
 * What was synced and is damaged or missing is never cut off: the start is refused with one sentence.
 */
import type { TermRun } from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import { baseName, encodeBase, newBaseName, readBase, writeBaseSync } from './log-base.ts'
import { chainOrigin, describeProblem, recordHeaderBytes } from './record.ts'
import type { ChainLink } from './record.ts'
import { judge } from './recovery-verdict.ts'
import { decodeSegmentHeader, parseSegmentName, preparedName, Segment, segmentHeaderBytes, segmentName } from './segment.ts'
import type { ScanEnd } from './segment-scan.ts'
import { endsAsTold, scanSegment } from './segment-scan.ts'
import { isWholeSegment, readSidecar, sidecarName } from './sidecar.ts'
import type { RecordsEnd } from './sidecar.ts'
import { StorageError } from './storage-error.ts'
import { noteTerm } from './term-runs.ts'

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
  /** Ascending, without a gap; empty for a new log. */
  readonly segments: Segment[]
  readonly last: ChainLink
  readonly runs: TermRun[]
}

/** What was found; nothing has been changed yet. */
export interface FoundLog extends RecoveredLog {
  /** Where the last segment is to be cut off; undefined when its end is in order. */
  readonly tornAt: TornTail | undefined
  /** Segments that a trim had not removed yet. */
  readonly leftovers: readonly string[]
  /** The record of where the log begins must be written anew; a sentence about it. */
  readonly baseProblem: string | undefined
}

export interface TornTail {
  readonly path: string
  readonly position: number
  /** What was seen, for the log. */
  readonly sentence: string
}

export function findLog(options: RecoverLogOptions): FoundLog {
  const { disk, directory, mark } = options
  const base = readBase(disk, directory, options.directoryId)
  const all = listSegments(disk, directory)
  const keptFrom = base.kind === 'found' ? base.link.index + 1 : base.kind === 'none' ? 1 : (all[0] ?? 1)
  const firsts = all.filter(first => first >= keptFrom)
  const leftovers = all.filter(first => first < keptFrom).map(segmentName)
  const segments: Segment[] = []
  const runs: TermRun[] = []
  const prevs = firsts.map(firstIndex => readPrev(options, firstIndex))
  checkBegin(options, firsts, keptFrom)
  let last: ChainLink = base.kind === 'found' ? base.link : (prevs[0] ?? chainOrigin)
  // The place before the first entry has a term too: a peer that ends there can be fed.
  if (last.index > 0) noteTerm(runs, last.index, last.term)
  let tornAt: TornTail | undefined
  for (const [number, prev] of prevs.entries()) {
    checkFollows(options, last, prev)
    const segment = new Segment(prev, true)
    const next = prevs[number + 1]
    const known = useSidecar(options, segment, next, runs)
    if (known === 'whole') last = mustExist(next, 'sealed-next')
    else {
      const end = scan(options, segment, runs, known)
      last = end.last
      // A segment that ends in order, and before the next one begins: a file in between is gone.
      if (next !== undefined && end.problem === 'end') checkFollows(options, last, next)
      if (next === undefined || !isComplete(end, next)) tornAt = judgeEnd(options, segment, end, next !== undefined)
    }
    segments.push(segment)
  }
  if (segments.length === 0 && mark > last.index) {
    throw new StorageError(
      `${directory}: the log is gone; entries ${keptFrom}..${mark} were on this disk; restore the directory or join as a new node`,
      directory,
    )
  }
  const baseProblem =
    base.kind === 'bad'
      ? `${directory}/${baseName}: it ${base.problem}; the log begins with entry ${keptFrom}, which is put on record again`
      : undefined
  return { segments, last, runs, tornAt, leftovers, baseProblem }
}

/**
 * Makes what was found durable: after a kill the page cache may hold what no sync has carried to the disk. Cuts off a torn tail first by a header of
 * zeros. The caller has put the torn tail on record before.
 */
export function settleLog(options: RecoverLogOptions, found: FoundLog): void {
  const { disk, directory } = options
  const last = found.segments.at(-1)
  if (last !== undefined) {
    withFile(disk, `${directory}/${last.name}`, file => {
      if (found.tornAt !== undefined) file.writeSync(new Uint8Array(recordHeaderBytes), found.tornAt.position)
      file.syncSync()
    })
  }
  const first = found.segments[0]
  if (found.baseProblem !== undefined && first !== undefined) writeBaseSync(disk, directory, encodeBase(first.prev, options.directoryId))
  // Oldest first, each for good before the next: a crash in between leaves no gap.
  for (const name of found.leftovers) {
    disk.remove(`${directory}/${name}`)
    disk.syncDirectory(directory)
  }
  for (const name of disk.list(directory)) if (isUseless(name, found)) disk.remove(`${directory}/${name}`)
  disk.syncDirectory(directory)
}

/** What never got its name, and sidecars without a segment. */
function isUseless(name: string, found: FoundLog): boolean {
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

function readPrev(options: RecoverLogOptions, firstIndex: number): ChainLink {
  const path = `${options.directory}/${segmentName(firstIndex)}`
  const bytes = new Uint8Array(segmentHeaderBytes)
  const count = withFile(options.disk, path, file => file.readSync(bytes, 0))
  const header = decodeSegmentHeader(bytes.subarray(0, count))
  if (header.kind === 'bad') {
    throw new StorageError(
      `${path}: its header ${header.problem}; the entries from ${firstIndex} on can't be trusted; restore the file or join as a new node`,
      path,
    )
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
  return header.prev
}

function checkBegin({ directory }: RecoverLogOptions, firsts: readonly number[], keptFrom: number): void {
  const first = firsts[0]
  if (first === undefined || first <= keptFrom) return
  throw new StorageError(
    `${directory}: entries ${keptFrom}..${first - 1} are missing: the log begins with ${segmentName(first)}`,
    directory,
  )
}

function checkFollows({ directory }: RecoverLogOptions, last: ChainLink, prev: ChainLink): void {
  if (prev.index === last.index && prev.headerCrc === last.headerCrc && prev.term === last.term) return
  const path = `${directory}/${segmentName(prev.index + 1)}`
  if (prev.index > last.index) {
    throw new StorageError(
      `${directory}: entries ${last.index + 1}..${prev.index} are missing: a segment file before ${segmentName(prev.index + 1)} is gone`,
      path,
    )
  }
  throw new StorageError(`${path}: it does not continue the segment before it, which ends with entry ${last.index}`, path)
}

function isComplete(end: ScanEnd, next: ChainLink): boolean {
  return end.last.index === next.index && end.last.headerCrc === next.headerCrc
}

/** What the sidecar spares: all of a sealed segment, the beginning of any, nothing (then the segment is as if it had none). */
function useSidecar(
  options: RecoverLogOptions,
  segment: Segment,
  next: ChainLink | undefined,
  runs: TermRun[],
): 'whole' | RecordsEnd | undefined {
  const sidecar = readSidecar(options.disk, options.directory, segment)
  if (sidecar === undefined) return undefined
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

/** Throws for rot; the place of a torn tail; undefined for a clean end. */
function judgeEnd(options: RecoverLogOptions, segment: Segment, end: ScanEnd, isSealed: boolean): TornTail | undefined {
  const { mark, flushBytesMax, directory } = options
  const index = end.last.index + 1
  const isFollowed = end.chainedBytesBehind >= flushBytesMax
  const row = judge({ problem: end.problem, isSealed, isMarked: index <= mark, isFollowed })
  const path = `${directory}/${segment.name}`
  const place = `${path}: record ${index} at byte ${end.position} ${describeProblem(end.problem)}`
  switch (row.verdict) {
    case 'clean':
      return undefined
    case 'torn':
      return { path, position: end.position, sentence: `${place}; it was never synced and is cut off (${row.name})` }
    case 'rot': {
      const known = mark >= index ? `entries ${index}..${mark} were on this disk` : 'it was on this disk'
      throw new StorageError(`${place} (${row.name}); ${known}, so nothing is cut off; restore the file or join as a new node`, path)
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
