/**
 * Bytes to commands, with every bound checked: what decodes, apply can take (rule 8). Integers are little endian; a name is u8 length and ASCII;
 * a hash is two u32; a flag is a u8 of 0 or 1. The bodies, behind the 24 bytes of the envelope:
 *
 *   send            name topic, u8 messageType, flag hasGroup, [hash group], u16 count, count × message
 *     message       u32 flags (1 = has a dedupe key), 2 × hash key, hash fingerprint, u32 tagHash, 16 bytes MD5,
 *                   u32 systemPropertiesStart, u32 systemPropertiesEnd, u32 length, then that many bytes of v2 Message
 *   pop             name group, name topic, u16 count, count × (u8 max, u32 invisibleMs, flag autoRenew, hash client, flag hasAttempt, [hash], filter)
 *     filter        u8 kind (1 all, 2 tags), [u16 count, count × u32]
 *   settle          u16 count, count × (u8 kind, ref, [u32 invisibleMs, flag suspend])
 *     ref           u32 groupId, u32 topicId, u16 queueId, u64 offset, u64 deliverySequence
 *   createTopic     name, u8 type, u16 queueCount          deleteTopic   name
 *   ensureGroup     name, flag isFifo, u16 maxAttempts, retry, start, flag replaceSettings, u16 count, count × name
 *     retry         u8 1: u32 initialMs, u32 maxMs, u32 multiplier in thousandths · u8 2: u8 count, count × u32
 *     start         u8 kind (1 first, 2 last, 3 time), [u64 wallMs]
 *   clientsChanged  u16 count, count × (hash, u8 change)   nodeChanged   u16 node, flag isUp
 *   setRetention    name topic, u64 ageMs, u64 sizeBytes   trim          u16 count, count × (u32 topicId, u16 queueId, u64 offset, u64 forcedBelow)
 *   trimLog         u64 index                              carry         u16 count, count × (u32 topicId, u16 queueId, u64 offset, message)
 *   tick, barrier   nothing                                 digestCheck   u64 atIndex, 2 × hash
 *   raiseLevel      u16 level
 */
import { MessageType, type Command, type DeliveryRef, type PopRequest, type RetryPolicy, type SendMessage } from '../command.ts'
import type { CarriedMessage, QueueTrim, SettleItem, StartPosition, TagFilter } from '../command.ts'
import type { ConsumerGroupId, Hash64, QueueId, QueueOffset, TopicId } from '../ids.ts'
import { levelMax, oldestLevel } from '../feature-level.ts'
import { bounds, CommandKind } from './bounds.ts'
import type { ByteReader } from './byte-reader.ts'
import { ChangeKind, FilterKind, RetryKind, SettleKind, StartKind, TopicKind } from './write-commands.ts'

const noBytes = new Uint8Array(0)
const noHash: Hash64 = { low: 0, high: 0 }
const allFilter: TagFilter = { kind: 'all' }

/** Undefined when something is wrong; `reader.problem` says what. Without `withBytes` the messages of a send come without bytes and MD5. */
export function readCommand(reader: ByteReader, kind: number, withBytes: boolean): Command | undefined {
  const command = readKind(reader, kind, withBytes)
  reader.end()
  return reader.problem === undefined ? command : undefined
}

function readKind(reader: ByteReader, kind: number, withBytes: boolean): Command | undefined {
  switch (kind) {
    case CommandKind.send:
      return readSend(reader, withBytes)
    case CommandKind.pop:
      return readPop(reader)
    case CommandKind.settle:
      return { kind: 'settle', items: readList(reader, 1, bounds.itemsMax, readSettleItem) }
    case CommandKind.createTopic:
      return readCreateTopic(reader)
    case CommandKind.deleteTopic:
      return { kind: 'deleteTopic', topic: reader.name(bounds.nameBytesMax) }
    case CommandKind.ensureGroup:
      return readEnsureGroup(reader)
    case CommandKind.clientsChanged:
      return { kind: 'clientsChanged', changes: readList(reader, 1, bounds.changesMax, readClientChange) }
    case CommandKind.nodeChanged:
      return { kind: 'nodeChanged', node: reader.within(reader.u16(), 1, 65_535, 'a node has no number'), isUp: reader.flag() }
    case CommandKind.tick:
      return { kind: 'tick' }
    case CommandKind.barrier:
      return { kind: 'barrier' }
    case CommandKind.setRetention:
      return { kind: 'setRetention', topic: reader.name(bounds.nameBytesMax), retention: { ageMs: reader.u64(), sizeBytes: reader.u64() } }
    case CommandKind.trim:
      return { kind: 'trim', queues: readList(reader, 1, bounds.trimsMax, readQueueTrim) }
    case CommandKind.trimLog:
      return { kind: 'trimLog', index: reader.u64() }
    case CommandKind.carry:
      return { kind: 'carry', items: readList(reader, 1, bounds.carriedMax, each => readCarried(each, withBytes)) }
    case CommandKind.digestCheck:
      return { kind: 'digestCheck', atIndex: reader.u64(), digest: { a: reader.hash(), b: reader.hash() } }
    case CommandKind.raiseLevel:
      return { kind: 'raiseLevel', level: reader.within(reader.u16(), oldestLevel, levelMax, 'a feature level is 0') }
    default:
      reader.fail('its kind is unknown')
      return undefined
  }
}

