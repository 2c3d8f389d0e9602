/**
 * The life of a row in flight. Each function is one transition and keeps every list, heap, index and counter in step:
 *
 *   (waiting) ── insertRow ──► blocked ── startDelivery ──► unconfirmed ── confirm ──► confirmed
 *                               ▲  │ freeIfIdle (FIFO)          │ settle              │ settle
 *                 makeVisible ──┘  ▼                            ▼                     ▼
 *                 makeVisible ──► ready ── startDelivery ──►   gone: acked, filtered, dead (moved to the dead letters), or trimmed by retention
 *
 * An attempt is counted when a delivery starts and taken back when it ends uncounted (release, gateway down, suspend).
 * Invariant: for every place, appended = started below + acked + filtered + dead + trimmed + rows + waiting. The auditor adds it up (views.ts).
 */
import { assert } from '../platform/assert.ts'
import type { PopRequest } from './command.ts'
import { maybeForgetCarried } from './carried.ts'
import { type Client, clientOfSlot } from './clients.ts'
import { type Cursor, isFull, mustFindPlace, type Place, visitable } from './cursors.ts'
import { addOutstanding, freeIfIdle, joinLock, leaveLock } from './fifo-locks.ts'
import { appendDeadLetter } from './dead-letters.ts'
import type { Hash64, QueueOffset } from './ids.ts'
import { attemptHashOf, hasFlag, keyHashOf, RowField, RowFlag, RowState, setFlag, setState, stateOf } from './in-flight.ts'
import { autoRenewMs } from './limits.ts'
import { ensureNode, type Node } from './nodes.ts'
import { nowMs, takeDeliverySequence, takeOrder } from './registers.ts'
import type { State } from './state.ts'
import { linkLast, unlink } from './tables/links.ts'
import type { Queue } from './topics.ts'

/** A row for the message that a cursor has just visited. */
export function insertRow(state: State, cursor: Cursor, offset: QueueOffset, messageGroup: Hash64): number {
  const { rows, byKey } = state.inFlight
  const { place } = cursor
  const row = rows.allocate()
  rows.set(row, RowField.group, place.group.id)
  rows.set(row, RowField.topic, place.topic.id)
  rows.set(row, RowField.queue, cursor.queueId)
  rows.setU64(row, RowField.offset, offset)
  rows.set(row, RowField.state, RowState.blocked)
  rows.set(row, RowField.place, place.slot)
  byKey.insert(row, keyHashOf(rows, row))
  linkLast(rows, cursor.rows, row, RowField.queueLinks)
  place.group.rowCount++
  place.blockedCount++
  // Kept also where no lock asks for it now: a group may become FIFO later.
  rows.set(row, RowField.messageGroupLow, messageGroup.low)
  rows.set(row, RowField.messageGroupHigh, messageGroup.high)
  if (place.group.isFifo) joinLock(state, place, row)
  return row
}

/** Gives a blocked or ready row to a client, unconfirmed (rule 14). */
export function startDelivery(
  state: State,
  place: Place,
  row: number,
  request: PopRequest,
  client: Client | undefined,
  gateway: Node,
): void {
  const { rows, heap, byAttempt } = state.inFlight
  if (stateOf(rows, row) === RowState.ready) leaveReady(state, place, row)
  else place.blockedCount--
  place.outstandingCount++
  const lock = rows.get(row, RowField.lock)
  if (lock !== 0) addOutstanding(state.locks, lock, 1)
  rows.set(row, RowField.state, RowState.unconfirmed)
  rows.set(row, RowField.attempt, rows.get(row, RowField.attempt) + 1)
  rows.setU64(row, RowField.sequence, takeDeliverySequence(state.registers))
  setDeadline(state, row, nowMs(state.registers) + request.invisibleMs)
  if (client !== undefined) {
    setFlag(rows, row, RowFlag.autoRenew, request.autoRenew)
    rows.set(row, RowField.clientLow, client.low)
    rows.set(row, RowField.clientHigh, client.high)
    rows.set(row, RowField.clientSlot, client.slot)
    linkLast(rows, client.rows, row, RowField.clientLinks)
    if (request.attempt !== undefined) {
      setFlag(rows, row, RowFlag.hasAttemptId, true)
      rows.set(row, RowField.attemptIdLow, request.attempt.low)
      rows.set(row, RowField.attemptIdHigh, request.attempt.high)
      byAttempt.insert(row, attemptHashOf(rows, row))
    }
  }
  linkGateway(state, row, gateway)
  rows.changed(row)
  assert(heap.has(row), 'delivered-has-deadline', row)
}

