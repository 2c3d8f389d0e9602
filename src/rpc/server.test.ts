import { createHash } from 'node:crypto'
import * as net from 'node:net'
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import '../platform/protobuf.ts'
import { raftmq } from '#proto/raftmq-v1.js'
import { apache } from '#proto/rocketmq-v2.js'
import { refuse } from '../broker/refusal.ts'
import type { ReceivedMessage, SendRequest } from '../broker/requests.ts'
import { realClock } from '../platform/clock.ts'
import { realRandom } from '../platform/random.ts'
import { defaultSettings } from '../state/groups.ts'
import { queueOffset, type QueueId } from '../state/ids.ts'
import { never, stubBatch, stubDoor, type StubDoor } from '../../test/support/stub-door.ts'
import { startRpcServer, type RpcServer } from './server.ts'
import { scanMessage } from './wire/scan.ts'

const v2 = apache.rocketmq.v2
const v1 = raftmq.v1

let door: StubDoor
let server: RpcServer
let client: Client
const asIs = (bytes: Buffer) => bytes

beforeEach(async () => {
  door = stubDoor({ heartbeat: { kind: 'alive' } })
  server = await startRpcServer({
    broker: door,
    clock: realClock,
    random: realRandom,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: { host: '127.0.0.1', port: 8081 },
    tls: undefined,
  })
  client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
})

afterEach(async () => {
  client.close()
  await server.close()
})

interface Codec<T> {
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

function headers(values: Record<string, string> = { 'x-mq-client-id': 'client-1' }): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(values)) metadata.add(name, value)
  return metadata
}

function bytesOf(codec: { encode(message: never): { finish(): Uint8Array } }, message: object): Buffer {
  return Buffer.from(codec.encode(message as never).finish())
}

function unaryBytes(method: string, request: Buffer, metadata = headers(), deadline = Date.now() + 3_000): Promise<Buffer> {
  const path = method.includes('/') ? method : `/apache.rocketmq.v2.MessagingService/${method}`
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, request, metadata, { deadline }, (error, reply) => {
      if (reply === undefined) reject(error ?? new Error('no reply'))
      else resolve(reply)
    })
  })
}

async function unary<T>(method: string, response: Codec<T>, request: Buffer, metadata = headers()): Promise<T> {
  return response.decode(await unaryBytes(method, request, metadata))
}

