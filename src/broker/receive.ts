/**
 * Receive: wait for messages, read them from this node's own log, hand them out unconfirmed, and say what became of them (rule 14).
 * Tags are matched by hash in apply; here the texts are compared, and what only hashed alike is acked silently.
 */
import { mustExist } from '../platform/assert.ts'
import { sendMessageAt } from '../state/command-codec.ts'
import type { PopRequest, SettleItem } from '../state/command.ts'
import type { Hash64 } from '../state/ids.ts'
import type { Delivery } from '../state/result.ts'
import type { Broker } from './broker.ts'
import { applyRefusal } from './apply-refusal.ts'
import { fullRefusal } from './admission.ts'
import type { Stream } from './delivery-owners.ts'
import { hash64, tagHashOf } from './hash.ts'
import type { Waiter } from './long-poll.ts'
import { tagOf } from './message-fields.ts'
import { encodeReceiptHandle } from './receipt-handle.ts'
import type { ReceivedBatch, ReceivedMessage, ReceiveHandle, ReceiveRequest, Reply, TagExpression } from './requests.ts'
import { afterBarrier, replySoon } from './propose.ts'

/** How long a receive may wait for the cluster, as distinct from messages. */
const patienceMs = 2_500
/** A pop that is on its way when the poll time ends is waited for a little longer. */
const graceMs = 1_000
/** … or, where the client's own deadline leaves no time for that, it ends so much earlier: "nothing" is said only by a node that is up to date. */
const lookMs = 500
/** How long a delivery whose bytes have rotted here stays with us. */
const unreadablePauseMs = 500
/** The client without an id: nobody's life depends on it. */
const nobody: Hash64 = { low: 0, high: 0 }

export function receive(broker: Broker, request: ReceiveRequest, reply: Reply<ReceivedBatch>): ReceiveHandle {
  const isWatched = broker.clients.heardConsumer(request.clientId)
  let isCancelled = false
  let takeBack: (() => void) | undefined
  const answer: Reply<ReceivedBatch> = reached => {
    if (!isCancelled) reply(reached)
  }
  const hasLeft = (): boolean => isWatched && broker.clients.hasLeft(request.clientId)
  const begin = (): void => {
    if (isCancelled) return
    takeBack = broker.polls.wait(request.consumerGroup, request.topic, waiterFor(broker, request, hasLeft, answer))
    if (takeBack === undefined) replySoon(broker, answer, fullRefusal())
  }
  if (broker.view.topic(request.topic) !== undefined) begin()
  else {
    const deadlineMs = Math.min(request.deadlineMs, broker.clock.nowMs() + patienceMs)
    afterBarrier(broker, deadlineMs, answer, () => {
      if (broker.view.topic(request.topic) === undefined) answer(applyRefusal('topicNotFound', request.topic))
      else begin()
    })
  }
  return {
    cancel() {
      isCancelled = true
      takeBack?.()
    },
  }
}

function waiterFor(broker: Broker, request: ReceiveRequest, hasLeft: () => boolean, reply: Reply<ReceivedBatch>): Waiter {
  const nowMs = broker.clock.nowMs()
  const pollUntilMs = Math.min(nowMs + request.pollMs, Math.max(nowMs, request.deadlineMs - lookMs))
  let stream: Stream | undefined
  return {
    request: popRequestOf(request),
    pollUntilMs,
    limitMs: Math.min(request.deadlineMs, Math.max(pollUntilMs + graceMs, nowMs + patienceMs)),
    hasLeft,
    deliver(deliveries, wallMs) {
      const wanted = withoutCollisions(broker, request.filter, readableOnly(broker, deliveries))
      if (wanted.length === 0) return false
      stream = { deliveries: wanted, releaseFrom: undefined }
      reply(batchOf(broker, request, stream, wallMs))
      return true
    },
    refuse: reply,
    giveBack(deliveries) {
      for (const delivery of deliveries) giveBack(broker, delivery, stream)
    },
  }
}

/** What a later pop brought. The same delivery again, for this receive's attempt id, is what its stream says of it; anything else is free. */
function giveBack(broker: Broker, delivery: Delivery, stream: Stream | undefined): void {
  const place = stream?.deliveries.findIndex(({ ref }) => ref.deliverySequence === delivery.ref.deliverySequence) ?? -1
  if (stream === undefined || place < 0) return endDelivery(broker, delivery, { deliveries: [], releaseFrom: 0 }, 'release')
  if (stream.releaseFrom !== undefined) endDelivery(broker, delivery, stream, place < stream.releaseFrom ? 'confirm' : 'release')
}

