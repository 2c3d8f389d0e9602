/**
 * Places: how far a consumer group has come in a topic. For each queue a cursor: every message below it has been visited, so it has a row in
 * flight or is settled; every message from it on is waiting. A cursor starts where the group's start position says and never goes back.
 */
import type { QueueId, QueueOffset } from './ids.ts'
import type { StartPosition } from './command.ts'
import type { Group, Groups } from './groups.ts'
import type { Queue, Topic, Topics } from './topics.ts'
import { fifoAheadMax } from './limits.ts'
import { RowField } from './in-flight.ts'
import { slotAt } from './carried.ts'
import { type State, tags } from './state.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { emptyList, type RowList } from './tables/links.ts'
import { WordReader } from './tables/words.ts'
import { assertNever, mustExist } from '../platform/assert.ts'

export interface Cursor extends Cell {
  readonly place: Place
  readonly queueId: QueueId
  /** Where it began: what is below was never this group's. */
  start: number
  /** The next message to visit. */
  offset: number
  /** Derived: its rows in order of offset; the first is the first unfinished message. */
  readonly rows: RowList
}

export interface Place extends Cell {
  /** Derived: its number on this machine, for the rows' links. From 1. */
  readonly slot: number
  readonly group: Group
  readonly topic: Topic
  readonly cursors: Cursor[]
  /** The queue that the next scan begins with. */
  nextQueue: number
  acked: number
  /** Settled because no filter wanted them. */
  filtered: number
  /** Moved to the dead letters. */
  dead: number
  /** Given up by retention before the group was done with them. */
  trimmed: number
  /** Derived: visible again, oldest first. In a FIFO group: first messages of free locks. */
  readonly ready: RowList
  readyCount: number
  /** Derived: delivered and not yet settled or expired. */
  outstandingCount: number
  /** Derived: behind a FIFO lock. */
  blockedCount: number
  /** Derived: sum of the cursors, to compare with the topic's `appended`. */
  visited: number
}

export interface Places {
  readonly table: CellTable<Place>
  readonly cursorTable: CellTable<Cursor>
  /** By slot; the first is nobody. */
  readonly slots: (Place | undefined)[]
  readonly freeSlots: number[]
}

export function newPlaces(topics: Topics, groups: Groups): Places {
  const places: Places = {
    table: new CellTable<Place>({
      tag: tags.places,
      writeKey: (place, out) => void out.u32(place.group.id).u32(place.topic.id),
      writeValue: (place, out) => void out.u32(place.nextQueue).u64(place.acked).u64(place.filtered).u64(place.dead).u64(place.trimmed),
      load: (key, value) => loadPlace(places, topics, groups, key, value),
    }),
    cursorTable: new CellTable<Cursor>({
      tag: tags.cursors,
      writeKey: (cursor, out) => void out.u32(cursor.place.group.id).u32(cursor.place.topic.id).u32(cursor.queueId),
      writeValue: (cursor, out) => void out.u64(cursor.start).u64(cursor.offset),
      load: (key, value) => loadCursor(places, groups, key, value),
    }),
    slots: [undefined],
    freeSlots: [],
  }
  return places
}

/** The group's place in the topic, made with the group's start position if need be; undefined when there are too many. */
export function ensurePlace(state: State, group: Group, topic: Topic): Place | undefined {
  const existing = group.places.get(topic.id)
  if (existing !== undefined) return existing
  const { places } = state
  if (places.table.count >= state.limits.placesMax) return undefined
  const place = addPlace(places, group, topic)
  places.table.add(place)
  for (const cursor of place.cursors) {
    const queue = topic.queues[cursor.queueId] as Queue
    cursor.start = startOffset(state, queue, group.start)
    cursor.offset = cursor.start
    place.visited += cursor.offset
    places.cursorTable.add(cursor)
  }
  return place
}

/** Objects and links of a place, without its content. */
function addPlace(places: Places, group: Group, topic: Topic): Place {
  const slot = places.freeSlots.pop() ?? places.slots.length
  const cursors: Cursor[] = []
  const place: Place = {
    slot,
    group,
    topic,
    cursors,
    nextQueue: 0,
    acked: 0,
    filtered: 0,
    dead: 0,
    trimmed: 0,
    ready: emptyList(),
    readyCount: 0,
    outstandingCount: 0,
    blockedCount: 0,
    visited: 0,
    mark: newMark(),
  }
  for (let i = 0; i < topic.queueCount; i++) {
    cursors.push({ place, queueId: i as QueueId, start: 0, offset: 0, rows: emptyList(), mark: newMark() })
  }
  places.slots[slot] = place
  group.places.set(topic.id, place)
  // By group id, so that clearing a deleted topic away goes in an order that a restore keeps.
  let at = topic.places.length
  while (at > 0 && (topic.places[at - 1] as Place).group.id > group.id) at--
  topic.places.splice(at, 0, place)
  return place
}