const message = {
  topic: { name: 'T' },
  systemProperties: { messageId: 'm-1', messageType: v2.MessageType.NORMAL, bodyEncoding: v2.Encoding.IDENTITY },
  body: Buffer.from('hello'),
}

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
    const second = { ...message, systemProperties: { ...message.systemProperties, messageId: 'm-2' } }
    const reply = await send({ messages: [message, second] })
    expect(reply.status).toMatchObject({ code: 20_000, message: 'OK' })
    expect(reply.entries).toMatchObject([
      { status: { code: 20_000 }, messageId: 'm-1', transactionId: '', offset: 7, recallHandle: '' },
      { status: { code: 20_000 }, messageId: 'm-2', offset: 8 },
    ])
  })

  test('hands the broker the bytes as they came and the patience of rule 17', async () => {
    door.answers = { send: sendAnswer }
    const nowMs = realClock.nowMs()
    await send({ messages: [message] })
    const request = door.lastRequest('send') as unknown as SendRequest
    expect(request).toMatchObject({ clientId: 'client-1', topic: 'T', messageType: 1, messageGroup: undefined })
    expect(Buffer.from(request.messages[0]?.bytes ?? []).equals(bytesOf(v2.Message, message))).toBe(true)
    expect(request.deadlineMs - nowMs).toBeGreaterThan(2_400)
    expect(request.deadlineMs - nowMs).toBeLessThan(2_750)
  })

  test('that the broker refuses has the code on top and in its entry', async () => {
    door.answers = { send: refuse('topicNotFound', 'no topic T') }
    const reply = await send({ messages: [message] })
    expect(reply.status).toMatchObject({ code: 40_402, message: 'no topic T' })
    expect(reply.entries).toMatchObject([{ status: { code: 40_402 }, messageId: 'm-1' }])
  })

  test('of 4 MiB and 16 KiB of properties passes', async () => {
    door.answers = { send: sendAnswer }
    const userProperties = Object.fromEntries(
      Array.from({ length: 16 }, (_, i) => [`key-${String(i).padStart(3, '0')}`, 'x'.repeat(1_017)]),
    )
    const reply = await send({ messages: [{ ...message, userProperties, body: Buffer.alloc(4 * 1024 * 1024, 1) }] })
    expect(reply.status?.code).toBe(20_000)
  })

  test('takes the first of a client id that was sent three times', async () => {
    door.answers = { send: sendAnswer }
    const metadata = headers()
    metadata.add('x-mq-client-id', 'client-1')
    metadata.add('x-mq-client-id', 'client-1')
    await send({ messages: [message] }, metadata)
    expect(door.lastRequest('send')['clientId']).toBe('client-1')
  })

  const system = (properties: object) => ({ messages: [{ ...message, systemProperties: { ...message.systemProperties, ...properties } }] })
  const bad: [string, object, number][] = [
    ['no message', { messages: [] }, 40_016],
    ['a blank topic', { messages: [{ ...message, topic: { name: ' ' } }] }, 40_002],
    ['no topic', { messages: [{ ...message, topic: undefined }] }, 40_002],
    ['a topic with a dot', { messages: [{ ...message, topic: { name: 'a.b' } }] }, 40_002],
    ['a topic of 128 characters', { messages: [{ ...message, topic: { name: 'x'.repeat(128) } }] }, 40_002],
    ['a system topic', { messages: [{ ...message, topic: { name: 'TBW102' } }] }, 40_002],
    ['a topic that begins like a system topic', { messages: [{ ...message, topic: { name: 'rmq_sys_x' } }] }, 40_002],
    ['two topics', { messages: [message, { ...message, topic: { name: 'U' } }] }, 40_016],
    ['an empty body', { messages: [{ ...message, body: Buffer.alloc(0) }] }, 41_302],
    ['a body of 4 MiB and one byte', { messages: [{ ...message, body: Buffer.alloc(4 * 1024 * 1024 + 1) }] }, 41_301],
    [
      '129 user properties',
      { messages: [{ ...message, userProperties: Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v'])) }] },
      43_101,
    ],
    ['16 KiB of user properties and one byte', { messages: [{ ...message, userProperties: { k: 'x'.repeat(16 * 1024) } }] }, 43_101],
    ['a reserved property', { messages: [{ ...message, userProperties: { UNIQ_KEY: 'v' } }] }, 40_007],
    ['a property name with a control character', { messages: [{ ...message, userProperties: { 'a\u0000': 'v' } }] }, 40_007],
    ['a property value with a control character', { messages: [{ ...message, userProperties: { a: 'v\n' } }] }, 40_007],
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
    expect((await send({ messages: [message] }, headers({}))).status?.code).toBe(40_017)
  })

  test.each(['ff', '0affffffff0f', '0a0212ff'])('of the garbage %s is a bad request', async hex => {
    const reply = await unary('SendMessage', v2.SendMessageResponse, Buffer.from(hex, 'hex'))
    expect(reply.status?.code).toBe(40_000)
  })
})

