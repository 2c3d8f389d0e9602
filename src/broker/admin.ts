/**
 * Topics and consumer groups for operators. Changes are proposed; what is read is read behind a barrier, so that what one node has just
 * created another one shows. Names of dead letters (%DLQ%…) are topics like others.
 */
import type { Command } from '../state/command.ts'
import type { CommandResult } from '../state/result.ts'
import { applyRefusal } from './apply-refusal.ts'
import type { Broker } from './broker.ts'
import { defaultGroupSettings } from './group-defaults.ts'
import { afterBarrier, proposeForReply } from './propose.ts'
import { refuse, type Refusal } from './refusal.ts'
import type {
  CreateTopicRequest,
  EnsureGroupRequest,
  GroupAnswer,
  GroupEnsuredAnswer,
  GroupNameRequest,
  GroupsAnswer,
  GroupSummary,
  ListRequest,
  TopicAnswer,
  TopicCreatedAnswer,
  TopicDeletedAnswer,
  TopicNameRequest,
  TopicsAnswer,
  TopicSummary,
} from './admin-requests.ts'
import type { Reply } from './requests.ts'
import type { GroupView, TopicView } from './state-view.ts'

export function createTopic(broker: Broker, request: CreateTopicRequest, reply: Reply<TopicCreatedAnswer>): void {
  const { topic, type, queueCount, retention, deadlineMs } = request
  const finish: Reply<TopicCreatedAnswer> = made => {
    if (made.kind === 'refused' || retention === undefined) return reply(made)
    change(broker, { kind: 'setRetention', topic, retention }, deadlineMs, topic, reply, (): TopicCreatedAnswer | undefined => {
      const found = broker.view.topic(topic)
      return found === undefined ? undefined : { ...made, topic: topicSummary(broker, found) }
    })
  }
  change(broker, { kind: 'createTopic', topic, type, queueCount }, deadlineMs, topic, finish, (result): TopicCreatedAnswer | undefined => {
    const made = broker.view.topic(topic)
    if (result.kind !== 'topicCreated' || made === undefined) return undefined
    return { kind: 'topicCreated', topic: topicSummary(broker, made), existed: result.existed }
  })
}

export function deleteTopic(broker: Broker, request: TopicNameRequest, reply: Reply<TopicDeletedAnswer>): void {
  const { topic, deadlineMs } = request
  change(broker, { kind: 'deleteTopic', topic }, deadlineMs, topic, reply, (result): TopicDeletedAnswer | undefined => {
    return result.kind === 'topicDeleted' ? { kind: 'topicDeleted' } : undefined
  })
}

export function ensureGroup(broker: Broker, request: EnsureGroupRequest, reply: Reply<GroupEnsuredAnswer>): void {
  const { consumerGroup, start, topics, replaceSettings, deadlineMs } = request
  const isFifo = topics.length > 0 && topics.every(topic => broker.view.topic(topic)?.type === 'fifo')
  const settings = request.settings ?? defaultGroupSettings(isFifo)
  const command: Command = {
    kind: 'ensureGroup',
    consumerGroup,
    settings,
    start,
    topics,
    replaceSettings: replaceSettings && request.settings !== undefined,
  }
  change(broker, command, deadlineMs, consumerGroup, reply, (result): GroupEnsuredAnswer | undefined => {
    const group = broker.view.group(consumerGroup)
    return result.kind === 'groupEnsured' && group !== undefined ? { kind: 'groupEnsured', group: groupSummary(broker, group) } : undefined
  })
}

export function listTopics(broker: Broker, request: ListRequest, reply: Reply<TopicsAnswer>): void {
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const topics = [...broker.view.topics()].filter(({ name }) => name.startsWith(request.prefix)).map(topic => topicSummary(broker, topic))
    topics.sort((a, b) => (a.topic < b.topic ? -1 : 1))
    reply({ kind: 'topics', topics })
  })
}

export function describeTopic(broker: Broker, request: TopicNameRequest, reply: Reply<TopicAnswer>): void {
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const topic = broker.view.topic(request.topic)
    reply(topic === undefined ? applyRefusal('topicNotFound', request.topic) : { kind: 'topic', topic: topicSummary(broker, topic) })
  })
}

export function listGroups(broker: Broker, request: ListRequest, reply: Reply<GroupsAnswer>): void {
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const groups = [...broker.view.groups()].filter(({ name }) => name.startsWith(request.prefix)).map(group => groupSummary(broker, group))
    groups.sort((a, b) => (a.consumerGroup < b.consumerGroup ? -1 : 1))
    reply({ kind: 'groups', groups })
  })
}

export function describeGroup(broker: Broker, request: GroupNameRequest, reply: Reply<GroupAnswer>): void {
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const group = broker.view.group(request.consumerGroup)
    if (group === undefined) reply(refuse('consumerGroupNotFound', `There is no consumer group ${request.consumerGroup}.`))
    else reply({ kind: 'group', group: groupSummary(broker, group) })
  })
}

function change<Answer>(
  broker: Broker,
  command: Command,
  deadlineMs: number,
  name: string,
  reply: (answer: Answer | Refusal) => void,
  answerOf: (result: CommandResult) => Answer | undefined,
): void {
  proposeForReply(broker, command, deadlineMs, outcome => {
    if (outcome.kind === 'refused') return reply(outcome)
    const { result } = outcome
    if (result.kind === 'refused') return reply(applyRefusal(result.reason, name))
    reply(answerOf(result) ?? refuse('internalServerError', `The change of ${name} ended as ${result.kind}.`))
  })
}

function topicSummary(broker: Broker, { topicId, name, type, queueCount, retention }: TopicView): TopicSummary {
  return { topic: name, type, queueCount, retention, queues: broker.view.queues(topicId) }
}

function groupSummary(broker: Broker, { name, settings }: GroupView): GroupSummary {
  const topics = [...broker.view.places(name)].map(({ topic, waiting, retrying, blocked, inFlight, dead, queues }) => {
    return {
      topic,
      waiting: waiting + retrying + blocked,
      retrying,
      blocked,
      inFlight,
      dead,
      queues: queues.map(({ cursor, nextOffset }) => ({ cursor, nextOffset })),
    }
  })
  return { consumerGroup: name, settings, topics }
}
