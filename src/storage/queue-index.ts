/**
 * The queue index: (topic, queue, offset) → where the message is in the log. Derived from the log by apply, never in LevelDB, never in the digest.
 * Rows of the newest chunk are in memory and, a block for each checkpoint, in its file (open-chunk.ts). A chunk that has grown large is frozen and,
 * once the checkpoint that covers it is saved, sealed into an immutable sorted file (sealed-chunk.ts), which is read through a bounded cache (sealed-rows.ts).
 *
 *   rows    [ sealed 1 ][ sealed 2 ][ frozen 3 (being sealed) ][ open 4: persisted blocks | pending rows ]
 *   entries ───────────────────────────────────────────────────────────── last mark ↑     applied ↑
 *
 * Invariants: a queue's rows have no gap over all chunks; a sealed chunk ends at or before a saved checkpoint; rows never change.
 * A topic that was dropped keeps its rows until the drop is in a saved checkpoint: a crash before that applies its pops again.
 * Retention: whole sealed chunks go, with their segments of the log; what is needed of them stands in the state by then (src/state/carried.ts).
 * Contract: `persist` runs before each checkpoint is saved, and again only when that save has returned.
 */
import { assert } from '../platform/assert.ts'
import { readU64, viewOf } from '../platform/bytes.ts'
import type { Disk, DiskCallback } from '../platform/disk.ts'
import { OpenChunkFile, droppedTopicQueueId, openChunkName, openRowBytes } from './open-chunk.ts'
import type { IndexMark, OpenChunkContent } from './open-chunk.ts'
import { recoverQueueIndex } from './queue-index-recovery.ts'
import { PendingRows } from './pending-rows.ts'
import { ChunkRows, rowBytes } from './queue-rows.ts'
import type { RowSlot } from './queue-rows.ts'
import { sealChunk, sealedChunkName } from './sealed-chunk.ts'
import type { SealedChunk } from './sealed-chunk.ts'
import { SealedRows } from './sealed-rows.ts'
import type { IndexPlace } from './sealed-rows.ts'
import { innermost, StorageError, whatNext } from './storage-error.ts'
import type { IndexRot } from './storage-error.ts'

export interface QueueIndexLimits {
  /** A chunk is frozen when it covers so much log … */
  readonly chunkLogBytes: number
  /** … or has so many rows, which bounds the memory: 32 bytes each, at most two chunks. */
  readonly chunkRowsMax: number
  readonly cacheBytesMax: number
  readonly openFilesMax: number
}

export const defaultQueueIndexLimits: QueueIndexLimits = {
  chunkLogBytes: 64 * 1024 * 1024,
  chunkRowsMax: 512 * 1024,
  cacheBytesMax: 32 * 1024 * 1024,
  openFilesMax: 64,
}

export interface QueueIndexStatus {
  readonly memoryRows: number
  readonly sealedChunks: number
  readonly throughIndex: number
  readonly cachedBlocks: number
}

/** A file of the index, as a snapshot needs to know it. */
export interface QueueIndexFile {
  readonly name: string
  readonly bytes: number
  /** Equal for equal content; means nothing while the file grows. */
  readonly tag: string
  readonly isSealed: boolean
}

export type OpenedQueueIndex =
  { readonly kind: 'opened'; readonly index: QueueIndexFiles } | { readonly kind: 'damaged'; readonly reason: string }

/**
 * Opens the index as the checkpoint at `appliedIndex` knows it (0: no checkpoint, everything starts anew). Synchronous.
 * `damaged`: it cannot serve that checkpoint. Then the caller forgets the checkpoint and opens again with 0.
 */
export function openQueueIndex(
  disk: Disk,
  directory: string,
  options: { readonly appliedIndex: number; readonly limits?: Partial<QueueIndexLimits>; readonly rotFound?: (error: IndexRot) => void },
): OpenedQueueIndex {
  disk.makeDirectory(directory)
  const found = recoverQueueIndex(disk, directory, options.appliedIndex)
  if (found.kind === 'damaged') return found
  const limits = { ...defaultQueueIndexLimits, ...options.limits }
  return { kind: 'opened', index: new QueueIndexFiles(disk, directory, limits, found, options.rotFound ?? ignore) }
}

