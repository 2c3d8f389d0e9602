/** QueryAssignment: one queue with id −1 ("any") per broker name, for push and simple consumers alike. The receive that follows reads all queues anyway. */
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import type { AssignmentAnswer } from '../../broker/requests.ts'
import type { UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { decodeRequest } from './decode.ts'
import { checkGroup, checkTopic } from './names.ts'
import { acceptedTypes, brokerOf } from './query-route.ts'
import { refusalReply } from './replies.ts'
import { checkClientId } from './validate.ts'

const v2 = apache.rocketmq.v2

export const queryAssignment: UnaryHandler = (context, caller, bytes, reply) => {
  const decoded = decodeRequest(v2.QueryAssignmentRequest, 'QueryAssignmentRequest', bytes)
  if (decoded.kind === 'refused') return reply(refusalReply(decoded))
  const topic = decoded.message.topic?.name ?? ''
  const consumerGroup = decoded.message.group?.name ?? ''
  const bad = checkClientId(caller.clientId) ?? checkTopic(topic) ?? checkGroup(consumerGroup)
  if (bad !== undefined) return reply(refusalReply(bad))
  const namespace = decoded.message.topic?.resourceNamespace ?? ''
  const deadlineMs = context.clock.nowMs() + patienceMs(caller.leftMs)
  context.broker.queryAssignment({ deadlineMs, clientId: caller.clientId, topic, consumerGroup }, answer =>
    reply(answer.kind === 'refused' ? refusalReply(answer) : assignmentReply(answer, namespace)),
  )
}

function assignmentReply(answer: AssignmentAnswer, resourceNamespace: string): Buffer {
  const topic = { name: answer.topic, resourceNamespace }
  const acceptMessageTypes = acceptedTypes(answer.type)
  const assignments = answer.brokers.map(broker => ({
    messageQueue: { topic, id: -1, permission: v2.Permission.READ_WRITE, broker: brokerOf(broker), acceptMessageTypes },
  }))
  const bytes = v2.QueryAssignmentResponse.encode({ status: { code: v2.Code.OK, message: 'OK' }, assignments }).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
