/**
 * Sidecars: what a start must know of a segment, so that it need not be read again: where it ends, its last link, its terms, its sparse index.
 * Written in the background next to the segment (`….idx`): of the whole one when it is sealed, of its synced beginning every now and then while it is
 * open. Derived and expendable: a missing, damaged or unfitting sidecar means that the segment is scanned. It must fit twice: its own checksum, and
 * for a sealed segment the header of the following one, which repeats the last link; for a beginning the records in front of its end, which are read.
 * A truncation removes the sidecar durably before the first byte is changed: what it tells of was synced and has not been cut since.
 *
 * Layout, little endian:  0 magic u32 | 4 format u32 | 8 first index u64 | 16 last index u64 | 24 end position u64 | 32 last term u64
 * | 40 last wallMs u64 | 48 last headerCrc u32 | 52 runs u32 | 56 points u32 | 60 config entries u32 | runs × (first index u64, term u64)
 * | points × (index − first u32, position u32) | config entries × (index − first u32) | crc u32 of all before
 */
import type { LogIndex, Term, TermRun } from '../../raft/index.ts'
import { crc32c, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { ChainLink } from './record.ts'
import type { Segment } from './segment.ts'
import { isNoRoom } from './storage-error.ts'

const sidecarMagic = 0x58_51_4d_52 // "RMQX"
const sidecarFormat = 1
const headBytes = 64
const runBytes = 16
const pointBytes = 8
const configBytes = 4

export interface Sidecar {
  readonly firstIndex: number
  readonly endPosition: number
  readonly last: ChainLink
  readonly runs: readonly TermRun[]
  readonly points: readonly { readonly index: number; readonly position: number }[]
  /** Indexes of its config entries. */
  readonly configs: readonly number[]
}

/** Where a segment's records end, or some first part of them. */
export interface RecordsEnd {
  readonly last: ChainLink
  /** Behind the last record. */
  readonly position: number
}

export function sidecarName(segment: Segment): string {
  return segment.name.replace(/\.log$/, '.idx')
}

/** Without it the next start reads the segment. False: it has none. */
export function removeSidecar(disk: Disk, directory: string, segment: Segment): boolean {
  const path = `${directory}/${sidecarName(segment)}`
  if (!disk.exists(path)) return false
  disk.remove(path)
  disk.syncDirectory(directory)
  return true
}

/** Of the records up to `end.last`, which end at byte `end.position`. */
export function encodeSidecar(segment: Segment, end: RecordsEnd, runs: readonly TermRun[]): Uint8Array {
  const { last } = end
  const pointCount = pointsBelow(segment, end.position)
  const configs = segment.configs.filter(index => index <= last.index)
  const bytes = new Uint8Array(headBytes + runs.length * runBytes + pointCount * pointBytes + configs.length * configBytes + 4)
  const view = viewOf(bytes)
  view.setUint32(0, sidecarMagic, true)
  view.setUint32(4, sidecarFormat, true)
  writeU64(view, 8, segment.firstIndex)
  writeU64(view, 16, last.index)
  writeU64(view, 24, end.position)
  writeU64(view, 32, last.term)
  writeU64(view, 40, last.wallMs)
  view.setUint32(48, last.headerCrc, true)
  view.setUint32(52, runs.length, true)
  view.setUint32(56, pointCount, true)
  view.setUint32(60, configs.length, true)
  let position = headBytes
  for (const run of runs) {
    writeU64(view, position, run.firstIndex)
    writeU64(view, position + 8, run.term)
    position += runBytes
  }
  for (let i = 0; i < pointCount; i++) {
    const point = segment.point(i)
    view.setUint32(position, point.index - segment.firstIndex, true)
    view.setUint32(position + 4, point.position, true)
    position += pointBytes
  }
  for (const index of configs) {
    view.setUint32(position, index - segment.firstIndex, true)
    position += configBytes
  }
  view.setUint32(position, crc32c(bytes.subarray(0, position)), true)
  return bytes
}

function pointsBelow(segment: Segment, position: number): number {
  let count = segment.points
  while (count > 0 && segment.point(count - 1).position >= position) count--
  return count
}

/** Undefined when the bytes are no whole, undamaged sidecar. */
export function decodeSidecar(bytes: Uint8Array): Sidecar | undefined {
  if (bytes.length < headBytes + 4) return undefined
  const view = viewOf(bytes)
  const crcAt = bytes.length - 4
  if (crc32c(bytes.subarray(0, crcAt)) !== view.getUint32(crcAt, true)) return undefined
  if (view.getUint32(0, true) !== sidecarMagic || view.getUint32(4, true) !== sidecarFormat) return undefined
  const runCount = view.getUint32(52, true)
  const pointCount = view.getUint32(56, true)
  const configCount = view.getUint32(60, true)
  if (headBytes + runCount * runBytes + pointCount * pointBytes + configCount * configBytes !== crcAt) return undefined
  const firstIndex = readU64(view, 8)
  const runs: TermRun[] = []
  for (let i = 0; i < runCount; i++) {
    const position = headBytes + i * runBytes
    runs.push({ firstIndex: readU64(view, position) as LogIndex, term: readU64(view, position + 8) as Term })
  }
  const points: { index: number; position: number }[] = []
  for (let i = 0; i < pointCount; i++) {
    const position = headBytes + runCount * runBytes + i * pointBytes
    points.push({ index: firstIndex + view.getUint32(position, true), position: view.getUint32(position + 4, true) })
  }
  const configsAt = headBytes + runCount * runBytes + pointCount * pointBytes
  const configs = Array.from({ length: configCount }, (_, i) => firstIndex + view.getUint32(configsAt + i * configBytes, true))
  const last = { index: readU64(view, 16), term: readU64(view, 32), wallMs: readU64(view, 40), headerCrc: view.getUint32(48, true) }
  return { firstIndex, endPosition: readU64(view, 24), last, runs, points, configs }
}

/** The sidecar of a segment, if there is one. How far an undamaged one can be trusted is the caller's question. */
export function readSidecar(disk: Disk, directory: string, segment: Segment): Sidecar | 'damaged' | undefined {
  const path = `${directory}/${sidecarName(segment)}`
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, { create: false })
  const bytes = new Uint8Array(file.sizeBytes())
  const count = file.readSync(bytes, 0)
  file.close()
  const sidecar = decodeSidecar(bytes.subarray(0, count))
  return sidecar?.firstIndex === segment.firstIndex ? sidecar : 'damaged'
}

