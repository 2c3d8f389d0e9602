/**
 * raftmq.v1.ClusterAdmin: topics, consumer groups and the state of the nodes, for the command line and for people's own tools. The generated
 * classes do the bytes here; nothing is hot. Callers need no client id.
 */
import '../../platform/protobuf.ts'
import { raftmq } from '#proto/raftmq-v1.js'
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { Caller, RpcContext, UnaryHandler } from '../handler.ts'
import { patienceMs } from '../metadata.ts'
import { decodeRequest, type Decoder } from '../messaging/decode.ts'
import type { Method } from '../messaging/methods.ts'
import { checkGroup, checkTopic } from '../messaging/names.ts'
import { adminStatusOf, okAdminStatus } from './admin-status.ts'
import { memberOf, wishOf } from './member-wish.ts'
import { groupOf, nodeOf, settingsOf, startOf, topicOf, topicTypeOf } from './convert.ts'

const v1 = raftmq.v1

export const adminServiceName = 'raftmq.v1.ClusterAdmin'

export type ClusterStatus = raftmq.v1.ClusterStatusResponse.$Properties

export interface AdminContext extends RpcContext {
  /** Asked of the node that composes all parts; `reply` runs exactly once. */
  readonly clusterStatus: (
    request: { readonly local: boolean; readonly deadlineMs: number },
    reply: (status: ClusterStatus) => void,
  ) => void
}

/** When the request leaves it open. */
const defaultQueueCount = 8
const queueCountMax = 1_024
const topicsPerGroupMax = 1_024

const unary = (handle: UnaryHandler): Method => ({ kind: 'unary', handle })

export function adminMethods(): Readonly<Record<string, Method>> {
  return {
    CreateTopic: unary(createTopic),
    DeleteTopic: unary(deleteTopic),
    ListTopics: unary(listTopics),
    GetTopic: unary(getTopic),
    EnsureGroup: unary(ensureGroup),
    ListGroups: unary(listGroups),
    GetGroup: unary(getGroup),
    ChangeMembers: unary(changeMembers),
    ListMembers: unary(listMembers),
    TransferLeader: unary(transferLeader),
    FinalizeUpgrade: unary(finalizeUpgrade),
    ClusterStatus: unary(clusterStatus),
  }
}

type Asked = { readonly deadlineMs: number; readonly clientId: string | undefined }
type Answer<Response> = (response: Response | Refusal) => void

/** A call: bytes to request, `run` checks it and asks the broker (or gives the refusal of a bad request), response or refusal to bytes. */
function call<Request, Response extends { status?: object | null }>(
  request: Decoder<Request>,
  response: { encode(message: Response | { status: object }): { finish(): Uint8Array } },
  run: (context: RpcContext, asked: Asked, message: Request, answer: Answer<Response>) => Refusal | undefined,
): UnaryHandler {
  return (context, caller, bytes, reply) => {
    const answer: Answer<Response> = message => {
      const encoded = response.encode(isRefusal(message) ? { status: adminStatusOf(message) } : message).finish()
      reply(Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length))
    }
    const decoded = decodeRequest(request, 'request of this method', bytes)
    if (decoded.kind === 'refused') return answer(decoded)
    const bad = run(context, askedBy(context, caller), decoded.message, answer)
    if (bad !== undefined) answer(bad)
  }
}

function askedBy(context: RpcContext, caller: Caller): Asked {
  return { deadlineMs: context.clock.nowMs() + patienceMs(caller.leftMs), clientId: caller.clientId }
}

function isRefusal(message: object): message is Refusal {
  return 'kind' in message && message.kind === 'refused'
}

const createTopic = call(v1.CreateTopicRequest, v1.CreateTopicResponse, (context, asked, message, answer) => {
  const queueCount = message.queueCount === 0 ? defaultQueueCount : message.queueCount
  const bad = checkTopic(message.name)
  if (bad !== undefined) return bad
  if (queueCount > queueCountMax) return refuse('badRequest', `a topic has at most ${queueCountMax} queues`)
  const { retentionMs, retentionBytes } = message
  const isRetained = retentionMs != null || retentionBytes != null
  const retention = { ageMs: retentionMs ?? 0, sizeBytes: retentionBytes ?? 0 }
  const request = { ...asked, topic: message.name, type: topicTypeOf(message.type), queueCount, ...(isRetained ? { retention } : {}) }
  context.broker.createTopic(request, made => {
    answer(made.kind === 'refused' ? made : { status: okAdminStatus, topic: topicOf(made.topic, true), existed: made.existed })
  })
  return undefined
})

const deleteTopic = call(v1.DeleteTopicRequest, v1.DeleteTopicResponse, (context, asked, message, answer) => {
  const bad = checkTopic(message.name)
  if (bad !== undefined) return bad
  context.broker.deleteTopic({ ...asked, topic: message.name }, done => answer(done.kind === 'refused' ? done : { status: okAdminStatus }))
  return undefined
})

const listTopics = call(v1.ListTopicsRequest, v1.ListTopicsResponse, (context, asked, _message, answer) => {
  context.broker.listTopics({ ...asked, prefix: '' }, found => {
    answer(found.kind === 'refused' ? found : { status: okAdminStatus, topics: found.topics.map(topic => topicOf(topic, false)) })
  })
  return undefined
})

