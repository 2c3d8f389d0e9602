/**
 * What time brings: deliveries whose time is over, clients that are gone, gateways whose unconfirmed deliveries are to be released, and deleted
 * topics. At most `firedMax` of them with one entry, in (deadline, key) order; what is due and not fired counts as not yet due (rule 8), so an ack
 * that comes first still counts.
 */
import { clientOfSlot, forgetClient } from './clients.ts'
import { type Place, removePlace } from './cursors.ts'
import { makeVisible, removeRow } from './deliveries.ts'
import { RowField, RowState, stateOf } from './in-flight.ts'
import { clearedMax, firedMax } from './limits.ts'
import { endDrain, type Node } from './nodes.ts'
import { nowMs } from './registers.ts'
import type { State } from './state.ts'
import { forgetTopic, type Topic } from './topics.ts'

/** Fires what is due at the state's time. Called by every entry that time passes with, before its command. */
export function fireDue(state: State): void {
  let budget = firedMax
  if (state.nodes.drainingCount > 0) for (const node of state.nodes.all) budget -= drain(state, node, budget)
  const now = nowMs(state.registers)
  const rowHeap = state.inFlight.heap
  const clientHeap = state.clients.heap
  while (budget > 0) {
    const rowDeadline = rowHeap.firstDeadline
    const clientDeadline = clientHeap.firstDeadline
    if (rowDeadline > now && clientDeadline > now) break
    if (rowDeadline <= clientDeadline) makeVisible(state, rowHeap.first, true)
    else endClient(state, clientHeap.first)
    budget--
  }
  if (state.topics.deleted.length > 0) clearDeleted(state)
}

/** When something is due next; Infinity = never. At once, while a bound holds back what is due. */
export function nextDueMs(state: State): number {
  if (state.nodes.drainingCount > 0 || state.topics.deleted.length > 0) return nowMs(state.registers)
  return Math.min(state.inFlight.heap.firstDeadline, state.clients.heap.firstDeadline)
}

/** Releases what a gateway that is down, or a former process of it, had not confirmed. */
function drain(state: State, node: Node, budget: number): number {
  if (node.drainBelow === 0) return 0
  const { rows } = state.inFlight
  let released = 0
  while (released < budget) {
    const row = node.unconfirmed.head
    if (row === 0 || rows.getU64(row, RowField.order) >= node.drainBelow) {
      endDrain(state, node)
      break
    }
    makeVisible(state, row, false)
    released++
  }
  return released
}

/** One step of a gone client's end: a delivery of it becomes visible, or it is forgotten. It stays due until all is done. */
function endClient(state: State, slot: number): void {
  const client = clientOfSlot(state.clients, slot)
  const row = client.rows.head
  if (row === 0) return forgetClient(state, client)
  // What was never confirmed may never have reached it.
  makeVisible(state, row, stateOf(state.inFlight.rows, row) === RowState.confirmed)
}

/** Clears away, a piece with each entry, what groups have of topics that are no more. */
function clearDeleted(state: State): void {
  let budget = clearedMax
  while (budget > 0) {
    const topic: Topic | undefined = state.topics.deleted[0]
    if (topic === undefined) return
    const place: Place | undefined = topic.places[topic.places.length - 1]
    if (place === undefined) {
      forgetTopic(state, topic)
      budget--
      continue
    }
    budget -= clearPlace(state, place, budget)
  }
}

function clearPlace(state: State, place: Place, budget: number): number {
  let cleared = 0
  for (const cursor of place.cursors) {
    while (cursor.rows.head !== 0) {
      if (cleared === budget) return cleared
      removeRow(state, place, cursor.rows.head)
      cleared++
    }
  }
  removePlace(state, place)
  return cleared + 1
}
