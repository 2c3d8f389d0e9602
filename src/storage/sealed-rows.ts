/**
 * The rows of all sealed chunks of the queue index: where a queue's rows stand, read through a bounded cache of blocks; rot among them; what retention
 * gives up of them. The chunks never change: they are added at the new end and go at the old one.
 */
import { LRUCache } from 'lru-cache'
import { assert, mustExist } from '../platform/assert.ts'
import { viewOf } from '../platform/bytes.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import { readRow, rowBytes } from './queue-rows.ts'
import type { RowSlot } from './queue-rows.ts'
import { blockBytes, blockRows, readSealedBlock, readSealedHead } from './sealed-chunk.ts'
import type { SealedChunk } from './sealed-chunk.ts'
import { IndexRot } from './storage-error.ts'

/** One queue's part of the sealed chunks, oldest first; parallel arrays. */
interface SealedRuns {
  readonly firstOffsets: number[]
  readonly endOffsets: number[]
  readonly rowStarts: number[]
  readonly chunks: SealedChunk[]
}

/** A block of rows of a sealed chunk. */
export interface IndexPlace {
  readonly chunk: number
  readonly block: number
}

/** Makes one cache key of chunk and block. */
const blocksPerChunkMax = 65_536

export interface SealedRowsOptions {
  readonly disk: Disk
  readonly directory: string
  readonly cacheBytesMax: number
  readonly openFilesMax: number
  readonly rotFound: (error: IndexRot) => void
  /** A removal met this; nothing more is removed then. */
  readonly failed: (cause: unknown) => void
}

export class SealedRows {
  readonly #options: SealedRowsOptions
  readonly #runs = new Map<number, (SealedRuns | undefined)[]>()
  readonly #blocks: LRUCache<number, DataView>
  readonly #files: LRUCache<number, DiskFile>
  /** Oldest first, without a gap. */
  readonly #chunks: SealedChunk[] = []
  /** Given up, their files not yet removed. */
  readonly #doomed: SealedChunk[] = []
  #isRemoving = false
  #mayRemove = true
  #isClosed = false
  /** Nothing more is read: the node is about to start again. */
  #rot: IndexRot | undefined

  constructor(options: SealedRowsOptions) {
    this.#options = options
    this.#blocks = new LRUCache({ max: Math.max(1, Math.floor(options.cacheBytesMax / blockBytes)) })
    this.#files = new LRUCache({ max: options.openFilesMax, dispose: file => file.close() })
  }

  /** Oldest first, without a gap. */
  get chunks(): readonly SealedChunk[] {
    return this.#chunks
  }

  get cachedBlocks(): number {
    return this.#blocks.size
  }

  /** The next one, in order. */
  add(chunk: SealedChunk): void {
    this.#chunks.push(chunk)
    for (const { topicId, queueId, firstOffset, rowCount, rowStart } of chunk.queues) {
      let queues = this.#runs.get(topicId)
      if (queues === undefined) this.#runs.set(topicId, (queues = []))
      while (queues.length < queueId) queues.push(undefined)
      const runs = (queues[queueId] ??= { firstOffsets: [], endOffsets: [], rowStarts: [], chunks: [] })
      runs.firstOffsets.push(firstOffset)
      runs.endOffsets.push(firstOffset + rowCount)
      runs.rowStarts.push(rowStart)
      runs.chunks.push(chunk)
    }
  }

  /** Its rows are read no more; they stay on the disk as long as their chunks. */
  dropTopic(topicId: number): void {
    this.#runs.delete(topicId)
  }

  /** Where the queue's rows end; undefined when there are none. */
  endOf(topicId: number, queueId: number): number | undefined {
    return this.#runs.get(topicId)?.[queueId]?.endOffsets.at(-1)
  }

