/**
 * Send: one request, one command, one entry; all or nothing (rule 17). The gateway computes what must be computed once (digest, fingerprint,
 * deduplication key); where the messages go is decided in apply. The messages' bytes go into the log as the client encoded them.
 */
import { hash64, dedupeKeyOf, fingerprintOf, md5, tagHashOf } from './hash.ts'
import { applyRefusal } from './apply-refusal.ts'
import { fullRefusal } from './admission.ts'
import { afterBarrier, proposeForReply, replySoon } from './propose.ts'
import { refuse, type Refusal } from './refusal.ts'
import { bounds } from '../state/command-codec.ts'
import { MessageType, type Send, type SendMessage } from '../state/command.ts'
import type { Applied } from './outcome.ts'
import type { Broker } from './broker.ts'
import type { OutgoingMessage, Reply, SendAnswer, SendRequest } from './requests.ts'

/** From this size on a body is hashed off the loop (rule 17: nothing on the loop takes more than 2 ms). */
export const largeBodyBytes = 64 * 1024

/** One request is one entry, which must fit a frame between nodes with room to spare. */
export const requestBytesMax = 12 * 1024 * 1024

export function send(broker: Broker, request: SendRequest, reply: Reply<SendAnswer>): void {
  const bytes = bytesOf(request)
  if (bytes > requestBytesMax || request.messages.length > bounds.messagesMax) return replySoon(broker, reply, tooLarge())
  const full = broker.diskAlarm.refusal()
  if (full !== undefined) return replySoon(broker, reply, full)
  if (!broker.admission.tryEnter(bytes)) return replySoon(broker, reply, fullRefusal())
  const finish = (answer: SendAnswer | Refusal): void => {
    broker.admission.leave(bytes)
    reply(answer)
  }
  const problem = topicProblem(broker, request)
  if (problem === undefined) return digestAndPropose(broker, request, finish)
  // We may lag: look again when we are as new as the question (rule 13). A body does not go into the log for a topic that is not there.
  afterBarrier(broker, request.deadlineMs, finish, () => {
    const stillProblem = topicProblem(broker, request)
    if (stillProblem === undefined) digestAndPropose(broker, request, finish)
    else finish(stillProblem)
  })
}

function tooLarge(): Refusal {
  return refuse(
    'payloadTooLarge',
    `One request may hold ${bounds.messagesMax} messages and ${requestBytesMax} bytes: send them in several.`,
  )
}

function bytesOf(request: SendRequest): number {
  let bytes = 0
  for (const message of request.messages) bytes += message.bytes.length
  return bytes
}

function topicProblem(broker: Broker, { topic, messageType }: SendRequest): Refusal | undefined {
  const found = broker.view.topic(topic)
  if (found === undefined) return applyRefusal('topicNotFound', topic)
  const isFifo = messageType === MessageType.fifo
  // No topic is of another type yet, so these conflict with every topic.
  if (messageType !== MessageType.normal && !isFifo)
    return refuse('messagePropertyConflictWithType', 'Delayed and transactional messages are not supported yet.')
  return isFifo === (found.type === 'fifo') ? undefined : applyRefusal('messageTypeMismatch', topic)
}

function digestAndPropose(broker: Broker, request: SendRequest, finish: Reply<SendAnswer>): void {
  const { messages } = request
  const digests: (Uint8Array | undefined)[] = []
  let missing = 0
  for (let i = 0; i < messages.length; i++) {
    const { bytes, body } = messages[i] as OutgoingMessage
    const content = bytes.subarray(body.start, body.end)
    if (content.length < largeBodyBytes) {
      digests.push(md5(content))
      continue
    }
    digests.push(undefined)
    missing++
    broker.digestLarge(content, digest => {
      digests[i] = digest
      missing--
      if (missing === 0) propose(broker, request, digests as Uint8Array[], finish)
    })
  }
  if (missing === 0) propose(broker, request, digests as Uint8Array[], finish)
}

function propose(broker: Broker, request: SendRequest, digests: readonly Uint8Array[], finish: Reply<SendAnswer>): void {
  const { topic, messageType, messageGroup, messages, deadlineMs } = request
  const command: Send = {
    kind: 'send',
    topic,
    messageType,
    messageGroup: messageGroup === undefined ? undefined : hash64(messageGroup),
    messages: messages.map((message, i) => commandMessage(request, message, digests[i] as Uint8Array)),
  }
  proposeForReply(broker, command, deadlineMs, outcome => finish(outcome.kind === 'refused' ? outcome : answerOf(request, outcome)))
}

function commandMessage(request: SendRequest, message: OutgoingMessage, bodyMd5: Uint8Array): SendMessage {
  const { clientId, topic, messageGroup } = request
  const { messageId, tag, systemProperties, bytes } = message
  return {
    dedupeKey: clientId === undefined ? undefined : dedupeKeyOf(topic, clientId, messageId),
    fingerprint: fingerprintOf(message, messageGroup, bodyMd5),
    tagHash: tag === undefined ? 0 : tagHashOf(tag),
    bodyMd5,
    systemPropertiesStart: systemProperties.start,
    systemPropertiesEnd: systemProperties.end,
    bytes,
  }
}

function answerOf(request: SendRequest, { result }: Applied): SendAnswer | Refusal {
  if (result.kind === 'refused') return applyRefusal(result.reason, request.topic)
  if (result.kind !== 'sent') return refuse('internalServerError', `A send ended as ${result.kind}.`)
  const entries = result.messages.map(({ queueId, offset, isDuplicate }, i) => {
    return { messageId: (request.messages[i] as OutgoingMessage).messageId, queueId, offset, isDuplicate }
  })
  return { kind: 'sent', entries }
}
