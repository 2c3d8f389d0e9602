import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'
import { refuse } from '../../broker/refusal.ts'
import type { SendRequest } from '../../broker/requests.ts'
import { realClock } from '../../platform/clock.ts'
import { door, headers, bytesOf, unary, goodMessage } from '../../../test/support/rpc-harness.ts'

const v2 = apache.rocketmq.v2

function sendAnswer(request: SendRequest): object {
  return {
    kind: 'sent',
    entries: request.messages.map(({ messageId }, i) => ({ messageId, queueId: 0, offset: 7 + i, isDuplicate: false })),
  }
}

describe('SendMessage', () => {
  const send = (request: object, metadata = headers()) =>
    unary('SendMessage', v2.SendMessageResponse, bytesOf(v2.SendMessageRequest, request), metadata)

  test('is answered with an entry for each message', async () => {
    door.answers = { send: sendAnswer }
    const second = { ...goodMessage, systemProperties: { ...goodMessage.systemProperties, messageId: 'm-2' } }
    const reply = await send({ messages: [goodMessage, second] })
    expect(reply.status).toMatchObject({ code: 20_000, message: 'OK' })
    expect(reply.entries).toMatchObject([
      { status: { code: 20_000 }, messageId: 'm-1', transactionId: '', offset: 7, recallHandle: '' },
      { status: { code: 20_000 }, messageId: 'm-2', offset: 8 },
    ])
  })

  test('hands the broker the bytes as they came and the patience of rule 17', async () => {
    door.answers = { send: sendAnswer }
    const nowMs = realClock.nowMs()
    await send({ messages: [goodMessage] })
    const request = door.lastRequest('send') as unknown as SendRequest
    expect(request).toMatchObject({ clientId: 'client-1', topic: 'T', messageType: 1, messageGroup: undefined })
    expect(Buffer.from(request.messages[0]?.bytes ?? []).equals(bytesOf(v2.Message, goodMessage))).toBe(true)
    expect(request.deadlineMs - nowMs).toBeGreaterThan(2_400)
    expect(request.deadlineMs - nowMs).toBeLessThan(2_750)
  })

  test('that the broker refuses has the code on top and in its entry', async () => {
    door.answers = { send: refuse('topicNotFound', 'no topic T') }
    const reply = await send({ messages: [goodMessage] })
    expect(reply.status).toMatchObject({ code: 40_402, message: 'no topic T' })
    expect(reply.entries).toMatchObject([{ status: { code: 40_402 }, messageId: 'm-1' }])
  })

  test('of 4 MiB and 16 KiB of properties passes', async () => {
    door.answers = { send: sendAnswer }
    const userProperties = Object.fromEntries(
      Array.from({ length: 16 }, (_, i) => [`key-${String(i).padStart(3, '0')}`, 'x'.repeat(1_017)]),
    )
    const reply = await send({ messages: [{ ...goodMessage, userProperties, body: Buffer.alloc(4 * 1024 * 1024, 1) }] })
    expect(reply.status?.code).toBe(20_000)
  })

  test('takes the first of a client id that was sent three times', async () => {
    door.answers = { send: sendAnswer }
    const metadata = headers()
    metadata.add('x-mq-client-id', 'client-1')
    metadata.add('x-mq-client-id', 'client-1')
    await send({ messages: [goodMessage] }, metadata)
    expect(door.lastRequest('send')['clientId']).toBe('client-1')
  })

  const system = (properties: object) => ({
    messages: [{ ...goodMessage, systemProperties: { ...goodMessage.systemProperties, ...properties } }],
  })
  const bad: [string, object, number][] = [
    ['no message', { messages: [] }, 40_016],
    ['a blank topic', { messages: [{ ...goodMessage, topic: { name: ' ' } }] }, 40_002],
    ['no topic', { messages: [{ ...goodMessage, topic: undefined }] }, 40_002],
    ['a topic with a dot', { messages: [{ ...goodMessage, topic: { name: 'a.b' } }] }, 40_002],
    ['a topic of 128 characters', { messages: [{ ...goodMessage, topic: { name: 'x'.repeat(128) } }] }, 40_002],
    ['a system topic', { messages: [{ ...goodMessage, topic: { name: 'TBW102' } }] }, 40_002],
    ['a topic that begins like a system topic', { messages: [{ ...goodMessage, topic: { name: 'rmq_sys_x' } }] }, 40_002],
    ['two topics', { messages: [goodMessage, { ...goodMessage, topic: { name: 'U' } }] }, 40_016],
    ['an empty body', { messages: [{ ...goodMessage, body: Buffer.alloc(0) }] }, 41_302],
    ['a body of 4 MiB and one byte', { messages: [{ ...goodMessage, body: Buffer.alloc(4 * 1024 * 1024 + 1) }] }, 41_301],
    [
      '129 user properties',
      { messages: [{ ...goodMessage, userProperties: Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v'])) }] },
      43_101,
    ],
    ['16 KiB of user properties and one byte', { messages: [{ ...goodMessage, userProperties: { k: 'x'.repeat(16 * 1024) } }] }, 43_101],
    ['a reserved property', { messages: [{ ...goodMessage, userProperties: { UNIQ_KEY: 'v' } }] }, 40_007],
    ['a property name with a control character', { messages: [{ ...goodMessage, userProperties: { 'a\u0000': 'v' } }] }, 40_007],
    ['a property value with a control character', { messages: [{ ...goodMessage, userProperties: { a: 'v\n' } }] }, 40_007],
    ['a blank tag', system({ tag: '  ' }), 40_004],
    ['a tag with |', system({ tag: 'a|b' }), 40_004],
    ['a tag with a control character', system({ tag: 'a\u0007' }), 40_004],
    ['a blank key', system({ keys: ['a', ' '] }), 40_005],
    ['a key with a control character', system({ keys: ['a\t'] }), 40_005],
    ['a blank message group', system({ messageType: v2.MessageType.FIFO, messageGroup: ' ' }), 40_006],
    ['a message group of 64 bytes', system({ messageType: v2.MessageType.FIFO, messageGroup: 'é'.repeat(32) }), 40_006],
    ['a message group with a control character', system({ messageType: v2.MessageType.FIFO, messageGroup: 'a\r' }), 40_006],
    ['FIFO without a message group', system({ messageType: v2.MessageType.FIFO }), 40_006],
    ['NORMAL with a message group', system({ messageGroup: 'g' }), 40_014],
    ['a blank message id', system({ messageId: '' }), 40_009],
    ['DELAY without a time', system({ messageType: v2.MessageType.DELAY }), 40_012],
    [
      'a delay of more than a day',
      system({ messageType: v2.MessageType.DELAY, deliveryTimestamp: { seconds: Date.now() / 1000 + 90_000, nanos: 0 } }),
      40_012,
    ],
    ['NORMAL with a delivery time', system({ deliveryTimestamp: { seconds: 1, nanos: 0 } }), 40_014],
    ['an unknown message type', system({ messageType: 99 }), 40_014],
    [
      'two message groups',
      { messages: ['g', 'h'].flatMap(messageGroup => system({ messageType: v2.MessageType.FIFO, messageGroup }).messages) },
      40_016,
    ],
  ]
  test.each(bad)('with %s is refused before the broker hears of it', async (_what, request, code) => {
    const reply = await send(request)
    expect(reply.status?.code).toBe(code)
    expect(reply.status?.message).not.toBe('')
    expect(door.asked).toEqual([])
  })

  test('without a client id is refused', async () => {
    expect((await send({ messages: [goodMessage] }, headers({}))).status?.code).toBe(40_017)
  })

  test.each(['ff', '0affffffff0f', '0a0212ff'])('of the garbage %s is a bad request', async hex => {
    const reply = await unary('SendMessage', v2.SendMessageResponse, Buffer.from(hex, 'hex'))
    expect(reply.status?.code).toBe(40_000)
  })
})
