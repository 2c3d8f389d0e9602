/**
 * What a caller asks of the broker floor and what it answers: one request and one reply type for each use case. src/rpc fills the requests
 * from the wire; the broker floor never sees a protobuf object. Names and sizes have been checked there (src/rpc/messaging/validate.ts):
 * what is left to check here needs state.
 *
 * Times: `deadlineMs` is an instant of the monotonic clock (`Clock.nowMs`) at which the caller's patience ends (DESIGN rule 17:
 * min(grpc-timeout left − 300 ms, 2.5 s) from now): the reply comes at or before it. Durations are milliseconds.
 * Every reply callback runs exactly once, never before the call that took the request has returned.
 */
import type { DiskLevel } from './disk-watch.ts'
import type { GroupSettings, MessageType, StartPosition, Retention, TopicType } from '../state/command.ts'
import type { QueueId, QueueOffset } from '../state/ids.ts'
import type { Refusal } from './refusal.ts'

/** Every reply is the use case's own answer or a refusal. */
export type Reply<Answer> = (answer: Answer | Refusal) => void

interface Asked {
  readonly deadlineMs: number
  /** Header x-mq-client-id, cut at the first comma; undefined = none was given. */
  readonly clientId: string | undefined
}

/** Bytes `start` up to `end` of a message's `bytes`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

// ── send ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
/** One v2 Message as the wire scan found it. */
export interface OutgoingMessage {
  /** The Message as the client encoded it: a view of the request's bytes, which must stay unchanged until the reply. */
  readonly bytes: Uint8Array
  /** The `system_properties` field with its tag and length (rule 1); both 0 when absent. */
  readonly systemProperties: ByteRange
  /** Content of the `body` field. */
  readonly body: ByteRange
  /** Content of each `user_properties` map entry. Their order means nothing: Go shuffles it with every encoding. */
  readonly userProperties: readonly ByteRange[]
  readonly messageId: string
  readonly tag: string | undefined
  readonly keys: readonly string[]
}

/** One SendMessage request: one topic, one type, for FIFO one message group; one entry of the log, all or nothing. */
export interface SendRequest extends Asked {
  readonly topic: string
  readonly messageType: MessageType
  /** The group all messages share; undefined unless FIFO. */
  readonly messageGroup: string | undefined
  /** At least one. */
  readonly messages: readonly OutgoingMessage[]
}

export interface SentEntry {
  readonly messageId: string
  readonly queueId: QueueId
  readonly offset: QueueOffset
  /** A copy of a message that was there already: the place is the first one's. */
  readonly isDuplicate: boolean
}

export interface SendAnswer {
  readonly kind: 'sent'
  /** One for each message, in order. */
  readonly entries: readonly SentEntry[]
}

// ── receive ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
export type TagExpression = { readonly kind: 'all' } | { readonly kind: 'tags'; readonly tags: readonly string[] }

export interface ReceiveRequest extends Asked {
  readonly consumerGroup: string
  readonly topic: string
  readonly filter: TagExpression
  /** 1..32. */
  readonly max: number
  /** What the client asked for; with `autoRenew` the longest wait for the confirmation. */
  readonly invisibleMs: number
  readonly autoRenew: boolean
  readonly attemptId: string | undefined
  /** How long the client wants to wait for a first message; 0 = not at all. The wait ends at `deadlineMs` in any case: give the RPC's deadline less a margin. */
  readonly pollMs: number
}

/** One message of a received batch, ready to be spliced (rule 1). */
export interface ReceivedMessage {
  readonly receiptHandle: string
  /** The Message as the producer encoded it. A view of the log's memory: valid until the present turn of the event loop is over. */
  readonly bytes: Uint8Array
  readonly systemProperties: ByteRange
  /** 16 bytes, computed when it was sent. A view like `bytes`. */
  readonly bodyMd5: Uint8Array
  readonly queueId: QueueId
  readonly offset: QueueOffset
  /** 1 = first delivery. */
  readonly attempt: number
  /** Cluster time of the send. */
  readonly storedAtMs: number
  readonly invisibleMs: number
}

/** What a receive got. The messages stay unconfirmed until the caller says what became of them (rule 14): exactly one of `confirm` and `release`. */
export interface ReceivedBatch {
  readonly kind: 'received'
  /** At least one. */
  readonly count: number
  /** Cluster time at which they were handed out. */
  readonly deliveryTimestampMs: number
  /** False: its bytes have rotted on this node's disk since it was taken. End the stream before it and release from there. */
  isReadable(i: number): boolean
  /** Reads message `i` (0..count−1) from this node's own log. Read one, write it, go on: a batch may be large. */
  read(i: number): ReceivedMessage
  /** The last byte is with the client's socket. */
  confirm(): void
  /** The stream broke, or the client is gone: those from `i` on (default all) become visible at once, not counting an attempt; those before are confirmed. */
  release(fromIndex?: number): void
}

