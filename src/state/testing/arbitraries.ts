/** Any command within its bounds, and what becomes of its bytes under a careless hand: for property tests. */
import fc from 'fast-check'
import { bounds } from '../codec/bounds.ts'
import { newestLevel, oldestLevel } from '../feature-level.ts'
import type {
  Command,
  DeliveryRef,
  Envelope,
  PopRequest,
  RetryPolicy,
  SendMessage,
  SettleItem,
  StartPosition,
  TagFilter,
} from '../command.ts'
import type { ConsumerGroupId, Hash64, QueueId, QueueOffset, TopicId } from '../ids.ts'

const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const safe = fc.maxSafeNat()
const hash64: fc.Arbitrary<Hash64> = fc.record({ low: u32, high: u32 })
const nameChar = fc.constantFrom('%', '|', '_', '-', '0', '9', 'a', 'z', 'A', 'Z')
const name = (max: number) => fc.string({ unit: nameChar, minLength: 1, maxLength: max })
/** Few names, so that commands meet each other. */
const topicName = fc.oneof(fc.constantFrom('a', 'b', 'fifo', '%DLQ%g'), name(bounds.nameBytesMax))
const groupName = fc.oneof(fc.constantFrom('g', 'h', 'ordered'), name(bounds.groupBytesMax))
const client = fc.oneof(fc.constantFrom({ low: 1, high: 0 }, { low: 2, high: 0 }), hash64)

export const envelopes: fc.Arbitrary<Envelope> = fc.record({
  node: fc.integer({ min: 1, max: 0xffff }),
  incarnation: u32,
  sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  sentAtMs: safe,
})

const message: fc.Arbitrary<SendMessage> = fc
  .record({
    dedupeKey: fc.option(fc.record({ a: fc.oneof(fc.constant({ low: 1, high: 1 }), hash64), b: fc.constant({ low: 2, high: 2 }) }), {
      nil: undefined,
    }),
    fingerprint: fc.oneof(fc.constant({ low: 1, high: 1 }), hash64),
    tagHash: fc.oneof(fc.constantFrom(0, 1, 2), u32),
    bodyMd5: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    bytes: fc.uint8Array({ maxLength: 40 }),
    cuts: fc.tuple(fc.nat(40), fc.nat(40)),
  })
  .map(({ cuts, ...rest }) => {
    const [a, b] = cuts
    const start = Math.min(a, b, rest.bytes.length)
    return { ...rest, systemPropertiesStart: start, systemPropertiesEnd: Math.min(Math.max(a, b), rest.bytes.length) }
  })

const filter: fc.Arbitrary<TagFilter> = fc.oneof(
  fc.constant<TagFilter>({ kind: 'all' }),
  fc.record({
    kind: fc.constant('tags' as const),
    hashes: fc.array(fc.oneof(fc.constantFrom(0, 1, 2), u32), { minLength: 1, maxLength: 5 }),
  }),
)

const popRequest: fc.Arbitrary<PopRequest> = fc.record({
  max: fc.integer({ min: 1, max: bounds.popMessagesMax }),
  invisibleMs: fc.integer({ min: 0, max: bounds.invisibleMsMax }),
  autoRenew: fc.boolean(),
  client,
  attempt: fc.option(fc.oneof(fc.constant({ low: 9, high: 9 }), hash64), { nil: undefined }),
  filter,
})

const small = fc.oneof(fc.integer({ min: 0, max: 12 }), u32)
const ref: fc.Arbitrary<DeliveryRef> = fc.record({
  consumerGroupId: small.map(n => n as ConsumerGroupId),
  topicId: small.map(n => n as TopicId),
  queueId: fc.oneof(fc.integer({ min: 0, max: 3 }), u16).map(n => n as QueueId),
  offset: fc.oneof(fc.integer({ min: 0, max: 20 }), safe).map(n => n as QueueOffset),
  deliverySequence: fc.oneof(fc.integer({ min: 0, max: 50 }), safe),
})

