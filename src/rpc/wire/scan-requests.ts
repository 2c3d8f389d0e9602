/**
 * The other requests of the hot path: receive, ack, change of the invisible duration, forward to the dead letters. Same rules as scan.ts:
 * nothing is built that is not needed, nothing throws, unknown fields are skipped, of a field given twice the last one counts.
 * A scan gives the request, or a string that says what is wrong with the bytes.
 */
import { FieldReader } from './reader.ts'
import { readTimeMs } from './time.ts'

/** A topic or consumer group as named on the wire; both '' when absent. */
export interface NamedResource {
  readonly namespace: string
  readonly name: string
}

export interface ScannedReceive {
  readonly consumerGroup: NamedResource
  readonly topic: NamedResource
  /** 0 = not given. */
  readonly filterType: number
  readonly filterExpression: string
  readonly batchSize: number
  readonly invisibleMs: number | undefined
  readonly autoRenew: boolean
  readonly longPollingMs: number | undefined
  /** Absent or empty: undefined. */
  readonly attemptId: string | undefined
}

export interface ScannedAck {
  readonly consumerGroup: NamedResource
  readonly topic: NamedResource
  readonly entries: readonly AckEntry[]
}

export interface AckEntry {
  readonly messageId: string
  readonly receiptHandle: string
}

export interface ScannedChangeInvisible {
  readonly consumerGroup: NamedResource
  readonly topic: NamedResource
  readonly receiptHandle: string
  readonly invisibleMs: number
  readonly messageId: string
  readonly suspend: boolean
}

export interface ScannedForward {
  readonly consumerGroup: NamedResource
  readonly topic: NamedResource
  readonly receiptHandle: string
  readonly messageId: string
}

/** More entries than this in one ack are not even looked at. */
export const ackEntriesMax = 1024

const noResource: NamedResource = { namespace: '', name: '' }

export function scanReceive(bytes: Uint8Array): ScannedReceive | string {
  const reader = new FieldReader(bytes)
  let consumerGroup = noResource
  let topic = noResource
  let filterType = 0
  let filterExpression = ''
  let batchSize = 0
  let invisibleMs: number | undefined
  let autoRenew = false
  let longPollingMs: number | undefined
  let attemptId: string | undefined
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        consumerGroup = takeResource(reader)
        break
      case 2: {
        const queue = reader.takeMessage()
        while (queue.next()) if (queue.field === 1) topic = takeResource(queue)
        reader.adopt(queue)
        break
      }
      case 3: {
        const filter = reader.takeMessage()
        while (filter.next()) {
          if (filter.field === 1) filterType = filter.takeInt32()
          else if (filter.field === 2) filterExpression = filter.takeText()
        }
        reader.adopt(filter)
        break
      }
      case 4:
        batchSize = reader.takeInt32()
        break
      case 5:
        invisibleMs = takeTime(reader)
        break
      case 6:
        autoRenew = reader.takeBool()
        break
      case 7:
        longPollingMs = takeTime(reader)
        break
      case 8:
        attemptId = reader.takeText()
        break
      default:
    }
  }
  if (attemptId === '') attemptId = undefined
  return (
    reader.problem ?? { consumerGroup, topic, filterType, filterExpression, batchSize, invisibleMs, autoRenew, longPollingMs, attemptId }
  )
}

export function scanAck(bytes: Uint8Array): ScannedAck | string {
  const reader = new FieldReader(bytes)
  let consumerGroup = noResource
  let topic = noResource
  const entries: AckEntry[] = []
  while (reader.next()) {
    if (reader.field === 1) consumerGroup = takeResource(reader)
    else if (reader.field === 2) topic = takeResource(reader)
    else if (reader.field === 3) {
      if (entries.length === ackEntriesMax) return `more than ${ackEntriesMax} entries`
      entries.push(takeAckEntry(reader))
    }
  }
  return reader.problem ?? { consumerGroup, topic, entries }
}

export function scanChangeInvisible(bytes: Uint8Array): ScannedChangeInvisible | string {
  const reader = new FieldReader(bytes)
  let consumerGroup = noResource
  let topic = noResource
  let receiptHandle = ''
  let invisibleMs = 0
  let messageId = ''
  let suspend = false
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        consumerGroup = takeResource(reader)
        break
      case 2:
        topic = takeResource(reader)
        break
      case 3:
        receiptHandle = reader.takeText()
        break
      case 4:
        invisibleMs = takeTime(reader)
        break
      case 5:
        messageId = reader.takeText()
        break
      case 7:
        suspend = reader.takeBool()
        break
      default:
    }
  }
  return reader.problem ?? { consumerGroup, topic, receiptHandle, invisibleMs, messageId, suspend }
}

export function scanForward(bytes: Uint8Array): ScannedForward | string {
  const reader = new FieldReader(bytes)
  let consumerGroup = noResource
  let topic = noResource
  let receiptHandle = ''
  let messageId = ''
  while (reader.next()) {
    if (reader.field === 1) consumerGroup = takeResource(reader)
    else if (reader.field === 2) topic = takeResource(reader)
    else if (reader.field === 3) receiptHandle = reader.takeText()
    else if (reader.field === 4) messageId = reader.takeText()
  }
  return reader.problem ?? { consumerGroup, topic, receiptHandle, messageId }
}

function takeAckEntry(reader: FieldReader): AckEntry {
  const entry = reader.takeMessage()
  let messageId = ''
  let receiptHandle = ''
  while (entry.next()) {
    if (entry.field === 1) messageId = entry.takeText()
    else if (entry.field === 2) receiptHandle = entry.takeText()
  }
  reader.adopt(entry)
  return { messageId, receiptHandle }
}

function takeResource(reader: FieldReader): NamedResource {
  const inner = reader.takeMessage()
  let namespace = ''
  let name = ''
  while (inner.next()) {
    if (inner.field === 1) namespace = inner.takeText()
    else if (inner.field === 2) name = inner.takeText()
  }
  reader.adopt(inner)
  return { namespace, name }
}

function takeTime(reader: FieldReader): number {
  const ms = readTimeMs(reader.takeMessage())
  if (ms === undefined) reader.problem ??= `field ${reader.field} is no duration`
  return ms ?? 0
}
