/** The identities of the replicated state. Numbers given in apply, in the order of the log, so they are equal on every replica and never used twice. */
import { assert } from '../platform/assert.ts'

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Number of a topic, from 1. A topic that is deleted and created again gets a new one. */
export type TopicId = Brand<number, 'TopicId'>
/** Number of a consumer group, from 1. */
export type ConsumerGroupId = Brand<number, 'ConsumerGroupId'>
/** Number of a queue inside its topic, from 0. */
export type QueueId = Brand<number, 'QueueId'>
/** Place of a message in one queue, from 0, without gaps. */
export type QueueOffset = Brand<number, 'QueueOffset'>

export function queueOffset(n: number): QueueOffset {
  assert(Number.isSafeInteger(n) && n >= 0, 'queue-offset', n)
  return n as QueueOffset
}

/** 64 bits as two unsigned 32-bit halves: bit operators and typed arrays like it, bigint does not pay (docs/decisions/0001). */
export interface Hash64 {
  readonly low: number
  readonly high: number
}