describe('ReceiveMessage', () => {
  const request = {
    group: { name: 'G' },
    messageQueue: { topic: { name: 'T', resourceNamespace: 'ns' }, id: 0 },
    filterExpression: { type: v2.FilterType.TAG, expression: '*' },
    batchSize: 32,
    autoRenew: true,
    longPollingTimeout: { seconds: 20, nanos: 0 },
  }

  function receive(asked: object, deadlineMs = 3_000, metadata = headers()) {
    const items: apache.rocketmq.v2.ReceiveMessageResponse[] = []
    const call = client.makeServerStreamRequest(
      '/apache.rocketmq.v2.MessagingService/ReceiveMessage',
      asIs,
      asIs,
      bytesOf(v2.ReceiveMessageRequest, asked),
      metadata,
      {
        deadline: Date.now() + deadlineMs,
      },
    )
    call.on('data', (item: Buffer) => items.push(v2.ReceiveMessageResponse.decode(item)))
    const ended = new Promise<apache.rocketmq.v2.ReceiveMessageResponse[]>((resolve, reject) => {
      call.on('end', () => resolve(items))
      call.on('error', (error: ServiceError) => reject(error))
    })
    return { call, ended }
  }

  function receivedMessage(body: Buffer, offset: number): ReceivedMessage {
    const bytes = bytesOf(v2.Message, { ...message, body })
    const scan = scanMessage(bytes)
    if (typeof scan === 'string') throw new Error(scan)
    return {
      receiptHandle: `handle-${offset}`,
      bytes,
      systemProperties: scan.systemProperties,
      bodyMd5: createHash('md5').update(body).digest(),
      queueId: 0 as QueueId,
      offset: queueOffset(offset),
      attempt: 1,
      storedAtMs: 1_700_000_000_000,
      invisibleMs: 60_000,
    }
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise(resolve => setImmediate(resolve))
  }

  test('streams one status, the messages, and the delivery timestamp, and confirms them', async () => {
    door.answers = { receive: () => stubBatch(door, [receivedMessage(Buffer.from('a'), 0), receivedMessage(Buffer.from('b'), 1)]) }
    const items = await receive(request).ended
    expect(items.map(item => item.content)).toEqual(['status', 'message', 'message', 'deliveryTimestamp'])
    expect(items[0]?.status?.code).toBe(20_000)
    expect(items[1]?.message).toMatchObject({
      topic: { name: 'T', resourceNamespace: 'ns' },
      systemProperties: { receiptHandle: 'handle-0', storeHost: '127.0.0.1:8081' },
    })
    expect(items[3]?.deliveryTimestamp?.seconds).toBe(1_700_000_000)
    expect(door.fates).toEqual(['confirm'])
  })

  test('streams a batch of large bodies whole', async () => {
    const bodies = Array.from({ length: 12 }, (_, i) => Buffer.alloc(1024 * 1024, i))
    door.answers = { receive: () => stubBatch(door, bodies.map(receivedMessage)) }
    const items = await receive(request, 10_000).ended
    const received = items.flatMap(item => (item.message?.body ? [Buffer.from(item.message.body)] : []))
    expect(received.map((body, i) => body.equals(bodies[i] ?? Buffer.alloc(0)))).toEqual(bodies.map(() => true))
    expect(door.fates).toEqual(['confirm'])
  })

  test('that found nothing says 40401 and the delivery timestamp at once', async () => {
    door.answers = { receive: refuse('messageNotFound', 'no new message') }
    const items = await receive(request).ended
    expect(items.map(item => item.content)).toEqual(['status', 'deliveryTimestamp'])
    expect(items[0]?.status).toMatchObject({ code: 40_401, message: 'no new message' })
  })

  test('that is refused is held back for a second', async () => {
    const begin = performance.now()
    const items = await receive({ ...request, batchSize: 1, filterExpression: { type: v2.FilterType.TAG, expression: '||' } }).ended
    expect(items[0]?.status?.code).toBe(40_010)
    expect(performance.now() - begin).toBeGreaterThan(950)
    expect(performance.now() - begin).toBeLessThan(2_000)
  })

  test('that is refused is answered before the deadline even of an impatient caller', async () => {
    const items = await receive({ ...request, group: { name: 'bad.group' } }, 500).ended
    expect(items[0]?.status?.code).toBe(40_003)
  })

  test('whose client goes away is cancelled, once', async () => {
    door.answers = { receive: never }
    const { call, ended } = receive(request)
    await until(() => door.asked.length === 1)
    call.cancel()
    await expect(ended).rejects.toMatchObject({ code: status.CANCELLED })
    await until(() => door.fates.length > 0)
    expect(door.fates).toEqual(['cancel'])
  })

  test('whose client goes away while it is told has its batch released', async () => {
    const bodies = Array.from({ length: 16 }, (_, i) => Buffer.alloc(3 * 1024 * 1024, i))
    door.answers = { receive: () => stubBatch(door, bodies.map(receivedMessage)) }
    const { call, ended } = receive(request, 10_000)
    call.once('data', () => {
      call.pause()
      call.cancel()
    })
    await expect(ended).rejects.toMatchObject({ code: status.CANCELLED })
    await until(() => door.fates.length > 0)
    expect(door.fates).toEqual(['release'])
  })

  test.each([
    {
      asked: {},
      expected: { max: 32, pollMs: 2_700, invisibleMs: 60_000, autoRenew: true, attemptId: undefined, filter: { kind: 'all' } },
    },
    { asked: { longPollingTimeout: { seconds: 1, nanos: 500_000_000 } }, expected: { pollMs: 1_500 } },
    { asked: { longPollingTimeout: undefined }, expected: { pollMs: 2_700 } },
    { asked: { longPollingTimeout: { seconds: 0, nanos: 0 } }, expected: { pollMs: 0 } },
    { asked: { batchSize: 100_000 }, expected: { max: 32 } },
    { asked: { batchSize: 0 }, expected: { max: 32 } },
    { asked: { batchSize: 5 }, expected: { max: 5 } },
    { asked: { autoRenew: false, invisibleDuration: { seconds: 15, nanos: 0 } }, expected: { invisibleMs: 15_000, autoRenew: false } },
    { asked: { attemptId: 'uuid' }, expected: { attemptId: 'uuid' } },
    { asked: { filterExpression: { expression: ' a || b ||a' } }, expected: { filter: { kind: 'tags', tags: ['a', 'b'] } } },
    { asked: { filterExpression: undefined }, expected: { filter: { kind: 'all' } } },
  ])('with $asked asks the broker for $expected', async ({ asked, expected }) => {
    door.answers = { receive: refuse('messageNotFound', '') }
    await receive({ ...request, ...asked }).ended
    const { pollMs, ...rest } = expected as { pollMs?: number }
    expect(door.lastRequest('receive')).toMatchObject({ consumerGroup: 'G', topic: 'T', clientId: 'client-1', ...rest })
    if (pollMs !== undefined) expect(Math.abs((door.lastRequest('receive')['pollMs'] as number) - pollMs)).toBeLessThan(60)
  })

  test.each([
    ['no invisible duration', { autoRenew: false }, 40_011],
    ['an invisible duration below 10 s', { autoRenew: false, invisibleDuration: { seconds: 9, nanos: 0 } }, 40_011],
    ['an invisible duration above 12 h', { autoRenew: false, invisibleDuration: { seconds: 43_201, nanos: 0 } }, 40_011],
    ['an SQL filter', { filterExpression: { type: v2.FilterType.SQL, expression: 'a = 1' } }, 40_010],
    ['no topic', { messageQueue: undefined }, 40_002],
    ['no group', { group: undefined }, 40_003],
    ['a system group', { group: { name: 'CID_RMQ_SYS_x' } }, 40_003],
    ['a group of 121 characters', { group: { name: 'g'.repeat(121) } }, 40_003],
    ['a negative polling time', { longPollingTimeout: { seconds: -1, nanos: 0 } }, 40_018],
  ])('with %s is refused', async (_what, asked, code) => {
    const items = await receive({ ...request, ...asked }, 700).ended
    expect(items.map(item => item.content)).toEqual(['status', 'deliveryTimestamp'])
    expect(items[0]?.status?.code).toBe(code)
    expect(door.asked).toEqual([])
  })
})