/** Whether it is the sidecar of a segment that ends with `last`. */
export function isWholeSegment({ last: told }: Sidecar, last: ChainLink): boolean {
  return told.index === last.index && told.headerCrc === last.headerCrc && told.term === last.term && told.wallMs === last.wallMs
}

interface Job {
  readonly segment: Segment
  readonly bytes: Uint8Array
}

/** Writes and removes sidecars, one at a time. */
export class Sidecars {
  readonly #disk: Disk
  readonly #directory: string
  readonly #failed: (error: Error) => void
  readonly #jobs: Job[] = []
  #present: Job | undefined
  #isPresentWanted = false
  #isStopped = false
  readonly #waiting: (() => void)[] = []

  constructor(disk: Disk, directory: string, failed: (error: Error) => void) {
    this.#disk = disk
    this.#directory = directory
    this.#failed = failed
  }

  /** The segment's records up to `end` are on disk. Takes the place of an earlier one. */
  writeLater(segment: Segment, end: RecordsEnd, runs: readonly TermRun[]): void {
    this.#dropJobs(segment)
    this.#jobs.push({ segment, bytes: encodeSidecar(segment, end, runs) })
    this.#pump()
  }

  /** The segment is gone or open again. Durable when this returns. */
  remove(segment: Segment): void {
    this.forget(segment)
    const path = `${this.#directory}/${sidecarName(segment)}`
    if (!this.#disk.exists(path)) return
    this.#disk.remove(path)
    this.#disk.syncDirectory(this.#directory)
  }

  /** Nothing is written for this segment any more. */
  forget(segment: Segment): void {
    this.#dropJobs(segment)
    if (this.#present?.segment === segment) this.#isPresentWanted = false
  }

  /** Starts nothing more; `done` runs when nothing is under way. */
  stop(done: () => void): void {
    this.#isStopped = true
    if (this.#present === undefined) done()
    else this.#waiting.push(done)
  }

  #dropJobs(segment: Segment): void {
    for (let i = this.#jobs.length - 1; i >= 0; i--) if (this.#jobs[i]?.segment === segment) this.#jobs.splice(i, 1)
  }

  #pump(): void {
    if (this.#present !== undefined || this.#isStopped) return
    const job = this.#jobs.shift()
    if (job === undefined) return
    try {
      this.#write(job)
    } catch (error) {
      this.#failed(error as Error)
    }
  }

  #write(job: Job): void {
    const path = `${this.#directory}/${sidecarName(job.segment)}`
    const file = this.#disk.open(`${path}.tmp`, { create: true })
    this.#present = job
    this.#isPresentWanted = true
    file.writeAndSync(0, [job.bytes], error => {
      this.#present = undefined
      try {
        // A sidecar is expendable: what has no room is not written, and a start reads the segment instead.
        if (error !== undefined && isNoRoom(error)) this.#giveUp(file, path)
        else if (error !== undefined) throw error
        else this.#name(file, path, job.bytes.length)
      } catch (caught) {
        this.#failed(caught as Error)
      }
      for (const done of this.#waiting.splice(0)) done()
      this.#pump()
    })
  }

  #giveUp(file: DiskFile, path: string): void {
    file.close()
    this.#disk.remove(`${path}.tmp`)
  }

  #name(file: DiskFile, path: string, bytes: number): void {
    // A longer one, left by a crash, may have been under this name.
    if (file.sizeBytes() > bytes) file.truncateSync(bytes)
    file.close()
    if (this.#isPresentWanted) this.#disk.rename(`${path}.tmp`, path)
    else this.#disk.remove(`${path}.tmp`)
  }
}
