/** A send: deduplicated message by message, placed and numbered here and nowhere else (rules 5, 17, 18; mutants M43, M53, M66). All or nothing. */
import type { Send, SendMessage } from './command.ts'
import { findSent, hasCollision, rememberSent, sentOffset, sentQueue, tryReserve } from './dedupe.ts'
import type { Hash64, QueueId, QueueOffset } from './ids.ts'
import type { CommandResult, SentMessage } from './result.ts'
import type { State } from './state.ts'
import { appendToQueue, chooseQueue, type Queue, type Topic } from './topics.ts'

const noGroup: Hash64 = { low: 0, high: 0 }

export function applySend(state: State, send: Send): CommandResult {
  const topic = state.topics.byName.get(send.topic)
  if (topic === undefined) return { kind: 'refused', reason: 'topicNotFound' }
  const wanted = topic.type === 'fifo' ? 2 : 1
  if (send.messageType !== wanted) return { kind: 'refused', reason: 'messageTypeMismatch' }
  // 1. What is there already. Before making room: that may evict the very row that shows it.
  const sent: (SentMessage | undefined)[] = []
  let keyed = 0
  for (const message of send.messages) {
    const first = findFirst(state, topic, message)
    sent.push(first)
    if (first === undefined && message.dedupeKey !== undefined) keyed++
  }
  // 2. Room, or nothing happens.
  if (!tryReserve(state, keyed)) return { kind: 'refused', reason: 'dedupeTableFull' }
  // 3. The rest, into one queue.
  const messageGroup = topic.type === 'fifo' ? (send.messageGroup ?? noGroup) : noGroup
  let queue: Queue | undefined
  const results: SentMessage[] = []
  for (let i = 0; i < send.messages.length; i++) {
    const message = send.messages[i] as SendMessage
    // An id may stand twice in one request.
    const first = sent[i] ?? (i > 0 ? findFirst(state, topic, message) : undefined)
    if (first !== undefined) {
      results.push(first)
      continue
    }
    queue ??= chooseQueue(state, topic, messageGroup)
    results.push(appendMessage(state, queue, send, i, messageGroup))
  }
  return { kind: 'sent', topicId: topic.id, messages: results }
}

/** Where this message was put before, if it was. */
function findFirst(state: State, topic: Topic, message: SendMessage): SentMessage | undefined {
  if (message.dedupeKey === undefined) return undefined
  const row = findSent(state.dedupe, topic.id, message.dedupeKey, message.fingerprint)
  if (row === 0) return undefined
  return { queueId: sentQueue(state.dedupe, row) as QueueId, offset: sentOffset(state.dedupe, row) as QueueOffset, isDuplicate: true }
}

function appendMessage(state: State, queue: Queue, send: Send, ordinal: number, messageGroup: Hash64): SentMessage {
  const message = send.messages[ordinal] as SendMessage
  const offset = appendToQueue(state, queue, {
    logIndex: state.logIndex,
    ordinal,
    tagHash: message.tagHash,
    messageGroup,
    storedAtMs: state.registers.row.wallMs,
    // Each message its share of the entry: they all go to one queue.
    bytes: Math.ceil(state.entryBytes / send.messages.length),
  })
  if (message.dedupeKey !== undefined) {
    if (hasCollision(state.dedupe, message.dedupeKey, message.fingerprint)) {
      state.registers.row.idCollisions++
      state.registers.table.changed(state.registers.row)
    }
    rememberSent(state, {
      dedupeKey: message.dedupeKey,
      fingerprint: message.fingerprint,
      topicId: queue.topic.id,
      queueId: queue.queueId,
      offset,
    })
  }
  return { queueId: queue.queueId, offset, isDuplicate: false }
}