  read(topicId: number, queueId: number, offset: number): RowSlot {
    const runs = mustExist(this.#runs.get(topicId)?.[queueId], 'queue-index-no-queue', topicId, queueId)
    const run = lastAtOrBelow(runs.firstOffsets, offset)
    const chunk = mustExist(runs.chunks[run], 'queue-index-below', offset)
    assert(offset < (runs.endOffsets[run] ?? 0), 'queue-index-above', topicId, queueId, offset)
    const row = (runs.rowStarts[run] ?? 0) + offset - (runs.firstOffsets[run] ?? 0)
    const block = Math.floor(row / blockRows)
    return readRow(this.#block(chunk, block), (row - block * blockRows) * rowBytes)
  }

  /** No file is removed any more: something has failed. */
  keepFiles(): void {
    this.#mayRemove = false
  }

  /** Idempotent. Nothing is read or removed behind it. */
  close(): void {
    this.#isClosed = true
    this.#files.clear()
    this.#blocks.clear()
  }

  /** Chunks of which nothing is at or above `index` go, oldest first: no message there is needed any more, or it was carried forward. */
  trimTo(index: number): void {
    for (let first = this.#chunks[0]; first !== undefined && first.mark.throughIndex < index; first = this.#chunks[0]) {
      this.#chunks.shift()
      for (const { topicId, queueId } of first.queues) this.#dropFirstRun(topicId, queueId, first)
      this.#files.delete(first.chunk)
      for (let block = 0; block < first.blockCrcs.length; block++) this.#blocks.delete(first.chunk * blocksPerChunkMax + block)
      this.#doomed.push(first)
    }
    this.#removeDoomed()
  }

  #dropFirstRun(topicId: number, queueId: number, chunk: SealedChunk): void {
    const runs = this.#runs.get(topicId)?.[queueId]
    // A dropped topic's are gone already.
    if (runs?.chunks[0] !== chunk) return
    runs.firstOffsets.shift()
    runs.endOffsets.shift()
    runs.rowStarts.shift()
    runs.chunks.shift()
  }

  /** One after the other, each for good before the next: a crash leaves no gap. */
  #removeDoomed(): void {
    const chunk = this.#doomed[0]
    if (chunk === undefined || this.#isRemoving || this.#isClosed || !this.#mayRemove) return
    this.#isRemoving = true
    try {
      this.#options.disk.removeLater(chunk.path, error => {
        this.#isRemoving = false
        if (error !== undefined) return this.#options.failed(error)
        this.#doomed.shift()
        this.#removeDoomed()
      })
    } catch (error) {
      this.#options.failed(error)
    }
  }

  #block(chunk: SealedChunk, block: number): DataView {
    const key = chunk.chunk * blocksPerChunkMax + block
    const cached = this.#blocks.get(key)
    if (cached !== undefined) return cached
    if (this.#rot !== undefined) throw this.#rot
    let file = this.#files.get(chunk.chunk)
    if (file === undefined) this.#files.set(chunk.chunk, (file = this.#options.disk.open(chunk.path, { create: false })))
    const view = viewOf(this.#readBlock(file, chunk, block))
    this.#blocks.set(key, view)
    return view
  }

  /**
   * Reads one block of a sealed chunk from the disk, whatever the cache has, and with the first one the chunk's head: the one at `place`, or the next
   * that there is; undefined when there is none. Rot is told as by any read, and then nothing more is read.
   */
  scrubBlock(place: IndexPlace = { chunk: 0, block: 0 }): { readonly bytes: number; readonly next: IndexPlace } | undefined {
    if (this.#rot !== undefined || this.#isClosed) return undefined
    const chunk = this.#chunks.find(one => one.chunk > place.chunk || (one.chunk === place.chunk && place.block < one.blockCrcs.length))
    if (chunk === undefined) return undefined
    const block = chunk.chunk === place.chunk ? place.block : 0
    const next = { chunk: chunk.chunk, block: block + 1 }
    const file = this.#options.disk.open(chunk.path, { create: false })
    try {
      if (block === 0) this.#orRotten(chunk, () => readSealedHead(this.#options.disk, chunk.path))
      if (chunk.blockCrcs.length === 0) return { bytes: chunk.rowsPosition, next }
      return { bytes: this.#readBlock(file, chunk, block).length, next }
    } catch (error) {
      if (error instanceof IndexRot) return undefined
      throw error
    } finally {
      file.close()
    }
  }

  #readBlock(file: DiskFile, chunk: SealedChunk, block: number): Uint8Array {
    return this.#orRotten(chunk, () => readSealedBlock(file, chunk, block))
  }

  /** A chunk that has rotted goes: the next start finds that it is missing, and makes the index anew. */
  #orRotten<T>(chunk: SealedChunk, read: () => T): T {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof IndexRot)) throw error
      const { disk, directory, rotFound } = this.#options
      if (disk.exists(chunk.path)) {
        disk.remove(chunk.path)
        disk.syncDirectory(directory)
      }
      this.#rot = error
      rotFound(error)
      throw error
    }
  }
}

/** Place of the last value ≤ `wanted` in an ascending array; -1 when there is none. */
function lastAtOrBelow(ascending: readonly number[], wanted: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? 0) <= wanted) low = middle + 1
    else high = middle
  }
  return low - 1
}
