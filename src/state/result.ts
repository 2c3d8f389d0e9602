/** What applying a command gave: made on every replica alike, read by the gateway that proposed it. Business impossibilities are results, never assertions (rule 8). */
import type { DeliveryRef } from './command.ts'
import type { ConsumerGroupId, QueueId, QueueOffset, TopicId } from './ids.ts'

export interface SentMessage {
  readonly queueId: QueueId
  readonly offset: QueueOffset
  /** It was there already; this is the first append's place. */
  readonly isDuplicate: boolean
}

/** A message given to a client. The gateway reads its bytes from its own log: message `ordinal` of the send at `logIndex`. */
export interface Delivery {
  readonly ref: DeliveryRef
  readonly logIndex: number
  readonly ordinal: number
  /** 1 = first delivery. */
  readonly attempt: number
  /** Cluster time of the send. */
  readonly storedAtMs: number
}

export type SettleOutcome =
  | 'ok'
  /** The handle names a delivery that has ended otherwise: expired, given to somebody else, or never made. 40013. */
  | 'staleHandle'

export type CommandResult =
  | { readonly kind: 'sent'; readonly topicId: TopicId; readonly messages: readonly SentMessage[] }
  | {
      readonly kind: 'popped'
      readonly consumerGroupId: ConsumerGroupId
      readonly topicId: TopicId
      /** One list for each request, in order. */
      readonly deliveries: readonly (readonly Delivery[])[]
      /** The scan stopped at its bound with more to look at: pop again at once. */
      readonly hasMore: boolean
    }
  | { readonly kind: 'settled'; readonly outcomes: readonly SettleOutcome[] }
  | {
      readonly kind: 'topicCreated'
      readonly topicId: TopicId
      /** It was there, with the same type and queue count. */ readonly existed: boolean
    }
  | { readonly kind: 'topicDeleted' }
  | { readonly kind: 'groupEnsured'; readonly consumerGroupId: ConsumerGroupId }
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly reason: ApplyRefusal }

export type ApplyRefusal =
  | 'topicNotFound'
  | 'topicExists' // with another type or queue count
  | 'tooManyTopics'
  | 'tooManyGroups'
  | 'messageTypeMismatch'
  | 'dedupeTableFull'
  | 'tooManyInFlight'
  | 'late' // rule 7
  | 'notMember' // its node was removed (membership.ts)
