/**
 * The table of rows in flight: one row for each message that a consumer group has visited and not settled. Layout, look-up and order only;
 * deliveries.ts moves rows from state to state.
 *
 * A row is unconfirmed or confirmed (delivered, its deadline in the heap), ready (visible again, in its place's list), or blocked (FIFO only: behind
 * its message group's lock). Key: group, topic, queue, offset. A message gets its row when the cursor passes it and loses it when it is settled.
 */
import type { DeliveryRef } from './command.ts'
import type { ConsumerGroupId, Hash64, QueueId, QueueOffset, TopicId } from './ids.ts'
import { tags } from './state.ts'
import { DeadlineHeap } from './tables/deadline-heap.ts'
import { KeyIndex, mix } from './tables/key-index.ts'
import { firstKeyField, RowTable } from './tables/row-table.ts'

const key = firstKeyField
const value = key + 5
const link = value + 15

/** Fields of a row. Those of 64 bits take two words; a list's two link words stand side by side. */
export const RowField = {
  group: key,
  topic: key + 1,
  queue: key + 2,
  offset: key + 3,
  /** RowState and RowFlags. */
  state: value,
  /** Deliveries so far that count. */
  attempt: value + 1,
  /** Of the present or last delivery. */
  sequence: value + 2,
  deadline: value + 4,
  clientLow: value + 6,
  clientHigh: value + 7,
  attemptIdLow: value + 8,
  attemptIdHigh: value + 9,
  /** Node that delivers it; 0 when nobody does. */
  gateway: value + 10,
  /** Ready: place in the list of its place. Unconfirmed: place in the list of its gateway. */
  order: value + 11,
  messageGroupLow: value + 13,
  messageGroupHigh: value + 14,
  place: link,
  clientSlot: link + 1,
  lock: link + 2,
  keyNext: link + 3,
  attemptNext: link + 4,
  heapPlace: link + 5,
  queueLinks: link + 6,
  chainLinks: link + 8,
  clientLinks: link + 10,
  /** Of the ready list, or of the gateway's list: a row is never in both. */
  orderLinks: link + 12,
} as const

export const RowState = { unconfirmed: 1, confirmed: 2, ready: 3, blocked: 4 } as const
export type RowState = (typeof RowState)[keyof typeof RowState]
const stateMask = 0xf

export const RowFlag = {
  /** Kept invisible while its client lives. */
  autoRenew: 0x10,
  /** Its end will not count as an attempt. */
  suspended: 0x20,
  /** It has an attempt id and stands in that index. */
  hasAttemptId: 0x40,
} as const

export interface InFlight {
  readonly rows: RowTable
  readonly byKey: KeyIndex
  readonly byAttempt: KeyIndex
  /** Deadlines of the delivered ones. */
  readonly heap: DeadlineHeap
}

export function newInFlight(rowsMax: number): InFlight {
  const rows = new RowTable({ tag: tags.inFlight, keyWords: 5, valueWords: 15, linkWords: 14, rowsMax })
  return {
    rows,
    byKey: new KeyIndex(rows, RowField.keyNext, handle => keyHashOf(rows, handle)),
    byAttempt: new KeyIndex(rows, RowField.attemptNext, handle => attemptHashOf(rows, handle)),
    heap: new DeadlineHeap({
      isBefore: (left, right) => isKeyBefore(rows, left, right),
      placeOf: handle => rows.get(handle, RowField.heapPlace),
      setPlace: (handle, place) => rows.set(handle, RowField.heapPlace, place),
    }),
  }
}

/** The row of a message; 0 = it has none. */
export function findRow(inFlight: InFlight, groupId: number, topicId: number, queueId: number, offset: number): number {
  const { rows, byKey } = inFlight
  let handle = byKey.first(keyHash(groupId, topicId, queueId, offset >>> 0))
  while (handle !== 0) {
    const isIt =
      rows.getU64(handle, RowField.offset) === offset &&
      rows.getU32(handle, RowField.group) === groupId &&
      rows.getU32(handle, RowField.topic) === topicId &&
      rows.getU32(handle, RowField.queue) === queueId
    if (isIt) return handle
    handle = byKey.next(handle)
  }
  return 0
}

