/**
 * Finds in the bytes of a SendMessageRequest what the broker needs, without building the objects it does not: the log stores and delivers each
 * Message as the client encoded it (DESIGN rule 1), so this is also the gate that keeps garbage out of the log. Strings that are not UTF-8,
 * submessages that do not decode and known fields of the wrong wire type are problems; unknown fields are skipped; of a singular scalar that is
 * given twice the last one counts, as protobuf says. `topic` and `system_properties` given twice are a problem too: decoders disagree whether
 * to merge or to replace them, so no delivery could mean the same to every client. What the values may be is decided in ../messaging/validate.ts.
 */
import type { ByteRange, OutgoingMessage } from '../../broker/requests.ts'
import { FieldReader, WireType } from './reader.ts'
import { readTimeMs } from './time.ts'
import { textKind, textOf } from './text.ts'

/** A Message as found. Ranges are places in `bytes`. */
export interface ScannedMessage extends OutgoingMessage {
  readonly topic: string
  readonly namespace: string
  /** As on the wire; 0 = not given. */
  readonly messageType: number
  /** Absent or empty: undefined. */
  readonly messageGroup: string | undefined
  readonly deliveryTimestampMs: number | undefined
  readonly userPropertyCount: number
  /** UTF-8 bytes of property names and values, tag and keys together: what the 16 KiB limit counts. */
  readonly propertyBytes: number
  /** Name of the first property that is reserved or holds a control character, and why. */
  readonly badProperty: { readonly name: string; readonly why: 'reserved' | 'control' } | undefined
  /** The first of tag, keys and message group that holds a control character. */
  readonly controlIn: 'tag' | 'key' | 'messageGroup' | undefined
}

export type SendScan =
  | { readonly kind: 'send'; readonly messages: readonly ScannedMessage[] }
  | { readonly kind: 'problem'; readonly problem: string; /** How many messages were whole before it. */ readonly whole: number }

/** More messages than this in one request are not even looked at. */
export const scannedMessagesMax = 1024
/** More than these are counted, not collected: they are over the limits anyway. */
const collectedPropertiesMax = 129
const collectedKeysMax = 16_385

export function scanSend(bytes: Uint8Array): SendScan {
  const reader = new FieldReader(bytes)
  const messages: ScannedMessage[] = []
  while (reader.next()) {
    if (reader.field !== 1) continue
    if (reader.wireType !== WireType.bytes) return problemAt(messages.length, 'messages is not a submessage')
    if (messages.length === scannedMessagesMax) return problemAt(messages.length, `more than ${scannedMessagesMax} messages`)
    const message = scanMessage(bytes.subarray(reader.start, reader.end))
    if (typeof message === 'string') return problemAt(messages.length, message)
    messages.push(message)
  }
  if (reader.problem !== undefined) return problemAt(messages.length, reader.problem)
  return { kind: 'send', messages }
}

function problemAt(whole: number, problem: string): SendScan {
  return { kind: 'problem', problem, whole }
}

/** The same, open for the scan to fill in. */
type Draft = { -readonly [Key in keyof ScannedMessage]: ScannedMessage[Key] } & { userProperties: ByteRange[]; keys: string[] }

const nowhere: ByteRange = { start: 0, end: 0 }

function newDraft(bytes: Uint8Array): Draft {
  return {
    bytes,
    systemProperties: nowhere,
    body: nowhere,
    userProperties: [],
    messageId: '',
    tag: undefined,
    keys: [],
    topic: '',
    namespace: '',
    messageType: 0,
    messageGroup: undefined,
    deliveryTimestampMs: undefined,
    userPropertyCount: 0,
    propertyBytes: 0,
    badProperty: undefined,
    controlIn: undefined,
  }
}

