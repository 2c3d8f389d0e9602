/**
 * Rows of fixed length in pages of typed arrays, named by integer handles: for what grows with the traffic (rule 11). A page is 4 096 rows, so
 * the table grows without copying, and a million rows are a few hundred objects to the garbage collector.
 *
 * A row:  flags | 4 words of its hash | key | value | links.  Key and value are canonical words; hash and links are derived and leave no trace
 * in digest or checkpoint. Handle 0 is nobody, so a zero link is an empty one.
 * Whoever changes key or value words of a row calls `changed` (once is enough), never touches them after `remove`.
 */
import { assert } from '../../platform/assert.ts'
import { hashLanes, hashWords } from '../digest.ts'
import { type CheckpointSink, type DigestSumLike, type StateTable, WordReader } from './words.ts'

const twoTo32 = 0x1_0000_0000
const pageBits = 12
const pageRows = 1 << pageBits
const pageMask = pageRows - 1
/** The first page begins with so many and doubles: most tables stay small. */
const rowsAtFirst = 64

const flagLive = 1
/** The handle stands in the list of rows to hash again. Outlives the row. */
const flagUnhashed = 2
/** The handle stands in the list of rows to checkpoint. Outlives the row. */
const flagUnsaved = 4
/** The last checkpoint has the row. */
const flagStored = 8
/** The running sum has the row, with the hash kept in it. */
const flagSummed = 16

const hashField = 1

/** First word of a row's key; the layouts count from here. */
export const firstKeyField = hashField + hashLanes

export class RowTable implements StateTable {
  readonly tag: number
  readonly rowsMax: number
  readonly #keyWords: number
  readonly #valueWords: number
  readonly #rowWords: number
  readonly #pages: Int32Array[] = []
  /** First free handle, chained through its first hash word. */
  #free = 0
  /** Handles ever used. */
  #used = 0
  #count = 0
  readonly #unhashed = new HandleList()
  readonly #unsaved = new HandleList()
  /** Keys of stored rows that are gone, one behind the other. */
  #goneKeys = new Int32Array(64)
  #goneCount = 0
  /** Hashes of summed rows that are gone and not yet subtracted: 4 words each. */
  #goneHashes = new Int32Array(64)
  #goneHashWords = 0

  readonly #isDerived: boolean
  /** What a change sets: flags of the lists that the row must stand in. */
  readonly #changedFlags: number

  /** `isDerived`: the rows follow from others; nothing is hashed or checkpointed. `isQueued`: a RowQueue checkpoints them; here they are only hashed. */
  constructor(options: {
    tag: number
    keyWords: number
    valueWords: number
    linkWords: number
    rowsMax: number
    isDerived?: boolean
    isQueued?: boolean
  }) {
    this.#isDerived = options.isDerived ?? false
    this.#changedFlags = options.isQueued === true ? flagUnhashed : flagUnhashed | flagUnsaved
    this.tag = options.tag
    this.rowsMax = options.rowsMax
    this.#keyWords = options.keyWords
    this.#valueWords = options.valueWords
    this.#rowWords = firstKeyField + options.keyWords + options.valueWords + options.linkWords
  }

  get count(): number {
    return this.#count
  }

  get changedCount(): number {
    return this.#unsaved.count + this.#goneCount
  }

  /** Rows that the running sum has not heard of. */
  get unhashedCount(): number {
    return this.#unhashed.count
  }

  /** A new row, all zero. The caller has checked the bound. */
  allocate(): number {
    assert(this.#count < this.rowsMax, 'row-table-full', this.tag, this.#count)
    let handle = this.#free
    if (handle !== 0) {
      this.#free = this.get(handle, hashField)
      this.set(handle, hashField, 0)
    } else {
      handle = ++this.#used
      this.#makeRoom(handle)
    }
    this.set(handle, 0, this.get(handle, 0) | flagLive)
    this.#count++
    this.changed(handle)
    return handle
  }

  #makeRoom(handle: number): void {
    const number = handle >>> pageBits
    const page = this.#pages[number]
    if (page === undefined) this.#pages.push(new Int32Array((number === 0 ? rowsAtFirst : pageRows) * this.#rowWords))
    else if ((handle & pageMask) * this.#rowWords === page.length) {
      const larger = new Int32Array(page.length * 2)
      larger.set(page)
      this.#pages[number] = larger
    }
  }