describe('AckMessage', () => {
  const entries = [
    { messageId: 'm-1', receiptHandle: 'h-1' },
    { messageId: 'm-2', receiptHandle: 'h-2' },
  ]
  const ack = (request: object) => unary('AckMessage', v2.AckMessageResponse, bytesOf(v2.AckMessageRequest, request))
  const named = { group: { name: 'G' }, topic: { name: 'T' } }

  test('echoes every entry with its status', async () => {
    door.answers = { ack: { kind: 'acked', refusals: [undefined, undefined] } }
    const reply = await ack({ ...named, entries })
    expect(reply.status?.code).toBe(20_000)
    expect(reply.entries).toMatchObject(entries.map(entry => ({ ...entry, status: { code: 20_000 } })))
  })

  test('with different results says so on top', async () => {
    door.answers = { ack: { kind: 'acked', refusals: [undefined, refuse('invalidReceiptHandle', 'expired')] } }
    const reply = await ack({ ...named, entries })
    expect(reply.status?.code).toBe(30_000)
    expect(reply.entries.map(entry => entry.status?.code)).toEqual([20_000, 40_013])
  })

  test('with one entry has its code on top', async () => {
    door.answers = { ack: { kind: 'acked', refusals: [refuse('invalidReceiptHandle', 'expired')] } }
    expect((await ack({ ...named, entries: entries.slice(0, 1) })).status?.code).toBe(40_013)
  })

  test('that is refused as a whole still has all its entries', async () => {
    door.answers = { ack: refuse('haNotAvailable', 'no leader') }
    const reply = await ack({ ...named, entries })
    expect(reply.status?.code).toBe(50_002)
    expect(reply.entries.map(entry => entry.status?.code)).toEqual([50_002, 50_002])
  })

  test('without an entry is a bad request', async () => {
    expect((await ack(named)).status?.code).toBe(40_000)
  })
})

describe('ChangeInvisibleDuration', () => {
  const request = {
    group: { name: 'G' },
    topic: { name: 'T' },
    receiptHandle: 'h',
    messageId: 'm',
    invisibleDuration: { seconds: 0, nanos: 5_000_000 },
  }
  const change = (asked: object) =>
    unary('ChangeInvisibleDuration', v2.ChangeInvisibleDurationResponse, bytesOf(v2.ChangeInvisibleDurationRequest, asked))

  test('gives the handle to use from now on', async () => {
    door.answers = { changeInvisible: { kind: 'changed', receiptHandle: 'h2' } }
    expect(await change(request)).toMatchObject({ status: { code: 20_000 }, receiptHandle: 'h2' })
    expect(door.lastRequest('changeInvisible')).toMatchObject({ invisibleMs: 5, suspend: false, receiptHandle: 'h' })
  })

  test('echoes the handle when it is refused', async () => {
    door.answers = { changeInvisible: refuse('invalidReceiptHandle', 'expired') }
    expect(await change(request)).toMatchObject({ status: { code: 40_013 }, receiptHandle: 'h' })
    expect(await change({ ...request, invisibleDuration: { seconds: 43_201, nanos: 0 } })).toMatchObject({
      status: { code: 40_011 },
      receiptHandle: 'h',
    })
    expect(await change({ ...request, invisibleDuration: { seconds: -1, nanos: 0 } })).toMatchObject({
      status: { code: 40_011 },
      receiptHandle: 'h',
    })
  })
})

