/**
 * The limits, in the order and with the codes of the official proxy (protocol reference §11.1, semantics §1): client id, names, batch, body,
 * properties, tag and keys, message group, message id, delivery time, type. Clients retry even what can never pass, so checks are cheap: they
 * look at what the scan has counted. Everything here follows from the request's own bytes; whether a topic or handle exists is decided in the
 * state (DESIGN rule 13).
 */
import { refuse, type Refusal, type RefusalCode } from '../../broker/refusal.ts'
import type { TagExpression } from '../../broker/requests.ts'
import { MessageType } from '../../state/command.ts'
import type { ScannedMessage } from '../wire/scan.ts'
import { isBlank } from '../wire/text.ts'
import { checkTopic } from './names.ts'

export const bodyBytesMax = 4 * 1024 * 1024
export const userPropertiesMax = 128
export const propertyBytesMax = 16 * 1024
/** Less than this many bytes. */
const messageGroupBytesEnd = 64
const messageIdCharsMax = 1_024
/** Beside body and counted properties: what else a message may hold (host names, trace context, unknown fields, framing). */
const overheadBytesMax = 64 * 1024
/** All messages of a request together: one entry of the log. */
const requestBytesMax = 16 * 1024 * 1024
const deliveryDelayMsMax = 24 * 3_600_000

export const receiveMessagesMax = 32
const invisibleMsMin = 10_000
const invisibleMsMax = 12 * 3_600_000
/** What an auto-renewed receive has instead of its own duration. */
export const autoRenewInvisibleMs = 60_000
const tagExpressionCharsMax = 16 * 1024
const tagsMax = 256

export function checkClientId(clientId: string | undefined): Refusal | undefined {
  return clientId === undefined ? refuse('clientIdRequired', 'the header x-mq-client-id is missing') : undefined
}

/** Type and group that all messages of a request share, or why the request will not do. */
export type SendCheck = { readonly kind: 'ok'; readonly type: MessageType; readonly messageGroup: string | undefined } | Refusal

export function checkSend(messages: readonly ScannedMessage[], wallMs: number): SendCheck {
  const first = messages[0]
  if (first === undefined) return refuse('messageCorrupted', 'the request has no message')
  const badTopic = checkTopic(first.topic)
  if (badTopic !== undefined) return badTopic
  const type = typeOf(first)
  let bytes = 0
  for (const message of messages) {
    if (message.topic !== first.topic) return refuse('messageCorrupted', 'the messages of a request must have one topic')
    if (typeOf(message) !== type) return refuse('messageCorrupted', 'the messages of a request must have one type')
    const bad = checkMessage(message, wallMs)
    if (bad !== undefined) return bad
    if (message.messageGroup !== first.messageGroup)
      return refuse('messageCorrupted', 'the messages of a request must have one message group')
    bytes += message.bytes.length
  }
  if (bytes > requestBytesMax)
    return refuse('payloadTooLarge', `the request holds ${bytes} bytes of messages, at most ${requestBytesMax} are allowed`)
  if (type !== MessageType.normal && type !== MessageType.fifo && type !== MessageType.delay && type !== MessageType.transaction) {
    return refuse('messagePropertyConflictWithType', `message type ${type} is not supported`)
  }
  return { kind: 'ok', type, messageGroup: first.messageGroup }
}

/** What the message says it is, or, if it says nothing, what its properties make it. */
function typeOf(message: ScannedMessage): number {
  if (message.messageType !== 0) return message.messageType
  if (message.messageGroup !== undefined) return MessageType.fifo
  return message.deliveryTimestampMs === undefined ? MessageType.normal : MessageType.delay
}

function checkMessage(message: ScannedMessage, wallMs: number): Refusal | undefined {
  return (
    checkBody(message) ??
    checkProperties(message) ??
    checkTagAndKeys(message) ??
    checkMessageGroup(message) ??
    checkId(message) ??
    checkType(message, wallMs)
  )
}

function checkBody(message: ScannedMessage): Refusal | undefined {
  const bytes = message.body.end - message.body.start
  if (bytes > bodyBytesMax) return refuse('messageBodyTooLarge', `the body has ${bytes} bytes, at most ${bodyBytesMax} are allowed`)
  return bytes === 0 ? refuse('messageBodyEmpty', 'the body is empty') : undefined
}

function checkProperties(message: ScannedMessage): Refusal | undefined {
  if (message.userPropertyCount > userPropertiesMax) {
    return refuse(
      'messagePropertiesTooLarge',
      `the message has ${message.userPropertyCount} user properties, at most ${userPropertiesMax} are allowed`,
    )
  }
  if (message.propertyBytes > propertyBytesMax) {
    return refuse(
      'messagePropertiesTooLarge',
      `properties, tag and keys have ${message.propertyBytes} bytes, at most ${propertyBytesMax} are allowed`,
    )
  }
  const rest = message.bytes.length - (message.body.end - message.body.start) - message.propertyBytes
  if (rest > overheadBytesMax) return refuse('messagePropertiesTooLarge', `the message holds ${rest} bytes beside body and properties`)
  if (message.badProperty === undefined) return undefined
  return message.badProperty.why === 'reserved'
    ? refuse('illegalMessagePropertyKey', `the property name ${message.badProperty.name} is reserved`)
    : refuse('illegalMessagePropertyKey', 'a user property holds a control character')
}