/** The same delivery again, through another call of the same receive: unconfirmed anew, same handle, no attempt more. */
export function repeatDelivery(state: State, row: number, invisibleMs: number, gateway: Node): void {
  const { rows } = state.inFlight
  if (stateOf(rows, row) === RowState.unconfirmed) unlinkGateway(state, row)
  setState(rows, row, RowState.unconfirmed)
  linkGateway(state, row, gateway)
  const deadline = nowMs(state.registers) + invisibleMs
  if (deadline > rows.getU64(row, RowField.deadline)) setDeadline(state, row, deadline)
  rows.changed(row)
}

/** The last byte is with the client's socket. */
export function confirm(state: State, row: number): void {
  const { rows } = state.inFlight
  if (stateOf(rows, row) !== RowState.unconfirmed) return
  unlinkGateway(state, row)
  setState(rows, row, RowState.confirmed)
  if (hasFlag(rows, row, RowFlag.autoRenew)) setDeadline(state, row, nowMs(state.registers) + autoRenewMs)
  rows.changed(row)
}

/** Another deadline for a delivered row. Its client has answered: the delivery is confirmed and its receive will not be repeated. */
export function postpone(state: State, row: number, delayMs: number, isSuspended: boolean): void {
  const { rows } = state.inFlight
  confirm(state, row)
  leaveAttempt(state, row)
  setFlag(rows, row, RowFlag.suspended, isSuspended)
  if (hasFlag(rows, row, RowFlag.autoRenew)) {
    // A nack: the client does not hold the message any more, so its end does not cut the wait short.
    setFlag(rows, row, RowFlag.autoRenew, false)
    leaveClient(state, row)
  }
  setDeadline(state, row, nowMs(state.registers) + delayMs)
  rows.changed(row)
}

/** A delivery ended without an answer: the message is visible again, or goes to the dead letters when that was its last attempt. */
export function makeVisible(state: State, row: number, isCounted: boolean): void {
  const { rows } = state.inFlight
  const place = mustFindPlace(state.places, rows.get(row, RowField.place))
  const counts = isCounted && !hasFlag(rows, row, RowFlag.suspended)
  const lock = rows.get(row, RowField.lock)
  if (place.topic.isDeleted) return removeRow(state, place, row)
  if (counts && rows.get(row, RowField.attempt) >= place.group.maxAttempts) return moveToDeadLetters(state, row)
  endDelivery(state, place, row)
  if (!counts) rows.set(row, RowField.attempt, rows.get(row, RowField.attempt) - 1)
  rows.changed(row)
  if (place.group.isFifo) {
    setState(rows, row, RowState.blocked)
    place.blockedCount++
    return freeIfIdle(state, place, lock)
  }
  becomeReady(state, place, row)
}

/** At the end of its place's list. The caller has taken it out of what it was in before. */
export function becomeReady(state: State, place: Place, row: number): void {
  const { rows } = state.inFlight
  setState(rows, row, RowState.ready)
  rows.setU64(row, RowField.order, takeOrder(state.registers))
  place.readyCount++
  linkLast(rows, place.ready, row, RowField.orderLinks)
  state.wakes.places.add(place)
}

/** Copies the message's place into the group's dead letters and settles it, in one step. */
export function moveToDeadLetters(state: State, row: number): void {
  const { rows } = state.inFlight
  const place = mustFindPlace(state.places, rows.get(row, RowField.place))
  appendDeadLetter(state, place, row)
  place.dead++
  state.places.table.changed(place)
  removeRow(state, place, row)
}

/** The message is done for this group. */
export function settle(state: State, row: number, how: 'acked' | 'filtered' | 'trimmed'): void {
  const place = mustFindPlace(state.places, state.inFlight.rows.get(row, RowField.place))
  place[how]++
  state.places.table.changed(place)
  removeRow(state, place, row)
}

