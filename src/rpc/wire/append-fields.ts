/**
 * A delivery, spliced (DESIGN rule 1): what the producer sent stays byte for byte, and what the broker knows is appended inside the same
 * `system_properties` submessage, with its length raised:
 *
 *   [bytes before] [tag, new length] [original system_properties] [appended fields] [rest] [topic, if it has to change]
 *
 * It must never be a second `system_properties`: decoders that replace instead of merging would lose the id and the tag. Inside one submessage
 * all decoders agree that the later scalar counts, so what a producer wrote there (queue_id, a garbage delivery_attempt …) loses against ours.
 * Submessages may be merged with a producer's own, so ours always spell out all their fields, zeros included. The same goes for the topic that
 * is appended when the consumer's name or namespace for it is not the producer's.
 */
import { assert } from '../../platform/assert.ts'
import { FieldReader, WireType } from './reader.ts'
import { textOf } from './text.ts'
import { wireTime } from './time.ts'
import {
  lengthFieldBytes,
  tagBytes,
  varintBytes,
  varintFieldBytes,
  writeLengthTag,
  writeTag,
  writeTextField,
  writeVarint,
  writeVarintField,
} from './writer.ts'
import type { ReceivedMessage } from '../../broker/requests.ts'

/** What all messages of one receive have in common. */
export interface DeliveryContext {
  /** As the consumer named it. */
  readonly topic: string
  readonly namespace: string
  /** `host:port` of the node, ASCII. */
  readonly storeHost: string
}

/** Field numbers of SystemProperties. */
const Field = {
  messageId: 3,
  bodyDigest: 4,
  bodyEncoding: 5,
  messageType: 6,
  bornTimestamp: 7,
  storeTimestamp: 9,
  storeHost: 10,
  receiptHandle: 12,
  queueId: 13,
  queueOffset: 14,
  invisibleDuration: 15,
  deliveryAttempt: 16,
  messageGroup: 17,
  deadLetterQueue: 20,
} as const

const md5 = 2
const identity = 1
const normal = 1
const fifo = 2
const systemPropertiesField = 3
/** Digest { type: MD5, checksum: 32 hex digits }: always this long. */
const digestBytes = 2 + 2 + 32
const hexDigits = Buffer.from('0123456789ABCDEF', 'latin1')

/** What the original leaves open, or has otherwise than the consumer knows it. */
interface Survey {
  hasEncoding: boolean
  hasType: boolean
  isFifo: boolean
  hasBornTime: boolean
  messageId: string
  topic: string
  namespace: string
}

/** One item of a receive stream: `ReceiveMessageResponse { message }`. Owned by the caller: the views in `received` are copied. */
export function encodeDelivery(received: ReceivedMessage, context: DeliveryContext): Buffer {
  const survey = surveyMessage(received)
  const { start, end } = received.systemProperties
  const contentStart = start === end ? end : contentOf(received.bytes, start, end)
  const changesTopic = survey.topic !== context.topic || survey.namespace !== context.namespace
  const isDeadLetter = survey.topic !== context.topic && context.topic.startsWith('%DLQ%')

  const store = wireTime(received.storedAtMs)
  const invisible = wireTime(received.invisibleMs)
  const storeBytes = timeBytes(store)
  const invisibleBytes = timeBytes(invisible)
  const topicBytes = Buffer.byteLength(context.topic)
  const namespaceBytes = Buffer.byteLength(context.namespace)
  const resourceBytes = lengthFieldBytes(1, namespaceBytes) + lengthFieldBytes(2, topicBytes)
  const originTopicBytes = Buffer.byteLength(survey.topic)
  const originIdBytes = Buffer.byteLength(survey.messageId)
  const originBytes = lengthFieldBytes(1, originTopicBytes) + lengthFieldBytes(2, originIdBytes)

  const appendedBytes =
    lengthFieldBytes(Field.bodyDigest, digestBytes) +
    (survey.hasEncoding ? 0 : varintFieldBytes(Field.bodyEncoding, identity)) +
    (survey.hasType ? 0 : varintFieldBytes(Field.messageType, fifo)) +
    (survey.hasBornTime ? 0 : lengthFieldBytes(Field.bornTimestamp, storeBytes)) +
    lengthFieldBytes(Field.storeTimestamp, storeBytes) +
    lengthFieldBytes(Field.storeHost, context.storeHost.length) +
    lengthFieldBytes(Field.receiptHandle, received.receiptHandle.length) +
    varintFieldBytes(Field.queueId, received.queueId) +
    varintFieldBytes(Field.queueOffset, received.offset) +
    lengthFieldBytes(Field.invisibleDuration, invisibleBytes) +
    varintFieldBytes(Field.deliveryAttempt, received.attempt) +
    (isDeadLetter ? lengthFieldBytes(Field.deadLetterQueue, originBytes) : 0)
  const systemBytes = end - contentStart + appendedBytes
  const messageBytes =
    received.bytes.length -
    (end - start) +
    lengthFieldBytes(systemPropertiesField, systemBytes) +
    (changesTopic ? lengthFieldBytes(1, resourceBytes) : 0)

  const out = Buffer.allocUnsafe(lengthFieldBytes(2, messageBytes))
  let at = writeLengthTag(out, 0, 2, messageBytes)
  at = copy(received.bytes, 0, start, out, at)
  at = writeLengthTag(out, at, systemPropertiesField, systemBytes)
  at = copy(received.bytes, contentStart, end, out, at)
  at = writeLengthTag(out, at, Field.bodyDigest, digestBytes)
  at = writeDigest(out, at, received.bodyMd5)
  if (!survey.hasEncoding) at = writeVarintField(out, at, Field.bodyEncoding, identity)
  if (!survey.hasType) at = writeVarintField(out, at, Field.messageType, survey.isFifo ? fifo : normal)
  if (!survey.hasBornTime) at = writeTime(out, at, Field.bornTimestamp, store, storeBytes)
  at = writeTime(out, at, Field.storeTimestamp, store, storeBytes)
  at = writeTextField(out, at, Field.storeHost, context.storeHost, context.storeHost.length)
  at = writeTextField(out, at, Field.receiptHandle, received.receiptHandle, received.receiptHandle.length)
  at = writeVarintField(out, at, Field.queueId, received.queueId)
  at = writeVarintField(out, at, Field.queueOffset, received.offset)
  at = writeTime(out, at, Field.invisibleDuration, invisible, invisibleBytes)
  at = writeVarintField(out, at, Field.deliveryAttempt, received.attempt)
  if (isDeadLetter) {
    at = writeLengthTag(out, at, Field.deadLetterQueue, originBytes)
    at = writeTextField(out, at, 1, survey.topic, originTopicBytes)
    at = writeTextField(out, at, 2, survey.messageId, originIdBytes)
  }
  at = copy(received.bytes, end, received.bytes.length, out, at)
  if (changesTopic) {
    at = writeLengthTag(out, at, 1, resourceBytes)
    at = writeTextField(out, at, 1, context.namespace, namespaceBytes)
    at = writeTextField(out, at, 2, context.topic, topicBytes)
  }
  assert(at === out.length, 'delivery-length', at, out.length)
  return out
}

