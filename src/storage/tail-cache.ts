/**
 * The newest part of the log in memory: slabs, oldest first, without a gap up to the last entry. What is not on disk yet is here by all means;
 * of what is, as much as the bound allows. Followers and consumers that keep up are served from here and never touch the disk.
 */
import { mustExist } from '../platform/assert.ts'
import { allocateUnzeroed } from '../platform/bytes.ts'
import { Slab } from './slab.ts'
import type { Segment } from './segment.ts'

export class TailCache {
  readonly #slabs: Slab[] = []
  readonly #slabBytes: number
  #bytes = 0

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes
  }

  /** Memory held, unused room in the slabs included. */
  get bytes(): number {
    return this.#bytes
  }

  get slabs(): readonly Slab[] {
    return this.#slabs
  }

  /**
   * The slab in which a record of this size, the next of this segment, finds room. A new one begins a new point of the segment's index.
   * `memory` holds the record already and is nobody else's: of a record too large for an ordinary slab it becomes the slab.
   */
  roomFor(segment: Segment, index: number, size: number, memory?: Uint8Array): Slab {
    const last = this.#slabs.at(-1)
    if (last?.segment === segment && last.fits(size)) return last
    // Not zeroed: only whole records are ever looked at.
    const bytes = size < this.#slabBytes ? allocateUnzeroed(this.#slabBytes) : (memory ?? allocateUnzeroed(size))
    const slab = new Slab(segment, segment.endPosition, index, bytes)
    this.#slabs.push(slab)
    this.#bytes += slab.bytes.length
    segment.maybeAddPoint(index, segment.endPosition, true)
    return slab
  }

  /** The slab that holds an entry; undefined when it is older than the cache. */
  find(index: number): Slab | undefined {
    const slabs = this.#slabs
    const last = slabs.at(-1)
    if (last === undefined || index < mustExist(slabs[0], 'first-slab').firstIndex) return undefined
    if (index >= last.firstIndex) return last
    let low = 0
    let high = slabs.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (mustExist(slabs[middle], 'slab').firstIndex <= index) low = middle
      else high = middle - 1
    }
    return slabs[low]
  }

  /** Forgets the entries from `index` on. */
  truncate(index: number): void {
    for (let last = this.#slabs.at(-1); last !== undefined && last.firstIndex >= index; last = this.#slabs.at(-1)) {
      this.#slabs.pop()
      this.#bytes -= last.bytes.length
    }
    const last = this.#slabs.at(-1)
    if (last !== undefined && last.lastIndex >= index) last.truncate(index)
  }

  /** Gives up the slabs that end below `index`. */
  dropBelow(index: number): void {
    for (let first = this.#slabs[0]; first !== undefined && first.lastIndex < index && this.#slabs.length > 1; first = this.#slabs[0]) {
      this.#slabs.shift()
      this.#bytes -= first.bytes.length
    }
  }

  /** Gives up the oldest slabs until at most `bytesMax` are held; never what is not yet on disk, that is above `writtenIndex`, nor the slab in use. */
  shrink(bytesMax: number, writtenIndex: number): void {
    let count = 0
    while (this.#bytes > bytesMax && count < this.#slabs.length - 1) {
      const slab = mustExist(this.#slabs[count], 'slab')
      if (slab.lastIndex > writtenIndex) break
      this.#bytes -= slab.bytes.length
      count++
    }
    if (count > 0) this.#slabs.splice(0, count)
  }
}
