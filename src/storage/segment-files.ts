/**
 * Open descriptors of segment files: one per segment, few at a time. The one being written is pinned; the others are closed when they have not
 * been read for the longest. Only synchronous reads go to segments that are not pinned, so closing one never meets an operation under way.
 */
import { assert } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import { decodeSegmentHeader, encodeSegmentHeader, segmentHeaderBytes } from './segment.ts'
import type { Segment } from './segment.ts'

export class SegmentFiles {
  readonly directory: string
  readonly #disk: Disk
  readonly #openMax: number
  /** Least recently used first; by segment name. */
  readonly #open = new Map<string, DiskFile>()
  #pinned: string | undefined

  constructor(disk: Disk, directory: string, openMax: number) {
    assert(openMax >= 2, 'open-files-max', openMax)
    this.directory = directory
    this.#disk = disk
    this.#openMax = openMax
  }

  pathOf(segment: Segment): string {
    return `${this.directory}/${segment.name}`
  }

  /** The segment's file, opened when it is not. Do not keep it: the next call may close it. */
  use(segment: Segment): DiskFile {
    const { name } = segment
    const known = this.#open.get(name)
    if (known !== undefined) {
      this.#open.delete(name)
      this.#open.set(name, known)
      return known
    }
    const file = this.#disk.open(this.pathOf(segment), { create: false })
    this.#open.set(name, file)
    if (this.#open.size > this.#openMax) this.#closeOldest()
    return file
  }

  /** Like `use`; it stays open until another segment is pinned. */
  pin(segment: Segment): DiskFile {
    this.#pinned = segment.name
    return this.use(segment)
  }

  close(segment: Segment): void {
    if (this.#pinned === segment.name) this.#pinned = undefined
    this.#open.get(segment.name)?.close()
    this.#open.delete(segment.name)
  }

  closeAll(): void {
    for (const file of this.#open.values()) file.close()
    this.#open.clear()
    this.#pinned = undefined
  }

  get openCount(): number {
    return this.#open.size
  }

  #closeOldest(): void {
    for (const [name, file] of this.#open) {
      if (name === this.#pinned) continue
      file.close()
      this.#open.delete(name)
      return
    }
  }
}

/** Memory knows what a header must say: one that has rotted is written anew. */
export function mendHeader(files: SegmentFiles, segment: Segment, directoryId: Uint8Array, note: (sentence: string) => void): void {
  const file = files.use(segment)
  const bytes = new Uint8Array(segmentHeaderBytes)
  const header = decodeSegmentHeader(bytes.subarray(0, file.readSync(bytes, 0)))
  if (header.kind === 'ok' && !header.isHalfLost) return
  file.writeSync(encodeSegmentHeader(segment.prev, directoryId), 0)
  file.syncSync()
  note(`${files.pathOf(segment)}: its header had rotted; written anew`)
}