const getTopic = call(v1.GetTopicRequest, v1.GetTopicResponse, (context, asked, message, answer) => {
  const bad = checkTopic(message.name)
  if (bad !== undefined) return bad
  context.broker.getTopic({ ...asked, topic: message.name }, found => {
    answer(found.kind === 'refused' ? found : { status: okAdminStatus, topic: topicOf(found.topic, true) })
  })
  return undefined
})

const ensureGroup = call(v1.EnsureGroupRequest, v1.EnsureGroupResponse, (context, asked, message, answer) => {
  const consumerGroup = message.name
  const settings = settingsOf(message.settings)
  const bad = checkGroup(consumerGroup) ?? message.topics.map(checkTopic).find(refusal => refusal !== undefined)
  if (bad !== undefined) return bad
  if (settings !== undefined && 'kind' in settings) return settings
  const start = startOf(message.start)
  if (start.kind === 'refused') return start
  if (message.topics.length > topicsPerGroupMax) return refuse('badRequest', `at most ${topicsPerGroupMax} topics can be named at once`)
  const { topics, replaceSettings } = message
  context.broker.ensureGroup({ ...asked, consumerGroup, settings, start, topics, replaceSettings }, done => {
    answer(done.kind === 'refused' ? done : { status: okAdminStatus, group: groupOf(done.group, true, undefined) })
  })
  return undefined
})

const listGroups = call(v1.ListGroupsRequest, v1.ListGroupsResponse, (context, asked, _message, answer) => {
  context.broker.listGroups({ ...asked, prefix: '' }, found => {
    answer(
      found.kind === 'refused' ? found : { status: okAdminStatus, groups: found.groups.map(group => groupOf(group, false, undefined)) },
    )
  })
  return undefined
})

const getGroup = call(v1.GetGroupRequest, v1.GetGroupResponse, (context, asked, message, answer) => {
  const bad = checkGroup(message.name)
  if (bad !== undefined) return bad
  context.broker.getGroup({ ...asked, consumerGroup: message.name }, found => {
    if (found.kind === 'refused') return answer(found)
    // The dead letters of all topics are one topic of their own, which is there from the first of them on.
    context.broker.getTopic({ ...asked, topic: `%DLQ%${message.name}` }, letters => {
      const dead =
        letters.kind === 'refused' ? 0 : letters.topic.queues.reduce((sum, queue) => sum + queue.nextOffset - queue.firstOffset, 0)
      answer({ status: okAdminStatus, group: groupOf(found.group, true, dead) })
    })
  })
  return undefined
})

const transferLeader = call(v1.TransferLeaderRequest, v1.TransferLeaderResponse, (context, asked, message, answer) => {
  const { nodes } = context.broker.clusterStatus()
  const nameOf = (id: number): string => nodes.find(node => node.id === id)?.name ?? `node ${id}`
  const to = message.to === '' ? undefined : nodes.find(node => node.name === message.to)?.id
  if (message.to !== '' && to === undefined)
    return refuse('notFound', `there is no node ${message.to}; there are ${nodes.map(({ name }) => name).join(', ')}`)
  context.broker.transferLeader({ deadlineMs: asked.deadlineMs, to }, done => {
    if (done.kind === 'refused') return answer(done)
    answer({ status: okAdminStatus, from: nameOf(done.from), to: nameOf(done.to), elapsedMs: done.elapsedMs })
  })
  return undefined
})

const finalizeUpgrade = call(v1.FinalizeUpgradeRequest, v1.FinalizeUpgradeResponse, (context, asked, _message, answer) => {
  context.broker.finalizeUpgrade(asked, done => {
    answer(done.kind === 'refused' ? done : { status: okAdminStatus, before: done.before, level: done.level })
  })
  return undefined
})

const changeMembers = call(v1.ChangeMembersRequest, v1.ChangeMembersResponse, (context, asked, message, answer) => {
  const wish = wishOf(message, context.broker.members())
  if (wish.kind === 'refused') return wish
  context.broker.changeMembers({ deadlineMs: asked.deadlineMs, wish }, done => {
    if (done.kind === 'refused') return answer(done)
    answer({ status: okAdminStatus, index: done.index, added: wish.kind === 'cancel' ? [] : [...wish.add] })
  })
  return undefined
})

const listMembers = call(v1.ListMembersRequest, v1.ListMembersResponse, (context, _asked, _message, answer) => {
  const { members, index, isCommitted, phase } = context.broker.members()
  answer({
    status: okAdminStatus,
    members: members.map(memberOf),
    index,
    isCommitted,
    phase,
    answeredBy: context.broker.clusterStatus().answeredBy,
  })
  return undefined
})

const clusterStatus = call(v1.ClusterStatusRequest, v1.ClusterStatusResponse, (context, _asked, message, answer) => {
  const status = context.broker.clusterStatus()
  const nodes = status.nodes.filter(node => !message.local || node.id === status.answeredBy).map(node => nodeOf(node, status.commitIndex))
  answer({
    status: okAdminStatus,
    clusterName: status.clusterName,
    answeredBy: status.answeredBy,
    leader: status.leader ?? 0,
    term: status.term,
    commitIndex: status.commitIndex,
    clusterTimeMs: status.clusterTimeMs,
    nodes,
    topics: status.topicCount,
    groups: status.groupCount,
    featureLevel: status.featureLevel,
  })
  return undefined
})