describe('ForwardMessageToDeadLetterQueue', () => {
  test('passes on an empty handle with the message id', async () => {
    door.answers = { forwardToDeadLetterQueue: { kind: 'forwarded' } }
    const request = bytesOf(v2.ForwardMessageToDeadLetterQueueRequest, { group: { name: 'G' }, topic: { name: 'T' }, messageId: 'm' })
    expect((await unary('ForwardMessageToDeadLetterQueue', v2.ForwardMessageToDeadLetterQueueResponse, request)).status?.code).toBe(20_000)
    expect(door.lastRequest('forwardToDeadLetterQueue')).toMatchObject({ receiptHandle: '', messageId: 'm' })
  })
})

describe('QueryRoute', () => {
  const brokers = [
    { name: 'n1', host: '10.0.0.1', port: 8081 },
    { name: 'n2', host: 'n2.example', port: 8082 },
    { name: 'n3', host: '::1', port: 8083 },
  ]

  test('lists all queues under each broker, in order', async () => {
    door.answers = { queryRoute: { kind: 'route', topic: 'T', type: 'fifo', queueCount: 2, brokers } }
    const reply = await unary(
      'QueryRoute',
      v2.QueryRouteResponse,
      bytesOf(v2.QueryRouteRequest, { topic: { name: 'T', resourceNamespace: 'ns' } }),
    )
    expect(reply.status?.code).toBe(20_000)
    expect(reply.messageQueues.map(queue => `${queue.broker?.name ?? ''}/${queue.id}`)).toEqual([
      'n1/0',
      'n1/1',
      'n2/0',
      'n2/1',
      'n3/0',
      'n3/1',
    ])
    for (const queue of reply.messageQueues) {
      expect(queue).toMatchObject({
        topic: { name: 'T', resourceNamespace: 'ns' },
        permission: v2.Permission.READ_WRITE,
        broker: { id: 0 },
      })
      expect(queue.acceptMessageTypes).toEqual([v2.MessageType.FIFO])
    }
    const endpoints = reply.messageQueues.filter(queue => queue.id === 0).map(queue => queue.broker?.endpoints)
    expect(endpoints.map(endpoint => endpoint?.scheme)).toEqual([
      v2.AddressScheme.IPv4,
      v2.AddressScheme.DOMAIN_NAME,
      v2.AddressScheme.IPv6,
    ])
    expect(endpoints[1]?.addresses).toMatchObject([{ host: 'n2.example', port: 8082 }])
  })

  test('for assignments gives one queue of id -1 per broker', async () => {
    door.answers = { queryAssignment: { kind: 'assignment', topic: 'T', type: 'normal', brokers } }
    const reply = await unary(
      'QueryAssignment',
      v2.QueryAssignmentResponse,
      bytesOf(v2.QueryAssignmentRequest, { topic: { name: 'T' }, group: { name: 'G' } }),
    )
    expect(reply.assignments.map(({ messageQueue }) => `${messageQueue?.broker?.name ?? ''}/${messageQueue?.id ?? ''}`)).toEqual([
      'n1/-1',
      'n2/-1',
      'n3/-1',
    ])
  })

  test.each(['QueryRoute', 'QueryAssignment', 'Heartbeat', 'NotifyClientTermination'])('%s of garbage is a bad request', async method => {
    const reply = await unary(method, v2.HeartbeatResponse, Buffer.from('0affffffff0f', 'hex'))
    expect(reply.status?.code).toBe(40_000)
  })
})

