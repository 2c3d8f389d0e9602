/** Requests that are nearly right: bytes turned, cut, repeated, and numbers made enormous. From a seed, so that a run can be repeated. */
import { raftmq } from '#proto/raftmq-v1.js'
import { forged } from './bad-request-rows.ts'
import { ackRequest, encoded, goodMessage, receiveRequest, v2 } from './wire.ts'

const v1 = raftmq.v1
export type Chance = () => number

/** xorshift32: numbers in [0, 1). */
export function chanceOf(seed: number): Chance {
  let x = Math.imul(seed + 1, 0x9e37_79b1) | 1
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
}

const below = (chance: Chance, n: number): number => Math.floor(chance() * n)

/** One to four changes. */
export function mutated(bytes: Buffer, chance: Chance): Buffer {
  let out = Buffer.from(bytes)
  for (let i = below(chance, 4); i >= 0; i--) {
    const at = below(chance, out.length + 1)
    const end = at + below(chance, Math.min(16, out.length - at + 1))
    const kind = below(chance, 6)
    if (kind === 0) out[at] = below(chance, 256)
    else if (kind === 1) out[at] = (out[at] ?? 0) ^ (1 << below(chance, 8))
    else if (kind === 2) out = Buffer.concat([out.subarray(0, at), out.subarray(end)])
    else if (kind === 3) out = Buffer.concat([out.subarray(0, end), out.subarray(at)])
    else if (kind === 4) out = Buffer.concat([out.subarray(0, at), Buffer.alloc(9, 0xff), Buffer.from([0x01]), out.subarray(at)])
    else out = Buffer.concat([out.subarray(0, at), Buffer.from([below(chance, 256), below(chance, 256)]), out.subarray(at)])
  }
  return out
}

/** A handle with a good signature and any numbers in it. */
export function anyHandle(handle: string, chance: Chance): string {
  return forged(handle, view => {
    for (let i = below(chance, 3); i >= 0; i--)
      view.setUint32(4 * below(chance, 6), chance() < 0.5 ? below(chance, 9) : below(chance, 2 ** 32), true)
  })
}

/** Method and bytes of a request that would do; of handles, any. */
export function goodRequest(handle: string, chance: Chance): [string, Buffer] {
  const some = chance() < 0.3 ? handle : anyHandle(handle, chance)
  const settle = { group: { name: 'g' }, topic: { name: 'plain' }, receiptHandle: some, messageId: 'm' }
  const system = { tag: 'red', keys: ['k'], bornTimestamp: { seconds: 1_700_000_000, nanos: 5 }, bornHost: 'here' }
  const pause = { exponential: { initialMs: 1_000, maxMs: 60_000, multiplier: 2 } }
  const requests: (() => [string, Buffer])[] = [
    () => [
      'SendMessage',
      encoded(v2.SendMessageRequest, {
        messages: [goodMessage('plain', `m${below(chance, 1e9)}`, system, { userProperties: { a: 'b' } })],
      }),
    ],
    () => ['ReceiveMessage', receiveRequest('g', 'plain', { longPollingTimeout: { seconds: 0, nanos: 5 }, attemptId: 'again' })],
    () => ['AckMessage', ackRequest('g', 'plain', some, 'm')],
    () => [
      'ChangeInvisibleDuration',
      encoded(v2.ChangeInvisibleDurationRequest, { ...settle, invisibleDuration: { seconds: 20, nanos: 7 } }),
    ],
    () => ['ForwardMessageToDeadLetterQueue', encoded(v2.ForwardMessageToDeadLetterQueueRequest, settle)],
    () => ['QueryRoute', encoded(v2.QueryRouteRequest, { topic: { name: 'plain' } })],
    () => ['QueryAssignment', encoded(v2.QueryAssignmentRequest, { topic: { name: 'plain' }, group: { name: 'g' } })],
    () => ['Heartbeat', encoded(v2.HeartbeatRequest, { group: { name: 'g' }, clientType: v2.ClientType.SIMPLE_CONSUMER })],
    () => ['NotifyClientTermination', encoded(v2.NotifyClientTerminationRequest, { group: { name: 'g' } })],
    () => [
      'Telemetry',
      encoded(v2.TelemetryCommand, {
        settings: {
          clientType: v2.ClientType.PUSH_CONSUMER,
          subscription: { group: { name: 'g' }, subscriptions: [{ topic: { name: 'plain' } }] },
        },
      }),
    ],
    () => [
      '/raftmq.v1.ClusterAdmin/EnsureGroup',
      encoded(v1.EnsureGroupRequest, {
        name: 'g',
        topics: ['plain'],
        start: { wallMs: 5 },
        settings: { maxAttempts: 5, backoff: pause },
        replaceSettings: true,
      }),
    ],
    () => ['/raftmq.v1.ClusterAdmin/CreateTopic', encoded(v1.CreateTopicRequest, { name: 'plain', queueCount: 2 })],
  ]
  const make = requests[below(chance, requests.length)]
  if (make === undefined) throw new Error('no request')
  return make()
}