/** A place without rows, of a deleted topic. */
export function removePlace(state: State, place: Place): void {
  const { places } = state
  places.table.remove(place)
  for (const cursor of place.cursors) places.cursorTable.remove(cursor)
  place.group.places.delete(place.topic.id)
  place.topic.places.splice(place.topic.places.indexOf(place), 1)
  places.slots[place.slot] = undefined
  places.freeSlots.push(place.slot)
  state.wakes.places.delete(place)
  state.wakes.starved.delete(place)
}

/** The cursor has visited one more message. */
export function advanceCursor(state: State, cursor: Cursor): void {
  cursor.offset++
  cursor.place.visited++
  state.places.cursorTable.changed(cursor)
}

/** What the cursor has not visited below `offset` is given up: it goes on from there. */
export function jumpCursor(state: State, cursor: Cursor, offset: number): void {
  if (cursor.offset >= offset) return
  const { place } = cursor
  const skipped = offset - cursor.offset
  cursor.offset = offset
  place.visited += skipped
  place.trimmed += skipped
  state.places.cursorTable.changed(cursor)
  state.places.table.changed(place)
}

/** Messages of this queue that a pop may visit now: all that wait, in a FIFO group no further than its bound past the first unfinished one. */
export function visitable(state: State, cursor: Cursor): number {
  const { place } = cursor
  const queue = place.topic.queues[cursor.queueId] as Queue
  const waiting = queue.next - cursor.offset
  if (!place.group.isFifo || cursor.rows.head === 0 || waiting === 0) return waiting
  // What lies below the queue's first message was jumped over for the most part: it does not count.
  const firstUnfinished = Math.max(queue.first, state.inFlight.rows.getU64(cursor.rows.head, RowField.offset))
  return Math.min(waiting, Math.max(0, firstUnfinished + fifoAheadMax - cursor.offset))
}

/** Whether a pop would find something to look at. Cheap: it is asked for every waiting receive. */
export function hasWork(state: State, place: Place): boolean {
  if (place.readyCount > 0) return true
  if (place.visited === place.topic.appended || isFull(state, place.group)) return false
  if (!place.group.isFifo) return true
  return place.cursors.some(cursor => visitable(state, cursor) > 0)
}

/** No new row for this group: its own bound, or the one over all. Redeliveries go on, they need none. */
export function isFull(state: State, group: Group): boolean {
  return group.rowCount >= state.limits.groupRowsMax || state.inFlight.rows.count >= state.limits.rowsMax
}

function startOffset(state: State, queue: Queue, start: StartPosition): number {
  switch (start.kind) {
    case 'first':
      return queue.first
    case 'last':
      return queue.next
    case 'time':
      return offsetAtTime(state, queue, start.wallMs)
    default:
      return assertNever(start)
  }
}

/** First offset stored at or after a time: times do not fall along a queue. */
function offsetAtTime(state: State, queue: Queue, wallMs: number): number {
  let low = queue.first
  let high = queue.next
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if (slotAt(state, queue, middle as QueueOffset).storedAtMs < wallMs) low = middle + 1
    else high = middle
  }
  return low
}

function loadPlace(places: Places, topics: Topics, groups: Groups, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const group = groups.byId.get(reader.u32())
  const topic = topics.byId.get(reader.u32())
  const keyProblem = reader.end()
  if (group === undefined || topic === undefined) return 'a place has no group or no topic'
  const place = addPlace(places, group, topic)
  reader.open(value, 0)
  place.nextQueue = reader.u32()
  place.acked = reader.u64()
  place.filtered = reader.u64()
  place.dead = reader.u64()
  place.trimmed = reader.u64()
  places.table.addStored(place)
  return keyProblem ?? reader.end()
}

function loadCursor(places: Places, groups: Groups, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const place = groups.byId.get(reader.u32())?.places.get(reader.u32())
  const cursor = place?.cursors[reader.u32()]
  const keyProblem = reader.end()
  if (place === undefined || cursor === undefined) return 'a cursor has no place'
  reader.open(value, 0)
  cursor.start = reader.u64()
  cursor.offset = reader.u64()
  place.visited += cursor.offset
  places.cursorTable.addStored(cursor)
  return keyProblem ?? reader.end()
}

export function mustFindPlace(places: Places, slot: number): Place {
  return mustExist(places.slots[slot], 'place-of-slot', slot)
}
