import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import { Deadlines } from '../../broker/deadlines.ts'
import { realClock } from '../../platform/clock.ts'
import { defaultSettings } from '../../state/groups.ts'
import { stubDoor } from '../../../test/support/stub-door.ts'
import type { Caller, RpcContext } from '../handler.ts'
import { statusCodeOf } from '../status-codes.ts'
import { messagingMethods } from './methods.ts'

const v2 = apache.rocketmq.v2

/** Good requests, to be damaged. */
const named = { group: { name: 'G' }, topic: { name: 'T' } }
const requests: Readonly<Record<string, Uint8Array>> = {
  QueryRoute: v2.QueryRouteRequest.encode(named).finish(),
  Heartbeat: v2.HeartbeatRequest.encode({ ...named, clientType: v2.ClientType.PUSH_CONSUMER }).finish(),
  SendMessage: v2.SendMessageRequest.encode({
    messages: [
      {
        topic: { name: 'T' },
        userProperties: { a: 'b' },
        systemProperties: {
          messageId: 'm',
          tag: 't',
          keys: ['k'],
          messageType: v2.MessageType.NORMAL,
          bornTimestamp: { seconds: 1, nanos: 2 },
        },
        body: Buffer.from('hello'),
      },
    ],
  }).finish(),
  QueryAssignment: v2.QueryAssignmentRequest.encode(named).finish(),
  ReceiveMessage: v2.ReceiveMessageRequest.encode({
    group: { name: 'G' },
    messageQueue: { topic: { name: 'T' } },
    filterExpression: { type: v2.FilterType.TAG, expression: 'a||b' },
    autoRenew: true,
    attemptId: 'x',
  }).finish(),
  AckMessage: v2.AckMessageRequest.encode({ ...named, entries: [{ messageId: 'm', receiptHandle: 'h' }] }).finish(),
  ForwardMessageToDeadLetterQueue: v2.ForwardMessageToDeadLetterQueueRequest.encode({ ...named, receiptHandle: 'h' }).finish(),
  NotifyClientTermination: v2.NotifyClientTerminationRequest.encode(named).finish(),
  ChangeInvisibleDuration: v2.ChangeInvisibleDurationRequest.encode({
    ...named,
    receiptHandle: 'h',
    invisibleDuration: { seconds: 1, nanos: 0 },
  }).finish(),
  Telemetry: v2.TelemetryCommand.encode({
    settings: { clientType: v2.ClientType.PUSH_CONSUMER, subscription: { group: { name: 'G' } } },
  }).finish(),
}

const caller: Caller = { clientId: 'c', isNodeClient: false, peer: 'p:1', leftMs: 3_000 }

/** Answers of the broker, all at once. */
const context: RpcContext = {
  broker: stubDoor({ settings: { kind: 'settings', group: defaultSettings } }),
  clock: realClock,
  deadlines: new Deadlines(realClock),
  storeHost: 'h:1',
}

function damaged(whole: Uint8Array): fc.Arbitrary<Uint8Array> {
  const flipped = fc
    .array(fc.record({ at: fc.nat(Math.max(0, whole.length - 1)), by: fc.integer({ min: 1, max: 255 }) }), { minLength: 1, maxLength: 3 })
    .map(flips => {
      const bytes = Uint8Array.from(whole)
      for (const { at, by } of flips) bytes[at] = (bytes[at] ?? 0) ^ by
      return bytes
    })
  const cut = fc.nat(whole.length).map(end => whole.slice(0, end))
  return fc.oneof(flipped, cut, fc.uint8Array({ maxLength: 40 }))
}

describe('whatever bytes come', () => {
  for (const [name, whole] of Object.entries(requests)) {
    test(`${name} answers once or asks the broker, and never throws`, () => {
      const method = messagingMethods[name]
      if (method === undefined) throw new Error(name)
      fc.assert(
        fc.property(damaged(whole), bytes => {
          const door = stubDoor()
          const here = { ...context, broker: door }
          const answers: Buffer[] = []
          let isHeld = false
          switch (method.kind) {
            case 'unary':
              method.handle(here, caller, bytes, answer => void answers.push(answer))
              break
            case 'serverStream':
              // A refusal is held back: its end is cancelled here.
              method.handle(here, caller, bytes, { write: item => void answers.push(item), end: () => undefined })()
              isHeld = true
              break
            case 'duplex': {
              const events = method.handle(here, caller, {
                write: item => void answers.push(item),
                end: () => undefined,
                fail: () => (isHeld = true),
              })
              events.onItem(bytes)
              events.onGone()
              isHeld ||= door.asked.length === 0
              break
            }
            case 'unimplemented':
          }
          expect(answers.length + door.asked.length === 1 || isHeld).toBe(true)
          // Field 1 of every answer is a status with a code of the table, and never 0.
          for (const answer of answers) expect(v2.HeartbeatResponse.decode(answer).status?.code).toBeGreaterThanOrEqual(20_000)
        }),
        { numRuns: 1_000 },
      )
    })
  }

  test('the code of what is no request at all is BAD_REQUEST', () => {
    expect(statusCodeOf('badRequest')).toBe(v2.Code.BAD_REQUEST)
  })
})
