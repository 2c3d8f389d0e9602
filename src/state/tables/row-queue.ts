/**
 * Checkpoints of a row table that is a queue: rows come in at the young end, numbered without gaps, never change, and leave at the old end. With one
 * pair of key and value for each row they would be most of every checkpoint; here all rows that came in since the last one go out as a few chunks.
 *
 *   key    tag | number of the chunk's first row u64          value  the rows' value words, one row behind the other
 *   key    tag | 0 (no row has this number)                   value  the floor u64: rows with lower numbers are gone, though their chunk is still there
 *
 * A chunk goes when its last row has left the queue. Digest and auditor see rows, never chunks: how rows are cut into chunks is no state.
 * Invariant: what is stored, less what is below the stored floor, is the queue as it was at the last `collect`.
 */
import { assert } from '../../platform/assert.ts'
import { firstKeyField, type RowTable } from './row-table.ts'
import { type CheckpointSink, type DigestSumLike, type StateTable, WordReader } from './words.ts'

const twoTo32 = 0x1_0000_0000
const chunkRowsMax = 1_024
/** The row's number is its whole key. */
const keyWords = 2

export interface RowQueueOptions {
  /** With a key of one u64, which is the row's number, from 1; made with `isQueued`. */
  readonly rows: RowTable
  readonly valueWords: number
  /** The next younger row; 0 = none. */
  readonly youngerField: number
  /** The oldest row; 0 = the queue is empty. */
  readonly oldest: () => number
  /** The youngest row; 0 = the queue is empty. */
  readonly youngest: () => number
}

interface Chunk {
  readonly first: number
  readonly last: number
}

export class RowQueue implements StateTable {
  readonly tag: number
  readonly #options: RowQueueOptions
  readonly #words: Int32Array
  /** Those stored, oldest first. */
  #chunks: Chunk[] = []
  #storedFloor = 0
  /** Number and handle of the youngest row that is stored. The handle is good as long as that row is in the queue. */
  #savedNumber = 0
  #savedHandle = 0
  #loading: { readonly first: number; readonly value: Uint8Array }[] = []

  constructor(options: RowQueueOptions) {
    this.#options = options
    this.tag = options.rows.tag
    this.#words = new Int32Array(keyWords + chunkRowsMax * options.valueWords)
  }

  get count(): number {
    return this.#options.rows.count
  }

  get changedCount(): number {
    const youngest = this.#options.youngest()
    if (youngest === 0) return 0
    return this.#numberOf(youngest) - Math.max(this.#savedNumber, this.#numberOf(this.#options.oldest()) - 1)
  }

  settle(sum: DigestSumLike): void {
    this.#options.rows.settle(sum)
  }

  forEachRow(visit: (words: Int32Array, at: number, count: number) => void): void {
    this.#options.rows.forEachRow(visit)
  }

  collect(sink: CheckpointSink): void {
    const oldest = this.#options.oldest()
    const floor = oldest === 0 ? Infinity : this.#numberOf(oldest)
    this.#collectGone(sink, floor)
    if (oldest === 0) return
    const { rows, youngerField } = this.#options
    // The last one saved may have left, and its handle may be another row's by now.
    let row = this.#savedNumber >= floor ? rows.get(this.#savedHandle, youngerField) : oldest
    while (row !== 0) row = this.#collectChunk(sink, row)
  }

  load(key: Uint8Array, value: Uint8Array): string | undefined {
    const reader = new WordReader().open(key, 1)
    const first = reader.u64()
    const problem = reader.end()
    if (problem !== undefined) return problem
    if (first === 0) return this.#loadFloor(value)
    if (value.length === 0 || value.length % (this.#options.valueWords * 4) !== 0) return 'a chunk has the wrong length'
    this.#loading.push({ first, value })
    return undefined
  }

  /** Only now the floor is known for sure: makes the rows, in the order of their numbers. */
  finishLoad(): string | undefined {
    const { rows, valueWords } = this.#options
    const reader = new WordReader()
    const chunks = this.#loading.sort((a, b) => a.first - b.first)
    this.#loading = []
    for (const { first, value } of chunks) {
      if (first <= this.#savedNumber) return 'two chunks hold the same row'
      const count = value.length / (valueWords * 4)
      for (let i = Math.max(0, this.#storedFloor - first); i < count; i++) {
        if (rows.count === rows.rowsMax) return 'there are more rows than the limits allow'
        const handle = rows.allocate()
        rows.setU64(handle, firstKeyField, first + i)
        reader.open(value, i * valueWords * 4)
        for (let word = 0; word < valueWords; word++) rows.set(handle, firstKeyField + keyWords + word, reader.u32())
        this.#savedHandle = handle
      }
      this.#stored({ first, last: first + count - 1 })
    }
    return undefined
  }

  #loadFloor(value: Uint8Array): string | undefined {
    const reader = new WordReader().open(value, 0)
    this.#storedFloor = reader.u64()
    return reader.end()
  }

  /** Chunks that have left as a whole, and how far the oldest that has not. */
  #collectGone(sink: CheckpointSink, floor: number): void {
    let gone = 0
    for (let chunk = this.#chunks[0]; chunk !== undefined && chunk.last < floor; chunk = this.#chunks[++gone]) {
      this.#writeNumber(0, chunk.first)
      sink.delete(this.tag, this.#words, 0, keyWords)
    }
    if (gone > 0) this.#chunks.splice(0, gone)
    const first = this.#chunks[0]?.first
    if (first === undefined || first >= floor || floor === this.#storedFloor) return
    this.#storedFloor = floor
    this.#writeNumber(0, 0)
    this.#writeNumber(keyWords, floor)
    sink.put(this.tag, this.#words, 0, keyWords, 2)
  }

  /** From this row on, as many as a chunk takes. The first that it did not; 0 = none. */
  #collectChunk(sink: CheckpointSink, from: number): number {
    const { rows, valueWords, youngerField } = this.#options
    const first = this.#numberOf(from)
    let row = from
    let count = 0
    for (; row !== 0 && count < chunkRowsMax; count++) {
      assert(this.#numberOf(row) === first + count, 'row-queue-gap', this.tag, first + count)
      rows.copyWords(row, firstKeyField + keyWords, valueWords, this.#words, keyWords + count * valueWords)
      this.#savedHandle = row
      row = rows.get(row, youngerField)
    }
    this.#writeNumber(0, first)
    sink.put(this.tag, this.#words, 0, keyWords, count * valueWords)
    this.#stored({ first, last: first + count - 1 })
    return row
  }

  #stored(chunk: Chunk): void {
    this.#chunks.push(chunk)
    this.#savedNumber = chunk.last
  }

  #numberOf(row: number): number {
    return this.#options.rows.getU64(row, firstKeyField)
  }

  #writeNumber(at: number, value: number): void {
    this.#words[at] = value
    this.#words[at + 1] = Math.floor(value / twoTo32)
  }
}