const settleItem: fc.Arbitrary<SettleItem> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ack' as const, 'deadLetter' as const, 'confirm' as const, 'release' as const), ref }),
  fc.record({
    kind: fc.constant('changeInvisible' as const),
    ref,
    invisibleMs: fc.integer({ min: 0, max: bounds.invisibleMsMax }),
    suspend: fc.boolean(),
  }),
)

const retryMs = fc.integer({ min: 0, max: bounds.retryMsMax })
const retry: fc.Arbitrary<RetryPolicy> = fc.oneof(
  fc.record({
    kind: fc.constant('exponential' as const),
    initialMs: retryMs,
    maxMs: retryMs,
    multiplier: fc.integer({ min: 1_000, max: bounds.multiplierMax * 1_000 }).map(n => n / 1_000),
  }),
  fc.record({ kind: fc.constant('customized' as const), stepsMs: fc.array(retryMs, { minLength: 1, maxLength: bounds.retryStepsMax }) }),
)

const start: fc.Arbitrary<StartPosition> = fc.oneof(
  fc.constant<StartPosition>({ kind: 'first' }),
  fc.constant<StartPosition>({ kind: 'last' }),
  fc.record({ kind: fc.constant('time' as const), wallMs: safe }),
)

const clientChange = fc.record({
  client: client.filter(({ low, high }) => low !== 0 || high !== 0),
  change: fc.constantFrom('connected' as const, 'disconnected' as const, 'terminated' as const),
})

const messagePlace = {
  topicId: fc.integer({ min: 0, max: 0xffff_ffff }) as fc.Arbitrary<TopicId>,
  queueId: fc.integer({ min: 0, max: 0xffff }) as fc.Arbitrary<QueueId>,
  offset: safe as fc.Arbitrary<QueueOffset>,
}

export const commands: fc.Arbitrary<Command> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      topic: topicName,
      messageType: fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const),
      messageGroup: fc.option(hash64, { nil: undefined }),
      messages: fc.array(message, { minLength: 1, maxLength: 5 }),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('pop' as const),
      consumerGroup: groupName,
      topic: topicName,
      requests: fc.array(popRequest, { minLength: 1, maxLength: 4 }),
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({ kind: fc.constant('settle' as const), items: fc.array(settleItem, { minLength: 1, maxLength: 6 }) }),
    weight: 4,
  },
  fc.record({
    kind: fc.constant('createTopic' as const),
    topic: topicName,
    type: fc.constantFrom('normal' as const, 'fifo' as const),
    queueCount: fc.integer({ min: 1, max: bounds.queuesMax }),
  }),
  fc.record({ kind: fc.constant('deleteTopic' as const), topic: topicName }),
  fc.record({
    kind: fc.constant('ensureGroup' as const),
    consumerGroup: groupName,
    settings: fc.record({ isFifo: fc.boolean(), maxAttempts: fc.integer({ min: 1, max: bounds.attemptsMax }), retry }),
    start,
    topics: fc.array(topicName, { maxLength: 4 }),
    replaceSettings: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('clientsChanged' as const), changes: fc.array(clientChange, { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: fc.constant('nodeChanged' as const), node: fc.integer({ min: 1, max: 0xffff }), isUp: fc.boolean() }),
  fc.record({ kind: fc.constant('setRetention' as const), topic: topicName, retention: fc.record({ ageMs: safe, sizeBytes: safe }) }),
  fc.record({
    kind: fc.constant('trim' as const),
    queues: fc.array(fc.record({ ...messagePlace, forcedBelow: safe }), { minLength: 1, maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant('trimLog' as const), index: safe }),
  fc.record({
    kind: fc.constant('carry' as const),
    items: fc.array(fc.record({ ...messagePlace, message }), { minLength: 1, maxLength: 4 }),
  }),
  fc.constant<Command>({ kind: 'tick' }),
  fc.constant<Command>({ kind: 'barrier' }),
  fc.record({ kind: fc.constant('raiseLevel' as const), level: fc.integer({ min: oldestLevel, max: newestLevel }) }),
  fc.record({ kind: fc.constant('digestCheck' as const), atIndex: safe, digest: fc.record({ a: hash64, b: hash64 }) }),
)
