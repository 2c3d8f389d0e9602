/**
 * The commands: everything that may stand in a data entry of the log. `command-codec.ts` gives their bytes, `apply.ts` their meaning.
 * A command carries all that its meaning depends on besides the state: no clock, no chance, no local setting, no other entry's bytes (DESIGN §10).
 * Names travel, ids do not: a gateway that lags knows no ids yet. Handles carry ids, because apply made them.
 */
import type { ConsumerGroupId, Hash64, QueueId, QueueOffset, TopicId } from './ids.ts'

/** Who proposed, and when (rules 6 and 7). Stands in front of every command; 24 bytes. */
export interface Envelope {
  /** Number of the gateway node. */
  readonly node: number
  /** Its restart counter. */
  readonly incarnation: number
  /** Counts its proposals in this incarnation, from 1. Apply takes only what is above the last one taken. */
  readonly sequence: number
  /** Cluster time of its first forwarding. Apply rejects what is more than 15 s older than the entry. */
  readonly sentAtMs: number
}

/** A v2 MessageType that a message may have. The numbers are the protocol's. */
export const MessageType = { normal: 1, fifo: 2, delay: 3, transaction: 4 } as const
export type MessageType = (typeof MessageType)[keyof typeof MessageType]

/** What a topic accepts. `mixed` topics and the types delay and transaction come with a later feature level. */
export type TopicType = 'normal' | 'fifo'

export interface SendMessage {
  /** 128-bit hash of (topic, client id, message id); undefined = the client gave no id, no deduplication (rule 5). */
  readonly dedupeKey: { readonly a: Hash64; readonly b: Hash64 } | undefined
  /** Hash of body, properties, tag, keys and message group: another one under an equal key is another message. */
  readonly fingerprint: Hash64
  /** 0 = no tag. */
  readonly tagHash: number
  /** MD5 of the body, 16 bytes, computed once by the gateway. */
  readonly bodyMd5: Uint8Array
  /** Where `system_properties` (tag, length and content) begins and ends inside `bytes` (rule 1). */
  readonly systemPropertiesStart: number
  readonly systemPropertiesEnd: number
  /** The v2 Message as the client encoded it. */
  readonly bytes: Uint8Array
}

/** One SendMessage request: one entry, one queue, all or nothing, a result for each message (rule 17). */
export interface Send {
  readonly kind: 'send'
  readonly topic: string
  readonly messageType: MessageType
  /** Hash of the message group, which every message of the request shares; undefined unless FIFO. */
  readonly messageGroup: Hash64 | undefined
  readonly messages: readonly SendMessage[]
}

export type TagFilter = { readonly kind: 'all' } | { readonly kind: 'tags'; readonly hashes: readonly number[] }

/** One waiting receive. */
export interface PopRequest {
  /** 1..32. */
  readonly max: number
  readonly invisibleMs: number
  /** Keep it invisible while the client lives (protocol reference §11.4); `invisibleMs` is then only the longest wait for the confirmation. */
  readonly autoRenew: boolean
  readonly client: Hash64
  /** Hash of the attempt id; undefined = none given. */
  readonly attempt: Hash64 | undefined
  readonly filter: TagFilter
}

/** Takes messages for receives of one gateway: all that wait for this group and topic, oldest first (rule 15). Creates the group and its place if need be (rule 20). */
export interface Pop {
  readonly kind: 'pop'
  readonly consumerGroup: string
  readonly topic: string
  readonly requests: readonly PopRequest[]
}

/** Names one delivery: made by a pop, carried by the receipt handle. */
export interface DeliveryRef {
  readonly consumerGroupId: ConsumerGroupId
  readonly topicId: TopicId
  readonly queueId: QueueId
  readonly offset: QueueOffset
  /** Never used twice: a redelivery has a new one, and the old handle is dead. */
  readonly deliverySequence: number
}

export type SettleItem =
  | { readonly kind: 'ack'; readonly ref: DeliveryRef }
  /** `suspend`: the redelivery does not count as an attempt. */
  | { readonly kind: 'changeInvisible'; readonly ref: DeliveryRef; readonly invisibleMs: number; readonly suspend: boolean }
  | { readonly kind: 'deadLetter'; readonly ref: DeliveryRef }
  /** The last byte of the delivery is with the client's socket (rule 14). */
  | { readonly kind: 'confirm'; readonly ref: DeliveryRef }
  /** It never got there: visible at once, the attempt does not count. */
  | { readonly kind: 'release'; readonly ref: DeliveryRef }

