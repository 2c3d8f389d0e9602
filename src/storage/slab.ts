/**
 * Whole records, one behind the other, in one piece of memory that stands for one piece of one segment file, with the place of each record.
 * Used twice: as write buffer, source for followers and tail cache while the log grows, and as a block read back from an old part of it.
 *
 * Invariant: bytes below `used` are never written again, not even after a truncation: sockets and writes under way still look at them.
 */
import { assert, mustExist } from '../platform/assert.ts'
import { viewOf } from '../platform/bytes.ts'
import type { Segment } from './segment.ts'

export class Slab {
  readonly segment: Segment
  /** Of byte 0, in the segment's file. */
  readonly filePosition: number
  readonly firstIndex: number
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Bytes of whole records. */
  used = 0
  /** Records. */
  count = 0
  /** After a truncation inside it nothing more may be added. */
  isClosed = false
  #starts: Uint32Array<ArrayBuffer>

  constructor(segment: Segment, filePosition: number, firstIndex: number, bytes: Uint8Array, recordsGuess = 64) {
    this.segment = segment
    this.filePosition = filePosition
    this.firstIndex = firstIndex
    this.bytes = bytes
    this.view = viewOf(bytes)
    this.#starts = new Uint32Array(recordsGuess)
  }

  /** `firstIndex − 1` when it is empty. */
  get lastIndex(): number {
    return this.firstIndex + this.count - 1
  }

  get endPosition(): number {
    return this.filePosition + this.used
  }

  /** The record that begins at `used` is whole now and `size` bytes long. */
  add(size: number): void {
    if (this.count === this.#starts.length) {
      const starts = new Uint32Array(this.count * 2)
      starts.set(this.#starts)
      this.#starts = starts
    }
    this.#starts[this.count] = this.used
    this.count++
    this.used += size
  }

  fits(size: number): boolean {
    return !this.isClosed && this.used + size <= this.bytes.length
  }

  /** Where a record begins, in `bytes`. */
  startOf(index: number): number {
    assert(index >= this.firstIndex, 'slab-index-low', index, this.firstIndex)
    if (index === this.firstIndex + this.count) return this.used
    assert(index <= this.lastIndex, 'slab-index-high', index, this.lastIndex)
    return mustExist(this.#starts[index - this.firstIndex], 'slab-start', index)
  }

  endOf(index: number): number {
    return this.startOf(index + 1)
  }

  /** The last record that ends within `bytesMax` of where record `index` begins; at least `index` itself. */
  lastWithin(index: number, bytesMax: number): number {
    const limit = this.startOf(index) + bytesMax
    let low = index
    let high = this.lastIndex
    while (low < high) {
      const middle = Math.floor((low + high + 1) / 2)
      if (this.endOf(middle) <= limit) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Drops the records from `index` on and takes no more. */
  truncate(index: number): void {
    this.used = this.startOf(index)
    this.count = index - this.firstIndex
    this.isClosed = true
  }
}
