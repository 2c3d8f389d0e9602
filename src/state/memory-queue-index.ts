/** A queue index in typed arrays: for tests, benchmarks and simulations of the state alone. The real one is src/storage/queue-index.ts. */
import { assert } from '../platform/assert.ts'
import type { QueueId, QueueOffset, TopicId } from './ids.ts'
import type { QueueIndex, QueueSlot } from './store.ts'

const pageRows = 1024
const slotFields = 7

interface Pages {
  readonly pages: Float64Array[]
  count: number
}

export class MemoryQueueIndex implements QueueIndex {
  /** topic → queue → pages of slots, a number each for logIndex, ordinal, tagHash, group low and high, storedAtMs, queueKiB. */
  readonly #topics = new Map<number, Map<number, Pages>>()

  append(topicId: TopicId, queueId: QueueId, offset: QueueOffset, slot: QueueSlot): void {
    let queues = this.#topics.get(topicId)
    if (queues === undefined) this.#topics.set(topicId, (queues = new Map<number, Pages>()))
    let queue = queues.get(queueId)
    if (queue === undefined) queues.set(queueId, (queue = { pages: [], count: 0 }))
    // A machine that replays after a restore appends again what is there.
    assert(offset <= queue.count, 'memory-index-gap', offset, queue.count)
    if (offset === queue.count) queue.count++
    const pageNumber = Math.floor(offset / pageRows)
    if (pageNumber === queue.pages.length) queue.pages.push(new Float64Array(pageRows * slotFields))
    const page = queue.pages[pageNumber] as Float64Array
    const at = (offset % pageRows) * slotFields
    page[at] = slot.logIndex
    page[at + 1] = slot.ordinal
    page[at + 2] = slot.tagHash
    page[at + 3] = slot.messageGroup.low
    page[at + 4] = slot.messageGroup.high
    page[at + 5] = slot.storedAtMs
    page[at + 6] = slot.queueKiB
  }

  read(topicId: TopicId, queueId: QueueId, offset: QueueOffset): QueueSlot {
    const queue = this.#topics.get(topicId)?.get(queueId)
    assert(queue !== undefined, 'memory-index-queue', topicId, queueId)
    assert(offset < queue.count, 'memory-index-slot', topicId, queueId, offset)
    const page = queue.pages[Math.floor(offset / pageRows)] as Float64Array
    const at = (offset % pageRows) * slotFields
    return {
      logIndex: page[at] as number,
      ordinal: page[at + 1] as number,
      tagHash: page[at + 2] as number,
      messageGroup: { low: page[at + 3] as number, high: page[at + 4] as number },
      storedAtMs: page[at + 5] as number,
      queueKiB: page[at + 6] as number,
    }
  }

  dropTopic(topicId: TopicId): void {
    this.#topics.delete(topicId)
  }
}
