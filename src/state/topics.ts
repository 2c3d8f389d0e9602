/**
 * Topics and their queues. A queue is here only a next offset: its messages are rows of the queue index.
 * An id is never used twice, so a topic created again after its deletion shares nothing with the old one (rows, handles, places).
 * A deleted topic leaves the names at once and stays as a shell until what groups had of it is cleared away, a bounded piece with each entry.
 */
import type { Place } from './cursors.ts'
import { type CarriedSlot, forgetCarried } from './carried.ts'
import type { Retention, TopicType } from './command.ts'
import type { Hash64, QueueId, QueueOffset, TopicId } from './ids.ts'
import type { CommandResult } from './result.ts'
import { type State, tags } from './state.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { WordReader } from './tables/words.ts'
import { mustExist } from '../platform/assert.ts'

export interface Queue extends Cell {
  readonly topic: Topic
  readonly queueId: QueueId
  /** Offset of the next message. */
  next: number
  /** Everything below was given up by retention: no new reader gets it. */
  first: number
  /** Bytes of all messages ever appended. */
  bytes: number
  /** Derived: messages that were carried forward, by offset. */
  readonly carried: Map<number, CarriedSlot>
}

export interface Topic extends Cell {
  readonly id: TopicId
  readonly name: string
  readonly type: TopicType
  /** At creation: FIFO placement depends on it (rule 18). */
  readonly queueCount: number
  readonly createdAtMs: number
  /** Counts what round robin has placed. */
  placed: number
  isDeleted: boolean
  retention: Retention
  readonly queues: Queue[]
  /** Derived: messages ever appended to all queues. */
  appended: number
  /** Derived: places that read this topic, by group id. */
  readonly places: Place[]
}

export interface Topics {
  readonly byName: Map<string, Topic>
  /** With the deleted ones that are not yet cleared. */
  readonly byId: Map<number, Topic>
  /** Deleted, not yet cleared; by id. */
  readonly deleted: Topic[]
  /** Derived: how many of `byId` are for dead letters. */
  deadLetterCount: number
  readonly table: CellTable<Topic>
  readonly queueTable: CellTable<Queue>
}

/** Prefix of the topics that take dead letters; they do not count against the limit. */
export const deadLetterPrefix = '%DLQ%'

export function newTopics(): Topics {
  const topics: Topics = {
    byName: new Map(),
    byId: new Map(),
    deleted: [],
    deadLetterCount: 0,
    table: new CellTable<Topic>({
      tag: tags.topics,
      writeKey: (topic, out) => void out.u32(topic.id),
      writeValue: (topic, out) =>
        void out
          .text(topic.name)
          .flag(topic.type === 'fifo')
          .u32(topic.queueCount)
          .u64(topic.createdAtMs)
          .u64(topic.placed)
          .flag(topic.isDeleted)
          .u64(topic.retention.ageMs)
          .u64(topic.retention.sizeBytes),
      load: (key, value) => loadTopic(topics, key, value),
    }),
    queueTable: new CellTable<Queue>({
      tag: tags.queues,
      writeKey: (queue, out) => void out.u32(queue.topic.id).u32(queue.queueId),
      writeValue: (queue, out) => void out.u64(queue.next).u64(queue.first).u64(queue.bytes),
      load: (key, value) => loadQueue(topics, key, value),
    }),
  }
  return topics
}

export function createTopic(state: State, name: string, type: TopicType, queueCount: number): CommandResult {
  const { topics } = state
  const existing = topics.byName.get(name)
  if (existing !== undefined) {
    if (existing.type !== type || existing.queueCount !== queueCount) return { kind: 'refused', reason: 'topicExists' }
    return { kind: 'topicCreated', topicId: existing.id, existed: true }
  }
  // Dead-letter topics are counted apart: apply makes them whether or not there is room, one for each group at most.
  const isDeadLetter = name.startsWith(deadLetterPrefix)
  const count = isDeadLetter ? topics.deadLetterCount : topics.byId.size - topics.deadLetterCount
  if (count >= (isDeadLetter ? state.limits.groupsMax : state.limits.topicsMax)) return { kind: 'refused', reason: 'tooManyTopics' }
  return { kind: 'topicCreated', topicId: addTopic(state, name, type, queueCount).id, existed: false }
}

/** A topic that is known not to exist. */
export function addTopic(state: State, name: string, type: TopicType, queueCount: number): Topic {
  const { topics, registers } = state
  const topic = newTopic(registers.row.nextTopicId++ as TopicId, name, type, queueCount, registers.row.wallMs)
  registers.table.changed(registers.row)
  topics.byName.set(name, topic)
  topics.byId.set(topic.id, topic)
  if (name.startsWith(deadLetterPrefix)) topics.deadLetterCount++
  topics.table.add(topic)
  for (const queue of topic.queues) topics.queueTable.add(queue)
  return topic
}

const noRetention: Retention = { ageMs: 0, sizeBytes: 0 }

