/**
 * A pop: takes messages for the waiting receives of one gateway, oldest first. First what is visible again, then the queues, from a rotating start.
 * At most `visitedMax` slots and rows are visited; where it stopped is the cursors and `nextQueue`, so the next pop goes on there (rule 8).
 * What a receive's filter does not want is settled for the group as it is passed: all of a group read with one filter.
 *
 * FIFO groups: a message whose lock holds an unfinished one that this very batch was not given is passed over: it gets a blocked row behind the lock.
 */
import { assert } from '../platform/assert.ts'
import type { Pop, PopRequest, TagFilter } from './command.ts'
import { slotAt } from './carried.ts'
import { type Client, connectClient } from './clients.ts'
import { advanceCursor, type Cursor, ensurePlace, hasWork, isFull, type Place, visitable } from './cursors.ts'
import { insertRow, repeatDelivery, settle, startDelivery } from './deliveries.ts'
import { addOutstanding, findLock, firstBehind, freeIfIdle, isGivenSince, nextBehind } from './fifo-locks.ts'
import { ensureGroup } from './groups.ts'
import type { Hash64, QueueId, QueueOffset } from './ids.ts'
import { findBatch, refOf, RowField } from './in-flight.ts'
import { visitedMax } from './limits.ts'
import { ensureNode, type Node } from './nodes.ts'
import type { CommandResult, Delivery } from './result.ts'
import type { State } from './state.ts'
import type { QueueSlot } from './store.ts'
import type { Queue } from './topics.ts'

/** One receive being served. */
interface Batch {
  readonly place: Place
  readonly request: PopRequest
  readonly client: Client | undefined
  readonly gateway: Node
  readonly deliveries: Delivery[]
  /** Deliveries from this number on are this batch's. */
  readonly firstSequence: number
}

/** Slots and rows that the pop may still visit. */
interface Scan {
  left: number
}

export function applyPop(state: State, node: number, pop: Pop): CommandResult {
  const topic = state.topics.byName.get(pop.topic)
  if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
  const hasPlace = state.groups.byName.get(pop.consumerGroup)?.places.has(topic.id) ?? false
  if (!hasPlace && state.places.table.count >= state.limits.placesMax) return { kind: 'refused', reason: 'tooManyGroups' }
  const group = ensureGroup(state, pop.consumerGroup)
  if (group === undefined) return { kind: 'refused', reason: 'tooManyGroups' }
  const place = ensurePlace(state, group, topic)
  assert(place !== undefined, 'place-has-room')
  const gateway = ensureNode(state, node)
  const scan: Scan = { left: visitedMax }
  const deliveries: (readonly Delivery[])[] = []
  for (const request of pop.requests) deliveries.push(serve(state, place, request, gateway, scan))
  if (place.visited < topic.appended && isFull(state, group)) state.wakes.starved.add(place)
  const hasMore = scan.left === 0 && hasWork(state, place)
  return { kind: 'popped', consumerGroupId: group.id, topicId: topic.id, deliveries, hasMore }
}

function serve(state: State, place: Place, request: PopRequest, gateway: Node, scan: Scan): readonly Delivery[] {
  const client = connectClient(state, request.client, gateway.node)
  const firstSequence = state.registers.row.nextDeliverySequence
  const batch: Batch = { place, request, client, gateway, deliveries: [], firstSequence }
  if (repeat(state, batch)) return batch.deliveries
  if (place.group.isFifo) takeFreeLocks(state, batch, scan)
  else takeReady(state, batch, scan)
  if (batch.deliveries.length < request.max) takeFromQueues(state, batch, scan)
  return batch.deliveries
}

/** The same receive again, its answer lost on the way: it gets what it was given and has not answered (rule 14). */
function repeat(state: State, batch: Batch): boolean {
  const { place, request } = batch
  if (request.attempt === undefined) return false
  const rows = findBatch(state.inFlight, place.group.id, place.topic.id, request.client, request.attempt)
  for (const row of rows) {
    repeatDelivery(state, row, request.invisibleMs, batch.gateway)
    batch.deliveries.push(deliveryOf(state, place, row))
  }
  return rows.length > 0
}

/** Messages visible again, in the order in which they became so. */
function takeReady(state: State, batch: Batch, scan: Scan): void {
  const { place, request } = batch
  while (batch.deliveries.length < request.max && place.ready.head !== 0 && scan.left > 0) {
    const row = place.ready.head
    scan.left--
    give(state, batch, row, slotOf(state, place, row))
  }
}