function readList<T>(reader: ByteReader, countMin: number, countMax: number, readOne: (reader: ByteReader) => T): T[] {
  const count = reader.within(reader.u16(), countMin, countMax, 'a list is empty or too long')
  const list: T[] = []
  for (let i = 0; i < count && reader.problem === undefined; i++) list.push(readOne(reader))
  return list
}

function readSend(reader: ByteReader, withBytes: boolean): Command {
  const topic = reader.name(bounds.nameBytesMax)
  const messageType = reader.within(reader.u8(), MessageType.normal, MessageType.transaction, 'a message type is unknown') as MessageType
  const messageGroup = reader.flag() ? reader.hash() : undefined
  const count = reader.within(reader.u16(), 1, bounds.messagesMax, 'a send has no message, or too many')
  const messages: SendMessage[] = []
  for (let i = 0; i < count && reader.problem === undefined; i++) messages.push(readMessage(reader, withBytes))
  return { kind: 'send', topic, messageType, messageGroup, messages }
}

function readQueueTrim(reader: ByteReader): QueueTrim {
  return {
    topicId: reader.u32() as TopicId,
    queueId: reader.u16() as QueueId,
    offset: reader.u64() as QueueOffset,
    forcedBelow: reader.u64(),
  }
}

/** Bytes of a carried message in front of the message's own header. */
export const carriedPlaceBytes = 14

function readCarried(reader: ByteReader, withBytes: boolean): CarriedMessage {
  return {
    topicId: reader.u32() as TopicId,
    queueId: reader.u16() as QueueId,
    offset: reader.u64() as QueueOffset,
    message: readMessage(reader, withBytes),
  }
}

/** One message of a send, from its fixed header on. */
export function readMessage(reader: ByteReader, withBytes: boolean): SendMessage {
  const flags = reader.u32()
  if (flags > 1) reader.fail('a message has unknown flags')
  const a = reader.hash()
  const b = reader.hash()
  if (flags === 0 && (a.low !== 0 || a.high !== 0 || b.low !== 0 || b.high !== 0))
    reader.fail('a message has a key that it says it has not')
  const fingerprint = reader.hash()
  const tagHash = reader.u32()
  const bodyMd5 = withBytes ? reader.raw(16) : skipped(reader, 16)
  const systemPropertiesStart = reader.u32()
  const systemPropertiesEnd = reader.u32()
  const length = reader.u32()
  const isInside = systemPropertiesStart <= systemPropertiesEnd && systemPropertiesEnd <= length
  if (!isInside) reader.fail('the system properties of a message are not inside it')
  const bytes = withBytes ? reader.raw(length) : skipped(reader, length)
  return { dedupeKey: flags === 1 ? { a, b } : undefined, fingerprint, tagHash, bodyMd5, systemPropertiesStart, systemPropertiesEnd, bytes }
}

function skipped(reader: ByteReader, length: number): Uint8Array {
  reader.skip(length)
  return noBytes
}

function readPop(reader: ByteReader): Command {
  return {
    kind: 'pop',
    consumerGroup: reader.name(bounds.groupBytesMax),
    topic: reader.name(bounds.nameBytesMax),
    requests: readList(reader, 1, bounds.requestsMax, readPopRequest),
  }
}

function readPopRequest(reader: ByteReader): PopRequest {
  return {
    max: reader.within(reader.u8(), 1, bounds.popMessagesMax, 'a receive asks for no message, or too many'),
    invisibleMs: readInvisible(reader),
    autoRenew: reader.flag(),
    client: reader.hash(),
    attempt: reader.flag() ? reader.hash() : undefined,
    filter: readFilter(reader),
  }
}

