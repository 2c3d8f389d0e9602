/**
 * Retention as state (rule 9): what is given up is decided by the leader and written into the log; here it takes effect, on every replica alike.
 * Nothing here knows files: nodes delete what `logFirst` allows, later.
 *
 *   trim       a queue begins further on; who had not come so far jumps there (counted as `trimmed`), what is in flight stays unless it is forced
 *   carry      messages that stay though their segment goes stand in this entry from now on
 *   trimLog    nothing below an index is needed: no queue, no row, no dead letter points there
 *
 * A `trimLog` is right for good once it is right in some applied state: queues only move on, rows only end, and a dead letter points where its row did.
 */
import type { Carry, SetRetention, Trim, TrimLog } from './command.ts'
import { forgetCarried, isUnfinished, putCarried } from './carried.ts'
import { jumpCursor } from './cursors.ts'
import { settle } from './deliveries.ts'
import { RowField } from './in-flight.ts'
import { trimmedMax } from './limits.ts'
import type { CommandResult } from './result.ts'
import type { State } from './state.ts'
import type { Queue } from './topics.ts'

const done: CommandResult = { kind: 'done' }

export function setRetention(state: State, command: SetRetention): CommandResult {
  const topic = state.topics.byName.get(command.topic)
  if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
  topic.retention = command.retention
  state.topics.table.changed(topic)
  return done
}

/** Queue by queue, until the entry has had its share of work. What is left undone the leader sees, and proposes again. */
export function applyTrim(state: State, command: Trim): CommandResult {
  let budget = trimmedMax
  for (const { topicId, queueId, offset, forcedBelow } of command.queues) {
    const topic = state.topics.byId.get(topicId)
    const queue = topic?.queues[queueId]
    if (topic === undefined || queue === undefined || topic.isDeleted) continue
    budget = trimQueue(state, queue, Math.min(offset, queue.next), forcedBelow, budget - 1)
    if (budget <= 0) break
  }
  return done
}

/** Returns what is left of the budget. */
function trimQueue(state: State, queue: Queue, offset: number, forcedBelow: number, budget: number): number {
  let left = budget
  for (const place of queue.topic.places) {
    const cursor = place.cursors[queue.queueId]
    if (cursor === undefined) continue
    left--
    jumpCursor(state, cursor, offset)
    const { rows } = state.inFlight
    while (cursor.rows.head !== 0 && rows.getU64(cursor.rows.head, RowField.offset) < forcedBelow) {
      if (left <= 0) return 0
      left--
      settle(state, cursor.rows.head, 'trimmed')
    }
  }
  if (offset > queue.first) {
    queue.first = offset
    state.topics.queueTable.changed(queue)
    if (queue.carried.size > 0) forgetCarried(state, queue, offset)
  }
  return left
}

export function applyTrimLog(state: State, command: TrimLog): CommandResult {
  const { row, table } = state.registers
  // Never beyond the entry itself, whatever it says.
  const index = Math.min(command.index, state.logIndex)
  if (index <= row.logFirst) return done
  row.logFirst = index
  table.changed(row)
  return done
}

/** What was settled while the carry was on its way is left where it was. */
export function applyCarry(state: State, command: Carry): CommandResult {
  for (const [ordinal, { topicId, queueId, offset }] of command.items.entries()) {
    const topic = state.topics.byId.get(topicId)
    const queue = topic?.queues[queueId]
    if (topic === undefined || queue === undefined || topic.isDeleted || offset >= queue.next) continue
    if (offset >= queue.first || isUnfinished(state, queue, offset)) putCarried(state, queue, offset, ordinal)
  }
  return done
}