function popRequestOf({ max, invisibleMs, autoRenew, clientId, attemptId, filter }: ReceiveRequest): PopRequest {
  return {
    max,
    invisibleMs,
    autoRenew,
    client: clientId === undefined ? nobody : hash64(clientId),
    attempt: attemptId === undefined ? undefined : hash64(attemptId),
    filter: filter.kind === 'all' ? filter : { kind: 'tags', hashes: filter.tags.map(tagHashOf) },
  }
}

/**
 * What has rotted on our disk we can't hand out; another gateway can, or we when it is mended. Given back a little later, not at once: else the next pop
 * would bring it to us again, and again.
 */
function readableOnly(broker: Broker, deliveries: readonly Delivery[]): readonly Delivery[] {
  if (deliveries.every(delivery => isReadable(broker, delivery))) return deliveries
  return deliveries.filter(delivery => {
    const isFine = isReadable(broker, delivery)
    if (!isFine) broker.clock.setTimer(unreadablePauseMs, () => broker.settles.addLazy({ kind: 'release', ref: delivery.ref }, () => true))
    return isFine
  })
}

function isReadable(broker: Broker, { logIndex }: Delivery): boolean {
  return broker.raft.entryBody(logIndex) !== undefined
}

/** Those whose tag is really one of the wanted; the others are done with, for this group. */
function withoutCollisions(broker: Broker, filter: TagExpression, deliveries: readonly Delivery[]): readonly Delivery[] {
  if (filter.kind === 'all') return deliveries
  return deliveries.filter(delivery => {
    const message = readMessage(broker, delivery)
    const tag = tagOf(message.bytes, { start: message.systemPropertiesStart, end: message.systemPropertiesEnd })
    const isWanted = tag !== undefined && filter.tags.includes(tag)
    if (!isWanted) broker.settles.addLazy({ kind: 'ack', ref: delivery.ref }, () => true)
    return isWanted
  })
}

function readMessage(broker: Broker, { logIndex, ordinal }: Delivery): NonNullable<ReturnType<typeof sendMessageAt>> {
  const body = mustExist(broker.raft.entryBody(logIndex), 'read-unreadable', logIndex)
  return mustExist(sendMessageAt(body, ordinal), 'delivery-without-message', logIndex, ordinal)
}

function batchOf(broker: Broker, request: ReceiveRequest, stream: Stream, wallMs: number): ReceivedBatch {
  const { deliveries } = stream
  broker.owners.take(deliveries, stream)
  const end = (releaseFrom: number): void => {
    if (stream.releaseFrom !== undefined) return
    stream.releaseFrom = releaseFrom
    deliveries.forEach((delivery, i) => {
      endDelivery(broker, delivery, stream, i < releaseFrom ? 'confirm' : 'release')
    })
  }
  return {
    kind: 'received',
    count: deliveries.length,
    deliveryTimestampMs: wallMs,
    isReadable: i => isReadable(broker, mustExist(deliveries[i], 'no-such-delivery', i)),
    read: i => messageOf(broker, request, mustExist(deliveries[i], 'no-such-delivery', i)),
    confirm: () => end(deliveries.length),
    release: (fromIndex = 0) => end(fromIndex),
  }
}

/** The word on one delivery goes with the next settle, unless another stream of the same receive has it by then. */
function endDelivery(broker: Broker, delivery: Delivery, stream: Stream, kind: 'confirm' | 'release'): void {
  const { owners, settles } = broker
  owners.leave(delivery, stream)
  const item: SettleItem = { kind, ref: delivery.ref }
  settles.addLazy(item, () => !owners.isTakenByOther(delivery, stream))
}

function messageOf(broker: Broker, request: ReceiveRequest, delivery: Delivery): ReceivedMessage {
  const { ref, attempt, storedAtMs } = delivery
  const { bytes, bodyMd5, systemPropertiesStart, systemPropertiesEnd } = readMessage(broker, delivery)
  return {
    receiptHandle: encodeReceiptHandle(ref, request.consumerGroup, request.topic),
    bytes,
    systemProperties: { start: systemPropertiesStart, end: systemPropertiesEnd },
    bodyMd5,
    queueId: ref.queueId,
    offset: ref.offset,
    attempt,
    storedAtMs,
    invisibleMs: request.invisibleMs,
  }
}
