/**
 * A refusal: a precise no to a client. The codes are the v2 status codes by name; src/rpc/status-codes.ts has their numbers.
 * Official clients take most 4xxxx codes as final and retry the rest, so a refusal that rests on absence in state (topicNotFound,
 * invalidReceiptHandle …) is only made by apply or after a read barrier, never from the state of a node that may lag (DESIGN rule 13).
 */
export type RefusalCode =
  // what the request's own bytes prove
  | 'badRequest'
  | 'illegalTopic'
  | 'illegalConsumerGroup'
  | 'illegalMessageTag'
  | 'illegalMessageKey'
  | 'illegalMessageGroup'
  | 'illegalMessagePropertyKey'
  | 'illegalMessageId'
  | 'illegalFilterExpression'
  | 'illegalInvisibleTime'
  | 'illegalDeliveryTime'
  | 'illegalPollingTime'
  | 'illegalOffset'
  | 'unrecognizedClientType'
  | 'messageCorrupted'
  | 'clientIdRequired'
  | 'payloadTooLarge'
  | 'messageBodyTooLarge'
  | 'messageBodyEmpty'
  | 'messagePropertiesTooLarge'
  // what the state says
  | 'invalidReceiptHandle'
  | 'messagePropertyConflictWithType'
  | 'forbidden'
  | 'notFound' // an administrator named a node that is not there
  | 'messageNotFound' // a receive that ended with nothing
  | 'topicNotFound'
  | 'consumerGroupNotFound'
  | 'preconditionFailed' // an administrator's wish that clashes with what is there
  // come again
  | 'tooManyRequests' // a bound of ours: the only code that makes clients wait
  | 'haNotAvailable' // no leader within the caller's patience
  | 'proxyTimeout' // a leader, but no answer within the caller's patience: the outcome may be unknown
  // us
  | 'internalServerError'
  | 'notImplemented'
  | 'unsupported'

export interface Refusal {
  readonly kind: 'refused'
  readonly code: RefusalCode
  /** A sentence for a person: what is wrong, and what to do. */
  readonly hint: string
}

export function refuse(code: RefusalCode, hint: string): Refusal {
  return { kind: 'refused', code, hint }
}
