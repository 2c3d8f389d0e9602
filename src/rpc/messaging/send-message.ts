/** SendMessage: the wire scan finds the messages, the limits are checked, the broker appends them, and each gets its entry in the reply. */
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { SendAnswer } from '../../broker/requests.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { scanSend, type ScannedMessage } from '../wire/scan.ts'
import { lengthFieldBytes, varintFieldBytes, writeLengthTag, writeTextField, writeVarintField } from '../wire/writer.ts'
import { okReply, okStatus, refusalReply, statusFieldBytes, statusOf, statusText, writeStatusField, type StatusText } from './replies.ts'
import { checkClientId, checkSend } from './validate.ts'

export const sendMessage: UnaryHandler = (context, caller, request, reply) => {
  const scan = scanSend(request)
  if (scan.kind === 'problem')
    return reply(refusalReply(checkClientId(caller.clientId) ?? refuse('badRequest', `not a SendMessageRequest: ${scan.problem}`)))
  const { messages } = scan
  const noId = checkClientId(caller.clientId)
  if (noId !== undefined) return reply(refused(noId, messages))
  const check = checkSend(messages, context.clock.wallMs())
  if (check.kind === 'refused') return reply(refused(check, messages))
  context.broker.send(
    {
      deadlineMs: context.clock.nowMs() + patienceMs(caller.leftMs),
      clientId: caller.clientId,
      topic: messages[0]?.topic ?? '',
      messageType: check.type,
      messageGroup: check.messageGroup,
      messages,
    },
    answer => reply(answer.kind === 'refused' ? refused(answer, messages) : sent(answer)),
  )
}

/** SendResultEntry: 1 status, 2 message_id, 4 offset. Transaction id and recall handle stay empty: no such message is accepted yet. */
function entryBytes(status: StatusText, idBytes: number, offset: number): number {
  return statusFieldBytes(1, status) + lengthFieldBytes(2, idBytes) + (offset === 0 ? 0 : varintFieldBytes(4, offset))
}

function writeEntry(out: Buffer, position: number, status: StatusText, messageId: string, offset: number): number {
  const idBytes = Buffer.byteLength(messageId)
  let at = writeLengthTag(out, position, 2, entryBytes(status, idBytes, offset))
  at = writeStatusField(out, at, 1, status)
  at = writeTextField(out, at, 2, messageId, idBytes)
  return offset === 0 ? at : writeVarintField(out, at, 4, offset)
}

function sent(answer: SendAnswer): Buffer {
  let bytes = okReply.length
  for (const entry of answer.entries) bytes += lengthFieldBytes(2, entryBytes(okStatus, Buffer.byteLength(entry.messageId), entry.offset))
  const out = Buffer.allocUnsafe(bytes)
  out.set(okReply)
  let at = okReply.length
  for (const entry of answer.entries) at = writeEntry(out, at, okStatus, entry.messageId, entry.offset)
  return out
}

/** All or nothing: every message has the status that stands on top, where all clients look for it. */
function refused(refusal: Refusal, messages: readonly ScannedMessage[]): Buffer {
  const status = statusOf(refusal)
  const top = refusalReply(refusal)
  // The sentence stands in the reply once; an entry needs the code.
  const inEntry = messages.length === 1 ? status : statusText(status.code, '')
  let bytes = top.length
  for (const message of messages) bytes += lengthFieldBytes(2, entryBytes(inEntry, Buffer.byteLength(message.messageId), 0))
  const out = Buffer.allocUnsafe(bytes)
  out.set(top)
  let at = top.length
  for (const message of messages) at = writeEntry(out, at, inEntry, message.messageId, 0)
  return out
}