function surveyMessage(received: ReceivedMessage): Survey {
  const survey: Survey = { hasEncoding: false, hasType: false, isFifo: false, hasBornTime: false, messageId: '', topic: '', namespace: '' }
  const { start, end } = received.systemProperties
  const reader = new FieldReader(received.bytes)
  while (reader.next()) {
    if (reader.field === 1) surveyTopic(survey, received.bytes, reader.start, reader.end)
    else if (reader.field === systemPropertiesField) {
      // The range that the log kept and the bytes themselves must agree, or the splice would tear the message.
      assert(reader.fieldStart === start, 'splice-start', reader.fieldStart, start)
      assert(reader.end === end, 'splice-end', reader.end, end)
      surveySystemProperties(survey, received.bytes, reader.start, reader.end)
    }
  }
  // It was scanned before it got into the log.
  assert(reader.problem === undefined, 'delivery-garbage', reader.problem)
  return survey
}

function surveyTopic(survey: Survey, bytes: Uint8Array, start: number, end: number): void {
  const reader = new FieldReader(bytes, start, end)
  while (reader.next()) {
    if (reader.field === 1) survey.namespace = textOf(bytes, reader.start, reader.end)
    else if (reader.field === 2) survey.topic = textOf(bytes, reader.start, reader.end)
  }
}

function surveySystemProperties(survey: Survey, bytes: Uint8Array, start: number, end: number): void {
  const reader = new FieldReader(bytes, start, end)
  while (reader.next()) {
    switch (reader.field) {
      case Field.messageId:
        survey.messageId = textOf(bytes, reader.start, reader.end)
        break
      case Field.bodyEncoding:
        survey.hasEncoding = reader.low === 1 || reader.low === 2
        break
      case Field.messageType:
        survey.hasType = reader.low !== 0
        break
      case Field.bornTimestamp:
        survey.hasBornTime = true
        break
      case Field.messageGroup:
        survey.isFifo = reader.end > reader.start
        break
      default:
    }
  }
}

/** Where the content of the length-delimited field begins that stands at `start` and ends at `end`. */
function contentOf(bytes: Uint8Array, start: number, end: number): number {
  const reader = new FieldReader(bytes, start, end)
  assert(reader.next() && reader.wireType === WireType.bytes && reader.end === end, 'splice-field', start, end)
  return reader.start
}

function copy(from: Uint8Array, start: number, end: number, to: Buffer, at: number): number {
  if (end > start) to.set(start === 0 && end === from.length ? from : from.subarray(start, end), at)
  return at + end - start
}

/** Digest { type: MD5, checksum }: upper-case hex, the one form that every client compares alike. */
function writeDigest(out: Buffer, position: number, digest: Uint8Array): number {
  assert(digest.length === 16, 'md5-length', digest.length)
  let at = writeVarintField(out, position, 1, md5)
  at = writeLengthTag(out, at, 2, 32)
  for (const byte of digest) {
    out[at++] = hexDigits[byte >>> 4] ?? 0
    out[at++] = hexDigits[byte & 15] ?? 0
  }
  return at
}

function timeBytes(time: { readonly seconds: number; readonly nanos: number }): number {
  return tagBytes(1) + varintBytes(time.seconds) + tagBytes(2) + varintBytes(time.nanos)
}

function writeTime(
  out: Buffer,
  position: number,
  field: number,
  time: { readonly seconds: number; readonly nanos: number },
  bytes: number,
): number {
  let at = writeLengthTag(out, position, field, bytes)
  at = writeVarint(out, writeTag(out, at, 1, 0), time.seconds)
  return writeVarint(out, writeTag(out, at, 2, 0), time.nanos)
}
