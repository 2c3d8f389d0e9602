/** Commands to bytes; read-commands.ts is the mirror, in the same order. Formats stand there. */
import { assert, assertNever } from '../../platform/assert.ts'
import type {
  Command,
  DeliveryRef,
  EnsureGroup,
  Pop,
  RetryPolicy,
  Send,
  SendMessage,
  SettleItem,
  StartPosition,
  TagFilter,
} from '../command.ts'
import type { ByteWriter } from './byte-writer.ts'
import { bounds, messageHeaderBytes } from './bounds.ts'

export const SettleKind = { ack: 1, changeInvisible: 2, deadLetter: 3, confirm: 4, release: 5 } as const
export const ChangeKind = { connected: 1, disconnected: 2, terminated: 3 } as const
export const StartKind = { first: 1, last: 2, time: 3 } as const
export const RetryKind = { exponential: 1, customized: 2 } as const
export const FilterKind = { all: 1, tags: 2 } as const
export const TopicKind = { normal: 1, fifo: 2 } as const

/** Everything but the bytes of a send's messages: `spliceAt` gets the places where they belong. */
export function writeCommand(out: ByteWriter, command: Command, spliceAt: number[]): void {
  switch (command.kind) {
    case 'send':
      return writeSend(out, command, spliceAt)
    case 'pop':
      return writePop(out, command)
    case 'settle':
      out.u16(command.items.length)
      for (const item of command.items) writeSettleItem(out, item)
      return
    case 'createTopic':
      out.name(command.topic).u8(TopicKind[command.type]).u16(command.queueCount)
      return
    case 'deleteTopic':
      out.name(command.topic)
      return
    case 'ensureGroup':
      return writeEnsureGroup(out, command)
    case 'clientsChanged':
      out.u16(command.changes.length)
      for (const { client, change } of command.changes) out.hash(client).u8(ChangeKind[change])
      return
    case 'nodeChanged':
      out.u16(command.node).flag(command.isUp)
      return
    case 'tick':
    case 'barrier':
      return
    case 'setRetention':
      out.name(command.topic).u64(command.retention.ageMs).u64(command.retention.sizeBytes)
      return
    case 'trim':
      out.u16(command.queues.length)
      for (const { topicId, queueId, offset, forcedBelow } of command.queues) out.u32(topicId).u16(queueId).u64(offset).u64(forcedBelow)
      return
    case 'trimLog':
      out.u64(command.index)
      return
    case 'carry':
      assert(command.items.length <= bounds.carriedMax, 'carried-max', command.items.length)
      out.u16(command.items.length)
      for (const { topicId, queueId, offset, message } of command.items) {
        out.u32(topicId).u16(queueId).u64(offset)
        writeMessage(out, message, spliceAt)
      }
      return
    case 'digestCheck':
      out.u64(command.atIndex).hash(command.digest.a).hash(command.digest.b)
      return
    case 'raiseLevel':
      out.u16(command.level)
      return
    default:
      return assertNever(command)
  }
}

function writeSend(out: ByteWriter, send: Send, spliceAt: number[]): void {
  assert(send.messages.length <= bounds.messagesMax, 'messages-max', send.messages.length)
  out
    .name(send.topic)
    .u8(send.messageType)
    .flag(send.messageGroup !== undefined)
  if (send.messageGroup !== undefined) out.hash(send.messageGroup)
  out.u16(send.messages.length)
  for (const message of send.messages) writeMessage(out, message, spliceAt)
}

function writeMessage(out: ByteWriter, message: SendMessage, spliceAt: number[]): void {
  const from = out.at
  const key = message.dedupeKey
  out.u32(key === undefined ? 0 : 1)
  if (key === undefined) out.u64(0).u64(0)
  else out.hash(key.a).hash(key.b)
  assert(message.bodyMd5.length === 16, 'md5-bytes', message.bodyMd5.length)
  out.hash(message.fingerprint).u32(message.tagHash).raw(message.bodyMd5)
  out.u32(message.systemPropertiesStart).u32(message.systemPropertiesEnd).u32(message.bytes.length)
  assert(out.at - from === messageHeaderBytes, 'message-header-bytes', out.at - from)
  spliceAt.push(out.at)
}

function writePop(out: ByteWriter, pop: Pop): void {
  out.name(pop.consumerGroup).name(pop.topic).u16(pop.requests.length)
  for (const request of pop.requests) {
    out
      .u8(request.max)
      .u32(request.invisibleMs)
      .flag(request.autoRenew)
      .hash(request.client)
      .flag(request.attempt !== undefined)
    if (request.attempt !== undefined) out.hash(request.attempt)
    writeFilter(out, request.filter)
  }
}

function writeFilter(out: ByteWriter, filter: TagFilter): void {
  out.u8(FilterKind[filter.kind])
  if (filter.kind === 'all') return
  out.u16(filter.hashes.length)
  for (const hash of filter.hashes) out.u32(hash)
}

function writeSettleItem(out: ByteWriter, item: SettleItem): void {
  out.u8(SettleKind[item.kind])
  writeRef(out, item.ref)
  if (item.kind === 'changeInvisible') out.u32(item.invisibleMs).flag(item.suspend)
}

function writeRef(out: ByteWriter, ref: DeliveryRef): void {
  out.u32(ref.consumerGroupId).u32(ref.topicId).u16(ref.queueId).u64(ref.offset).u64(ref.deliverySequence)
}

function writeEnsureGroup(out: ByteWriter, command: EnsureGroup): void {
  out.name(command.consumerGroup).flag(command.settings.isFifo).u16(command.settings.maxAttempts)
  writeRetry(out, command.settings.retry)
  writeStart(out, command.start)
  out.flag(command.replaceSettings).u16(command.topics.length)
  for (const topic of command.topics) out.name(topic)
}

function writeRetry(out: ByteWriter, retry: RetryPolicy): void {
  out.u8(RetryKind[retry.kind])
  if (retry.kind === 'exponential') {
    out
      .u32(retry.initialMs)
      .u32(retry.maxMs)
      .u32(Math.round(retry.multiplier * 1_000))
    return
  }
  out.u8(retry.stepsMs.length)
  for (const step of retry.stepsMs) out.u32(step)
}

function writeStart(out: ByteWriter, start: StartPosition): void {
  out.u8(StartKind[start.kind])
  if (start.kind === 'time') out.u64(start.wallMs)
}
