/**
 * What a caller asks of the broker floor and what it answers: one request and one reply type for each use case. src/rpc fills the requests
 * from the wire; the broker floor never sees a protobuf object. Names and sizes have been checked there (src/rpc/messaging/validate.ts):
 * what is left to check here needs state. What operators ask stands in admin-requests.ts, what nodes tell of themselves in reports.ts.
 *
 * Times: `deadlineMs` is an instant of the monotonic clock (`Clock.nowMs`) at which the caller's patience ends (DESIGN rule 17:
 * min(grpc-timeout left − 300 ms, 2.5 s) from now): the reply comes at or before it. Durations are milliseconds.
 * Every reply callback runs exactly once, never before the call that took the request has returned.
 */
import type { GroupSettings, MessageType, TopicType } from '../state/command.ts'
import type { QueueId, QueueOffset } from '../state/ids.ts'
import type { Refusal } from './refusal.ts'

/** Every reply is the use case's own answer or a refusal. */
export type Reply<Answer> = (answer: Answer | Refusal) => void

export interface Asked {
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