export interface ReceiveHandle {
  /** The client is gone: no reply any more; what is on its way to it is released. */
  cancel(): void
}

// ── settle ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
export interface AckRequest extends Asked {
  readonly consumerGroup: string
  readonly topic: string
  /** At least one. */
  readonly entries: readonly { readonly messageId: string; readonly receiptHandle: string }[]
}

export interface AckAnswer {
  readonly kind: 'acked'
  /** One for each entry, in order: undefined = done. */
  readonly refusals: readonly (Refusal | undefined)[]
}

export interface ChangeInvisibleRequest extends Asked {
  readonly consumerGroup: string
  readonly topic: string
  readonly receiptHandle: string
  readonly messageId: string
  /** 0 = visible at once. */
  readonly invisibleMs: number
  readonly suspend: boolean
}

export interface ChangeInvisibleAnswer {
  readonly kind: 'changed'
  readonly receiptHandle: string
}

export interface ForwardToDeadLetterQueueRequest extends Asked {
  readonly consumerGroup: string
  readonly topic: string
  /** Empty from C++: then the message is looked for among the client's deliveries. */
  readonly receiptHandle: string
  readonly messageId: string
}

export interface ForwardToDeadLetterQueueAnswer {
  readonly kind: 'forwarded'
}

// ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
export interface QueryRouteRequest extends Asked {
  readonly topic: string
}