describe('Heartbeat and termination', () => {
  test('an empty heartbeat without any header is OK', async () => {
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.alloc(0), headers({}))).status?.code).toBe(20_000)
  })

  test('a heartbeat says who lives, of which group', async () => {
    door.answers = { heartbeat: { kind: 'alive' } }
    const request = bytesOf(v2.HeartbeatRequest, { group: { name: 'G' }, clientType: v2.ClientType.PUSH_CONSUMER })
    expect((await unary('Heartbeat', v2.HeartbeatResponse, request)).status?.code).toBe(20_000)
    expect(door.lastRequest('heartbeat')).toMatchObject({ clientId: 'client-1', clientType: 'pushConsumer', consumerGroup: 'G' })
  })

  test('a client type that nobody knows is refused', async () => {
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.from('1063', 'hex'))).status?.code).toBe(40_015)
  })

  test('a client says goodbye', async () => {
    door.answers = { terminate: { kind: 'terminated' } }
    expect((await unary('NotifyClientTermination', v2.NotifyClientTerminationResponse, Buffer.from('0a00', 'hex'))).status?.code).toBe(
      20_000,
    )
    expect(door.lastRequest('terminate')).toMatchObject({ clientId: 'client-1', consumerGroup: undefined })
  })
})

describe('Telemetry', () => {
  function open(metadata = headers()) {
    const call = client.makeBidiStreamRequest('/apache.rocketmq.v2.MessagingService/Telemetry', asIs, asIs, metadata)
    const next = () =>
      new Promise<apache.rocketmq.v2.TelemetryCommand>((resolve, reject) => {
        call.once('data', (item: Buffer) => resolve(v2.TelemetryCommand.decode(item)))
        call.once('error', reject)
      })
    const say = (settings: apache.rocketmq.v2.Settings.$Properties) => void call.write(bytesOf(v2.TelemetryCommand, { settings }))
    return { call, next, say }
  }
  const producer = {
    clientType: v2.ClientType.PRODUCER,
    publishing: { topics: [{ name: 'T', resourceNamespace: 'ns' }] },
    userAgent: { language: v2.Language.JAVA },
  }
  const consumer = {
    clientType: v2.ClientType.PUSH_CONSUMER,
    subscription: {
      group: { name: 'G' },
      subscriptions: [{ topic: { name: 'T', resourceNamespace: 'ns' }, expression: { type: v2.FilterType.TAG, expression: 'a' } }],
    },
  }
  const group = { ...defaultSettings, isFifo: true }

  test('sends its headers before anybody asked anything', async () => {
    const { call } = open()
    await new Promise(resolve => call.once('metadata', resolve))
    call.end()
    await new Promise(resolve => call.once('status', resolve).resume())
  })

  test('answers a producer with what every language needs', async () => {
    door.answers = { settings: { kind: 'settings', group: defaultSettings } }
    const { call, next, say } = open()
    say(producer)
    const answer = await next()
    expect(answer.status?.code).toBe(20_000)
    expect(answer.settings).toMatchObject({
      clientType: v2.ClientType.PRODUCER,
      backoffPolicy: { maxAttempts: 3, exponentialBackoff: { initial: { nanos: 10_000_000 }, max: { seconds: 1 }, multiplier: 2 } },
      publishing: { topics: [{ name: 'T', resourceNamespace: 'ns' }], maxBodySize: 4_194_304, validateMessageType: true },
      metric: { on: false },
    })
    call.cancel()
  })

  test('answers a consumer with its group, its own subscriptions echoed', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say(consumer)
    const { settings } = await next()
    expect(door.lastRequest('settings')).toMatchObject({
      kind: 'consumer',
      clientType: 'pushConsumer',
      consumerGroup: 'G',
      topics: ['T'],
      fifo: undefined,
    })
    expect(settings?.subscription).toMatchObject({
      ...consumer.subscription,
      fifo: true,
      receiveBatchSize: 32,
      longPollingTimeout: { seconds: 20 },
    })
    expect(settings?.backoffPolicy?.maxAttempts).toBe(defaultSettings.maxAttempts)
    expect(settings?.backoffPolicy?.customizedBackoff?.next?.length).toBeGreaterThan(0)
    call.cancel()
  })

  test.each([{ 'x-mq-client-id': 'c', 'x-mq-language': 'HTTP' }, { 'x-mq-client-id': 'c' }])(
    'gives Node an exponential policy in whole seconds (%j)',
    async values => {
      door.answers = { settings: { kind: 'settings', group: { ...group, retry: { kind: 'customized', stepsMs: [1_500, 700_000] } } } }
      const { call, next, say } = open(headers(values))
      say({ ...consumer, userAgent: { language: v2.Language.NODE_JS } })
      const { settings } = await next()
      expect(settings?.backoffPolicy?.exponentialBackoff).toMatchObject({ initial: { seconds: 2 }, max: { seconds: 700 }, multiplier: 2 })
      call.cancel()
    },
  )

  test('answers every Settings on the stream, and ends when the client has half-closed', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say(consumer)
    await next()
    say(consumer)
    await next()
    const ended = new Promise(resolve => call.once('status', resolve))
    call.end()
    call.resume()
    expect(await ended).toMatchObject({ code: status.OK })
  })

  test('answers from defaults while there is no leader', async () => {
    door.answers = { settings: refuse('haNotAvailable', 'no leader') }
    const { call, next, say } = open()
    say(consumer)
    expect((await next()).settings?.subscription?.receiveBatchSize).toBe(32)
    call.cancel()
  })

  test('ignores results that nobody asked for', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    call.write(bytesOf(v2.TelemetryCommand, { status: { code: 20_000 }, verifyMessageResult: { nonce: 'x' } }))
    say(consumer)
    expect((await next()).status?.code).toBe(20_000)
    call.cancel()
  })

  test.each([
    ['a bad topic', { ...producer, publishing: { topics: [{ name: '' }] } }],
    ['a bad group', { ...consumer, subscription: { group: { name: '' } } }],
    ['neither kind', { clientType: v2.ClientType.PRODUCER }],
  ])('ends with INVALID_ARGUMENT on %s', async (_what, settings) => {
    const { next, say } = open()
    say(settings)
    await expect(next()).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  })

  test('refuses Node with a bad status and no command', async () => {
    const { call, next, say } = open(headers({ 'x-mq-client-id': 'c', 'x-mq-language': 'HTTP' }))
    say({ ...producer, publishing: { topics: [{ name: '' }] } })
    const answer = await next()
    expect(answer.status?.code).toBe(40_002)
    expect(answer.command).toBeUndefined()
    call.cancel()
  })

  test.each([{ topics: [] }, {}])('takes a producer without topics (%j)', async publishing => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say({ ...producer, publishing })
    expect((await next()).status?.code).toBe(20_000)
    call.cancel()
  })
})

