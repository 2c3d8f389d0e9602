/**
 * Routes, layout A of the protocol reference §5.3: one broker name for each node, each with its own single address and all queues of the topic.
 * Up and down come from replicated state, so the answer and its order are the same from every node (rule 16). QueryAssignment keeps a dead node
 * for 60 s: every node reaches its queues, and clients pay for each change of an assignment.
 */
import type { Broker, BrokerNodeInfo } from './broker.ts'
import type { StateView, TopicView } from './state-view.ts'
import { applyRefusal } from './apply-refusal.ts'
import { refuse, type Refusal } from './refusal.ts'
import type { AssignmentAnswer, QueryAssignmentRequest, QueryRouteRequest, Reply, RouteAnswer, RouteBroker } from './requests.ts'
import { afterBarrier, replySoon } from './propose.ts'

/** How long an assignment names a node that went down. */
const assignmentKeepsMs = 60_000

/** When this node saw others go down: the state says only that they are. */
export class RouteMemory {
  readonly #downSinceMs = new Map<number, number>()

  /** After applies. */
  note(view: StateView, nodes: readonly BrokerNodeInfo[], nowMs: number): void {
    for (const { id } of nodes) {
      if (view.isNodeUp(id)) this.#downSinceMs.delete(id)
      else if (!this.#downSinceMs.has(id)) this.#downSinceMs.set(id, nowMs)
    }
  }

  isLongDown(node: number, nowMs: number): boolean {
    const since = this.#downSinceMs.get(node)
    return since !== undefined && nowMs - since >= assignmentKeepsMs
  }
}

export function queryRoute(broker: Broker, request: QueryRouteRequest, reply: Reply<RouteAnswer>): void {
  withTopic(broker, request, reply, (topic): RouteAnswer => ({
    kind: 'route',
    topic: topic.name,
    type: topic.type,
    queueCount: topic.queueCount,
    brokers: brokersOf(broker, node => broker.view.isNodeUp(node)),
  }))
}

export function queryAssignment(broker: Broker, request: QueryAssignmentRequest, reply: Reply<AssignmentAnswer>): void {
  const nowMs = broker.clock.nowMs()
  withTopic(broker, request, reply, (topic): AssignmentAnswer => ({
    kind: 'assignment',
    topic: topic.name,
    type: topic.type,
    brokers: brokersOf(broker, node => broker.view.isNodeUp(node) || !broker.routes.isLongDown(node, nowMs)),
  }))
}

/** An unknown topic is only unknown after a barrier: clients take the answer as final. */
function withTopic<Answer>(
  broker: Broker,
  request: QueryRouteRequest,
  reply: (answer: Answer | Refusal) => void,
  answerFor: (topic: TopicView) => Answer,
): void {
  if (isOut(broker)) return replySoon(broker, reply, refuse('haNotAvailable', 'this node was removed from the group'))
  const known = broker.view.topic(request.topic)
  if (known !== undefined) return replySoon(broker, reply, answerFor(known))
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const topic = broker.view.topic(request.topic)
    reply(topic === undefined ? applyRefusal('topicNotFound', request.topic) : answerFor(topic))
  })
}

/**
 * We were removed, and nobody tells us of the group any more: who belongs to it now we do not know, and a client would take our word for it
 * (docs/bugs-found.md). While the leader still speaks to us we know.
 */
function isOut({ raft }: Broker): boolean {
  return raft.leaderId === undefined && raft.membership().isRemoved
}

/**
 * By node number. Half of the nodes, or fewer, serve nobody: what the log says then is old, and who has come back since is not up in it before somebody leads
 * again, and then for seconds. A client asks every 30 s, so all are named, and it finds the ones that answer.
 */
function brokersOf(broker: Broker, isWanted: (node: number) => boolean): RouteBroker[] {
  const wanted = broker.nodes.filter(({ id }) => isWanted(id))
  const listed = wanted.length * 2 > broker.nodes.length ? wanted : broker.nodes
  return listed.map(({ name, clientAddress }) => ({ name, host: clientAddress.host, port: clientAddress.port }))
}
