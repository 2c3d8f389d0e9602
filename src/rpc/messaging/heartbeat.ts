/** Heartbeat: who is alive, of which group. Go sends one with no header and no field after trouble; it is answered OK like any other. */
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import { refuse } from '../../broker/refusal.ts'
import type { ClientType } from '../../broker/requests.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { decodeRequest } from './decode.ts'
import { checkGroup } from './names.ts'
import { okReply, refusalReply } from './replies.ts'

const v2 = apache.rocketmq.v2

export const heartbeat: UnaryHandler = (context, caller, bytes, reply) => {
  const decoded = decodeRequest(v2.HeartbeatRequest, 'HeartbeatRequest', bytes)
  if (decoded.kind === 'refused') return reply(refusalReply(decoded))
  const { message } = decoded
  const name = message.group?.name ?? ''
  const consumerGroup = name === '' ? undefined : name
  if (consumerGroup !== undefined) {
    const bad = checkGroup(consumerGroup)
    if (bad !== undefined) return reply(refusalReply(bad))
  }
  const clientType = clientTypeOf(message.clientType)
  if (clientType === 'unknown')
    return reply(refusalReply(refuse('unrecognizedClientType', `there is no client type ${message.clientType}`)))
  // Nobody to keep alive.
  if (caller.clientId === undefined) return reply(okReply)
  const deadlineMs = context.clock.nowMs() + patienceMs(caller.leftMs)
  context.broker.heartbeat({ deadlineMs, clientId: caller.clientId, clientType, consumerGroup }, answer =>
    reply(answer.kind === 'refused' ? refusalReply(answer) : okReply),
  )
}

/** undefined = not said; lite clients are not served yet. */
export function clientTypeOf(type: apache.rocketmq.v2.ClientType): ClientType | 'unknown' | undefined {
  switch (type) {
    case v2.ClientType.CLIENT_TYPE_UNSPECIFIED:
      return undefined
    case v2.ClientType.PRODUCER:
      return 'producer'
    case v2.ClientType.PUSH_CONSUMER:
      return 'pushConsumer'
    case v2.ClientType.SIMPLE_CONSUMER:
      return 'simpleConsumer'
    case v2.ClientType.PULL_CONSUMER:
      return 'pullConsumer'
    case v2.ClientType.LITE_PUSH_CONSUMER:
    case v2.ClientType.LITE_SIMPLE_CONSUMER:
      return 'unknown'
    default:
      // The wire can bring any number.
      return 'unknown'
  }
}
