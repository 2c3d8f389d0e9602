/**
 * What the RPC floor asks of the broker floor: a method for each use case, each with a request and a reply callback (src/broker/requests.ts).
 * An interface, so that the services can be tried against a stub; `src/node` fits the real broker into it.
 */
import type {
  ChangeMembersRequest,
  CreateTopicRequest,
  EnsureGroupRequest,
  FinalizeRequest,
  GroupAnswer,
  GroupEnsuredAnswer,
  GroupNameRequest,
  GroupsAnswer,
  LeaderTransferredAnswer,
  ListRequest,
  MembersChangedAnswer,
  MembersView,
  TopicAnswer,
  TopicCreatedAnswer,
  TopicDeletedAnswer,
  TopicNameRequest,
  TopicsAnswer,
  TransferLeaderRequest,
  UpgradeFinalizedAnswer,
} from '../broker/admin-requests.ts'
import type { ClusterStatusAnswer } from '../broker/reports.ts'
import type {
  AckAnswer,
  AckRequest,
  AssignmentAnswer,
  ChangeInvisibleAnswer,
  ChangeInvisibleRequest,
  ConsumerSettingsRequest,
  ForwardToDeadLetterQueueAnswer,
  ForwardToDeadLetterQueueRequest,
  HeartbeatAnswer,
  HeartbeatRequest,
  ProducerSettingsRequest,
  QueryAssignmentRequest,
  QueryRouteRequest,
  ReceivedBatch,
  ReceiveHandle,
  ReceiveRequest,
  Reply,
  RouteAnswer,
  SendAnswer,
  SendRequest,
  SettingsAnswer,
  TerminationAnswer,
  TerminationRequest,
} from '../broker/requests.ts'
import type { ClientPresence } from './connections.ts'

export interface MessagingDoor extends ClientPresence {
  send(request: SendRequest, reply: Reply<SendAnswer>): void
  receive(request: ReceiveRequest, reply: Reply<ReceivedBatch>): ReceiveHandle
  ack(request: AckRequest, reply: Reply<AckAnswer>): void
  changeInvisible(request: ChangeInvisibleRequest, reply: Reply<ChangeInvisibleAnswer>): void
  forwardToDeadLetterQueue(request: ForwardToDeadLetterQueueRequest, reply: Reply<ForwardToDeadLetterQueueAnswer>): void
  queryRoute(request: QueryRouteRequest, reply: Reply<RouteAnswer>): void
  queryAssignment(request: QueryAssignmentRequest, reply: Reply<AssignmentAnswer>): void
  heartbeat(request: HeartbeatRequest, reply: Reply<HeartbeatAnswer>): void
  settings(request: ProducerSettingsRequest | ConsumerSettingsRequest, reply: Reply<SettingsAnswer>): void
  terminate(request: TerminationRequest, reply: Reply<TerminationAnswer>): void
}

export interface AdministrationDoor {
  createTopic(request: CreateTopicRequest, reply: Reply<TopicCreatedAnswer>): void
  deleteTopic(request: TopicNameRequest, reply: Reply<TopicDeletedAnswer>): void
  listTopics(request: ListRequest, reply: Reply<TopicsAnswer>): void
  getTopic(request: TopicNameRequest, reply: Reply<TopicAnswer>): void
  ensureGroup(request: EnsureGroupRequest, reply: Reply<GroupEnsuredAnswer>): void
  listGroups(request: ListRequest, reply: Reply<GroupsAnswer>): void
  getGroup(request: GroupNameRequest, reply: Reply<GroupAnswer>): void
  changeMembers(request: ChangeMembersRequest, reply: Reply<MembersChangedAnswer>): void
  /** At once, from what this node's log says. */
  members(): MembersView
  transferLeader(request: TransferLeaderRequest, reply: Reply<LeaderTransferredAnswer>): void
  finalizeUpgrade(request: FinalizeRequest, reply: Reply<UpgradeFinalizedAnswer>): void
  /** At once, from what this node knows. */
  clusterStatus(): ClusterStatusAnswer
}

export type BrokerDoor = MessagingDoor & AdministrationDoor
