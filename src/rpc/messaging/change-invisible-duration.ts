/** ChangeInvisibleDuration: the reply always carries a usable receipt handle, also on refusal, because clients overwrite theirs with it. */
import { refuse } from '../../broker/refusal.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { scanChangeInvisible } from '../wire/scan-requests.ts'
import { lengthFieldBytes, writeTextField } from '../wire/writer.ts'
import { checkGroup, checkTopic } from './names.ts'
import { okStatus, refusalReply, statusFieldBytes, statusOf, writeStatusField, type StatusText } from './replies.ts'
import { checkChangeInvisible, checkClientId } from './validate.ts'

export const changeInvisibleDuration: UnaryHandler = (context, caller, bytes, reply) => {
  const scan = scanChangeInvisible(bytes)
  if (typeof scan === 'string') return reply(refusalReply(refuse('badRequest', `not a ChangeInvisibleDurationRequest: ${scan}`)))
  const { receiptHandle, messageId, invisibleMs, suspend } = scan
  const bad =
    checkClientId(caller.clientId) ??
    checkTopic(scan.topic.name) ??
    checkGroup(scan.consumerGroup.name) ??
    checkChangeInvisible(invisibleMs)
  if (bad !== undefined) return reply(changed(statusOf(bad), receiptHandle))
  context.broker.changeInvisible(
    {
      deadlineMs: context.clock.nowMs() + patienceMs(caller.leftMs),
      clientId: caller.clientId,
      consumerGroup: scan.consumerGroup.name,
      topic: scan.topic.name,
      receiptHandle,
      messageId,
      invisibleMs,
      suspend,
    },
    answer => reply(answer.kind === 'refused' ? changed(statusOf(answer), receiptHandle) : changed(okStatus, answer.receiptHandle)),
  )
}

/** ChangeInvisibleDurationResponse { 1 status, 2 receipt_handle }. */
function changed(status: StatusText, receiptHandle: string): Buffer {
  const handleBytes = Buffer.byteLength(receiptHandle)
  const out = Buffer.allocUnsafe(statusFieldBytes(1, status) + lengthFieldBytes(2, handleBytes))
  writeTextField(out, writeStatusField(out, 0, 1, status), 2, receiptHandle, handleBytes)
  return out
}
