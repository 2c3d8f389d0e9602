/**
 * Dead letters: the topic `%DLQ%<group>`, made on first use, of one queue and type NORMAL. A dead letter is a row of its queue index that points
 * at the original message in the log: nothing is appended again. Its stored time is the time of the move, so that times do not fall along the queue.
 */
import type { Place } from './cursors.ts'
import { slotAt } from './carried.ts'
import type { QueueOffset } from './ids.ts'
import { RowField } from './in-flight.ts'
import type { State } from './state.ts'
import { addTopic, appendToQueue, deadLetterPrefix, type Queue } from './topics.ts'

export function appendDeadLetter(state: State, place: Place, row: number): void {
  const { rows } = state.inFlight
  const offset = rows.getU64(row, RowField.offset) as QueueOffset
  const slot = slotAt(state, place.topic.queues[rows.getU32(row, RowField.queue)] as Queue, offset)
  const name = deadLetterPrefix + place.group.name
  const topic = state.topics.byName.get(name) ?? addTopic(state, name, 'normal', 1)
  appendToQueue(state, topic.queues[0] as Queue, {
    logIndex: slot.logIndex,
    ordinal: slot.ordinal,
    tagHash: slot.tagHash,
    messageGroup: slot.messageGroup,
    storedAtMs: state.registers.row.wallMs,
    // It takes no room but in the index, until it is carried forward.
    bytes: 0,
  })
}