/** The message, or what is wrong with it. */
export function scanMessage(bytes: Uint8Array): ScannedMessage | string {
  const draft = newDraft(bytes)
  const reader = new FieldReader(bytes)
  // A second reader for what is inside: the outer one keeps its place.
  const inner = new FieldReader(bytes)
  let topics = 0
  let systems = 0
  while (reader.next()) {
    if (reader.field > 4) continue
    if (reader.wireType !== WireType.bytes) return `field ${reader.field} of a message has the wrong wire type`
    let problem: string | undefined
    switch (reader.field) {
      case 1:
        if (++topics > 1) return 'a message has two topics'
        problem = scanTopic(draft, inner, reader.start, reader.end)
        break
      case 2:
        problem = scanUserProperty(draft, inner, reader.start, reader.end)
        break
      case 3:
        if (++systems > 1) return 'a message has two system_properties'
        draft.systemProperties = { start: reader.fieldStart, end: reader.end }
        problem = scanSystemProperties(draft, inner, reader.start, reader.end)
        break
      default:
        draft.body = { start: reader.start, end: reader.end }
    }
    if (problem !== undefined) return problem
  }
  if (draft.tag !== undefined) draft.propertyBytes += byteLength(draft.tag)
  return reader.problem ?? draft
}

function scanTopic(draft: Draft, reader: FieldReader, start: number, end: number): string | undefined {
  reader.reset(start, end)
  while (reader.next()) {
    if (reader.field > 2) continue
    if (reader.wireType !== WireType.bytes) return 'a resource has a field of the wrong wire type'
    if (textKind(reader.bytes, reader.start, reader.end) === 'notUtf8') return 'a resource holds text that is not UTF-8'
    const text = textOf(reader.bytes, reader.start, reader.end)
    if (reader.field === 1) draft.namespace = text
    else draft.topic = text
  }
  return reader.problem
}

function scanUserProperty(draft: Draft, reader: FieldReader, start: number, end: number): string | undefined {
  reader.reset(start, end)
  let nameStart = 0
  let nameEnd = 0
  let valueBytes = 0
  let hasControl = false
  while (reader.next()) {
    if (reader.field > 2) continue
    if (reader.wireType !== WireType.bytes) return 'a user property has a field of the wrong wire type'
    const kind = textKind(reader.bytes, reader.start, reader.end)
    if (kind === 'notUtf8') return 'a user property is not UTF-8'
    if (kind === 'control') hasControl = true
    if (reader.field === 1) {
      nameStart = reader.start
      nameEnd = reader.end
    } else valueBytes = reader.end - reader.start
  }
  draft.userPropertyCount += 1
  draft.propertyBytes += nameEnd - nameStart + valueBytes
  if (draft.userPropertyCount <= collectedPropertiesMax) draft.userProperties.push({ start, end })
  if (draft.badProperty === undefined && (hasControl || mayBeReserved(reader.bytes[nameStart] ?? 0))) {
    const name = textOf(reader.bytes, nameStart, nameEnd)
    if (reservedPropertyNames.has(name)) draft.badProperty = { name, why: 'reserved' }
    else if (hasControl) draft.badProperty = { name, why: 'control' }
  }
  return reader.problem
}

/** Every reserved name begins with a capital letter, `_` or `1`: most names are done with after one byte. */
function mayBeReserved(first: number): boolean {
  return (first >= 0x41 && first <= 0x5a) || first === 0x5f || first === 0x31
}

/** What RocketMQ keeps for itself (semantics reference §1.3). */
const reservedPropertyNames: ReadonlySet<string> = new Set(
  (
    'KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG ' +
    'CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME MSG_REGION TRACE_ON UNIQ_KEY EXTEND_UNIQ_INFO MAX_RECONSUME_TIMES CONSUME_START_TIME POP_CK ' +
    'POP_CK_OFFSET 1ST_POP_TIME TRAN_PREPARED_QUEUE_OFFSET DUP_INFO INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME ' +
    'PUSH_REPLY_TIME CLUSTER MSG_TYPE INNER_MULTI_QUEUE_OFFSET TIMER_DELAY_SEC TIMER_DELAY_MS TIMER_DELIVER_MS TIMER_ENQUEUE_MS ' +
    'TIMER_DEQUEUE_MS TIMER_ROLL_TIMES TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_LEVEL __BORNHOST BORN_TIMESTAMP DLQ_ORIGIN_TOPIC ' +
    'DLQ_ORIGIN_MESSAGE_ID __CRC32#'
  ).split(' '),
)

