/** What retention decides by: where queues begin and end, where their messages are, and what is not finished. Read-only. */
import { slotAt } from './carried.ts'
import type { Retention } from './command.ts'
import type { QueueId, QueueOffset, TopicId } from './ids.ts'
import { RowField } from './in-flight.ts'
import type { State } from './state.ts'
import type { QueueSlot } from './store.ts'
import { deadLetterPrefix, type Queue } from './topics.ts'

/** A message that must outlive its segment, if it stands in one that is to go. */
export interface KeptMessage {
  readonly offset: QueueOffset
  readonly logIndex: number
  readonly ordinal: number
  readonly storedAtMs: number
}

export interface RetainedQueue {
  readonly topicId: TopicId
  readonly queueId: QueueId
  readonly first: number
  readonly next: number
}

export interface RetainedTopic {
  readonly topicId: TopicId
  readonly retention: Retention
  /** Its messages do not stand in the log in the order of their offsets. */
  readonly isDeadLetter: boolean
  readonly queues: readonly RetainedQueue[]
}

export class RetentionView {
  readonly #state: State

  constructor(state: State) {
    this.#state = state
  }

  /** No entry below is needed any more. */
  get logFirst(): number {
    return this.#state.registers.row.logFirst
  }

  /** Of every topic, the deleted ones not; ascending. */
  topicIds(): TopicId[] {
    return [...this.#state.topics.byName.values()].map(({ id }) => id).sort((a, b) => a - b)
  }

  topic(topicId: TopicId): RetainedTopic | undefined {
    const topic = this.#state.topics.byId.get(topicId)
    if (topic === undefined || topic.isDeleted) return undefined
    const queues = topic.queues.map(({ queueId, first, next }) => ({ topicId, queueId, first, next }))
    return { topicId, retention: topic.retention, isDeadLetter: topic.name.startsWith(deadLetterPrefix), queues }
  }

  /** Where a message is that the queue still has. Reads the queue index. */
  slot(topicId: TopicId, queueId: QueueId, offset: QueueOffset): QueueSlot {
    return slotAt(this.#state, this.#mustFind(topicId, queueId), offset)
  }

  /** Bytes of the queue's messages from this offset on, to the next KiB. */
  bytesFrom(topicId: TopicId, queueId: QueueId, offset: QueueOffset): number {
    const queue = this.#mustFind(topicId, queueId)
    if (offset >= queue.next) return 0
    const before = slotAt(this.#state, queue, offset).queueKiB
    return ((Math.floor(queue.bytes / 1024) - before) % 0x1_0000_0000) * 1024
  }

  /** Messages that the queue has given up and some group has not finished, from an offset on, oldest first, each once; at most `countMax`. */
  unfinishedBelowFirst(topicId: TopicId, queueId: QueueId, countMax: number, fromOffset = 0): KeptMessage[] {
    const queue = this.#mustFind(topicId, queueId)
    const { rows } = this.#state.inFlight
    const offsets = new Set<number>()
    for (const place of queue.topic.places) {
      let count = 0
      let row = place.cursors[queueId]?.rows.head ?? 0
      for (; row !== 0 && count < countMax; row = rows.get(row, RowField.queueLinks + 1)) {
        const offset = rows.getU64(row, RowField.offset)
        if (offset >= queue.first) break
        if (offset < fromOffset) continue
        offsets.add(offset)
        count++
      }
    }
    return [...offsets]
      .sort((a, b) => a - b)
      .slice(0, countMax)
      .map(offset => this.#kept(queue, offset))
  }

  /** The first message that some group has not finished; `next` when all have, undefined when no group reads the topic. */
  firstUnfinished(topicId: TopicId, queueId: QueueId): number | undefined {
    const queue = this.#mustFind(topicId, queueId)
    const { places } = queue.topic
    if (places.length === 0) return undefined
    const { rows } = this.#state.inFlight
    let first: number = queue.next
    for (const place of places) {
      const cursor = place.cursors[queueId]
      if (cursor === undefined) continue
      first = Math.min(first, cursor.rows.head === 0 ? cursor.offset : rows.getU64(cursor.rows.head, RowField.offset))
    }
    return first
  }

  #kept(queue: Queue, offset: number): KeptMessage {
    const { logIndex, ordinal, storedAtMs } = slotAt(this.#state, queue, offset as QueueOffset)
    return { offset: offset as QueueOffset, logIndex, ordinal, storedAtMs }
  }

  #mustFind(topicId: TopicId, queueId: QueueId): Queue {
    return this.#state.topics.byId.get(topicId)?.queues[queueId] as Queue
  }
}