/** Message groups of which nothing is outstanding and something unfinished: from the first unfinished message on, in order. */
function takeFreeLocks(state: State, batch: Batch, scan: Scan): void {
  const { place, request } = batch
  while (batch.deliveries.length < request.max && place.ready.head !== 0 && scan.left > 0) {
    const lock = state.inFlight.rows.get(place.ready.head, RowField.lock)
    // Held while its rows go: settling one that the filter does not want must not free it half way.
    addOutstanding(state.locks, lock, 1)
    let row = firstBehind(state.locks, lock)
    while (row !== 0 && batch.deliveries.length < request.max && scan.left > 0) {
      const next = nextBehind(state, row)
      scan.left--
      give(state, batch, row, slotOf(state, place, row))
      row = next
    }
    addOutstanding(state.locks, lock, -1)
    freeIfIdle(state, place, lock)
  }
}

/** Delivers a row that is not delivered, or settles it when the filter does not want it. */
function give(state: State, batch: Batch, row: number, slot: QueueSlot): void {
  if (!matches(batch.request.filter, slot.tagHash)) return settle(state, row, 'filtered')
  startDelivery(state, batch.place, row, batch.request, batch.client, batch.gateway)
  batch.deliveries.push(toDelivery(state, row, slot))
}

function takeFromQueues(state: State, batch: Batch, scan: Scan): void {
  const { place, request } = batch
  if (place.visited === place.topic.appended) return
  const count = place.cursors.length
  const start = place.nextQueue
  for (let i = 0; i < count; i++) {
    const queueId = (start + i) % count
    const cursor = place.cursors[queueId] as Cursor
    while (batch.deliveries.length < request.max && scan.left > 0 && visitable(state, cursor) > 0) {
      if (isFull(state, place.group)) return
      visit(state, batch, cursor)
      scan.left--
    }
    const isServed = batch.deliveries.length === request.max
    if (!isServed && scan.left > 0) continue
    // The next batch begins with the next queue; a scan that ran out goes on where it was.
    place.nextQueue = isServed ? (queueId + 1) % count : queueId
    state.places.table.changed(place)
    return
  }
}

/** One waiting message: delivered, blocked behind its lock, or settled unwanted. */
function visit(state: State, batch: Batch, cursor: Cursor): void {
  const { place, request } = batch
  const offset = cursor.offset as QueueOffset
  const slot = slotAt(state, place.topic.queues[cursor.queueId] as Queue, offset)
  const isWanted = matches(request.filter, slot.tagHash)
  if (!isWanted) {
    place.filtered++
    state.places.table.changed(place)
    return advanceCursor(state, cursor)
  }
  const isBlocked = place.group.isFifo && isLocked(state, batch, cursor.queueId, slot.messageGroup)
  advanceCursor(state, cursor)
  const row = insertRow(state, cursor, offset, slot.messageGroup)
  if (isBlocked) return
  startDelivery(state, place, row, request, batch.client, batch.gateway)
  batch.deliveries.push(toDelivery(state, row, slot))
}

/** Whether an unfinished message of this message group is in other hands than this batch's. */
function isLocked(state: State, batch: Batch, queueId: QueueId, messageGroup: Hash64): boolean {
  const lock = findLock(state.locks, batch.place, queueId, messageGroup)
  return lock !== 0 && !isGivenSince(state, lock, batch.firstSequence)
}

function matches(filter: TagFilter, tagHash: number): boolean {
  return filter.kind === 'all' || filter.hashes.includes(tagHash)
}

function slotOf(state: State, place: Place, row: number): QueueSlot {
  const { rows } = state.inFlight
  const queue = place.topic.queues[rows.getU32(row, RowField.queue)] as Queue
  return slotAt(state, queue, rows.getU64(row, RowField.offset) as QueueOffset)
}

/** A delivered row as its gateway needs it. */
export function deliveryOf(state: State, place: Place, row: number): Delivery {
  return toDelivery(state, row, slotOf(state, place, row))
}

function toDelivery(state: State, row: number, slot: QueueSlot): Delivery {
  const attempt = state.inFlight.rows.get(row, RowField.attempt)
  return { ref: refOf(state.inFlight.rows, row), logIndex: slot.logIndex, ordinal: slot.ordinal, attempt, storedAtMs: slot.storedAtMs }
}