/** What each field of SystemProperties is, by number; anything else is unknown and skipped. */
const systemFields = makeSystemFields()

type FieldSort = 'text' | 'varint' | 'time' | 'digest' | 'origin'

function makeSystemFields(): readonly (FieldSort | undefined)[] {
  const sorts: (FieldSort | undefined)[] = new Array<FieldSort | undefined>(23).fill(undefined)
  for (const field of [1, 2, 3, 8, 10, 12, 17, 18, 21]) sorts[field] = 'text'
  for (const field of [5, 6, 13, 14, 16, 22]) sorts[field] = 'varint'
  // Timestamps and durations have the same shape.
  for (const field of [7, 9, 11, 15, 19]) sorts[field] = 'time'
  sorts[4] = 'digest'
  sorts[20] = 'origin'
  return sorts
}

function scanSystemProperties(draft: Draft, reader: FieldReader, start: number, end: number): string | undefined {
  reader.reset(start, end)
  while (reader.next()) {
    const sort = systemFields[reader.field]
    if (sort === undefined) continue
    if (sort === 'varint') {
      if (reader.wireType !== WireType.varint) return wrongSystemField(reader.field)
      if (reader.field === 6) draft.messageType = reader.int32
      continue
    }
    if (reader.wireType !== WireType.bytes) return wrongSystemField(reader.field)
    if (sort === 'text') {
      const kind = textKind(reader.bytes, reader.start, reader.end)
      if (kind === 'notUtf8') return `system property ${reader.field} is not UTF-8`
      takeSystemText(draft, reader, kind === 'control')
      continue
    }
    const time = sort === 'time' ? readTimeMs(new FieldReader(reader.bytes, reader.start, reader.end)) : undefined
    const isSound = sort === 'time' ? time !== undefined : isSoundPair(reader.bytes, reader.start, reader.end, sort)
    if (!isSound) return `system property ${reader.field} does not decode`
    if (reader.field === 11) draft.deliveryTimestampMs = time
  }
  return reader.problem
}

function wrongSystemField(field: number): string {
  return `system property ${field} has the wrong wire type`
}

/** An empty tag, key or message group counts as not given; of a scalar given twice the last one counts. */
function takeSystemText(draft: Draft, reader: FieldReader, hasControl: boolean): void {
  const isEmpty = reader.start === reader.end
  switch (reader.field) {
    case 1:
      draft.tag = isEmpty ? undefined : textOf(reader.bytes, reader.start, reader.end)
      if (hasControl) draft.controlIn ??= 'tag'
      break
    case 2:
      draft.propertyBytes += reader.end - reader.start
      if (!isEmpty && draft.keys.length < collectedKeysMax) draft.keys.push(textOf(reader.bytes, reader.start, reader.end))
      if (hasControl) draft.controlIn ??= 'key'
      break
    case 3:
      draft.messageId = textOf(reader.bytes, reader.start, reader.end)
      break
    case 17:
      draft.messageGroup = isEmpty ? undefined : textOf(reader.bytes, reader.start, reader.end)
      if (hasControl) draft.controlIn ??= 'messageGroup'
      break
    default:
  }
}

/** A Digest is (varint, text), the origin of a dead letter (text, text). */
function isSoundPair(bytes: Uint8Array, start: number, end: number, sort: 'digest' | 'origin'): boolean {
  const reader = new FieldReader(bytes, start, end)
  while (reader.next()) {
    if (reader.field > 2) continue
    const isVarint = sort === 'digest' && reader.field === 1
    if (reader.wireType !== (isVarint ? WireType.varint : WireType.bytes)) return false
    if (!isVarint && textKind(bytes, reader.start, reader.end) === 'notUtf8') return false
  }
  return reader.problem === undefined
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}