function checkTagAndKeys(message: ScannedMessage): Refusal | undefined {
  const { tag } = message
  if (tag !== undefined && isBlank(tag)) return refuse('illegalMessageTag', 'the tag is blank')
  if (tag?.includes('|') === true) return refuse('illegalMessageTag', 'a tag must not contain |')
  if (message.controlIn === 'tag') return refuse('illegalMessageTag', 'the tag holds a control character')
  for (const key of message.keys) if (isBlank(key)) return refuse('illegalMessageKey', 'a key is blank')
  return message.controlIn === 'key' ? refuse('illegalMessageKey', 'a key holds a control character') : undefined
}

function checkMessageGroup(message: ScannedMessage): Refusal | undefined {
  const group = message.messageGroup
  if (group === undefined) return undefined
  if (isBlank(group)) return refuse('illegalMessageGroup', 'the message group is blank')
  if (message.controlIn === 'messageGroup') return refuse('illegalMessageGroup', 'the message group holds a control character')
  const bytes = Buffer.byteLength(group)
  return bytes < messageGroupBytesEnd
    ? undefined
    : refuse('illegalMessageGroup', `the message group has ${bytes} bytes, fewer than ${messageGroupBytesEnd} are allowed`)
}

function checkId(message: ScannedMessage): Refusal | undefined {
  if (isBlank(message.messageId)) return refuse('illegalMessageId', 'the message id is blank')
  return message.messageId.length > messageIdCharsMax ? refuse('illegalMessageId', 'the message id is too long') : undefined
}

/** The declared type against what the message carries; against the topic's type it is held in apply. */
function checkType(message: ScannedMessage, wallMs: number): Refusal | undefined {
  const type = typeOf(message)
  const conflict: RefusalCode = 'messagePropertyConflictWithType'
  if (type === MessageType.fifo && message.messageGroup === undefined)
    return refuse('illegalMessageGroup', 'a FIFO message needs a message group')
  if (type === MessageType.normal && message.messageGroup !== undefined)
    return refuse(conflict, 'a message with a message group is not of type NORMAL')
  const dueMs = message.deliveryTimestampMs
  if (type === MessageType.delay && dueMs === undefined) return refuse('illegalDeliveryTime', 'a DELAY message needs a delivery timestamp')
  if (dueMs === undefined) return undefined
  if (type !== MessageType.delay) return refuse(conflict, 'only a DELAY message has a delivery timestamp')
  return dueMs > wallMs + deliveryDelayMsMax ? refuse('illegalDeliveryTime', 'a message can be delayed by at most one day') : undefined
}

/** 1..32; what asks for nothing asks for a full batch. */
export function batchSize(asked: number): number {
  return asked <= 0 ? receiveMessagesMax : Math.min(asked, receiveMessagesMax)
}

export function checkReceiveInvisible(invisibleMs: number | undefined, autoRenew: boolean): number | Refusal {
  if (autoRenew) return autoRenewInvisibleMs
  if (invisibleMs === undefined) return refuse('illegalInvisibleTime', 'the invisible duration is missing')
  if (invisibleMs < invisibleMsMin || invisibleMs > invisibleMsMax) {
    return refuse(
      'illegalInvisibleTime',
      `the invisible duration is ${invisibleMs} ms, between ${invisibleMsMin} and ${invisibleMsMax} are allowed`,
    )
  }
  return invisibleMs
}

export function checkChangeInvisible(invisibleMs: number): Refusal | undefined {
  if (invisibleMs >= 0 && invisibleMs <= invisibleMsMax) return undefined
  return refuse('illegalInvisibleTime', `the invisible duration is ${invisibleMs} ms, between 0 and ${invisibleMsMax} are allowed`)
}

const FilterType = { unspecified: 0, tag: 1 } as const

/** `*` or nothing is everything; otherwise tags between `||`. Go leaves the type open: that is TAG. */
export function parseFilter(type: number, expression: string): TagExpression | Refusal {
  const bad = (why: string) => refuse('illegalFilterExpression', why)
  if (type !== FilterType.unspecified && type !== FilterType.tag)
    return bad(type === 2 ? 'SQL filters are not supported' : `there is no filter type ${type}`)
  if (expression.length > tagExpressionCharsMax) return bad('the filter expression is too long')
  const whole = expression.trim()
  if (whole === '' || whole === '*') return { kind: 'all' }
  const tags = [...new Set(whole.split('||').map(tag => tag.trim()))].filter(tag => tag !== '')
  if (tags.length === 0) return bad('the filter expression names no tag')
  if (tags.length > tagsMax) return bad(`the filter expression names ${tags.length} tags, at most ${tagsMax} are allowed`)
  return { kind: 'tags', tags }
}
