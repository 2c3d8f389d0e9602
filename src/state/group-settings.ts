/**
 * An operator changes a group's settings. Attempts and retry hold from now on; a change of order (FIFO or not) rearranges what the group has
 * unfinished: locks are made from the rows, or dissolved. That is as much work as the group has rows, which is bounded, and an operator's rare wish.
 */
import type { GroupSettings } from './command.ts'
import type { Place } from './cursors.ts'
import { becomeReady, leaveReady } from './deliveries.ts'
import { addOutstanding, freeIfIdle, joinLock, leaveLock } from './fifo-locks.ts'
import type { Group } from './groups.ts'
import { isOutstanding, RowField, RowState, setState, stateOf } from './in-flight.ts'
import type { State } from './state.ts'

export function changeSettings(state: State, group: Group, settings: GroupSettings): void {
  group.maxAttempts = settings.maxAttempts
  group.retry = settings.retry
  state.groups.table.changed(group)
  if (group.isFifo === settings.isFifo) return
  group.isFifo = settings.isFifo
  // By topic id: the order numbers that rows get here must not depend on how the map was filled.
  const places = [...group.places.values()].sort((a, b) => a.topic.id - b.topic.id)
  for (const place of places) {
    if (place.topic.isDeleted) continue
    if (group.isFifo) makeLocks(state, place)
    else dissolveLocks(state, place)
  }
}

/** Visible rows go behind their locks; locks of which nothing is delivered are free. */
function makeLocks(state: State, place: Place): void {
  const { rows } = state.inFlight
  const joined = rowsOf(state, place)
  for (const row of joined) {
    if (stateOf(rows, row) === RowState.ready) {
      leaveReady(state, place, row)
      setState(rows, row, RowState.blocked)
      place.blockedCount++
      rows.changed(row)
    }
    const lock = joinLock(state, place, row)
    if (isOutstanding(rows, row)) addOutstanding(state.locks, lock, 1)
  }
  for (const row of joined) freeIfIdle(state, place, rows.get(row, RowField.lock))
}

/** What was blocked is visible, in the order of offsets, after what was visible before. */
function dissolveLocks(state: State, place: Place): void {
  const { rows } = state.inFlight
  for (const row of rowsOf(state, place)) {
    const lock = rows.get(row, RowField.lock)
    if (isOutstanding(rows, row)) addOutstanding(state.locks, lock, -1)
    leaveLock(state, row)
    if (stateOf(rows, row) !== RowState.blocked) continue
    place.blockedCount--
    becomeReady(state, place, row)
    rows.changed(row)
  }
}

function rowsOf(state: State, place: Place): number[] {
  const found: number[] = []
  for (const cursor of place.cursors) {
    for (let row = cursor.rows.head; row !== 0; row = state.inFlight.rows.get(row, RowField.queueLinks + 1)) found.push(row)
  }
  return found
}
