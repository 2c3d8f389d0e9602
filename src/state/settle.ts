/**
 * Acks and their like. A handle names one delivery; what counts is whether that delivery is the row's present one (mutant M48).
 * Answers: `ok` also for a message that is settled already, so that an ack may be repeated; `staleHandle` for a delivery that ended otherwise,
 * or never was.
 */
import { assertNever } from '../platform/assert.ts'
import type { DeliveryRef, Settle, SettleItem } from './command.ts'
import { confirm, makeVisible, moveToDeadLetters, postpone, settle } from './deliveries.ts'
import { retryDelayMs, type Group } from './groups.ts'
import { findRow, hasFlag, isOutstanding, RowField, RowFlag, RowState, stateOf } from './in-flight.ts'
import type { CommandResult, SettleOutcome } from './result.ts'
import type { State } from './state.ts'

export function applySettle(state: State, node: number, command: Settle): CommandResult {
  const outcomes: SettleOutcome[] = []
  for (const item of command.items) outcomes.push(settleItem(state, node, item))
  return { kind: 'settled', outcomes }
}

function settleItem(state: State, node: number, item: SettleItem): SettleOutcome {
  const { ref } = item
  const group = state.groups.byId.get(ref.consumerGroupId)
  const topic = state.topics.byId.get(ref.topicId)
  if (group === undefined || topic === undefined || topic.isDeleted) return 'staleHandle'
  const { rows } = state.inFlight
  const row = findRow(state.inFlight, ref.consumerGroupId, ref.topicId, ref.queueId, ref.offset)
  if (row === 0) return item.kind !== 'changeInvisible' && isSettled(state, group, ref) ? 'ok' : 'staleHandle'
  if (rows.getU64(row, RowField.sequence) !== ref.deliverySequence || !isOutstanding(rows, row)) return 'staleHandle'
  switch (item.kind) {
    case 'ack':
      settle(state, row, 'acked')
      return 'ok'
    case 'deadLetter':
      moveToDeadLetters(state, row)
      return 'ok'
    case 'changeInvisible':
      changeInvisible(state, group, row, item.invisibleMs, item.suspend)
      return 'ok'
    case 'confirm':
      // Of another gateway: the same receive came again there, and its word counts.
      if (rows.get(row, RowField.gateway) !== node) return 'staleHandle'
      confirm(state, row)
      return 'ok'
    case 'release':
      if (rows.get(row, RowField.gateway) !== node || stateOf(rows, row) !== RowState.unconfirmed) return 'staleHandle'
      makeVisible(state, row, false)
      return 'ok'
    default:
      return assertNever(item)
  }
}

/** There is no row: the message was visited by this group, and a delivery with this number may have been of it. */
function isSettled(state: State, group: Group, ref: DeliveryRef): boolean {
  const cursor = group.places.get(ref.topicId)?.cursors[ref.queueId]
  if (cursor === undefined || ref.offset < cursor.start || ref.offset >= cursor.offset) return false
  return ref.deliverySequence > 0 && ref.deliverySequence < state.registers.row.nextDeliverySequence
}

function changeInvisible(state: State, group: Group, row: number, invisibleMs: number, isSuspended: boolean): void {
  const { rows } = state.inFlight
  // Node's push consumer asks for milliseconds where it means seconds (protocol reference §8.6): the group's own back-off is the floor.
  const isNack = hasFlag(rows, row, RowFlag.autoRenew) && !group.isFifo && !isSuspended
  const delayMs = isNack ? Math.max(invisibleMs, retryDelayMs(group.retry, rows.get(row, RowField.attempt))) : invisibleMs
  postpone(state, row, delayMs, isSuspended)
  if (delayMs === 0) makeVisible(state, row, true)
}
