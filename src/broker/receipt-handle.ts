/**
 * Receipt handles: a delivery's name as the client carries it, base64url of 36 bytes, little endian:
 *
 *   0 consumerGroupId u32 | 4 topicId u32 | 8 queueId u32 | 12 deliverySequence u48 | 18 offset u48 | 24 hash of group name u32 | 28 hash of topic name u32 | 32 check u32
 *
 * Any node reads any other's handles. The name hashes bind a handle to the group and topic it was given for, so that a gateway which lags and
 * knows no ids yet can still tell a foreign handle by the request's own bytes (rule 13). No secret: a client can only harm itself.
 */
import { crc32c, viewOf } from '../platform/bytes.ts'
import { bounds } from '../state/codec/bounds.ts'
import type { DeliveryRef } from '../state/command.ts'
import type { ConsumerGroupId, QueueId, QueueOffset, TopicId } from '../state/ids.ts'
import { hash32 } from './hash.ts'

const handleBytes = 36
const checkAt = 32
const twoTo16 = 0x1_0000
const handleText = /^[A-Za-z0-9_-]{48}$/

export function encodeReceiptHandle(ref: DeliveryRef, consumerGroup: string, topic: string): string {
  const bytes = Buffer.allocUnsafe(handleBytes)
  bytes.writeUInt32LE(ref.consumerGroupId, 0)
  bytes.writeUInt32LE(ref.topicId, 4)
  bytes.writeUInt32LE(ref.queueId, 8)
  bytes.writeUIntLE(ref.deliverySequence, 12, 6)
  bytes.writeUIntLE(ref.offset, 18, 6)
  bytes.writeUInt32LE(hash32(consumerGroup), 24)
  bytes.writeUInt32LE(hash32(topic), 28)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, checkAt)), checkAt)
  return bytes.toString('base64url')
}

/** undefined = not a handle of ours, or one for another group or topic. */
export function decodeReceiptHandle(handle: string, consumerGroup: string, topic: string): DeliveryRef | undefined {
  if (!handleText.test(handle)) return undefined
  const bytes = Buffer.from(handle, 'base64url')
  const view = viewOf(bytes)
  if (crc32c(bytes.subarray(0, checkAt)) !== view.getUint32(checkAt, true)) return undefined
  if (view.getUint32(24, true) !== hash32(consumerGroup) || view.getUint32(28, true) !== hash32(topic)) return undefined
  const queueId = view.getUint32(8, true)
  // Whoever knows the format can sign anything; there is no such queue, and no command could name it.
  if (queueId >= bounds.queuesMax) return undefined
  return {
    consumerGroupId: view.getUint32(0, true) as ConsumerGroupId,
    topicId: view.getUint32(4, true) as TopicId,
    queueId: queueId as QueueId,
    deliverySequence: readU48(view, 12),
    offset: readU48(view, 18) as QueueOffset,
  }
}

function readU48(view: DataView, position: number): number {
  return view.getUint32(position + 2, true) * twoTo16 + view.getUint16(position, true)
}
