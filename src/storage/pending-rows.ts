/** Rows of the queue index appended since the last persist, as they will stand in the file. Two of these take turns: one fills while the other is being written. */
import { viewOf, writeU64 } from '../platform/bytes.ts'
import { droppedTopicQueueId, openRowBytes } from './open-chunk.ts'
import { writeRow } from './queue-rows.ts'
import type { RowSlot } from './queue-rows.ts'

const pendingBytesAtFirst = 64 * openRowBytes

export class PendingRows {
  #bytes = new Uint8Array(pendingBytesAtFirst)
  #view = viewOf(this.#bytes)
  #length = 0

  append(topicId: number, queueId: number, offset: number, slot: RowSlot): void {
    const position = this.#reserve()
    this.#view.setUint32(position, topicId, true)
    this.#view.setUint32(position + 4, queueId, true)
    writeU64(this.#view, position + 8, offset)
    writeRow(this.#view, position + 16, slot)
  }

  appendDrop(topicId: number): void {
    const position = this.#reserve()
    this.#bytes.fill(0, position, position + openRowBytes)
    this.#view.setUint32(position, topicId, true)
    this.#view.setUint32(position + 4, droppedTopicQueueId, true)
  }

  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** A view, valid until `clear`. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  #reserve(): number {
    const position = this.#length
    this.#length += openRowBytes
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2)
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = viewOf(grown)
    }
    return position
  }
}
