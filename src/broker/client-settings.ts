/**
 * A client announces itself. For a consumer its group comes into being here, if it is not there (rule 20): with a place in each subscribed topic
 * that exists, starting at the end. A group that is made by its subscriptions is FIFO when all its topics are; an operator can make it otherwise.
 * Nothing later depends on this node having seen the settings: the group is replicated state, the answer is read from it.
 */
import { bounds } from '../state/command-codec.ts'
import type { EnsureGroup, GroupSettings } from '../state/command.ts'
import { applyRefusal } from './apply-refusal.ts'
import type { Broker } from './broker.ts'
import { defaultGroupSettings } from './group-defaults.ts'
import type { Refusal } from './refusal.ts'
import type { ConsumerSettingsRequest, Reply, SettingsAnswer, SettingsRequest } from './requests.ts'
import { afterBarrier, proposeForReply, replySoon } from './propose.ts'

export function clientSettings(broker: Broker, request: SettingsRequest, reply: Reply<SettingsAnswer>): void {
  if (request.kind === 'producer') {
    broker.clients.heard(request.clientId)
    return replySoon(broker, reply, { kind: 'settings', group: defaultGroupSettings(false) })
  }
  broker.clients.heardConsumer(request.clientId)
  if (!subscribesToUnknown(broker, request)) return announceConsumer(broker, request, reply)
  const refused = (refusal: Refusal): void => reply(answerOf(broker, request, refusal))
  afterBarrier(broker, request.deadlineMs, refused, () => announceConsumer(broker, request, reply))
}

/**
 * A topic that this node does not know may be one it lags behind (rule 13). The group's place in it begins now and not at its first receive, or
 * what is sent in between is never received; and its topics decide, once, whether a new group is FIFO.
 */
function subscribesToUnknown({ view }: Broker, { topics }: ConsumerSettingsRequest): boolean {
  return topics.some(topic => view.topic(topic) === undefined)
}

function announceConsumer(broker: Broker, request: ConsumerSettingsRequest, reply: Reply<SettingsAnswer>): void {
  const { view } = broker
  const group = view.group(request.consumerGroup)
  const topics = request.topics.filter(topic => view.topic(topic) !== undefined && !view.hasPlace(request.consumerGroup, topic))
  if (group !== undefined && topics.length === 0) return replySoon(broker, reply, { kind: 'settings', group: group.settings })
  const command: EnsureGroup = {
    kind: 'ensureGroup',
    consumerGroup: request.consumerGroup,
    settings: defaultGroupSettings(isFifoGroup(broker, request)),
    start: { kind: 'last' },
    topics: topics.slice(0, bounds.topicsMax),
    replaceSettings: false,
  }
  proposeForReply(broker, command, request.deadlineMs, outcome =>
    reply(answerOf(broker, request, outcome.kind === 'refused' ? outcome : undefined)),
  )
}

function isFifoGroup(broker: Broker, request: ConsumerSettingsRequest): boolean {
  if (request.fifo !== undefined) return request.fifo
  return request.topics.length > 0 && request.topics.every(topic => broker.view.topic(topic)?.type === 'fifo')
}

/** From state, whatever became of the proposal: a group that is there is all the client needs. */
function answerOf(broker: Broker, request: ConsumerSettingsRequest, refusal: Refusal | undefined): SettingsAnswer | Refusal {
  const settings: GroupSettings | undefined = broker.view.group(request.consumerGroup)?.settings
  if (settings !== undefined) return { kind: 'settings', group: settings }
  return refusal ?? applyRefusal('tooManyGroups', request.consumerGroup)
}
