/**
 * FIFO locks: one for each message group that a FIFO consumer group has unfinished messages of (without a message group: one for each queue).
 * Behind a lock stand the rows of its message group, in order of offset. Invariant: either some of them are delivered, or the first one is ready
 * and all others are blocked. So while any is outstanding no later one is given to anybody, and what expired comes again from the first
 * unfinished one on, in order (rule 18). A lock is derived from its rows: nothing here is in the digest.
 */
import type { Place } from './cursors.ts'
import type { Hash64 } from './ids.ts'
import { isOutstanding, RowField, RowState, setState, stateOf } from './in-flight.ts'
import { takeOrder } from './registers.ts'
import type { State } from './state.ts'
import { KeyIndex, mix } from './tables/key-index.ts'
import { linkLast } from './tables/links.ts'
import { firstKeyField, RowTable } from './tables/row-table.ts'

const field = firstKeyField
const LockField = {
  place: field,
  queue: field + 1,
  groupLow: field + 2,
  groupHigh: field + 3,
  /** Delivered rows, and one more while a pop works on the lock. */
  outstanding: field + 4,
  head: field + 5,
  tail: field + 6,
  next: field + 7,
} as const

export interface Locks {
  readonly table: RowTable
  readonly byKey: KeyIndex
}

export function newLocks(rowsMax: number): Locks {
  const table = new RowTable({ tag: 0, keyWords: 8, valueWords: 0, linkWords: 0, rowsMax, isDerived: true })
  return { table, byKey: new KeyIndex(table, LockField.next, lock => hashOf(table, lock)) }
}

function hashOf(table: RowTable, lock: number): number {
  return keyHash(
    table.get(lock, LockField.place),
    table.get(lock, LockField.queue),
    table.get(lock, LockField.groupLow),
    table.get(lock, LockField.groupHigh),
  )
}

function keyHash(place: number, queue: number, groupLow: number, groupHigh: number): number {
  return mix(mix(mix(place, queue), groupLow), groupHigh)
}

/** The lock of a message group; 0 = none, all of it is finished. */
export function findLock(locks: Locks, place: Place, queueId: number, messageGroup: Hash64): number {
  const { table, byKey } = locks
  let lock = byKey.first(keyHash(place.slot, queueId, messageGroup.low, messageGroup.high))
  while (lock !== 0) {
    const isIt =
      table.get(lock, LockField.place) === place.slot &&
      table.get(lock, LockField.queue) === queueId &&
      table.getU32(lock, LockField.groupLow) === messageGroup.low &&
      table.getU32(lock, LockField.groupHigh) === messageGroup.high
    if (isIt) return lock
    lock = byKey.next(lock)
  }
  return 0
}

/** Puts a row behind the lock of its message group, as the last one. */
export function joinLock(state: State, place: Place, row: number): number {
  const { rows } = state.inFlight
  const { table, byKey } = state.locks
  const queueId = rows.getU32(row, RowField.queue)
  const messageGroup = { low: rows.getU32(row, RowField.messageGroupLow), high: rows.getU32(row, RowField.messageGroupHigh) }
  let lock = findLock(state.locks, place, queueId, messageGroup)
  if (lock === 0) {
    lock = table.allocate()
    table.set(lock, LockField.place, place.slot)
    table.set(lock, LockField.queue, queueId)
    table.set(lock, LockField.groupLow, messageGroup.low)
    table.set(lock, LockField.groupHigh, messageGroup.high)
    byKey.insert(lock, hashOf(table, lock))
  }
  const tail = table.get(lock, LockField.tail)
  rows.set(row, RowField.chainLinks, tail)
  rows.set(row, RowField.chainLinks + 1, 0)
  if (tail === 0) table.set(lock, LockField.head, row)
  else rows.set(tail, RowField.chainLinks + 1, row)
  table.set(lock, LockField.tail, row)
  rows.set(row, RowField.lock, lock)
  return lock
}

/** Takes a row out from behind its lock. The lock goes with the last one; the caller then frees it if it does not. */
export function leaveLock(state: State, row: number): void {
  const { rows } = state.inFlight
  const { table, byKey } = state.locks
  const lock = rows.get(row, RowField.lock)
  const before = rows.get(row, RowField.chainLinks)
  const after = rows.get(row, RowField.chainLinks + 1)
  if (before === 0) table.set(lock, LockField.head, after)
  else rows.set(before, RowField.chainLinks + 1, after)
  if (after === 0) table.set(lock, LockField.tail, before)
  else rows.set(after, RowField.chainLinks, before)
  rows.set(row, RowField.lock, 0)
  if (table.get(lock, LockField.head) !== 0 || table.get(lock, LockField.outstanding) !== 0) return
  byKey.remove(lock, hashOf(table, lock))
  table.remove(lock)
}

/** One delivered row more or less, or a pop that begins or ends to work on the lock. */
export function addOutstanding(locks: Locks, lock: number, count: 1 | -1): void {
  locks.table.set(lock, LockField.outstanding, locks.table.get(lock, LockField.outstanding) + count)
}

/** Nothing of the lock is outstanding any more: its first row may be given out. Removes a lock without rows. */
export function freeIfIdle(state: State, place: Place, lock: number): void {
  const { table, byKey } = state.locks
  if (table.get(lock, LockField.outstanding) !== 0) return
  const head = table.get(lock, LockField.head)
  if (head === 0) {
    byKey.remove(lock, hashOf(table, lock))
    table.remove(lock)
    return
  }
  const { rows } = state.inFlight
  if (stateOf(rows, head) !== RowState.blocked) return
  setState(rows, head, RowState.ready)
  rows.setU64(head, RowField.order, takeOrder(state.registers))
  rows.changed(head)
  place.blockedCount--
  place.readyCount++
  linkLast(rows, place.ready, head, RowField.orderLinks)
  state.wakes.places.add(place)
}

/** First row behind the lock; 0 = none. Go on with `nextBehind`. */
export function firstBehind(locks: Locks, lock: number): number {
  return locks.table.get(lock, LockField.head)
}

export function nextBehind(state: State, row: number): number {
  return state.inFlight.rows.get(row, RowField.chainLinks + 1)
}

/** Whether the lock's last row, and so every row behind it, was given out since delivery number `sequence`: then that batch may have the next one too. */
export function isGivenSince(state: State, lock: number, sequence: number): boolean {
  const { rows } = state.inFlight
  const tail = state.locks.table.get(lock, LockField.tail)
  return isOutstanding(rows, tail) && rows.getU64(tail, RowField.sequence) >= sequence
}
