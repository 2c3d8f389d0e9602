/**
 * Heartbeat: a client lives. Answered at once, from nothing: it must work for a client this node has never heard of, and during an election.
 * It calls no consumer group into being: a heartbeat names no topic, and a group is what its topics make it (rule 20 is kept by settings and receive).
 */
import type { Broker } from './broker.ts'
import type { HeartbeatAnswer, HeartbeatRequest, Reply, TerminationAnswer, TerminationRequest } from './requests.ts'
import { replySoon } from './propose.ts'

export function heartbeat(broker: Broker, request: HeartbeatRequest, reply: Reply<HeartbeatAnswer>): void {
  const isConsumer = request.consumerGroup !== undefined || (request.clientType !== undefined && request.clientType !== 'producer')
  if (isConsumer) broker.clients.heardConsumer(request.clientId)
  else broker.clients.heard(request.clientId)
  replySoon(broker, reply, { kind: 'alive' })
}

/** NotifyClientTermination: its unsettled messages go to others soon. Clients do not wait for the answer's meaning. */
export function notifyTermination(broker: Broker, request: TerminationRequest, reply: Reply<TerminationAnswer>): void {
  if (request.clientId !== undefined) broker.clients.terminated(request.clientId)
  replySoon(broker, reply, { kind: 'terminated' })
}
