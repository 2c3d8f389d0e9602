/**
 * A file of a snapshot is checked while it is served: a piece that has rotted since it was written must not leave this node. Each kind of file is a row of
 * blocks that prove themselves (`BlockFormat`). Only where blocks begin is remembered; each is read again when bytes of it are asked for, but not for the
 * next piece of the same block.
 */
import type { DiskFile } from '../../platform/disk.ts'

/** How a kind of file is divided into blocks. */
export interface BlockFormat {
  /** Where the block that begins at `position` ends; undefined when no block of this file can end there. */
  blockEnd(file: DiskFile, position: number, fileBytes: number): number | undefined
  /** The block from `begin` up to `end` is as it was written. */
  isBlockWhole(file: DiskFile, begin: number, end: number): boolean
}

export class FileCheck {
  readonly #file: DiskFile
  readonly #fileBytes: number
  readonly #format: BlockFormat
  /** Where blocks begin, as far as the file was looked at. */
  readonly #begins: number[] = [0]
  /** The block that was found whole last; asked for from its beginning once more, it is read once more. */
  #whole = -1
  #lastStart = -1

  constructor(file: DiskFile, fileBytes: number, format: BlockFormat) {
    this.#file = file
    this.#format = format
    this.#fileBytes = fileBytes
  }

  /** The blocks that hold the bytes from `start` up to `end` are as they were written. */
  isWhole(start: number, end: number): boolean {
    if (start <= this.#lastStart) this.#whole = -1
    this.#lastStart = start
    for (let block = this.#blockOf(start); block !== undefined; block++) {
      const begin = this.#begins[block]
      if (begin === undefined) return false
      if (begin >= end) return true
      const next = this.#beginAfter(block)
      if (next === undefined) return false
      if (block !== this.#whole && !this.#format.isBlockWhole(this.#file, begin, next)) return false
      this.#whole = block
      if (next >= end) return true
    }
    return false
  }

  /** The last block that begins at or before `position`. */
  #blockOf(position: number): number | undefined {
    for (let last = this.#begins.length - 1; (this.#begins[last] ?? 0) < position; last++) {
      const next = this.#beginAfter(last)
      if (next === undefined) return undefined
      if (next > position) break
    }
    let low = 0
    let high = this.#begins.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#begins[middle] ?? 0) <= position) low = middle
      else high = middle - 1
    }
    return low
  }

  #beginAfter(block: number): number | undefined {
    const known = this.#begins[block + 1]
    if (known !== undefined) return known
    const begin = this.#begins[block] ?? 0
    const end = this.#format.blockEnd(this.#file, begin, this.#fileBytes)
    if (end === undefined || end <= begin) return undefined
    this.#begins.push(end)
    return end
  }
}