function readInvisible(reader: ByteReader): number {
  return reader.within(reader.u32(), 0, bounds.invisibleMsMax, 'an invisible duration is too long')
}

function readFilter(reader: ByteReader): TagFilter {
  switch (reader.u8()) {
    case FilterKind.all:
      return allFilter
    case FilterKind.tags:
      return { kind: 'tags', hashes: readList(reader, 1, bounds.tagsMax, each => each.u32()) }
    default:
      reader.fail('a filter is unknown')
      return allFilter
  }
}

function readRef(reader: ByteReader): DeliveryRef {
  return {
    consumerGroupId: reader.u32() as ConsumerGroupId,
    topicId: reader.u32() as TopicId,
    queueId: reader.u16() as QueueId,
    offset: reader.u64() as QueueOffset,
    deliverySequence: reader.u64(),
  }
}

function readSettleItem(reader: ByteReader): SettleItem {
  const kind = reader.u8()
  const ref = readRef(reader)
  switch (kind) {
    case SettleKind.ack:
      return { kind: 'ack', ref }
    case SettleKind.changeInvisible:
      return { kind: 'changeInvisible', ref, invisibleMs: readInvisible(reader), suspend: reader.flag() }
    case SettleKind.deadLetter:
      return { kind: 'deadLetter', ref }
    case SettleKind.confirm:
      return { kind: 'confirm', ref }
    case SettleKind.release:
      return { kind: 'release', ref }
    default:
      reader.fail('a way to settle is unknown')
      return { kind: 'ack', ref }
  }
}

function readCreateTopic(reader: ByteReader): Command {
  const topic = reader.name(bounds.nameBytesMax)
  const type =
    reader.within(reader.u8(), TopicKind.normal, TopicKind.fifo, 'a topic type is unknown') === TopicKind.fifo ? 'fifo' : 'normal'
  return {
    kind: 'createTopic',
    topic,
    type,
    queueCount: reader.within(reader.u16(), 1, bounds.queuesMax, 'a topic has no queue, or too many'),
  }
}

function readEnsureGroup(reader: ByteReader): Command {
  return {
    kind: 'ensureGroup',
    consumerGroup: reader.name(bounds.groupBytesMax),
    settings: {
      isFifo: reader.flag(),
      maxAttempts: reader.within(reader.u16(), 1, bounds.attemptsMax, 'a group has no attempt, or too many'),
      retry: readRetry(reader),
    },
    start: readStart(reader),
    replaceSettings: reader.flag(),
    topics: readList(reader, 0, bounds.topicsMax, each => each.name(bounds.nameBytesMax)),
  }
}

function readRetryMs(reader: ByteReader): number {
  return reader.within(reader.u32(), 0, bounds.retryMsMax, 'a retry wait is too long')
}

function readRetry(reader: ByteReader): RetryPolicy {
  const kind = reader.within(reader.u8(), RetryKind.exponential, RetryKind.customized, 'a retry policy is unknown')
  if (kind === RetryKind.exponential) {
    const initialMs = readRetryMs(reader)
    const maxMs = readRetryMs(reader)
    const thousandths = reader.within(reader.u32(), 1_000, bounds.multiplierMax * 1_000, 'a retry multiplier is out of bounds')
    return { kind: 'exponential', initialMs, maxMs, multiplier: thousandths / 1_000 }
  }
  const count = reader.within(reader.u8(), 1, bounds.retryStepsMax, 'a retry table is empty or too long')
  const stepsMs: number[] = []
  for (let i = 0; i < count; i++) stepsMs.push(readRetryMs(reader))
  return { kind: 'customized', stepsMs }
}

function readStart(reader: ByteReader): StartPosition {
  switch (reader.u8()) {
    case StartKind.first:
      return { kind: 'first' }
    case StartKind.last:
      return { kind: 'last' }
    case StartKind.time:
      return { kind: 'time', wallMs: reader.u64() }
    default:
      reader.fail('a start position is unknown')
      return { kind: 'last' }
  }
}

const changes = {
  [ChangeKind.connected]: 'connected',
  [ChangeKind.disconnected]: 'disconnected',
  [ChangeKind.terminated]: 'terminated',
} as const

function readClientChange(reader: ByteReader): { client: Hash64; change: 'connected' | 'disconnected' | 'terminated' } {
  const client = reader.hash()
  const change = reader.within(reader.u8(), ChangeKind.connected, ChangeKind.terminated, 'a client change is unknown') as 1 | 2 | 3
  if (client.low === noHash.low && client.high === noHash.high) reader.fail('a client has no hash')
  return { client, change: changes[change] }
}