  /** The row is no more. The handle may be given out again at once. */
  remove(handle: number): void {
    const page = this.#pages[handle >>> pageBits] as Int32Array
    const at = (handle & pageMask) * this.#rowWords
    const flags = page[at] as number
    assert((flags & flagLive) !== 0, 'row-live', this.tag, handle)
    if ((flags & flagStored) !== 0) this.#rememberGoneKey(page, at + firstKeyField)
    if ((flags & flagSummed) !== 0) this.#rememberGoneHash(page, at + hashField)
    page.fill(0, at, at + this.#rowWords)
    page[at] = flags & (flagUnhashed | flagUnsaved)
    page[at + hashField] = this.#free
    this.#free = handle
    this.#count--
  }

  /** Key or value words changed, or will before anybody looks. */
  changed(handle: number): void {
    if (this.#isDerived) return
    const flags = this.get(handle, 0)
    const missing = this.#changedFlags & ~flags
    if (missing === 0) return
    if ((missing & flagUnhashed) !== 0) this.#unhashed.push(handle)
    if ((missing & flagUnsaved) !== 0) this.#unsaved.push(handle)
    this.set(handle, 0, flags | missing)
  }

  get(handle: number, field: number): number {
    return (this.#pages[handle >>> pageBits] as Int32Array)[(handle & pageMask) * this.#rowWords + field] as number
  }

  getU32(handle: number, field: number): number {
    return this.get(handle, field) >>> 0
  }

  getU64(handle: number, field: number): number {
    const page = this.#pages[handle >>> pageBits] as Int32Array
    const at = (handle & pageMask) * this.#rowWords + field
    return ((page[at + 1] as number) >>> 0) * twoTo32 + ((page[at] as number) >>> 0)
  }

  set(handle: number, field: number, value: number): void {
    ;(this.#pages[handle >>> pageBits] as Int32Array)[(handle & pageMask) * this.#rowWords + field] = value
  }

  setU64(handle: number, field: number, value: number): void {
    const page = this.#pages[handle >>> pageBits] as Int32Array
    const at = (handle & pageMask) * this.#rowWords + field
    page[at] = value
    page[at + 1] = Math.floor(value / twoTo32)
  }

  /** Copies `count` words of a row, from `field` on. */
  copyWords(handle: number, field: number, count: number, target: Int32Array, targetAt: number): void {
    const page = this.#pages[handle >>> pageBits] as Int32Array
    const at = (handle & pageMask) * this.#rowWords + field
    for (let i = 0; i < count; i++) target[targetAt + i] = page[at + i] as number
  }

  /** All live handles, by handle: a layout order, so only for what does not care (linking after a restore sorts first). */
  handles(): number[] {
    const live: number[] = []
    for (let handle = 1; handle <= this.#used; handle++) if ((this.get(handle, 0) & flagLive) !== 0) live.push(handle)
    return live
  }

  settle(sum: DigestSumLike): void {
    for (let i = 0; i < this.#goneHashWords; i += hashLanes) sum.subtract(this.#goneHashes, i)
    this.#goneHashWords = 0
    const words = this.#keyWords + this.#valueWords
    for (let i = 0; i < this.#unhashed.count; i++) {
      const handle = this.#unhashed.at(i)
      const page = this.#pages[handle >>> pageBits] as Int32Array
      const at = (handle & pageMask) * this.#rowWords
      const flags = page[at] as number
      page[at] = flags & ~flagUnhashed
      if ((flags & flagLive) === 0) continue
      if ((flags & flagSummed) !== 0) sum.subtract(page, at + hashField)
      hashWords(this.tag, page, at + firstKeyField, words, page, at + hashField)
      sum.add(page, at + hashField)
      page[at] = (flags & ~flagUnhashed) | flagSummed
    }
    this.#unhashed.clear()
  }

  collect(sink: CheckpointSink): void {
    for (let i = 0; i < this.#goneCount; i++) sink.delete(this.tag, this.#goneKeys, i * this.#keyWords, this.#keyWords)
    this.#goneCount = 0
    for (let i = 0; i < this.#unsaved.count; i++) {
      const handle = this.#unsaved.at(i)
      const page = this.#pages[handle >>> pageBits] as Int32Array
      const at = (handle & pageMask) * this.#rowWords
      const flags = page[at] as number
      page[at] = flags & ~flagUnsaved
      if ((flags & flagLive) === 0) continue
      sink.put(this.tag, page, at + firstKeyField, this.#keyWords, this.#valueWords)
      page[at] = (flags & ~flagUnsaved) | flagStored
    }
    this.#unsaved.clear()
  }

  load(key: Uint8Array, value: Uint8Array): string | undefined {
    if (key.length !== 1 + this.#keyWords * 4) return 'a key has the wrong length'
    if (value.length !== this.#valueWords * 4) return 'a value has the wrong length'
    if (this.#count === this.rowsMax) return 'there are more rows than the limits allow'
    const handle = this.allocate()
    const reader = new WordReader().open(key, 1)
    for (let i = 0; i < this.#keyWords; i++) this.set(handle, firstKeyField + i, reader.u32())
    reader.open(value, 0)
    for (let i = 0; i < this.#valueWords; i++) this.set(handle, firstKeyField + this.#keyWords + i, reader.u32())
    this.set(handle, 0, this.get(handle, 0) | flagStored)
    return undefined
  }

  /** After a restore: what was loaded is what the store has. */
  forgetChanges(): void {
    for (let i = 0; i < this.#unsaved.count; i++) this.set(this.#unsaved.at(i), 0, this.get(this.#unsaved.at(i), 0) & ~flagUnsaved)
    this.#unsaved.clear()
  }

  forEachRow(visit: (words: Int32Array, at: number, count: number) => void): void {
    for (let handle = 1; handle <= this.#used; handle++) {
      if ((this.get(handle, 0) & flagLive) === 0) continue
      const at = (handle & pageMask) * this.#rowWords + firstKeyField
      visit(this.#pages[handle >>> pageBits] as Int32Array, at, this.#keyWords + this.#valueWords)
    }
  }

  #rememberGoneKey(page: Int32Array, at: number): void {
    const from = this.#goneCount * this.#keyWords
    if (from + this.#keyWords > this.#goneKeys.length) this.#goneKeys = doubled(this.#goneKeys)
    for (let i = 0; i < this.#keyWords; i++) this.#goneKeys[from + i] = page[at + i] as number
    this.#goneCount++
  }

  #rememberGoneHash(page: Int32Array, at: number): void {
    if (this.#goneHashWords + hashLanes > this.#goneHashes.length) this.#goneHashes = doubled(this.#goneHashes)
    for (let i = 0; i < hashLanes; i++) this.#goneHashes[this.#goneHashWords + i] = page[at + i] as number
    this.#goneHashWords += hashLanes
  }
}

function doubled(words: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(words.length * 2)
  larger.set(words)
  return larger
}

/** Handles, each at most once because a flag of its row says so. */
class HandleList {
  #handles = new Int32Array(256)
  count = 0

  push(handle: number): void {
    if (this.count === this.#handles.length) this.#handles = doubled(this.#handles)
    this.#handles[this.count++] = handle
  }

  at(i: number): number {
    return this.#handles[i] as number
  }

  clear(): void {
    this.count = 0
    if (this.#handles.length > 65_536) this.#handles = new Int32Array(256)
  }
}