/** Layout A: one broker name per node, each with its own single address. */
export interface RouteBroker {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** Every broker lists all queues 0…queueCount−1 (rule 16). */
export interface RouteAnswer {
  readonly kind: 'route'
  readonly topic: string
  readonly type: TopicType
  readonly queueCount: number
  /** In an order that is the same on every node; never empty. */
  readonly brokers: readonly RouteBroker[]
}

export interface QueryAssignmentRequest extends Asked {
  readonly topic: string
  readonly consumerGroup: string
}

/** One assignment with queue id −1 for each broker. */
export interface AssignmentAnswer {
  readonly kind: 'assignment'
  readonly topic: string
  readonly type: TopicType
  readonly brokers: readonly RouteBroker[]
}

// ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
export type ClientType = 'producer' | 'pushConsumer' | 'simpleConsumer' | 'pullConsumer'

export interface HeartbeatRequest extends Asked {
  readonly clientType: ClientType | undefined
  readonly consumerGroup: string | undefined
}

export interface HeartbeatAnswer {
  readonly kind: 'alive'
}

/** A client announces itself on its Telemetry stream. */
export type SettingsRequest = ProducerSettingsRequest | ConsumerSettingsRequest

export interface ProducerSettingsRequest extends Asked {
  readonly kind: 'producer'
  readonly topics: readonly string[]
}

export interface ConsumerSettingsRequest extends Asked {
  readonly kind: 'consumer'
  readonly clientType: ClientType
  readonly consumerGroup: string
  /** Subscribed topics; may be empty (Rust's simple consumer). */
  readonly topics: readonly string[]
  /** The client's own wish (Rust push); counts only when the group is made by this request. */
  readonly fifo: boolean | undefined
}

/** What the client must be told besides what it said itself. */
export interface SettingsAnswer {
  readonly kind: 'settings'
  /** Of the group in replicated state; the defaults of a new group for producers. */
  readonly group: GroupSettings
}

export interface TerminationRequest extends Asked {
  readonly consumerGroup: string | undefined
}

export interface TerminationAnswer {
  readonly kind: 'terminated'
}

// ── administration ────────────────────────────────────────────────────────────────────────────────────────────────────────
export interface CreateTopicRequest extends Asked {
  readonly topic: string
  readonly type: TopicType
  readonly queueCount: number
  /** undefined = as it is, or as the nodes are configured. */
  readonly retention?: Retention
}

export interface TopicNameRequest extends Asked {
  readonly topic: string
}

export interface GroupNameRequest extends Asked {
  readonly consumerGroup: string
}

export interface ListRequest extends Asked {
  /** Names beginning so; '' = all. */
  readonly prefix: string
}

export interface TopicSummary {
  readonly topic: string
  readonly type: TopicType
  readonly queueCount: number
  readonly retention: Retention
  /** One for each queue, by number; the next offset is the number of messages ever appended. */
  readonly queues: readonly { readonly firstOffset: number; readonly nextOffset: number }[]
}

export interface TopicCreatedAnswer {
  readonly kind: 'topicCreated'
  readonly topic: TopicSummary
  /** It was there, just so. */
  readonly existed: boolean
}

export interface TopicDeletedAnswer {
  readonly kind: 'topicDeleted'
}

export interface TopicsAnswer {
  readonly kind: 'topics'
  readonly topics: readonly TopicSummary[]
}

export interface TopicAnswer {
  readonly kind: 'topic'
  readonly topic: TopicSummary
}

export interface EnsureGroupRequest extends Asked {
  readonly consumerGroup: string
  /** undefined = the defaults, or what is there. */
  readonly settings: GroupSettings | undefined
  readonly start: StartPosition
  readonly topics: readonly string[]
  readonly replaceSettings: boolean
}

export interface GroupEnsuredAnswer {
  readonly kind: 'groupEnsured'
  readonly group: GroupSummary
}

/** Where a group stands in one topic. */
export interface GroupTopicSummary {
  readonly topic: string
  /** Not delivered yet, or visible again. */
  readonly waiting: number
  /** Of `waiting`: visible again after a delivery. */
  readonly retrying: number
  /** Of `waiting`: behind an unfinished message of their message group. */
  readonly blocked: number
  /** Delivered and not settled. */
  readonly inFlight: number
  /** Moved to the group's dead letters. */
  readonly dead: number
  /** One for each queue, by number: everything below `cursor` is settled or has a row in flight. */
  readonly queues: readonly { readonly cursor: number; readonly nextOffset: number }[]
}

export interface GroupSummary {
  readonly consumerGroup: string
  readonly settings: GroupSettings
  readonly topics: readonly GroupTopicSummary[]
}

export interface GroupsAnswer {
  readonly kind: 'groups'
  readonly groups: readonly GroupSummary[]
}

export interface GroupAnswer {
  readonly kind: 'group'
  readonly group: GroupSummary
}

export interface FinalizeRequest {
  readonly deadlineMs: number
}

export interface UpgradeFinalizedAnswer {
  readonly kind: 'upgradeFinalized'
  /** The group's feature levels before and now; equal when there was nothing to finalise. */
  readonly before: number
  readonly level: number
}

// ── the cluster ───────────────────────────────────────────────────────────────────────────────────────────────────────────
/** What a node says of itself. Exchanged between nodes once a second; must survive JSON. */
export interface DiskReport {
  readonly level: DiskLevel
  readonly totalBytes: number
  readonly freeBytes: number
  /** What the log's segments hold. */
  readonly retainedBytes: number
  readonly segments: number
}

export interface RecoveredReport {
  /** ISO 8601, UTC. */
  readonly at: string
  /** What others had acknowledged behind this entry is lost. */
  readonly lastIndex: number
  /** The entry that made it the only voter. */
  readonly index: number
}

interface EntryReport {
  readonly index: number
  /** 0 = not known. */
  readonly term: number
}

/** A node's Raft, whole (raft.md §6.4): made in src/node/raft-report.ts. */
export interface RaftReport {
  readonly votedFor: number | undefined
  readonly cursors: {
    readonly purged: EntryReport
    /** Of the newest checkpoint: where a restart begins to apply. */
    readonly snapshot: EntryReport
    readonly applied: EntryReport
    readonly commit: EntryReport
    readonly durable: EntryReport
    readonly last: EntryReport
  }
  readonly epochs: { readonly taken: number; readonly durable: number; readonly hardState: number }
  readonly sinceLeaderMs: number | undefined
  readonly membership: {
    readonly index: number
    readonly committedIndex: number
    readonly phase: 'steady' | 'catchUp' | 'joint'
    readonly voters: readonly number[]
    readonly outgoing: readonly number[]
    readonly learners: readonly number[]
    readonly goal: readonly number[]
  }
  readonly transfer: { readonly to: number; readonly phase: string; readonly leftMs: number } | undefined
  readonly isVoteWithheld: boolean
  readonly isVoteConditional: boolean
  readonly pools: readonly { readonly pool: string; readonly bytes: number; readonly bytesMax: number; readonly refused: number }[]
  /** Most frequent first; at most `refusalsToldMax`. */
  readonly refusals: readonly { readonly code: string; readonly count: number }[]
  readonly peers: readonly {
    readonly id: number
    readonly state: string
    readonly session: number
    readonly matchedIndex: number
    readonly durableIndex: number
    readonly appliedIndex: number
    readonly nextIndex: number
    readonly inflightSlices: number
    readonly inflightBytes: number
    readonly lagBytes: number
    readonly sinceContactMs: number | undefined
  }[]
  readonly links: readonly {
    readonly peer: number
    readonly control: boolean
    readonly data: boolean
    readonly waitingBytes: number
    readonly incarnation: number
    readonly lastProblem: string
  }[]
  readonly syncs: number
  readonly entriesPerSync: number
  readonly syncP50Ms: number
  readonly syncP99Ms: number
  readonly readsOpen: number
  readonly messagesHeld: number
  readonly proposals: number
  readonly proposalsRejected: number
  readonly proposalsUnknown: number
  readonly stalls: number
  readonly stallMsLongest: number
  readonly fetch: FetchReport | undefined
  readonly damage: { readonly fromIndex: number; readonly lastIndex: number } | undefined
  readonly failure: string | undefined
  readonly clusterTimeMs: number
}

/** Files that a node fetches to catch up. */
export interface FetchReport {
  readonly from: number
  readonly index: number
  readonly bytesHere: number
  readonly bytesTotal: number
}

export interface NodeReport {
  readonly node: number
  readonly role: string
  readonly term: number
  readonly leader: number | undefined
  readonly firstIndex: number
  readonly appliedIndex: number
  readonly commitIndex: number
  readonly durableIndex: number
  readonly lastIndex: number
  readonly uncommittedBytes: number
  readonly incarnation: number
  readonly version: string
  /** The highest that this process goes along with. */
  readonly featureLevelMax: number
  readonly processId: number
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly dataDirectory: string
  readonly logBytes: number
  /** undefined = it does not say. */
  readonly disk: DiskReport | undefined
  /** undefined = its build does not say. */
  readonly raft?: RaftReport
  /** The last time that this directory was made the whole group by force (`raftmq recover`). */
  readonly recovered?: RecoveredReport
  readonly clients: number
  readonly loopStallMsMax: number
  /** State digest as hex, at this index. */
  readonly digest: string
  readonly digestIndex: number
  readonly sync: {
    readonly p50Ms: number
    readonly p99Ms: number
    /** Of the last few, or of the one under way; absent from a build that does not say. */
    readonly latelyMs?: number
    readonly perSecond: number
    readonly messagesPerSync: number
  }
  /** Newest first. */
  readonly roleChanges: readonly {
    readonly ageMs: number
    readonly from: string
    readonly to: string
    readonly term: number
    readonly leader: number | undefined
    readonly reason: string
  }[]
}

export interface ClusterNode {
  readonly id: number
  readonly name: string
  readonly clientAddress: { readonly host: string; readonly port: number }
  readonly peerAddress: { readonly host: string; readonly port: number }
  /** The replicated word on it (rule 16). */
  readonly isUp: boolean
  /** The answering node can talk to it now; true for itself. */
  readonly isConnected: boolean
  /** undefined = it never told us. */
  readonly report: NodeReport | undefined
  /** Since the report came. */
  readonly reportAgeMs: number
}

/** Another node shall lead: `to`, or whoever is best. */
export interface TransferLeaderRequest {
  readonly deadlineMs: number
  readonly to: number | undefined
}

export interface LeaderTransferredAnswer {
  readonly kind: 'leaderTransferred'
  readonly from: number
  readonly to: number
  /** From the wish to the moment at which this node heard of the new leader. */
  readonly elapsedMs: number
}

/** A member as an operator names it: the number is its identity. */
export interface MemberInfo {
  readonly id: number
  readonly name: string
  /** `host:port`. */
  readonly peerAddress: string
  readonly clientAddress: string
}

/** What the group shall be: these in, those out, both in one step; or no change after all. */
export type MembersWish =
  { readonly kind: 'replace'; readonly add: readonly MemberInfo[]; readonly remove: readonly number[] } | { readonly kind: 'cancel' }

export interface ChangeMembersRequest {
  readonly deadlineMs: number
  readonly wish: MembersWish
}

/** The change stands in the log and is committed; it goes on by itself. */
export interface MembersChangedAnswer {
  readonly kind: 'membersChanged'
  readonly index: number
}

export interface MemberView extends MemberInfo {
  /** `voter`, or `learner`: it is fed and does not vote; `removed`: out, and being told so. */
  readonly role: 'voter' | 'learner' | 'removed'
  /** It is to become a voter, or to cease to be one, when the change under way ends. */
  readonly isJoining: boolean
  readonly isParting: boolean
}

/** The group as the asked node's log has it. */
export interface MembersView {
  readonly index: number
  readonly isCommitted: boolean
  readonly phase: 'steady' | 'catchUp' | 'joint'
  readonly members: readonly MemberView[]
  /** The asked node itself is out. */
  readonly isRemoved: boolean
}

/** Answered at once from what the asked node knows, also when there is no leader. */
export interface ClusterStatusAnswer {
  readonly kind: 'clusterStatus'
  readonly clusterName: string
  readonly answeredBy: number
  readonly leader: number | undefined
  readonly term: number
  readonly commitIndex: number
  readonly clusterTimeMs: number
  /** By id. */
  readonly nodes: readonly ClusterNode[]
  /** What the group has agreed on, as this node has applied it. */
  readonly featureLevel: number
  readonly topicCount: number
  readonly groupCount: number
}
