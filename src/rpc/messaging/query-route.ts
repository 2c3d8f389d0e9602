/**
 * QueryRoute: one broker name per live node, each with its own single address and all queues of the topic (DESIGN rule 16, protocol reference
 * §5.3 layout A). Order and values are the same from every node, or clients drop their channels.
 */
import { isIPv4, isIPv6 } from 'node:net'
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import type { RouteAnswer, RouteBroker } from '../../broker/requests.ts'
import type { TopicType } from '../../state/command.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { decodeRequest } from './decode.ts'
import { checkTopic } from './names.ts'
import { refusalReply } from './replies.ts'
import { checkClientId } from './validate.ts'

const v2 = apache.rocketmq.v2

export const queryRoute: UnaryHandler = (context, caller, bytes, reply) => {
  const decoded = decodeRequest(v2.QueryRouteRequest, 'QueryRouteRequest', bytes)
  if (decoded.kind === 'refused') return reply(refusalReply(decoded))
  const topic = decoded.message.topic?.name ?? ''
  const bad = checkClientId(caller.clientId) ?? checkTopic(topic)
  if (bad !== undefined) return reply(refusalReply(bad))
  const namespace = decoded.message.topic?.resourceNamespace ?? ''
  const deadlineMs = context.clock.nowMs() + patienceMs(caller.leftMs)
  context.broker.queryRoute({ deadlineMs, clientId: caller.clientId, topic }, answer =>
    reply(answer.kind === 'refused' ? refusalReply(answer) : routeReply(answer, namespace)),
  )
}

function routeReply(answer: RouteAnswer, resourceNamespace: string): Buffer {
  const topic = { name: answer.topic, resourceNamespace }
  const acceptMessageTypes = acceptedTypes(answer.type)
  const messageQueues = answer.brokers.flatMap(broker =>
    Array.from({ length: answer.queueCount }, (_, id) => ({
      topic,
      id,
      permission: v2.Permission.READ_WRITE,
      broker: brokerOf(broker),
      acceptMessageTypes,
    })),
  )
  const bytes = v2.QueryRouteResponse.encode({ status: { code: v2.Code.OK, message: 'OK' }, messageQueues }).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** Never 0: Java and C# throw on it. */
export function acceptedTypes(type: TopicType): apache.rocketmq.v2.MessageType[] {
  return [type === 'fifo' ? v2.MessageType.FIFO : v2.MessageType.NORMAL]
}

/** Id 0 is the only one that clients write to and read from. */
export function brokerOf(broker: RouteBroker): apache.rocketmq.v2.Broker.$Properties {
  const scheme = isIPv4(broker.host) ? v2.AddressScheme.IPv4 : isIPv6(broker.host) ? v2.AddressScheme.IPv6 : v2.AddressScheme.DOMAIN_NAME
  return { name: broker.name, id: 0, endpoints: { scheme, addresses: [{ host: broker.host, port: broker.port }] } }
}
