/**
 * What the use cases read of the replicated state: this node's applied state, which may lag. src/state/machine.ts fits it.
 * All reads are cheap and synchronous; nothing here changes anything.
 */
import type { DeliveryRef, Digest, GroupSettings, Retention, TopicType } from '../state/command.ts'
import type { ConsumerGroupId, Hash64, TopicId } from '../state/ids.ts'

export interface TopicView {
  readonly topicId: TopicId
  readonly name: string
  readonly type: TopicType
  readonly queueCount: number
  readonly retention: Retention
}

export interface QueueView {
  readonly firstOffset: number
  readonly nextOffset: number
}

/** Where a group stands in one topic. */
export interface PlaceView {
  readonly topic: string
  /** Not yet visited by any pop. */
  readonly waiting: number
  readonly inFlight: number
  readonly dead: number
  /** Visible again. */
  readonly retrying: number
  /** Behind a FIFO lock. */
  readonly blocked: number
  readonly queues: readonly { readonly cursor: number; readonly nextOffset: number }[]
}

export interface GroupView {
  readonly consumerGroupId: ConsumerGroupId
  readonly name: string
  readonly settings: GroupSettings
}

/** A message that a client holds. */
export interface HeldDelivery {
  readonly ref: DeliveryRef
  readonly logIndex: number
  readonly ordinal: number
}

/** What became deliverable since the last look. */
export type Wake =
  | { readonly kind: 'topic'; readonly topic: string }
  /** Messages visible again, or a FIFO lock released. */
  | { readonly kind: 'place'; readonly consumerGroup: string; readonly topic: string }

export interface StateView {
  /** What the group has agreed on (src/state/feature-level.ts). */
  readonly featureLevel: number
  /** Cluster time of the last applied entry. */
  readonly wallMs: number
  /** The next deadline that an entry's time will fire; undefined = none. */
  readonly nextDeadlineMs: number | undefined
  topic(name: string): TopicView | undefined
  topics(): Iterable<TopicView>
  queues(topicId: TopicId): readonly QueueView[]
  group(name: string): GroupView | undefined
  groups(): Iterable<GroupView>
  /** Every topic in which the group has its place. */
  places(consumerGroup: string): Iterable<PlaceView>
  hasPlace(consumerGroup: string, topic: string): boolean
  /** Whether a pop may find something. Never false when it would. */
  mayDeliver(consumerGroup: string, topic: string): boolean
  /** Whether a receive with this attempt id was served before and its messages are still unanswered: a pop brings them again (rule 14). */
  hasBatch(consumerGroup: string, topic: string, client: Hash64, attempt: Hash64): boolean
  /** Number that only grows while messages are appended to the topic; equal on every node at the same applied index. */
  arrivals(topicId: TopicId): number
  isNodeUp(node: number): boolean
  /** What was last taken from a gateway; `isOver`: nothing since its number was given up. */
  session(node: number): { readonly incarnation: number; readonly sequence: number; readonly isOver: boolean } | undefined
  sizes(): { readonly topics: number; readonly groups: number }
  /** There has never been a topic. */
  readonly isNewGroup: boolean
  /** The last index whose digest is kept for comparison. */
  readonly lastMilestone: { readonly index: number; readonly digest: Digest } | undefined
  deliveriesOf(client: Hash64): Iterable<HeldDelivery>
  takeWakes(): readonly Wake[]
}