/** Acks and their like, gathered over many requests of one gateway. */
export interface Settle {
  readonly kind: 'settle'
  readonly items: readonly SettleItem[]
}

export interface CreateTopic {
  readonly kind: 'createTopic'
  readonly topic: string
  readonly type: TopicType
  /** 1..1024. */
  readonly queueCount: number
}

export interface DeleteTopic {
  readonly kind: 'deleteTopic'
  readonly topic: string
}

export type StartPosition = { readonly kind: 'first' } | { readonly kind: 'last' } | { readonly kind: 'time'; readonly wallMs: number }

export type RetryPolicy =
  | { readonly kind: 'exponential'; readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
  | { readonly kind: 'customized'; readonly stepsMs: readonly number[] }

export interface GroupSettings {
  readonly isFifo: boolean
  /** Deliveries before a message goes to the dead letters. */
  readonly maxAttempts: number
  readonly retry: RetryPolicy
}

/**
 * A consumer group and its place in these topics, where they do not exist yet (rule 20). What exists is left as it is, unless `replaceSettings`:
 * then the settings of an existing group change (an operator's wish).
 */
export interface EnsureGroup {
  readonly kind: 'ensureGroup'
  readonly consumerGroup: string
  readonly settings: GroupSettings
  readonly start: StartPosition
  readonly topics: readonly string[]
  readonly replaceSettings: boolean
}

/** Clients that appeared at this gateway, left it (all their connections closed), or said goodbye (rule 19). On change only. */
export interface ClientsChanged {
  readonly kind: 'clientsChanged'
  readonly changes: readonly { readonly client: Hash64; readonly change: 'connected' | 'disconnected' | 'terminated' }[]
}

/** The leader's word on a node (rule 16). */
export interface NodeChanged {
  readonly kind: 'nodeChanged'
  readonly node: number
  readonly isUp: boolean
}

/** Nothing but time: fires what is due. Proposed by the leader. */
export interface Tick {
  readonly kind: 'tick'
}

/** Nothing at all: who sees it applied has seen everything before it (rule 13). */
export interface Barrier {
  readonly kind: 'barrier'
}

/** The leader's digest at an earlier milestone index; a replica that differs there halts (rule 11). */
export interface DigestCheck {
  readonly kind: 'digestCheck'
  readonly atIndex: number
  readonly digest: Digest
}

/** From the next entry on the group is at this feature level (feature-level.ts). A level that it has, or had, changes nothing. */
export interface RaiseLevel {
  readonly kind: 'raiseLevel'
  readonly level: number
}

/** Sum over all keys of a hash of key and value, in two lanes of 64 bits. */
export interface Digest {
  readonly a: Hash64
  readonly b: Hash64
}

/** How long a topic keeps its messages; 0 = as the nodes are configured. */
export interface Retention {
  readonly ageMs: number
  readonly sizeBytes: number
}

/** An operator's wish for one topic. Its messages go by the leader's `trim`. */
export interface SetRetention {
  readonly kind: 'setRetention'
  readonly topic: string
  readonly retention: Retention
}

/** One queue's messages below `offset` are given up: nobody who has not visited them will. */
export interface QueueTrim {
  readonly topicId: TopicId
  readonly queueId: QueueId
  readonly offset: QueueOffset
  /** Below this also what is delivered or waits for redelivery; 0 = such messages stay, and are carried forward. */
  readonly forcedBelow: number
}

/** Retention, decided by the leader (rule 9). Ids and not names: a topic created anew must not be meant. */
export interface Trim {
  readonly kind: 'trim'
  readonly queues: readonly QueueTrim[]
}

/** No entry below `index` is needed any more: nodes may delete them, later. */
export interface TrimLog {
  readonly kind: 'trimLog'
  readonly index: number
}

/** A message that must outlive its segment, with its bytes. */
export interface CarriedMessage {
  readonly topicId: TopicId
  readonly queueId: QueueId
  readonly offset: QueueOffset
  readonly message: SendMessage
}

/** Messages repeated at the end of the log, because the entries they stand in are to go. Their offsets stay. */
export interface Carry {
  readonly kind: 'carry'
  readonly items: readonly CarriedMessage[]
}

export type Command =
  | SetRetention
  | Trim
  | TrimLog
  | Carry
  | Send
  | Pop
  | Settle
  | CreateTopic
  | DeleteTopic
  | EnsureGroup
  | ClientsChanged
  | NodeChanged
  | Tick
  | Barrier
  | DigestCheck
  | RaiseLevel
