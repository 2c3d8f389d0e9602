import { createHash } from 'node:crypto'
import { status, type ServiceError } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'
import { Deadlines } from '../../broker/deadlines.ts'
import { refuse, type Refusal } from '../../broker/refusal.ts'
import type { ReceivedMessage, ReceiveRequest } from '../../broker/requests.ts'
import { FakeClock } from '../../broker/testing/fake-clock.ts'
import { queueOffset, type QueueId } from '../../state/ids.ts'
import { door, client, asIs, headers, bytesOf, goodMessage } from '../../../test/support/rpc-harness.ts'
import { never, stubBatch } from '../../../test/support/stub-door.ts'
import type { BrokerDoor } from '../broker-door.ts'
import { scanMessage } from '../wire/scan.ts'
import { receiveMessage } from './receive-message.ts'

const v2 = apache.rocketmq.v2

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
    const bytes = bytesOf(v2.Message, { ...goodMessage, body })
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

  test('ends before a message that has rotted since it was popped: what was told is confirmed, the rest is given back', async () => {
    const messages = ['a', 'b', 'c'].map((body, offset) => receivedMessage(Buffer.from(body), offset))
    door.answers = { receive: () => ({ ...stubBatch(door, messages), isReadable: (i: number) => i !== 1 }) }
    const items = await receive(request).ended
    expect(items.map(item => item.content)).toEqual(['status', 'message', 'deliveryTimestamp'])
    await until(() => door.fates.length > 0)
    expect(door.fates).toEqual(['release from 1'])
  })

  test('that is refused late is answered before its caller gives up', () => {
    const clock = new FakeClock()
    let refuseIt: (refusal: Refusal) => void = () => undefined
    const broker = {
      receive(_request: ReceiveRequest, reply: (refusal: Refusal) => void) {
        refuseIt = reply
        return { cancel: () => undefined }
      },
    } as unknown as BrokerDoor
    const endedMs: number[] = []
    const stream = { write: () => undefined, end: () => void endedMs.push(clock.nowMs()) }
    const startMs = clock.nowMs()
    const caller = { clientId: 'client-1', isNodeClient: false, peer: '', leftMs: 3_000 }
    const context = { broker, clock, deadlines: new Deadlines(clock), storeHost: '' }
    receiveMessage(context, caller, bytesOf(v2.ReceiveMessageRequest, request), stream)
    clock.advance(2_400)
    refuseIt(refuse('haNotAvailable', 'no leader'))
    clock.advance(5_000)
    expect(endedMs).toEqual([startMs + 2_700])
  })

  test('is told in the namespace that the consumer gives its topic', async () => {
    door.answers = { receive: () => stubBatch(door, [receivedMessage(Buffer.from('a'), 0)]) }
    for (const resourceNamespace of ['ns', '']) {
      const items = await receive({ ...request, messageQueue: { topic: { name: 'T', resourceNamespace }, id: 0 } }).ended
      expect(items[1]?.message?.topic).toMatchObject({ name: 'T', resourceNamespace })
    }
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
