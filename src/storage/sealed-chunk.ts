/**
 * A sealed chunk of the queue index: an immutable file, sorted by (topic, queue, offset), read block by block with a checksum for each.
 * It is written beside its final name and renamed when it is whole and synced, so a chunk that has its name is complete; one that fails a
 * checksum is rot, never a torn write.
 *
 * Header, little endian:  0 magic u32 | 4 format u16 | 6 zero u16 | 8 chunk u64 | 16 afterIndex u64 | 24 throughIndex u64 | 32 rowCount u32
 *                         | 36 queueCount u32 | 40 directoryCrc u32 | 44 blockCrcsCrc u32 | 48 logBytes u64 | 56 crc u32 (of 0..55) | 60 zero u32
 * Directory, a line per queue:  0 topicId u32 | 4 queueId u32 | 8 firstOffset u64 | 16 rowCount u32 | 20 rowStart u32
 * Then a crc u32 for each block of rows, zeros up to a multiple of 4 096, and the packed rows (queue-rows.ts), 512 to a block.
 */
import { assert } from '../platform/assert.ts'
import { crc32c, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { IndexMark } from './open-chunk.ts'
import { rowBytes } from './queue-rows.ts'
import type { ChunkRows, QueueRows } from './queue-rows.ts'
import { IndexRot, StorageError } from './storage-error.ts'

export const sealedHeaderBytes = 64
export const directoryLineBytes = 24
export const blockRows = 512
export const blockBytes = blockRows * rowBytes

const sealedMagic = 0x5351_4d52 // "RMQS"
/** 2: rows know how many bytes of their queue stand before them. */
const format = 2
const rowsAlignment = 4096
/** Blocks written in one go: 256 KiB, well below a millisecond of copying. */
const blocksPerWrite = 16

export function sealedChunkName(chunk: number): string {
  return `${String(chunk).padStart(12, '0')}.sealed`
}

export interface SealedQueue {
  readonly topicId: number
  readonly queueId: number
  readonly firstOffset: number
  readonly rowCount: number
  readonly rowStart: number
}

/** All of a sealed chunk but its rows. */
export interface SealedChunk {
  readonly chunk: number
  readonly path: string
  readonly afterIndex: number
  readonly mark: IndexMark
  readonly rowCount: number
  readonly rowsPosition: number
  readonly blockCrcs: Uint32Array
  readonly queues: readonly SealedQueue[]
}

function rowsPositionOf(queueCount: number, blockCount: number): number {
  const bytes = sealedHeaderBytes + queueCount * directoryLineBytes + blockCount * 4
  return Math.ceil(bytes / rowsAlignment) * rowsAlignment
}

/** Everything in front of the rows. */
export function encodeSealedHead(chunk: Omit<SealedChunk, 'path' | 'rowsPosition'>): Uint8Array {
  const bytes = new Uint8Array(rowsPositionOf(chunk.queues.length, chunk.blockCrcs.length))
  const view = viewOf(bytes)
  const crcsStart = sealedHeaderBytes + chunk.queues.length * directoryLineBytes
  let position = sealedHeaderBytes
  for (const queue of chunk.queues) {
    view.setUint32(position, queue.topicId, true)
    view.setUint32(position + 4, queue.queueId, true)
    writeU64(view, position + 8, queue.firstOffset)
    view.setUint32(position + 16, queue.rowCount, true)
    view.setUint32(position + 20, queue.rowStart, true)
    position += directoryLineBytes
  }
  for (const crc of chunk.blockCrcs) {
    view.setUint32(position, crc, true)
    position += 4
  }
  view.setUint32(0, sealedMagic, true)
  view.setUint16(4, format, true)
  writeU64(view, 8, chunk.chunk)
  writeU64(view, 16, chunk.afterIndex)
  writeU64(view, 24, chunk.mark.throughIndex)
  view.setUint32(32, chunk.rowCount, true)
  view.setUint32(36, chunk.queues.length, true)
  view.setUint32(40, crc32c(bytes.subarray(sealedHeaderBytes, crcsStart)), true)
  view.setUint32(44, crc32c(bytes.subarray(crcsStart, position)), true)
  writeU64(view, 48, chunk.mark.logBytes)
  view.setUint32(56, crc32c(bytes.subarray(0, 56)), true)
  return bytes
}

/** Reads all but the rows. Throws IndexRot when the file is not what was sealed. */
export function readSealedHead(disk: Disk, path: string): SealedChunk {
  const file = disk.open(path, { create: false })
  try {
    return parseSealedHead(file, path)
  } finally {
    file.close()
  }
}

function parseSealedHead(file: DiskFile, path: string): SealedChunk {
  const header = new Uint8Array(sealedHeaderBytes)
  const view = viewOf(header)
  if (file.readSync(header, 0) < sealedHeaderBytes) throw rotten(path, 'it is shorter than its header')
  if (view.getUint32(0, true) !== sealedMagic || view.getUint16(4, true) !== format)
    throw rotten(path, 'it is not a queue index chunk of this format')
  if (crc32c(header.subarray(0, 56)) !== view.getUint32(56, true)) throw rotten(path, 'its header fails its checksum')
  const rowCount = view.getUint32(32, true)
  const queueCount = view.getUint32(36, true)
  const blockCount = Math.ceil(rowCount / blockRows)
  const rest = new Uint8Array(queueCount * directoryLineBytes + blockCount * 4)
  if (file.readSync(rest, sealedHeaderBytes) < rest.length) throw rotten(path, 'its directory is cut off')
  const directory = rest.subarray(0, queueCount * directoryLineBytes)
  if (crc32c(directory) !== view.getUint32(40, true)) throw rotten(path, 'its directory fails its checksum')
  const crcs = rest.subarray(directory.length)
  if (crc32c(crcs) !== view.getUint32(44, true)) throw rotten(path, 'its table of checksums fails its own')
  const rowsPosition = rowsPositionOf(queueCount, blockCount)
  if (file.sizeBytes() < rowsPosition + rowCount * rowBytes) throw rotten(path, 'its rows are cut off')
  const crcView = viewOf(crcs)
  return {
    chunk: readU64(view, 8),
    path,
    afterIndex: readU64(view, 16),
    mark: { throughIndex: readU64(view, 24), logBytes: readU64(view, 48) },
    rowCount,
    rowsPosition,
    blockCrcs: Uint32Array.from({ length: blockCount }, (_, block) => crcView.getUint32(block * 4, true)),
    queues: parseDirectory(directory),
  }
}

function parseDirectory(bytes: Uint8Array): SealedQueue[] {
  const view = viewOf(bytes)
  const queues: SealedQueue[] = []
  for (let position = 0; position < bytes.length; position += directoryLineBytes)
    queues.push({
      topicId: view.getUint32(position, true),
      queueId: view.getUint32(position + 4, true),
      firstOffset: readU64(view, position + 8),
      rowCount: view.getUint32(position + 16, true),
      rowStart: view.getUint32(position + 20, true),
    })
  return queues
}

/** Reads one block of rows and checks it: throws IndexRot. The bytes belong to the caller. */
export function readSealedBlock(file: DiskFile, chunk: SealedChunk, block: number): Uint8Array {
  const rows = Math.min(blockRows, chunk.rowCount - block * blockRows)
  assert(rows > 0, 'sealed-block', block, chunk.rowCount)
  const bytes = new Uint8Array(rows * rowBytes)
  const position = chunk.rowsPosition + block * blockBytes
  const isWhole = file.readSync(bytes, position) === bytes.length
  if (!isWhole || crc32c(bytes) !== chunk.blockCrcs[block])
    throw rotten(chunk.path, `the block of rows at byte ${position} ${isWhole ? 'fails its checksum' : 'is cut off'}`)
  return bytes
}

function rotten(path: string, what: string): IndexRot {
  return new IndexRot(`queue index ${path}: ${what}`, path)
}

/**
 * Writes a frozen chunk's rows as a sealed file, some blocks at a time, then syncs it and gives it its name.
 * `rows` must not change any more. `done` never runs before this call has returned.
 */
export function sealChunk(
  disk: Disk,
  directory: string,
  rows: ChunkRows,
  mark: IndexMark,
  done: (error: Error | undefined, sealed: SealedChunk | undefined) => void,
): void {
  const sources = rows.sorted()
  let rowCount = 0
  const queues = sources.map(({ topicId, queueId, rows: queue }): SealedQueue => {
    const rowStart = rowCount
    rowCount += queue.count
    return { topicId, queueId, firstOffset: queue.firstOffset, rowCount: queue.count, rowStart }
  })
  const blockCrcs = new Uint32Array(Math.ceil(rowCount / blockRows))
  const path = `${directory}/${sealedChunkName(rows.number)}`
  const head = { chunk: rows.number, afterIndex: rows.afterIndex, mark, rowCount, queues, blockCrcs }
  const rowsPosition = rowsPositionOf(queues.length, blockCrcs.length)
  const copy = new RowCopy(sources.map(source => source.rows))
  const file = disk.open(`${path}.new`, { create: true })
  let block = 0

  const fail = (error: Error): void => {
    file.close()
    done(error, undefined)
  }
  const finish = (error: Error | undefined): void => {
    if (error !== undefined) return fail(error)
    try {
      file.close()
      disk.rename(`${path}.new`, path)
      disk.syncDirectory(directory)
    } catch (cause) {
      return done(new StorageError(`queue index ${path}: could not be put in place`, path, cause), undefined)
    }
    done(undefined, { ...head, path, rowsPosition })
  }
  const next = (error: Error | undefined): void => {
    if (error !== undefined) return fail(error)
    if (block === blockCrcs.length) return file.writeAndSync(0, [encodeSealedHead(head)], finish)
    const position = rowsPosition + block * blockBytes
    const bytes = copy.take(blocksPerWrite * blockRows)
    for (let start = 0; start < bytes.length; start += blockBytes) blockCrcs[block++] = crc32c(bytes.subarray(start, start + blockBytes))
    file.write(position, [bytes], next)
  }
  next(undefined)
}

/** Walks over the rows of many queues as if they were one run. */
class RowCopy {
  readonly #sources: readonly QueueRows[]
  #source = 0
  #row = 0
  #rowsLeft: number

  constructor(sources: readonly QueueRows[]) {
    this.#sources = sources
    this.#rowsLeft = sources.reduce((sum, { count }) => sum + count, 0)
  }

  /** The next rows, at most `rowsMax`, copied: the buffer is lent to the disk. */
  take(rowsMax: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(rowsMax, this.#rowsLeft) * rowBytes)
    let taken = 0
    for (let queue = this.#sources[this.#source]; queue !== undefined && taken < rowsMax; queue = this.#sources[this.#source]) {
      const packed = queue.packed(this.#row, rowsMax - taken)
      bytes.set(packed, taken * rowBytes)
      taken += packed.length / rowBytes
      this.#row += packed.length / rowBytes
      if (this.#row === queue.count) {
        this.#source++
        this.#row = 0
      }
    }
    this.#rowsLeft -= taken
    return bytes.subarray(0, taken * rowBytes)
  }
}