/** The row goes, whatever state it is in. What it held back goes on. */
export function removeRow(state: State, place: Place, row: number): void {
  const { rows, byKey } = state.inFlight
  const rowState = stateOf(rows, row)
  const lock = rows.get(row, RowField.lock)
  if (rowState <= RowState.confirmed) endDelivery(state, place, row)
  else if (rowState === RowState.ready) leaveReady(state, place, row)
  else place.blockedCount--
  const cursor = place.cursors[rows.getU32(row, RowField.queue)] as Cursor
  const wasFirst = cursor.rows.head === row
  unlink(rows, cursor.rows, row, RowField.queueLinks)
  byKey.remove(row, keyHashOf(rows, row))
  place.group.rowCount--
  if (lock !== 0) {
    const wasLast = isLastBehind(state, row)
    leaveLock(state, row)
    if (!wasLast) freeIfIdle(state, place, lock)
    if (wasFirst && visitable(state, cursor) > 0) state.wakes.places.add(place)
  }
  const queue = place.topic.queues[cursor.queueId] as Queue
  const offset = rows.getU64(row, RowField.offset)
  rows.remove(row)
  if (queue.carried.size > 0) maybeForgetCarried(state, queue, offset)
  if (state.wakes.starved.size > 0) wakeStarved(state)
}

/** A row that is visible goes out of the list. */
export function leaveReady(state: State, place: Place, row: number): void {
  unlink(state.inFlight.rows, place.ready, row, RowField.orderLinks)
  place.readyCount--
  state.inFlight.rows.setU64(row, RowField.order, 0)
}

/** Whether no other row stands behind this row's lock. */
function isLastBehind(state: State, row: number): boolean {
  const { rows } = state.inFlight
  return rows.get(row, RowField.chainLinks) === 0 && rows.get(row, RowField.chainLinks + 1) === 0
}

/** What all ends of a delivery have in common. */
function endDelivery(state: State, place: Place, row: number): void {
  const { rows, heap } = state.inFlight
  if (stateOf(rows, row) === RowState.unconfirmed) unlinkGateway(state, row)
  heap.remove(row)
  leaveAttempt(state, row)
  leaveClient(state, row)
  const lock = rows.get(row, RowField.lock)
  if (lock !== 0) addOutstanding(state.locks, lock, -1)
  place.outstandingCount--
  rows.setU64(row, RowField.deadline, 0)
  rows.set(row, RowField.gateway, 0)
  rows.set(row, RowField.state, RowState.blocked)
}

function leaveClient(state: State, row: number): void {
  const { rows } = state.inFlight
  const slot = rows.get(row, RowField.clientSlot)
  if (slot === 0) return
  unlink(rows, clientOfSlot(state.clients, slot).rows, row, RowField.clientLinks)
  rows.set(row, RowField.clientSlot, 0)
  rows.set(row, RowField.clientLow, 0)
  rows.set(row, RowField.clientHigh, 0)
}

/** Before `leaveClient`: the index goes by the client's hash too. */
function leaveAttempt(state: State, row: number): void {
  const { rows, byAttempt } = state.inFlight
  if (!hasFlag(rows, row, RowFlag.hasAttemptId)) return
  byAttempt.remove(row, attemptHashOf(rows, row))
  setFlag(rows, row, RowFlag.hasAttemptId, false)
  rows.set(row, RowField.attemptIdLow, 0)
  rows.set(row, RowField.attemptIdHigh, 0)
}

function linkGateway(state: State, row: number, gateway: Node): void {
  const { rows } = state.inFlight
  rows.set(row, RowField.gateway, gateway.node)
  rows.setU64(row, RowField.order, takeOrder(state.registers))
  linkLast(rows, gateway.unconfirmed, row, RowField.orderLinks)
}

function unlinkGateway(state: State, row: number): void {
  const { rows } = state.inFlight
  unlink(rows, ensureNode(state, rows.get(row, RowField.gateway)).unconfirmed, row, RowField.orderLinks)
  rows.setU64(row, RowField.order, 0)
}

function setDeadline(state: State, row: number, deadline: number): void {
  state.inFlight.rows.setU64(row, RowField.deadline, deadline)
  state.inFlight.heap.put(row, deadline)
}

/** There is room again: places that a bound had stopped are worth a pop. */
function wakeStarved(state: State): void {
  for (const place of state.wakes.starved) {
    if (isFull(state, place.group)) continue
    state.wakes.starved.delete(place)
    state.wakes.places.add(place)
  }
}
