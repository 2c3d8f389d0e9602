/**
 * The rows of a checkpoint as one file, in blocks:  0 length u32 | 4 crc u32 of the rows | rows × (key length u32, value length u32, key, value).
 * Immutable once it has its name. A block that fails its checksum makes the whole file worthless; the digest in the manifest is the last word.
 */
import { crc32c, viewOf } from '../../platform/bytes.ts'
import type { DiskFile } from '../../platform/disk.ts'
import type { BlockFormat } from './file-check.ts'

export interface StateRow {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

const headBytes = 8
const blockBytesMax = 256 * 1024 * 1024

export function encodeRows(rows: readonly StateRow[]): Uint8Array {
  let bytes = headBytes
  for (const { key, value } of rows) bytes += 8 + key.length + value.length
  const block = new Uint8Array(bytes)
  const view = viewOf(block)
  let position = headBytes
  for (const { key, value } of rows) {
    view.setUint32(position, key.length, true)
    view.setUint32(position + 4, value.length, true)
    block.set(key, position + 8)
    block.set(value, position + 8 + key.length)
    position += 8 + key.length + value.length
  }
  view.setUint32(0, bytes - headBytes, true)
  view.setUint32(4, crc32c(block.subarray(headBytes)), true)
  return block
}

export const stateFileFormat: BlockFormat = {
  blockEnd,
  isBlockWhole: (file, begin, end) => readBlock(file, begin, end) !== undefined,
}

/** Where the block that begins at `position` ends, as its head says; undefined when no block of this file can end there. */
function blockEnd(file: DiskFile, position: number, fileBytes: number): number | undefined {
  const head = new Uint8Array(headBytes)
  if (file.readSync(head, position) < headBytes) return undefined
  const length = viewOf(head).getUint32(0, true)
  const end = position + headBytes + length
  return length > blockBytesMax || end > fileBytes ? undefined : end
}

/** All rows; undefined when the file is not whole. The rows are views of memory of their own. */
export function readRows(file: DiskFile, fileBytes: number): StateRow[] | undefined {
  const rows: StateRow[] = []
  for (let position = 0; position < fileBytes;) {
    const end = blockEnd(file, position, fileBytes)
    const block = end === undefined ? undefined : readBlock(file, position, end)
    if (end === undefined || block === undefined || !takeRows(block, rows)) return undefined
    position = end
  }
  return rows
}

/** Its rows; undefined when they fail their checksum. */
function readBlock(file: DiskFile, begin: number, end: number): Uint8Array | undefined {
  const bytes = new Uint8Array(end - begin)
  if (file.readSync(bytes, begin) < bytes.length) return undefined
  const block = bytes.subarray(headBytes)
  return crc32c(block) === viewOf(bytes).getUint32(4, true) ? block : undefined
}

/** Appends the rows of a block, as views of it; false where it does not end with a row. */
export function takeRows(block: Uint8Array, rows: StateRow[]): boolean {
  const view = viewOf(block)
  for (let at = 0; at < block.length;) {
    if (at + 8 > block.length) return false
    const keyEnd = at + 8 + view.getUint32(at, true)
    const valueEnd = keyEnd + view.getUint32(at + 4, true)
    if (valueEnd > block.length) return false
    rows.push({ key: block.subarray(at + 8, keyEnd), value: block.subarray(keyEnd, valueEnd) })
    at = valueEnd
  }
  return true
}
