/**
 * ReceiveMessage: a long poll, answered as a stream of one status, the messages, and the delivery timestamp. Clients hand nothing over before
 * the stream has ended, so it ends at once. A batch is confirmed to the broker when its last byte is with the socket, and released when the
 * client went away before that (DESIGN rule 14). Refusals are held back for a while: Rust and Go ask again after 1–20 ms, whatever the answer.
 */
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { ReceivedBatch, ReceiveHandle, ReceiveRequest } from '../../broker/requests.ts'
import type { Caller, ItemStream, RpcContext, ServerStreamHandler } from '../handler.ts'
import { answerTimeMs } from '../metadata.ts'
import { encodeDelivery, type DeliveryContext } from '../wire/append-fields.ts'
import { scanReceive, type ScannedReceive } from '../wire/scan-requests.ts'
import { wireTime } from '../wire/time.ts'
import { lengthFieldBytes, varintFieldBytes, writeLengthTag, writeVarintField } from '../wire/writer.ts'
import { checkGroup, checkTopic } from './names.ts'
import { okReply, refusalReply } from './replies.ts'
import { batchSize, checkClientId, checkReceiveInvisible, parseFilter } from './validate.ts'

/** No poll is longer, whatever was asked; also what is waited when nothing was asked. */
const pollMsMax = 20_000
/** How long a refusal is held back, within the caller's deadline. */
const refusedHoldMs = 1_000
/** More bytes than this are not given to a socket that has not taken the ones before. */
const unflushedBytesMax = 1024 * 1024

export const receiveMessage: ServerStreamHandler = (context, caller, bytes, stream) => {
  const asked = receiveRequest(context, caller, bytes)
  const answerByMs = context.clock.nowMs() + answerTimeMs(caller.leftMs)
  if (asked.kind === 'refused') return hold(context, answerByMs, asked, stream)
  const delivery: DeliveryContext = { topic: asked.request.topic, namespace: asked.namespace, storeHost: context.storeHost }
  let whenGone: () => void
  const handle: ReceiveHandle = context.broker.receive(asked.request, answer => {
    if (answer.kind === 'refused') {
      whenGone = answer.code === 'messageNotFound' ? endEmpty(context, answer, stream) : hold(context, answerByMs, answer, stream)
    } else whenGone = deliver(answer, delivery, stream)
  })
  whenGone = () => handle.cancel()
  return () => whenGone()
}

type Asked = { readonly kind: 'asked'; readonly request: ReceiveRequest; readonly namespace: string } | Refusal

function receiveRequest(context: RpcContext, caller: Caller, bytes: Uint8Array): Asked {
  const noId = checkClientId(caller.clientId)
  if (noId !== undefined) return noId
  const scan = scanReceive(bytes)
  if (typeof scan === 'string') return refuse('badRequest', `not a ReceiveMessageRequest: ${scan}`)
  const badName = checkTopic(scan.topic.name) ?? checkGroup(scan.consumerGroup.name)
  if (badName !== undefined) return badName
  const invisibleMs = checkReceiveInvisible(scan.invisibleMs, scan.autoRenew)
  if (typeof invisibleMs !== 'number') return invisibleMs
  const filter = parseFilter(scan.filterType, scan.filterExpression)
  if (filter.kind === 'refused') return filter
  const pollMs = pollTimeMs(scan, caller.leftMs)
  if (pollMs === undefined) return refuse('illegalPollingTime', 'the long polling timeout is negative')
  const request: ReceiveRequest = {
    deadlineMs: context.clock.nowMs() + answerTimeMs(Math.min(caller.leftMs, 2 * pollMsMax)),
    clientId: caller.clientId,
    consumerGroup: scan.consumerGroup.name,
    topic: scan.topic.name,
    filter,
    max: batchSize(scan.batchSize),
    invisibleMs,
    autoRenew: scan.autoRenew,
    attemptId: scan.attemptId,
    pollMs,
  }
  return { kind: 'asked', request, namespace: scan.topic.namespace }
}

/** Never longer than asked, and over before the caller's own deadline (Rust's is exactly its polling time). */
function pollTimeMs(scan: ScannedReceive, leftMs: number): number | undefined {
  const asked = scan.longPollingMs ?? pollMsMax
  if (asked < 0) return undefined
  return Math.min(asked, pollMsMax, answerTimeMs(leftMs))
}

function deliver(batch: ReceivedBatch, delivery: DeliveryContext, stream: ItemStream): () => void {
  let next = 0
  let unflushedBytes = 0
  let isSettled = false
  stream.write(okReply)
  writeMore()
  return () => {
    if (isSettled) return
    isSettled = true
    // Clients use nothing of a stream that broke: all of it goes to somebody else.
    batch.release()
  }

  function writeMore(): void {
    while (next < batch.count && unflushedBytes < unflushedBytesMax) {
      if (!batch.isReadable(next)) return endHere()
      const item = encodeDelivery(batch.read(next++), delivery)
      unflushedBytes += item.length
      stream.write(item, () => {
        const wasFull = unflushedBytes >= unflushedBytesMax
        unflushedBytes -= item.length
        if (wasFull && !isSettled && next < batch.count) writeMore()
      })
    }
    if (next < batch.count) return
    endHere()
  }

  /** What was written is confirmed when it is out; the rest, if any, goes to somebody else. */
  function endHere(): void {
    const written = next
    next = batch.count
    stream.write(deliveryTimestampItem(batch.deliveryTimestampMs))
    stream.end(() => {
      if (isSettled) return
      isSettled = true
      if (written === batch.count) batch.confirm()
      else batch.release(written)
    })
  }
}

function endEmpty(context: RpcContext, refusal: Refusal, stream: ItemStream): () => void {
  stream.write(refusalReply(refusal))
  stream.write(deliveryTimestampItem(context.clock.wallMs()))
  stream.end()
  return nothing
}

/** Answers after a while, unless the client goes first. */
function hold(context: RpcContext, answerByMs: number, refusal: Refusal, stream: ItemStream): () => void {
  const held = context.deadlines.at(
    Math.min(context.clock.nowMs() + refusedHoldMs, answerByMs),
    () => void endEmpty(context, refusal, stream),
  )
  return () => held.cancel()
}

function nothing(): void {
  // The stream is over: nothing is held for the client any more.
}

/** ReceiveMessageResponse { delivery_timestamp }. */
function deliveryTimestampItem(wallMs: number): Buffer {
  const { seconds, nanos } = wireTime(wallMs)
  const bytes = varintFieldBytes(1, seconds) + varintFieldBytes(2, nanos)
  const out = Buffer.allocUnsafe(lengthFieldBytes(3, bytes))
  writeVarintField(out, writeVarintField(out, writeLengthTag(out, 0, 3, bytes), 1, seconds), 2, nanos)
  return out
}
