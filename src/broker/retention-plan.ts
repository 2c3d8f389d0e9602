/**
 * What retention wants of one queue: pure search over what the state says. Times and places in the log do not fall along a queue, so both are found
 * by halving; of dead letters only the times.
 */
import type { QueueId, QueueOffset, TopicId } from '../state/ids.ts'

export interface SlotView {
  readonly logIndex: number
  readonly storedAtMs: number
}

/** What the search reads; RetentionView of src/state fits it. */
export interface QueueReader {
  slot(topicId: TopicId, queueId: QueueId, offset: QueueOffset): SlotView
  bytesFrom(topicId: TopicId, queueId: QueueId, offset: QueueOffset): number
}

export interface QueueRange {
  readonly topicId: TopicId
  readonly queueId: QueueId
  readonly first: number
  readonly next: number
}

/** The first message stored at or after a time; `next` when there is none. */
export function offsetAtTime(reader: QueueReader, queue: QueueRange, wallMs: number): number {
  return firstWhere(reader, queue, slot => slot.storedAtMs >= wallMs)
}

/** The first message that stands at or above an entry. Not for dead letters. */
export function offsetAtIndex(reader: QueueReader, queue: QueueRange, logIndex: number): number {
  return firstWhere(reader, queue, slot => slot.logIndex >= logIndex)
}

/** The time before which a topic's messages must go so that it keeps at most `bytesMax`; undefined when it is within. Oldest first over all its queues. */
export function timeForSize(reader: QueueReader, queues: readonly QueueRange[], bytesMax: number, nowMs: number): number | undefined {
  const filled = queues.filter(({ first, next }) => first < next)
  if (bytesFrom(reader, filled, 0) <= bytesMax) return undefined
  let low = nowMs
  for (const queue of filled) low = Math.min(low, reader.slot(queue.topicId, queue.queueId, queue.first as QueueOffset).storedAtMs)
  let high = nowMs + 1
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2)
    if (bytesFrom(reader, filled, middle) > bytesMax) low = middle
    else high = middle
  }
  return high
}

function bytesFrom(reader: QueueReader, queues: readonly QueueRange[], wallMs: number): number {
  let bytes = 0
  for (const queue of queues) {
    const offset = wallMs === 0 ? queue.first : offsetAtTime(reader, queue, wallMs)
    bytes += reader.bytesFrom(queue.topicId, queue.queueId, offset as QueueOffset)
  }
  return bytes
}

function firstWhere(reader: QueueReader, { topicId, queueId, first, next }: QueueRange, holds: (slot: SlotView) => boolean): number {
  let low = first
  let high = next
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (holds(reader.slot(topicId, queueId, middle as QueueOffset))) high = middle
    else low = middle + 1
  }
  return low
}
