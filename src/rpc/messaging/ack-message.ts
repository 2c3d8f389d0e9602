/** AckMessage: one result entry for each entry of the request, echoing its id and handle; on top the code that all share, or MULTIPLE_RESULTS. */
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { multipleResultsCode } from '../status-codes.ts'
import { scanAck, type AckEntry } from '../wire/scan-requests.ts'
import { lengthFieldBytes, writeLengthTag, writeTextField } from '../wire/writer.ts'
import { checkGroup, checkTopic } from './names.ts'
import { okStatus, refusalReply, statusFieldBytes, statusOf, statusText, writeStatusField, type StatusText } from './replies.ts'
import { checkClientId } from './validate.ts'

export const ackMessage: UnaryHandler = (context, caller, bytes, reply) => {
  const scan = scanAck(bytes)
  if (typeof scan === 'string') return reply(refusalReply(refuse('badRequest', `not an AckMessageRequest: ${scan}`)))
  const { entries } = scan
  const bad = checkClientId(caller.clientId) ?? checkTopic(scan.topic.name) ?? checkGroup(scan.consumerGroup.name) ?? checkEntries(entries)
  if (bad !== undefined) return reply(ackReply(entries, () => statusOf(bad), bad))
  const deadlineMs = context.clock.nowMs() + patienceMs(caller.leftMs)
  const request = { deadlineMs, clientId: caller.clientId, consumerGroup: scan.consumerGroup.name, topic: scan.topic.name, entries }
  context.broker.ack(request, answer => {
    if (answer.kind === 'refused') return reply(ackReply(entries, () => statusOf(answer), answer))
    reply(
      ackReply(entries, i => {
        const refusal = answer.refusals[i]
        return refusal === undefined ? okStatus : statusOf(refusal)
      }),
    )
  })
}

function checkEntries(entries: readonly AckEntry[]): Refusal | undefined {
  return entries.length === 0 ? refuse('badRequest', 'the request has no entry') : undefined
}

const mixedStatus = statusText(multipleResultsCode, 'see the entries')

/** AckMessageResponse { 1 status, 2 entries { 1 message_id, 2 receipt_handle, 3 status } }. */
function ackReply(entries: readonly AckEntry[], statusOfEntry: (i: number) => StatusText, refusal?: Refusal): Buffer {
  const statuses = entries.map((_, i) => statusOfEntry(i))
  const first = statuses[0]
  const isUniform = statuses.every(status => status.code === first?.code)
  const top = refusal !== undefined ? statusOf(refusal) : isUniform ? (first ?? okStatus) : mixedStatus
  const contents = entries.map((entry, i) => entryBytes(entry, statuses[i] ?? okStatus))
  const out = Buffer.allocUnsafe(contents.reduce((sum, bytes) => sum + lengthFieldBytes(2, bytes), statusFieldBytes(1, top)))
  let at = writeStatusField(out, 0, 1, top)
  entries.forEach((entry, i) => {
    at = writeLengthTag(out, at, 2, contents[i] ?? 0)
    at = writeTextField(out, at, 1, entry.messageId, Buffer.byteLength(entry.messageId))
    at = writeTextField(out, at, 2, entry.receiptHandle, Buffer.byteLength(entry.receiptHandle))
    at = writeStatusField(out, at, 3, statuses[i] ?? okStatus)
  })
  return out
}

function entryBytes(entry: AckEntry, status: StatusText): number {
  return (
    lengthFieldBytes(1, Buffer.byteLength(entry.messageId)) +
    lengthFieldBytes(2, Buffer.byteLength(entry.receiptHandle)) +
    statusFieldBytes(3, status)
  )
}