/** Fits QueueIndex of src/state/store.ts. Made by `openQueueIndex` only. */
export class QueueIndexFiles {
  readonly #disk: Disk
  readonly #directory: string
  readonly #limits: QueueIndexLimits
  readonly #sealed: SealedRows
  /** Waits to be sealed, or is being sealed. */
  #frozen: { rows: ChunkRows; mark: IndexMark; file: OpenChunkFile; isSealing: boolean } | undefined
  #open: ChunkRows
  #openFile: OpenChunkFile | undefined
  /** Log covered by the open chunk's blocks. */
  #openLogBytes: number
  #throughIndex: number
  #pending: PendingRows = new PendingRows()
  #spare: PendingRows = new PendingRows()
  #droppedSincePersist: number[] = []
  #droppedBefore: number[] = []
  #droppedWhileSealing: number[] = []
  #isPersisting = false
  /** The open chunk's file has rotted. */
  #isToRenew = false
  #isClosed = false
  #failure: Error | undefined
  #whenFailed: ((error: Error) => void) | undefined

  constructor(
    disk: Disk,
    directory: string,
    limits: QueueIndexLimits,
    found: { readonly sealed: readonly SealedChunk[]; readonly open: readonly OpenChunkContent[] },
    rotFound: (error: IndexRot) => void,
  ) {
    this.#disk = disk
    this.#directory = directory
    this.#limits = limits
    const { cacheBytesMax, openFilesMax } = limits
    this.#sealed = new SealedRows({ disk, directory, cacheBytesMax, openFilesMax, rotFound, failed: cause => this.#fail(cause) })
    for (const chunk of found.sealed) this.#sealed.add(chunk)
    const newest = found.open.at(-1)
    const older = found.open.length > 1 ? found.open[0] : undefined
    if (older !== undefined)
      this.#frozen = { rows: loadRows(older), mark: older.mark, file: OpenChunkFile.resume(disk, directory, older), isSealing: false }
    this.#throughIndex = (newest ?? found.sealed.at(-1))?.mark.throughIndex ?? 0
    this.#open = newest === undefined ? new ChunkRows((found.sealed.at(-1)?.chunk ?? 0) + 1, this.#throughIndex) : loadRows(newest)
    this.#openFile = newest === undefined ? undefined : OpenChunkFile.resume(disk, directory, newest)
    this.#openLogBytes = newest?.mark.logBytes ?? 0
    for (const content of found.open)
      for (const topicId of droppedTopics(content)) {
        this.#frozen?.rows.dropTopic(topicId)
        this.#sealed.dropTopic(topicId)
      }
  }

  /** `failed` runs once, with the first error, whatever met it: what seals and removes chunks in the background has nobody else to tell. May run inside a call. */
  whenFailed(failed: (error: Error) => void): void {
    this.#whenFailed = failed
  }

  append(topicId: number, queueId: number, offset: number, slot: RowSlot): void {
    let rows = this.#open.find(topicId, queueId)
    if (rows === undefined) {
      const end = this.#endBefore(topicId, queueId)
      assert(end === undefined || end === offset, 'queue-index-gap', topicId, queueId, offset)
    }
    rows = this.#open.rowsFor(topicId, queueId, offset)
    rows.append(offset, slot)
    this.#pending.append(topicId, queueId, offset, slot)
  }

  read(topicId: number, queueId: number, offset: number): RowSlot {
    const rows = this.#open.find(topicId, queueId)
    if (rows !== undefined && offset >= rows.firstOffset) return rows.read(offset)
    const older = this.#frozen?.rows.find(topicId, queueId)
    if (older !== undefined && offset >= older.firstOffset) return older.read(offset)
    return this.#sealed.read(topicId, queueId, offset)
  }

  /** The topic is gone and nobody will read it any more, but for an apply after a crash: its rows go when the drop is in a saved checkpoint. */
  dropTopic(topicId: number): void {
    this.#droppedSincePersist.push(topicId)
    this.#pending.appendDrop(topicId)
  }

