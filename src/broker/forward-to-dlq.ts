/**
 * ForwardMessageToDeadLetterQueue. Official clients repeat it for ever until they hear OK, so a message that is gone already, or a handle of a
 * delivery that has ended, is OK; only a handle that is none is refused. C++ sends no handle: then the message is looked for among the client's
 * deliveries, by message id.
 */
import type { DeliveryRef } from '../state/command.ts'
import { sendMessageAt } from '../state/command-codec.ts'
import type { Broker } from './broker.ts'
import { hash64 } from './hash.ts'
import { messageIdOf } from './message-fields.ts'
import { decodeReceiptHandle } from './receipt-handle.ts'
import type { Refusal } from './refusal.ts'
import type { ForwardToDeadLetterQueueAnswer, ForwardToDeadLetterQueueRequest, Reply } from './requests.ts'
import { badHandle, settle } from './settle.ts'
import { afterBarrier, replySoon } from './propose.ts'

const forwarded: ForwardToDeadLetterQueueAnswer = { kind: 'forwarded' }
/** Deliveries looked through for one message id. */
const lookedAtMax = 1024

export function forwardToDeadLetterQueue(
  broker: Broker,
  request: ForwardToDeadLetterQueueRequest,
  reply: Reply<ForwardToDeadLetterQueueAnswer>,
): void {
  const { consumerGroup, topic, receiptHandle, deadlineMs } = request
  if (receiptHandle === '') return forwardWithoutHandle(broker, request, reply)
  const ref = decodeReceiptHandle(receiptHandle, consumerGroup, topic)
  if (ref === undefined) return replySoon(broker, reply, badHandle())
  forward(broker, ref, deadlineMs, reply)
}

function forwardWithoutHandle(
  broker: Broker,
  request: ForwardToDeadLetterQueueRequest,
  reply: Reply<ForwardToDeadLetterQueueAnswer>,
): void {
  const here = findHeld(broker, request)
  if (here !== undefined) return forward(broker, here, request.deadlineMs, reply)
  // That we know of no such delivery proves nothing while we lag.
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const ref = findHeld(broker, request)
    if (ref === undefined) reply(forwarded)
    else forward(broker, ref, request.deadlineMs, reply)
  })
}

function forward(broker: Broker, ref: DeliveryRef, deadlineMs: number, reply: Reply<ForwardToDeadLetterQueueAnswer>): void {
  settle(broker, { kind: 'deadLetter', ref }, deadlineMs, refusal => reply(isPassing(refusal) ? refusal : forwarded))
}

/** A refusal that trying again may lift. */
function isPassing(refusal: Refusal | undefined): refusal is Refusal {
  return refusal !== undefined && refusal.code !== 'invalidReceiptHandle'
}

function findHeld(broker: Broker, request: ForwardToDeadLetterQueueRequest): DeliveryRef | undefined {
  const { view, raft } = broker
  const { clientId, consumerGroup, topic, messageId } = request
  const topicId = view.topic(topic)?.topicId
  const consumerGroupId = view.group(consumerGroup)?.consumerGroupId
  if (clientId === undefined || topicId === undefined || consumerGroupId === undefined) return undefined
  let looked = 0
  for (const { ref, logIndex, ordinal } of view.deliveriesOf(hash64(clientId))) {
    if (ref.topicId !== topicId || ref.consumerGroupId !== consumerGroupId) continue
    if (++looked > lookedAtMax) return undefined
    const body = raft.entryBody(logIndex)
    const message = body === undefined ? undefined : sendMessageAt(body, ordinal)
    if (message === undefined) continue
    const systemProperties = { start: message.systemPropertiesStart, end: message.systemPropertiesEnd }
    if (messageIdOf(message.bytes, systemProperties) === messageId) return ref
  }
  return undefined
}
