/**
 * Reads a segment record by record, checking everything, until something is not a record that counts. Gathers what it saw; decides nothing:
 * what the end of a scan means is recovery-verdict.ts.
 */
import { EntryKind } from '../../raft/index.ts'
import type { TermRun } from '../../raft/index.ts'
import { viewOf } from '../platform/bytes.ts'
import type { DiskFile } from '../platform/disk.ts'
import {
  chainOrigin,
  checkRecordAlone,
  checkRecordBody,
  checkRecordHeader,
  linkOf,
  recordBytes,
  recordHeaderBytes,
  recordKind,
} from './record.ts'
import type { ChainLink, RecordProblem } from './record.ts'
import { segmentHeaderBytes } from './segment.ts'
import type { Segment, SegmentPoint } from './segment.ts'
import type { RecordsEnd } from './sidecar.ts'
import { noteTerm } from './term-runs.ts'

const windowBytesMax = 1024 * 1024

export interface ScanEnd {
  /** Of the last good record, or what came before the segment. */
  readonly last: ChainLink
  /** Why the scan went no further. */
  readonly problem: RecordProblem
  /** Byte at which the bad record begins. */
  readonly position: number
  /** Bytes of good records that continue the chain right behind the bad one: only known when the bad record's own header is good. */
  readonly chainedBytesBehind: number
}

/**
 * Scans the segment and fills in its points, end and last index; `runs` learns the terms. From its first record, or from where a trusted sidecar ends,
 * whose points, end and terms have been taken over.
 */
export function scanSegment(file: DiskFile, segment: Segment, runs: TermRun[], from?: RecordsEnd): ScanEnd {
  const window = new ReadWindow(file)
  let link = from?.last ?? segment.prev
  let position = from?.position ?? segmentHeaderBytes
  for (;;) {
    const step = window.recordAt(position, link)
    if (step.problem !== undefined) {
      const chainedBytesBehind = step.size === 0 ? 0 : chainedBytes(window, position + step.size, step.link)
      return { last: link, problem: step.problem, position, chainedBytesBehind }
    }
    link = step.link
    segment.maybeAddPoint(link.index, position)
    noteTerm(runs, link.index, link.term)
    if (step.isConfig) segment.configs.push(link.index)
    position += step.size
    segment.lastIndex = link.index
    segment.endPosition = position
  }
}

/** Whether good records stand from `point` up to exactly `end`, the last one with `end`'s link. */
export function endsAsTold(file: DiskFile, point: SegmentPoint, end: RecordsEnd): boolean {
  const window = new ReadWindow(file)
  let step = window.recordAlone(point.position)
  let position = point.position
  while (step.problem === undefined && position + step.size < end.position) {
    position += step.size
    step = window.recordAt(position, step.link)
  }
  if (step.problem !== undefined || position + step.size !== end.position) return false
  const { last } = end
  const { index, term, headerCrc, wallMs } = step.link
  return index === last.index && term === last.term && headerCrc === last.headerCrc && wallMs === last.wallMs
}

/** How many bytes of good records follow `link` at `position`. */
export function chainedBytes(window: ReadWindow, position: number, link: ChainLink): number {
  let at = position
  let last = link
  for (;;) {
    const step = window.recordAt(at, last)
    if (step.problem !== undefined) return at - position
    last = step.link
    at += step.size
  }
}

export interface Step {
  readonly problem: RecordProblem | undefined
  /** Header and body; 0 when the header is not good. */
  readonly size: number
  readonly link: ChainLink
  readonly isConfig: boolean
}

/** A piece of the file in memory, moved forward as needed. */
export class ReadWindow {
  readonly #file: DiskFile
  #bytes: Uint8Array
  #view: DataView
  #start = 0
  #length = 0

  constructor(file: DiskFile) {
    this.#file = file
    this.#bytes = new Uint8Array(Math.min(windowBytesMax, file.sizeBytes()))
    this.#view = viewOf(this.#bytes)
  }

  /** What stands at a position, as the successor of `prev`. */
  recordAt(position: number, prev: ChainLink): Step {
    const headEnd = this.#cover(position, recordHeaderBytes)
    const problem = checkRecordHeader(this.#bytes, this.#view, position - this.#start, headEnd, prev)
    return problem === undefined ? this.#bodyAt(position) : { problem, size: 0, link: prev, isConfig: false }
  }

  /** A record whose predecessor is not known. */
  recordAlone(position: number): Step {
    const headEnd = this.#cover(position, recordHeaderBytes)
    const isCut = headEnd - (position - this.#start) < recordHeaderBytes
    const problem = isCut ? 'cut' : checkRecordAlone(this.#bytes, this.#view, position - this.#start)
    return problem === undefined ? this.#bodyAt(position) : { problem, size: 0, link: chainOrigin, isConfig: false }
  }

  /** The header there is good. */
  #bodyAt(position: number): Step {
    const size = recordBytes(this.#view, position - this.#start)
    const end = this.#cover(position, size)
    const at = position - this.#start
    const isConfig = recordKind(this.#view, at) === EntryKind.config
    return { problem: checkRecordBody(this.#bytes, this.#view, at, end), size, link: linkOf(this.#view, at), isConfig }
  }

  /** Makes the file's bytes from `position` on, `count` of them if it has so many, stand in memory; returns where they end there. */
  #cover(position: number, count: number): number {
    if (position < this.#start || position + count > this.#start + this.#length) {
      if (count > this.#bytes.length) {
        this.#bytes = new Uint8Array(count)
        this.#view = viewOf(this.#bytes)
      }
      this.#start = position
      this.#length = this.#file.readSync(this.#bytes, position)
    }
    return Math.min(position - this.#start + count, this.#length)
  }
}
