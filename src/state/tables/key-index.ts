/**
 * Finds rows by a hash of theirs: buckets of chains through a link word of the rows, grown by linear hashing. One insertion splits at most one
 * bucket, so there is never a pause for hashing a million rows again. Chains hold rows of other keys too: the caller compares.
 * Order inside a chain is history; nobody may decide by it.
 */
import { assert } from '../../platform/assert.ts'
import type { RowTable } from './row-table.ts'

const pageBits = 12
const pageMask = (1 << pageBits) - 1

export class KeyIndex {
  readonly #rows: RowTable
  readonly #nextField: number
  readonly #hashOf: (handle: number) => number
  readonly #pages: Int32Array[] = [new Int32Array(1 << pageBits)]
  /** Buckets are 0 … 2^level + split − 1; those below `split` have already been split. */
  #levelMask = pageMask
  #split = 0
  #count = 0

  constructor(rows: RowTable, nextField: number, hashOf: (handle: number) => number) {
    this.#rows = rows
    this.#nextField = nextField
    this.#hashOf = hashOf
  }

  /** First row of the chain that may hold this hash; 0 = none. Go on with `next`. */
  first(hash: number): number {
    return this.#get(this.#bucket(hash))
  }

  next(handle: number): number {
    return this.#rows.get(handle, this.#nextField)
  }

  insert(handle: number, hash: number): void {
    const bucket = this.#bucket(hash)
    this.#rows.set(handle, this.#nextField, this.#get(bucket))
    this.#set(bucket, handle)
    if (++this.#count > this.#levelMask + this.#split) this.#splitOne()
  }

  remove(handle: number, hash: number): void {
    const bucket = this.#bucket(hash)
    let before = 0
    for (let at = this.#get(bucket); at !== handle; at = this.#rows.get(at, this.#nextField)) {
      assert(at !== 0, 'key-index-has-row', handle)
      before = at
    }
    const after = this.#rows.get(handle, this.#nextField)
    if (before === 0) this.#set(bucket, after)
    else this.#rows.set(before, this.#nextField, after)
    this.#count--
  }

  #bucket(hash: number): number {
    const low = hash & this.#levelMask
    return low < this.#split ? hash & (this.#levelMask * 2 + 1) : low
  }

  /** Deals the rows of bucket `split` out between it and its new twin. */
  #splitOne(): void {
    const twin = this.#levelMask + 1 + this.#split
    if (twin >>> pageBits === this.#pages.length) this.#pages.push(new Int32Array(1 << pageBits))
    let handle = this.#get(this.#split)
    let stay = 0
    let move = 0
    while (handle !== 0) {
      const next = this.#rows.get(handle, this.#nextField)
      if ((this.#hashOf(handle) & (this.#levelMask * 2 + 1)) === twin) {
        this.#rows.set(handle, this.#nextField, move)
        move = handle
      } else {
        this.#rows.set(handle, this.#nextField, stay)
        stay = handle
      }
      handle = next
    }
    this.#set(this.#split, stay)
    this.#set(twin, move)
    if (++this.#split > this.#levelMask) {
      this.#levelMask = this.#levelMask * 2 + 1
      this.#split = 0
    }
  }

  #get(bucket: number): number {
    return (this.#pages[bucket >>> pageBits] as Int32Array)[bucket & pageMask] as number
  }

  #set(bucket: number, handle: number): void {
    ;(this.#pages[bucket >>> pageBits] as Int32Array)[bucket & pageMask] = handle
  }
}

/** One step of mixing a word into a hash. */
export function mix(hash: number, word: number): number {
  let h = Math.imul(hash ^ word, 0x85ebca6b)
  h ^= h >>> 13
  return Math.imul(h, 0xc2b2ae35) ^ (h >>> 16)
}