function newTopic(id: TopicId, name: string, type: TopicType, queueCount: number, createdAtMs: number): Topic {
  const queues: Queue[] = []
  const topic: Topic = {
    id,
    name,
    type,
    queueCount,
    createdAtMs,
    placed: 0,
    isDeleted: false,
    retention: noRetention,
    queues,
    appended: 0,
    places: [],
    mark: newMark(),
  }
  for (let i = 0; i < queueCount; i++) {
    queues.push({ topic, queueId: i as QueueId, next: 0, first: 0, bytes: 0, carried: new Map(), mark: newMark() })
  }
  return topic
}

export function deleteTopic(state: State, name: string): CommandResult {
  const { topics } = state
  const topic = topics.byName.get(name)
  if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
  topics.byName.delete(name)
  state.wakes.topics.delete(topic)
  topic.isDeleted = true
  topics.table.changed(topic)
  for (const queue of topic.queues) {
    forgetCarried(state, queue, Infinity)
    topics.queueTable.remove(queue)
  }
  state.index.dropTopic(topic.id)
  addDeleted(topics, topic)
  return { kind: 'topicDeleted' }
}

/** By id, so that clearing goes in an order that a restore keeps. */
function addDeleted(topics: Topics, topic: Topic): void {
  let at = topics.deleted.length
  while (at > 0 && (topics.deleted[at - 1] as Topic).id > topic.id) at--
  topics.deleted.splice(at, 0, topic)
}

/** The last trace of a deleted topic goes. */
export function forgetTopic(state: State, topic: Topic): void {
  state.topics.byId.delete(topic.id)
  if (topic.name.startsWith(deadLetterPrefix)) state.topics.deadLetterCount--
  state.topics.deleted.splice(state.topics.deleted.indexOf(topic), 1)
  state.topics.table.remove(topic)
}

/** Gives the queue's next offset to a message and writes its row of the index. */
export function appendToQueue(
  state: State,
  queue: Queue,
  message: { logIndex: number; ordinal: number; tagHash: number; messageGroup: Hash64; storedAtMs: number; bytes: number },
): QueueOffset {
  const offset = queue.next as QueueOffset
  const { logIndex, ordinal, tagHash, messageGroup, storedAtMs, bytes } = message
  const queueKiB = Math.floor(queue.bytes / 1024) % 0x1_0000_0000
  state.index.append(queue.topic.id, queue.queueId, offset, { logIndex, ordinal, tagHash, messageGroup, storedAtMs, queueKiB })
  queue.next = offset + 1
  queue.bytes += bytes
  queue.topic.appended++
  state.topics.queueTable.changed(queue)
  state.wakes.topics.add(queue.topic)
  return offset
}

/** Round robin for NORMAL, the message group's hash for FIFO (rule 18). */
export function chooseQueue(state: State, topic: Topic, messageGroup: Hash64): Queue {
  let id: number
  if (topic.type === 'fifo') id = hashModulo(messageGroup, topic.queueCount)
  else {
    id = topic.placed % topic.queueCount
    topic.placed++
    state.topics.table.changed(topic)
  }
  return topic.queues[id] as Queue
}

/** A 64-bit hash modulo a small number, without 64-bit arithmetic. */
function hashModulo(hash: Hash64, divisor: number): number {
  return ((hash.high % divisor) * (0x1_0000_0000 % divisor) + (hash.low % divisor)) % divisor
}

function loadTopic(topics: Topics, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const id = reader.u32() as TopicId
  const keyProblem = reader.end()
  reader.open(value, 0)
  const name = reader.text()
  const type = reader.flag() ? 'fifo' : 'normal'
  const queueCount = reader.u32()
  const topic = newTopic(id, name, type, Math.min(queueCount, 1024), reader.u64())
  topic.placed = reader.u64()
  topic.isDeleted = reader.flag()
  topic.retention = { ageMs: reader.u64(), sizeBytes: reader.u64() }
  const problem = keyProblem ?? reader.end()
  if (problem !== undefined) return problem
  topics.byId.set(id, topic)
  if (name.startsWith(deadLetterPrefix)) topics.deadLetterCount++
  if (topic.isDeleted) addDeleted(topics, topic)
  else topics.byName.set(name, topic)
  topics.table.addStored(topic)
  return undefined
}

function loadQueue(topics: Topics, key: Uint8Array, value: Uint8Array): string | undefined {
  const reader = new WordReader().open(key, 1)
  const topic = topics.byId.get(reader.u32())
  const queue = topic?.queues[reader.u32()]
  const keyProblem = reader.end()
  if (topic === undefined || queue === undefined) return 'a queue has no topic'
  queue.next = reader.open(value, 0).u64()
  queue.first = reader.u64()
  queue.bytes = reader.u64()
  topic.appended += queue.next
  topics.queueTable.addStored(queue)
  return keyProblem ?? reader.end()
}

/** A topic that a place or row names: there as long as they are. */
export function mustFindTopic(topics: Topics, id: number): Topic {
  return mustExist(topics.byId.get(id), 'topic-of-id', id)
}
