/** ForwardMessageToDeadLetterQueue: asked for ever until OK, so only what may pass is ever refused; a handle that names nothing any more is OK (the broker's answer). */
import { refuse } from '../../broker/refusal.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { scanForward } from '../wire/scan-requests.ts'
import { checkGroup, checkTopic } from './names.ts'
import { okReply, refusalReply } from './replies.ts'
import { checkClientId } from './validate.ts'

export const forwardMessageToDeadLetterQueue: UnaryHandler = (context, caller, bytes, reply) => {
  const scan = scanForward(bytes)
  if (typeof scan === 'string') return reply(refusalReply(refuse('badRequest', `not a ForwardMessageToDeadLetterQueueRequest: ${scan}`)))
  const bad = checkClientId(caller.clientId) ?? checkTopic(scan.topic.name) ?? checkGroup(scan.consumerGroup.name)
  if (bad !== undefined) return reply(refusalReply(bad))
  context.broker.forwardToDeadLetterQueue(
    {
      deadlineMs: context.clock.nowMs() + patienceMs(caller.leftMs),
      clientId: caller.clientId,
      consumerGroup: scan.consumerGroup.name,
      topic: scan.topic.name,
      receiptHandle: scan.receiptHandle,
      messageId: scan.messageId,
    },
    answer => reply(answer.kind === 'refused' ? refusalReply(answer) : okReply),
  )
}