describe('the service', () => {
  test.each(['PullMessage', 'UpdateOffset', 'GetOffset', 'QueryOffset', 'EndTransaction', 'RecallMessage', 'SyncLiteSubscription'])(
    'answers %s with UNIMPLEMENTED at once',
    async method => {
      await expect(unaryBytes(method, Buffer.alloc(0))).rejects.toMatchObject({ code: status.UNIMPLEMENTED })
    },
  )

  test('answers a method that nobody knows with UNIMPLEMENTED', async () => {
    await expect(unaryBytes('/apache.rocketmq.v2.Admin/ChangeLogLevel', Buffer.alloc(0))).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    })
  })

  test('tells the broker when a client comes and when its last connection is gone', async () => {
    await unaryBytes('Heartbeat', Buffer.alloc(0))
    await unaryBytes('Heartbeat', Buffer.alloc(0))
    expect(door.presence).toEqual(['+client-1'])
    client.close()
    while (door.presence.length < 2) await new Promise(resolve => setImmediate(resolve))
    expect(door.presence).toEqual(['+client-1', '-client-1'])
  })

  test('speaks TLS on the same port, with a certificate of its own', async () => {
    const insecure = credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })
    const secure = new Client(`127.0.0.1:${server.port}`, insecure)
    client.close()
    client = secure
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.alloc(0))).status?.code).toBe(20_000)
    expect(door.presence).toEqual(['+client-1'])
  })

  test.each([
    ['plain text', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['garbage', Buffer.alloc(64, 0xab)],
    ['garbage that begins like TLS', Buffer.alloc(64, 0x16)],
    ['zeros', Buffer.alloc(4_096)],
  ])('closes a connection that brings %s, and lives on', async (_what, garbage) => {
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(garbage))
    socket.on('error', () => undefined)
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.alloc(0))).status?.code).toBe(20_000)
  })

  test('closes what is open and can be closed twice', async () => {
    await unaryBytes('Heartbeat', Buffer.alloc(0))
    await server.close()
    await server.close()
    expect(server.connectionCount).toBe(0)
    await expect(unaryBytes('Heartbeat', Buffer.alloc(0), headers(), Date.now() + 500)).rejects.toMatchObject({ name: 'Error' })
  })
})