  /**
   * Makes the rows of all entries up to `throughIndex` durable; the checkpoint at that index is saved after `done`. `logBytes` is the log that was
   * applied since the last call. An error is final. `done` runs later, or at once when an error has been met before.
   */
  persist(progress: IndexMark, done: DiskCallback): void {
    assert(!this.#isPersisting, 'queue-index-persisting')
    assert(progress.throughIndex >= this.#throughIndex, 'queue-index-mark', progress.throughIndex, this.#throughIndex)
    this.#forgetDropped()
    this.#maybeSeal()
    const file = this.#fileForPersist()
    if (file === undefined) return done(this.#failure)
    const written = this.#pending
    this.#pending = this.#spare
    this.#openLogBytes += progress.logBytes
    const mark = { throughIndex: progress.throughIndex, logBytes: this.#openLogBytes }
    this.#isPersisting = true
    file.append(mark, written.bytes(), error => {
      this.#isPersisting = false
      written.clear()
      this.#spare = written
      this.#throughIndex = mark.throughIndex
      if (error !== undefined) this.#fail(error)
      done(this.#failure)
    })
    this.#maybeFreeze(mark, file)
  }

  /** Rows of entries up to here are gone; 0 when none ever went. */
  get afterIndex(): number {
    return (this.#sealed.chunks[0] ?? this.#frozen?.rows ?? this.#open).afterIndex
  }

  /** Chunks of which nothing is at or above `index` go, oldest first: no message there is needed any more, or it was carried forward. */
  trimTo(index: number): void {
    this.#sealed.trimTo(index)
  }

  /** As `SealedRows.scrubBlock`. */
  scrubBlock(place?: IndexPlace): { readonly bytes: number; readonly next: IndexPlace } | undefined {
    return this.#sealed.scrubBlock(place)
  }

  /** The files that hold what the last saved checkpoint knows. To be asked when a save has just returned: then nothing is being persisted. */
  files(): readonly QueueIndexFile[] {
    assert(!this.#isPersisting, 'files-while-persisting')
    const sealed = this.#sealed.chunks.map(chunk => ({
      name: sealedChunkName(chunk.chunk),
      bytes: chunk.rowsPosition + chunk.rowCount * rowBytes,
      tag: sealedTag(chunk),
      isSealed: true,
    }))
    const open = [this.#frozen?.file, this.#openFile].flatMap(file =>
      file === undefined ? [] : [{ name: openChunkName(file.chunk), bytes: file.bytes, tag: '', isSealed: false }],
    )
    return [...sealed, ...open]
  }

  status(): QueueIndexStatus {
    return {
      memoryRows: this.#open.rowCount + (this.#frozen?.rows.rowCount ?? 0),
      sealedChunks: this.#sealed.chunks.length,
      throughIndex: this.#throughIndex,
      cachedBlocks: this.#sealed.cachedBlocks,
    }
  }

  /** Closes the files, those in use when they no longer are. Idempotent. What was not persisted is written again by apply. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#openFile?.close()
    this.#frozen?.file.close()
    this.#sealed.close()
  }

  /** Rows of topics whose drop the last saved checkpoint knows. */
  #forgetDropped(): void {
    for (const topicId of this.#droppedBefore) {
      this.#open.dropTopic(topicId)
      this.#frozen?.rows.dropTopic(topicId)
      this.#sealed.dropTopic(topicId)
      if (this.#frozen?.isSealing === true) this.#droppedWhileSealing.push(topicId)
    }
    this.#droppedBefore = this.#droppedSincePersist
    this.#droppedSincePersist = []
  }

  #fileForPersist(): OpenChunkFile | undefined {
    if (this.#failure !== undefined) return undefined
    try {
      return (this.#openFile ??= OpenChunkFile.create(this.#disk, this.#directory, this.#open.number, this.#open.afterIndex))
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  /**
   * The file of a chunk that is not sealed has rotted, and memory has what belongs there: the chunk ends, and is sealed from memory. At once when it ends
   * with the checkpoint that was saved last, at `savedIndex`, or before it; else with the next one. Asked again while the rot is met: one chunk at a time.
   */
  renew(savedIndex: number): void {
    if (this.#frozen !== undefined) {
      // Else it waits for the next checkpoint, and without the snapshot that the rot is in the way of there may never be anything more to apply.
      if (this.#frozen.mark.throughIndex <= savedIndex) this.#maybeSeal()
      return
    }
    this.#isToRenew = true
    const file = this.#openFile
    if (file === undefined || this.#isPersisting || this.#throughIndex !== savedIndex || !this.#pending.isEmpty) return
    this.#maybeFreeze({ throughIndex: savedIndex, logBytes: this.#openLogBytes }, file)
    this.#maybeSeal()
  }

  /** A large chunk ends with the block that is being written; what comes next goes to a new one. */
  #maybeFreeze(mark: IndexMark, file: OpenChunkFile): void {
    if (this.#frozen !== undefined) return
    if (!this.#isToRenew && mark.logBytes < this.#limits.chunkLogBytes && this.#open.rowCount < this.#limits.chunkRowsMax) return
    this.#isToRenew = false
    this.#frozen = { rows: this.#open, mark, file, isSealing: false }
    this.#open = new ChunkRows(this.#open.number + 1, mark.throughIndex)
    this.#openFile = undefined
    this.#openLogBytes = 0
  }

  /** The frozen chunk's last checkpoint is saved, for the next one is under way: it may be sealed. */
  #maybeSeal(): void {
    const frozen = this.#frozen
    if (frozen === undefined || frozen.isSealing || this.#failure !== undefined) return
    frozen.isSealing = true
    try {
      sealChunk(this.#disk, this.#directory, frozen.rows, frozen.mark, (error, sealed) => {
        if (sealed === undefined) this.#fail(error)
        else this.#onSealed(sealed, frozen.file)
      })
    } catch (error) {
      this.#fail(error)
    }
  }

  #onSealed(sealed: SealedChunk, openFile: OpenChunkFile): void {
    this.#sealed.add(sealed)
    for (const topicId of this.#droppedWhileSealing) this.#sealed.dropTopic(topicId)
    this.#droppedWhileSealing = []
    this.#frozen = undefined
    openFile.close()
    try {
      // Without a sync: an open file beside its sealed one is removed at the next start.
      this.#disk.remove(`${this.#directory}/${openChunkName(sealed.chunk)}`)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Where the queue's rows end in the chunks before the open one. */
  #endBefore(topicId: number, queueId: number): number | undefined {
    return this.#frozen?.rows.find(topicId, queueId)?.endOffset ?? this.#sealed.endOf(topicId, queueId)
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return
    const sentence = `queue index ${this.#directory} could not be written (${innermost(cause)}); ${whatNext(cause)}`
    this.#failure = new StorageError(sentence, this.#directory, cause)
    this.#sealed.keepFiles()
    this.#whenFailed?.(this.#failure)
  }
}

/** Two chunks of one tag hold the same rows. */
export function sealedTag({ afterIndex, mark, rowCount }: SealedChunk): string {
  return `${afterIndex}-${mark.throughIndex}-${mark.logBytes}-${rowCount}`
}

function loadRows(content: OpenChunkContent): ChunkRows {
  const chunk = new ChunkRows(content.chunk, content.afterIndex)
  for (const block of content.blocks) {
    const view = viewOf(block)
    for (let position = 0; position < block.length; position += openRowBytes) {
      const topicId = view.getUint32(position, true)
      const queueId = view.getUint32(position + 4, true)
      const offset = readU64(view, position + 8)
      if (queueId === droppedTopicQueueId) chunk.dropTopic(topicId)
      else chunk.rowsFor(topicId, queueId, offset).appendPacked(offset, block.subarray(position + 16, position + openRowBytes))
    }
  }
  return chunk
}

function droppedTopics(content: OpenChunkContent): number[] {
  const dropped: number[] = []
  for (const block of content.blocks) {
    const view = viewOf(block)
    for (let position = 0; position < block.length; position += openRowBytes)
      if (view.getUint32(position + 4, true) === droppedTopicQueueId) dropped.push(view.getUint32(position, true))
  }
  return dropped
}

function ignore(): void {
  // Nobody listens: who reads is told.
}
