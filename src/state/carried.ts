/**
 * Messages that outlive the segment they were sent in: their bytes were repeated at the end of the log by a `carry`, their queue and offset are what
 * they were. Here stands where each is now; rows of the queue index never change, so this table is asked first.
 *
 * A message is here while it is needed: its queue still has it (dead letters, which may be much younger than their messages), or a group has not
 * finished it though the queue has given it up. The last of these to go takes it along.
 */
import { assert } from '../platform/assert.ts'
import type { QueueOffset } from './ids.ts'
import { findRow } from './in-flight.ts'
import { type State, tags } from './state.ts'
import type { QueueSlot } from './store.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { WordReader } from './tables/words.ts'
import type { Queue, Topics } from './topics.ts'

export interface CarriedSlot extends Cell, QueueSlot {
  readonly queue: Queue
  readonly offset: number
  logIndex: number
  ordinal: number
}

export type CarriedTable = CellTable<CarriedSlot>

export function newCarried(topics: Topics): CarriedTable {
  const table: CarriedTable = new CellTable<CarriedSlot>({
    tag: tags.carried,
    writeKey: (slot, out) => void out.u32(slot.queue.topic.id).u32(slot.queue.queueId).u64(slot.offset),
    writeValue: (slot, out) =>
      void out
        .u64(slot.logIndex)
        .u32(slot.ordinal)
        .u32(slot.tagHash)
        .u32(slot.messageGroup.low)
        .u32(slot.messageGroup.high)
        .u64(slot.storedAtMs)
        .u32(slot.queueKiB),
    load: (key, value) => loadCarried(topics, table, key, value),
  })
  return table
}

/** Where a message is. */
export function slotAt(state: State, queue: Queue, offset: QueueOffset): QueueSlot {
  if (queue.carried.size > 0) {
    const carried = queue.carried.get(offset)
    if (carried !== undefined) return carried
  }
  return state.index.read(queue.topic.id, queue.queueId, offset)
}

/** The message stands at `ordinal` of the entry that is being applied now. */
export function putCarried(state: State, queue: Queue, offset: QueueOffset, ordinal: number): void {
  const known = queue.carried.get(offset)
  if (known !== undefined) {
    known.logIndex = state.logIndex
    known.ordinal = ordinal
    return state.carried.changed(known)
  }
  const { tagHash, messageGroup, storedAtMs, queueKiB } = slotAt(state, queue, offset)
  const slot = { queue, offset, logIndex: state.logIndex, ordinal, tagHash, messageGroup, storedAtMs, queueKiB, mark: newMark() }
  queue.carried.set(offset, slot)
  state.carried.add(slot)
}

/** A group is done with the message: if it was the last to need it, it is forgotten. */
export function maybeForgetCarried(state: State, queue: Queue, offset: number): void {
  const slot = queue.carried.get(offset)
  if (slot === undefined || offset >= queue.first || isUnfinished(state, queue, offset)) return
  forget(state, slot)
}

/** The queue gives up what is below `offset`: what nobody else needs is forgotten. */
export function forgetCarried(state: State, queue: Queue, offset: number): void {
  for (const slot of queue.carried.values()) {
    if (slot.offset < offset && (queue.topic.isDeleted || !isUnfinished(state, queue, slot.offset))) forget(state, slot)
  }
}

/** Whether some group has a row for the message. */
export function isUnfinished(state: State, queue: Queue, offset: number): boolean {
  return queue.topic.places.some(({ group }) => findRow(state.inFlight, group.id, queue.topic.id, queue.queueId, offset) !== 0)
}

function forget(state: State, slot: CarriedSlot): void {
  slot.queue.carried.delete(slot.offset)
  state.carried.remove(slot)
}

function loadCarried(topics: Topics, table: CarriedTable, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const queue = topics.byId.get(reader.u32())?.queues[reader.u32()]
  const offset = reader.u64()
  const keyProblem = reader.end()
  if (queue === undefined) return 'a carried message has no queue'
  reader.open(value, 0)
  const slot: CarriedSlot = {
    queue,
    offset,
    logIndex: reader.u64(),
    ordinal: reader.u32(),
    tagHash: reader.u32(),
    messageGroup: { low: reader.u32(), high: reader.u32() },
    storedAtMs: reader.u64(),
    queueKiB: reader.u32(),
    mark: newMark(),
  }
  const problem = keyProblem ?? reader.end()
  if (problem !== undefined) return problem
  assert(!queue.carried.has(offset), 'carried-twice', offset)
  queue.carried.set(offset, slot)
  table.addStored(slot)
  return undefined
}
