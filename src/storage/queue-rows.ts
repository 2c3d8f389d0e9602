/**
 * Rows of one queue inside one chunk of the queue index, in memory: one growing buffer of packed rows, no object per message.
 * A row stands in the sealed file exactly as it stands here, so sealing is a copy.
 * Invariant: row i belongs to offset `firstOffset + i`; rows never change and never leave one by one.
 */
import { assert } from '../platform/assert.ts'
import { readU64, viewOf, writeU64 } from '../platform/bytes.ts'

/** What a row holds; the same shape as QueueSlot of src/state/store.ts, which is an upper floor's. */
export interface RowSlot {
  readonly logIndex: number
  readonly ordinal: number
  readonly tagHash: number
  readonly messageGroup: { readonly low: number; readonly high: number }
  readonly storedAtMs: number
  readonly queueKiB: number
}

// Row, little endian:  0 logIndex u64 | 8 storedAtMs u48 | 14 ordinal u16 | 16 tagHash u32 | 20 queueKiB u32 | 24 group low u32 | 28 group high u32
export const rowBytes = 32

const rowsAtFirst = 16
const noGroup = { low: 0, high: 0 }

/** Writes one row at `position`. All 32-bit fields are unsigned. */
export function writeRow(view: DataView, position: number, slot: RowSlot): void {
  assert(slot.tagHash >>> 0 === slot.tagHash, 'row-tag-hash', slot.tagHash)
  assert((slot.ordinal & 0xffff) === slot.ordinal, 'row-ordinal', slot.ordinal)
  assert(slot.storedAtMs < 2 ** 48, 'row-stored-at', slot.storedAtMs)
  writeU64(view, position, slot.logIndex)
  // The time's upper two bytes are always zero: the ordinal stands there.
  writeU64(view, position + 8, slot.storedAtMs)
  view.setUint16(position + 14, slot.ordinal, true)
  view.setUint32(position + 16, slot.tagHash, true)
  view.setUint32(position + 20, slot.queueKiB, true)
  view.setUint32(position + 24, slot.messageGroup.low, true)
  view.setUint32(position + 28, slot.messageGroup.high, true)
}

/** The row at `position`. The result shares nothing with the view. */
export function readRow(view: DataView, position: number): RowSlot {
  const low = view.getUint32(position + 24, true)
  const high = view.getUint32(position + 28, true)
  return {
    logIndex: readU64(view, position),
    ordinal: view.getUint16(position + 14, true),
    tagHash: view.getUint32(position + 16, true),
    messageGroup: low === 0 && high === 0 ? noGroup : { low, high },
    storedAtMs: view.getUint32(position + 8, true) + view.getUint16(position + 12, true) * 0x1_0000_0000,
    queueKiB: view.getUint32(position + 20, true),
  }
}

/** A growing run of rows of one queue. */
export class QueueRows {
  readonly firstOffset: number
  #count = 0
  #bytes = new Uint8Array(rowsAtFirst * rowBytes)
  #view = viewOf(this.#bytes)

  constructor(firstOffset: number) {
    this.firstOffset = firstOffset
  }

  get count(): number {
    return this.#count
  }

  get endOffset(): number {
    return this.firstOffset + this.#count
  }

  append(offset: number, slot: RowSlot): void {
    this.#room(offset)
    writeRow(this.#view, this.#count * rowBytes, slot)
    this.#count++
  }

  /** Appends a row that is packed already. */
  appendPacked(offset: number, row: Uint8Array): void {
    assert(row.length === rowBytes, 'row-bytes', row.length)
    this.#room(offset)
    this.#bytes.set(row, this.#count * rowBytes)
    this.#count++
  }

  read(offset: number): RowSlot {
    const row = offset - this.firstOffset
    assert(row >= 0, 'row-below', offset, this.firstOffset)
    assert(row < this.#count, 'row-above', offset, this.endOffset)
    return readRow(this.#view, row * rowBytes)
  }

  /** The packed rows from `row` on, at most `rowsMax`: a view, valid until the next append. */
  packed(row: number, rowsMax: number): Uint8Array {
    return this.#bytes.subarray(row * rowBytes, Math.min(this.#count, row + rowsMax) * rowBytes)
  }

  #room(offset: number): void {
    assert(offset === this.endOffset, 'row-gap', offset, this.endOffset)
    if ((this.#count + 1) * rowBytes <= this.#bytes.length) return
    const grown = new Uint8Array(this.#bytes.length * 2)
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = viewOf(grown)
  }
}

/** The rows of a chunk: a table per queue. */
export class ChunkRows {
  /** Number of the chunk, and what it holds: rows written by entries above `afterIndex`. */
  readonly number: number
  readonly afterIndex: number
  readonly #topics = new Map<number, (QueueRows | undefined)[]>()
  #rowCount = 0

  constructor(number: number, afterIndex: number) {
    this.number = number
    this.afterIndex = afterIndex
  }

  get rowCount(): number {
    return this.#rowCount
  }

  find(topicId: number, queueId: number): QueueRows | undefined {
    return this.#topics.get(topicId)?.[queueId]
  }

  /** The queue's rows, which begin at `firstOffset` when there are none yet. Counts the row that the caller is about to append. */
  rowsFor(topicId: number, queueId: number, firstOffset: number): QueueRows {
    this.#rowCount++
    let queues = this.#topics.get(topicId)
    if (queues === undefined) this.#topics.set(topicId, (queues = []))
    const found = queues[queueId]
    if (found !== undefined) return found
    while (queues.length < queueId) queues.push(undefined)
    return (queues[queueId] = new QueueRows(firstOffset))
  }

  dropTopic(topicId: number): void {
    this.#topics.delete(topicId)
  }

  /** Every queue that has rows, by topic and queue number. */
  sorted(): { readonly topicId: number; readonly queueId: number; readonly rows: QueueRows }[] {
    const all: { topicId: number; queueId: number; rows: QueueRows }[] = []
    for (const topicId of [...this.#topics.keys()].sort((a, b) => a - b))
      for (const [queueId, rows] of (this.#topics.get(topicId) ?? []).entries())
        if (rows !== undefined) all.push({ topicId, queueId, rows })
    return all
  }
}