describe('ClusterAdmin', () => {
  const admin = <T>(method: string, request: Codec<unknown>, response: Codec<T>, message: object) =>
    unary(`/raftmq.v1.ClusterAdmin/${method}`, response, bytesOf(request, message), headers({}))
  const topic = {
    topic: 'T',
    type: 'fifo',
    queueCount: 2,
    queues: [
      { firstOffset: 1, nextOffset: 4 },
      { firstOffset: 0, nextOffset: 2 },
    ],
  }

  test('creates a topic with eight queues unless told otherwise', async () => {
    door.answers = { createTopic: { kind: 'topicCreated', topic, existed: true } }
    const reply = await admin('CreateTopic', v1.CreateTopicRequest, v1.CreateTopicResponse, {
      name: 'T',
      type: v1.TopicType.TOPIC_TYPE_FIFO,
    })
    expect(reply).toMatchObject({
      status: { code: v1.AdminStatus.Code.OK },
      existed: true,
      topic: { name: 'T', queueCount: 2, messages: 6 },
    })
    expect(door.lastRequest('createTopic')).toMatchObject({ topic: 'T', type: 'fifo', queueCount: 8 })
  })

  test.each([
    [refuse('topicNotFound', 'no'), v1.AdminStatus.Code.NOT_FOUND],
    [refuse('preconditionFailed', 'no'), v1.AdminStatus.Code.CONFLICT],
    [refuse('haNotAvailable', 'no'), v1.AdminStatus.Code.UNAVAILABLE],
    [refuse('proxyTimeout', 'no'), v1.AdminStatus.Code.UNKNOWN_OUTCOME],
    [refuse('tooManyRequests', 'no'), v1.AdminStatus.Code.EXHAUSTED],
  ])('turns %o into admin status %d', async (refusal, code) => {
    door.answers = { deleteTopic: refusal }
    const reply = await admin('DeleteTopic', v1.DeleteTopicRequest, v1.DeleteTopicResponse, { name: 'T' })
    expect(reply.status).toMatchObject({ code, message: 'no' })
  })

  test.each([
    ['CreateTopic', v1.CreateTopicRequest, { name: 'a.b' }],
    ['CreateTopic', v1.CreateTopicRequest, { name: 'T', queueCount: 1_025 }],
    ['GetTopic', v1.GetTopicRequest, {}],
    ['EnsureGroup', v1.EnsureGroupRequest, { name: 'G', topics: ['ok', 'a.b'] }],
    ['EnsureGroup', v1.EnsureGroupRequest, { name: 'G', settings: { maxAttempts: 1_001 } }],
    [
      'EnsureGroup',
      v1.EnsureGroupRequest,
      { name: 'G', settings: { backoff: { exponential: { initialMs: 5, maxMs: 1, multiplier: 2 } } } },
    ],
    ['EnsureGroup', v1.EnsureGroupRequest, { name: 'G', settings: { backoff: { steps: { stepMs: [] } } } }],
    ['GetGroup', v1.GetGroupRequest, { name: '' }],
  ])('refuses a bad %s', async (method, request, asked) => {
    const reply = await admin(method, request, v1.DeleteTopicResponse, asked)
    expect(reply.status?.code).toBe(v1.AdminStatus.Code.INVALID)
    expect(door.asked).toEqual([])
  })

  test('makes a group with its settings and start', async () => {
    const summary = {
      consumerGroup: 'G',
      settings: defaultSettings,
      topics: [{ topic: 'T', waiting: 3, inFlight: 1, queues: [{ cursor: 2, nextOffset: 6 }] }],
    }
    door.answers = { ensureGroup: { kind: 'groupEnsured', group: summary } }
    const asked = {
      name: 'G',
      settings: { isFifo: true, maxAttempts: 5, backoff: { steps: { stepMs: [10, 20] } } },
      start: { first: true },
      topics: ['T'],
    }
    const reply = await admin('EnsureGroup', v1.EnsureGroupRequest, v1.EnsureGroupResponse, asked)
    expect(reply.group).toMatchObject({
      name: 'G',
      topics: [{ topic: 'T', waiting: 3, inFlight: 1, queues: [{ queueId: 0, cursor: 2, nextOffset: 6 }] }],
    })
    expect(door.lastRequest('ensureGroup')).toMatchObject({
      consumerGroup: 'G',
      settings: { isFifo: true, maxAttempts: 5, retry: { kind: 'customized', stepsMs: [10, 20] } },
      start: { kind: 'first' },
      topics: ['T'],
      replaceSettings: false,
    })
  })

  test('tells of the dead letters of a group', async () => {
    door.answers = {
      getGroup: { kind: 'group', group: { consumerGroup: 'G', settings: defaultSettings, topics: [] } },
      getTopic: { kind: 'topic', topic },
    }
    const reply = await admin('GetGroup', v1.GetGroupRequest, v1.GetGroupResponse, { name: 'G' })
    expect(reply.group?.dead).toBe(5)
    expect(door.lastRequest('getTopic')['topic']).toBe('%DLQ%G')
  })

  test('tells how the cluster is', async () => {
    const reply = await admin('ClusterStatus', v1.ClusterStatusRequest, v1.ClusterStatusResponse, {})
    expect(reply).toMatchObject({ status: { code: v1.AdminStatus.Code.OK }, clusterName: 'stub', leader: 2, answeredBy: 1 })
  })
})
