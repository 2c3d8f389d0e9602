/**
 * The file of the queue index's open chunk: rows in the order of the log, a block for each checkpoint, synced before the checkpoint is saved.
 * A block says through which entry it goes (`throughIndex`). On open, what lies behind the checkpoint's applied index is cut: those entries
 * are applied again and write their rows again. A block counts only if its checksums hold and it fits its predecessor, so a torn or stale
 * tail ends the file. Whether enough blocks are there is the caller's question: the checkpoint names the index that must be reached.
 *
 * File header, little endian:   0 magic u32 | 4 format u16 | 6 zero u16 | 8 chunk u64 | 16 afterIndex u64 | 24 crc u32 (of 0..23) | 28 zero u32
 * Block header:                 0 magic u32 | 4 rowCount u32 | 8 throughIndex u64 | 16 logBytes u64 | 24 prevCrc u32 | 28 rowsCrc u32 | 32 crc u32 (of 0..31) | 36 zero u32
 * Row in a block:               0 topicId u32 | 4 queueId u32 | 8 offset u64 | 16 the packed row (queue-rows.ts)
 * `prevCrc` is the predecessor's crc, the file header's for the first block. queueId ffffffff: the topic was dropped, the rest is zero.
 */
import { assert } from '../platform/assert.ts'
import { crc32c, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import type { Disk, DiskCallback, DiskFile } from '../platform/disk.ts'
import { rowBytes } from './queue-rows.ts'
import type { BlockFormat } from './snapshot/file-check.ts'

export const openHeaderBytes = 32
export const blockHeaderBytes = 40
export const openRowBytes = 16 + rowBytes
export const droppedTopicQueueId = 0xffff_ffff

const openMagic = 0x4f51_4d52 // "RMQO"
const blockMagic = 0x4251_4d52 // "RMQB"
/** 2: rows know how many bytes of their queue stand before them. */
const format = 2
/** Far more rows than fit between two checkpoints; a header that claims more is torn. */
const blockRowsMax = 1 << 24

/** Place of the log that a block reaches: all rows of entries up to `throughIndex` are there, after `logBytes` bytes of log. */
export interface IndexMark {
  readonly throughIndex: number
  readonly logBytes: number
}

export function openChunkName(chunk: number): string {
  return `${String(chunk).padStart(12, '0')}.open`
}

export function encodeOpenHeader(chunk: number, afterIndex: number): Uint8Array {
  const bytes = new Uint8Array(openHeaderBytes)
  const view = viewOf(bytes)
  view.setUint32(0, openMagic, true)
  view.setUint16(4, format, true)
  writeU64(view, 8, chunk)
  writeU64(view, 16, afterIndex)
  view.setUint32(24, crc32c(bytes.subarray(0, 24)), true)
  return bytes
}

export function encodeBlockHeader(mark: IndexMark, prevCrc: number, rows: Uint8Array): Uint8Array {
  assert(rows.length % openRowBytes === 0, 'block-rows', rows.length)
  const bytes = new Uint8Array(blockHeaderBytes)
  const view = viewOf(bytes)
  view.setUint32(0, blockMagic, true)
  view.setUint32(4, rows.length / openRowBytes, true)
  writeU64(view, 8, mark.throughIndex)
  writeU64(view, 16, mark.logBytes)
  view.setUint32(24, prevCrc, true)
  view.setUint32(28, crc32c(rows), true)
  view.setUint32(32, crc32c(bytes.subarray(0, 32)), true)
  return bytes
}

function crcOfHeader(header: Uint8Array, position: number): number {
  return viewOf(header).getUint32(position, true)
}

/** An open chunk's file, ready for the next block. */
export class OpenChunkFile {
  readonly chunk: number
  readonly #file: DiskFile
  #position: number
  #lastCrc: number
  #isBusy = false
  #isClosing = false
  #header: Uint8Array | undefined

  private constructor(file: DiskFile, chunk: number, position: number, lastCrc: number, header: Uint8Array | undefined) {
    this.#file = file
    this.chunk = chunk
    this.#position = position
    this.#lastCrc = lastCrc
    this.#header = header
  }

  /** A new file; its header goes out with the first block. The name is durable when this returns. */
  static create(disk: Disk, directory: string, chunk: number, afterIndex: number): OpenChunkFile {
    const path = `${directory}/${openChunkName(chunk)}`
    if (disk.exists(path)) disk.remove(path)
    const file = disk.open(path, { create: true })
    disk.syncDirectory(directory)
    const header = encodeOpenHeader(chunk, afterIndex)
    return new OpenChunkFile(file, chunk, 0, crcOfHeader(header, 24), header)
  }

  /** Goes on behind what `readOpenChunk` kept; the rest of the file is cut off, durably. */
  static resume(disk: Disk, directory: string, read: OpenChunkContent): OpenChunkFile {
    const file = disk.open(`${directory}/${openChunkName(read.chunk)}`, { create: false })
    if (file.sizeBytes() !== read.validBytes) {
      file.truncateSync(read.validBytes)
      file.syncSync()
    }
    return new OpenChunkFile(file, read.chunk, read.validBytes, read.lastCrc, undefined)
  }

  /** What is on disk of it. */
  get bytes(): number {
    return this.#position
  }

  /** Writes and syncs one block. `rows` is lent until `done`; one outstanding. After an error the file must not be used again. */
  append(mark: IndexMark, rows: Uint8Array, done: DiskCallback): void {
    assert(!this.#isBusy, 'open-chunk-busy', this.chunk)
    this.#isBusy = true
    const header = encodeBlockHeader(mark, this.#lastCrc, rows)
    const buffers = this.#header === undefined ? [header, rows] : [this.#header, header, rows]
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    this.#file.writeAndSync(this.#position, buffers, error => {
      this.#isBusy = false
      if (error === undefined) {
        this.#position += bytes
        this.#lastCrc = crcOfHeader(header, 32)
        this.#header = undefined
      }
      if (this.#isClosing) this.#file.close()
      done(error)
    })
  }

  /** Closes when what is under way is done. Idempotent. */
  close(): void {
    this.#isClosing = true
    if (!this.#isBusy) this.#file.close()
  }
}

/** Its header, then its blocks. Whether a block fits its predecessor is asked when the file is read as a whole. */
export const openChunkFormat: BlockFormat = {
  blockEnd: (file, position, fileBytes) => {
    if (position === 0) return openHeaderBytes
    const header = new Uint8Array(blockHeaderBytes)
    if (file.readSync(header, position) < blockHeaderBytes) return undefined
    const rowCount = viewOf(header).getUint32(4, true)
    const end = position + blockHeaderBytes + rowCount * openRowBytes
    return rowCount > blockRowsMax || end > fileBytes ? undefined : end
  },
  isBlockWhole: (file, begin, end) => {
    const bytes = new Uint8Array(end - begin)
    if (file.readSync(bytes, begin) < bytes.length) return false
    const view = viewOf(bytes)
    return begin === 0 ? isHeader(bytes, view) : parseBlock(bytes, view, 0, crcOfHeader(bytes, 24)) !== undefined
  },
}

/** What an open chunk's file holds up to an applied index. */
export interface OpenChunkContent {
  readonly chunk: number
  readonly afterIndex: number
  /** Of the last block kept; that of the header (`afterIndex`, 0) when none is. */
  readonly mark: IndexMark
  /** Rows of all blocks kept, block by block. */
  readonly blocks: readonly Uint8Array[]
  readonly validBytes: number
  readonly lastCrc: number
}

/** Reads the blocks that hold and go no further than `throughIndexMax`. Undefined: there is no whole header, so nothing was ever synced here. */
export function readOpenChunk(disk: Disk, path: string, throughIndexMax: number): OpenChunkContent | undefined {
  const file = disk.open(path, { create: false })
  try {
    const bytes = new Uint8Array(file.sizeBytes())
    file.readSync(bytes, 0)
    return parseOpenChunk(bytes, throughIndexMax)
  } finally {
    file.close()
  }
}

export function parseOpenChunk(bytes: Uint8Array, throughIndexMax: number): OpenChunkContent | undefined {
  if (bytes.length < openHeaderBytes) return undefined
  const view = viewOf(bytes)
  if (!isHeader(bytes, view)) return undefined
  let lastCrc = view.getUint32(24, true)
  const afterIndex = readU64(view, 16)
  let mark: IndexMark = { throughIndex: afterIndex, logBytes: 0 }
  const blocks: Uint8Array[] = []
  let position = openHeaderBytes
  while (true) {
    const block = parseBlock(bytes, view, position, lastCrc)
    if (block === undefined || block.mark.throughIndex > throughIndexMax || block.mark.throughIndex < mark.throughIndex) break
    mark = block.mark
    lastCrc = block.crc
    blocks.push(block.rows)
    position += blockHeaderBytes + block.rows.length
  }
  return { chunk: readU64(view, 8), afterIndex, mark, blocks, validBytes: position, lastCrc }
}

function isHeader(bytes: Uint8Array, view: DataView): boolean {
  if (view.getUint32(0, true) !== openMagic || view.getUint16(4, true) !== format) return false
  return crc32c(bytes.subarray(0, 24)) === view.getUint32(24, true)
}

function parseBlock(
  bytes: Uint8Array,
  view: DataView,
  position: number,
  prevCrc: number,
): { mark: IndexMark; crc: number; rows: Uint8Array } | undefined {
  if (position + blockHeaderBytes > bytes.length) return undefined
  if (view.getUint32(position, true) !== blockMagic || view.getUint32(position + 24, true) !== prevCrc) return undefined
  const crc = view.getUint32(position + 32, true)
  if (crc32c(bytes.subarray(position, position + 32)) !== crc) return undefined
  const rowCount = view.getUint32(position + 4, true)
  const rowsStart = position + blockHeaderBytes
  if (rowCount > blockRowsMax || rowsStart + rowCount * openRowBytes > bytes.length) return undefined
  const rows = bytes.subarray(rowsStart, rowsStart + rowCount * openRowBytes)
  if (crc32c(rows) !== view.getUint32(position + 28, true)) return undefined
  return { mark: { throughIndex: readU64(view, position + 8), logBytes: readU64(view, position + 16) }, crc, rows }
}