/** Delivered rows of one receive, in the order of their delivery. */
export function findBatch(inFlight: InFlight, groupId: number, topicId: number, client: Hash64, attempt: Hash64): number[] {
  const { rows, byAttempt } = inFlight
  const batch: number[] = []
  let handle = byAttempt.first(attemptHash(groupId, topicId, client.low, attempt.low))
  while (handle !== 0) {
    const isIt =
      rows.getU32(handle, RowField.attemptIdLow) === attempt.low &&
      rows.getU32(handle, RowField.attemptIdHigh) === attempt.high &&
      rows.getU32(handle, RowField.clientLow) === client.low &&
      rows.getU32(handle, RowField.clientHigh) === client.high &&
      rows.getU32(handle, RowField.group) === groupId &&
      rows.getU32(handle, RowField.topic) === topicId
    if (isIt) batch.push(handle)
    handle = byAttempt.next(handle)
  }
  return batch.length < 2 ? batch : batch.sort((a, b) => rows.getU64(a, RowField.sequence) - rows.getU64(b, RowField.sequence))
}

export function keyHashOf(rows: RowTable, handle: number): number {
  return keyHash(
    rows.get(handle, RowField.group),
    rows.get(handle, RowField.topic),
    rows.get(handle, RowField.queue),
    rows.get(handle, RowField.offset),
  )
}

function keyHash(groupId: number, topicId: number, queueId: number, offsetLow: number): number {
  return mix(mix(mix(groupId, topicId), queueId), offsetLow)
}

export function attemptHashOf(rows: RowTable, handle: number): number {
  return attemptHash(
    rows.get(handle, RowField.group),
    rows.get(handle, RowField.topic),
    rows.get(handle, RowField.clientLow),
    rows.get(handle, RowField.attemptIdLow),
  )
}

function attemptHash(groupId: number, topicId: number, clientLow: number, attemptLow: number): number {
  return mix(mix(mix(groupId, topicId), clientLow), attemptLow)
}

/** The order of keys, for deadlines that are equal (rule 8). */
function isKeyBefore(rows: RowTable, left: number, right: number): boolean {
  for (let field: number = RowField.group; field <= RowField.queue; field++) {
    const difference = rows.getU32(left, field) - rows.getU32(right, field)
    if (difference !== 0) return difference < 0
  }
  return rows.getU64(left, RowField.offset) < rows.getU64(right, RowField.offset)
}

export function stateOf(rows: RowTable, handle: number): RowState {
  return (rows.get(handle, RowField.state) & stateMask) as RowState
}

export function hasFlag(rows: RowTable, handle: number, flag: number): boolean {
  return (rows.get(handle, RowField.state) & flag) !== 0
}

export function setFlag(rows: RowTable, handle: number, flag: number, isSet: boolean): void {
  const word = rows.get(handle, RowField.state)
  rows.set(handle, RowField.state, isSet ? word | flag : word & ~flag)
}

/** The state alone; flags stay. */
export function setState(rows: RowTable, handle: number, state: RowState): void {
  rows.set(handle, RowField.state, (rows.get(handle, RowField.state) & ~stateMask) | state)
}

export function isOutstanding(rows: RowTable, handle: number): boolean {
  return stateOf(rows, handle) <= RowState.confirmed
}

export function refOf(rows: RowTable, handle: number): DeliveryRef {
  return {
    consumerGroupId: rows.getU32(handle, RowField.group) as ConsumerGroupId,
    topicId: rows.getU32(handle, RowField.topic) as TopicId,
    queueId: rows.getU32(handle, RowField.queue) as QueueId,
    offset: rows.getU64(handle, RowField.offset) as QueueOffset,
    deliverySequence: rows.getU64(handle, RowField.sequence),
  }
}
