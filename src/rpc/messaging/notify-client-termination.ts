/** NotifyClientTermination: a client says goodbye. OK also for one that nobody knows, or Rust's shutdown fails. */
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { decodeRequest } from './decode.ts'
import { okReply, refusalReply } from './replies.ts'
import { checkClientId } from './validate.ts'

export const notifyClientTermination: UnaryHandler = (context, caller, bytes, reply) => {
  const decoded = decodeRequest(apache.rocketmq.v2.NotifyClientTerminationRequest, 'NotifyClientTerminationRequest', bytes)
  const bad = decoded.kind === 'refused' ? decoded : checkClientId(caller.clientId)
  if (bad !== undefined) return reply(refusalReply(bad))
  const name = decoded.kind === 'decoded' ? (decoded.message.group?.name ?? '') : ''
  const consumerGroup = name === '' ? undefined : name
  const deadlineMs = context.clock.nowMs() + patienceMs(caller.leftMs)
  context.broker.terminate({ deadlineMs, clientId: caller.clientId, consumerGroup }, answer =>
    reply(answer.kind === 'refused' ? refusalReply(answer) : okReply),
  )
}
