/**
 * The splice of a delivery (DESIGN rule 1), decoded by three readers: the official client's own classes, which replace a repeated submessage,
 * our generated classes, which merge it, and the eye: the golden bytes.
 */
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import '../../src/platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import type { ReceivedMessage } from '../../src/broker/requests.ts'
import { queueOffset, type QueueId } from '../../src/state/ids.ts'
import { encodeDelivery } from '../../src/rpc/wire/append-fields.ts'
import { scanMessage } from '../../src/rpc/wire/scan.ts'

const v2 = apache.rocketmq.v2
const require = createRequire(import.meta.url)

/** The official client's generated code, as far as it is used here. */
interface ClientMessage {
  toObject(): {
    message?: { topic: object; userPropertiesMap: [string, string][]; systemProperties: Record<string, unknown>; body: string }
  }
}
const client = require('rocketmq-client-nodejs/proto/apache/rocketmq/v2/service_pb.js') as {
  ReceiveMessageResponse: { deserializeBinary(bytes: Uint8Array): ClientMessage }
}

type Published = apache.rocketmq.v2.Message.$Properties
const storedAtMs = 1_700_000_000_123

function received(bytes: Uint8Array, differing: Partial<ReceivedMessage> = {}): ReceivedMessage {
  const scan = scanMessage(bytes)
  if (typeof scan === 'string') throw new Error(scan)
  return {
    receiptHandle: 'handle-1',
    bytes,
    systemProperties: scan.systemProperties,
    bodyMd5: createHash('md5').update(bytes.subarray(scan.body.start, scan.body.end)).digest(),
    queueId: 2 as QueueId,
    offset: queueOffset(5),
    attempt: 1,
    storedAtMs,
    invisibleMs: 60_000,
    ...differing,
  }
}

const context = { topic: 'T', namespace: '', storeHost: '10.0.0.1:8081' }

const published: Published = {
  topic: { name: 'T' },
  userProperties: { colour: 'blue' },
  systemProperties: {
    tag: 'a',
    keys: ['k1', 'k2'],
    messageId: '01AB',
    bodyEncoding: v2.Encoding.IDENTITY,
    messageType: v2.MessageType.NORMAL,
    bornTimestamp: { seconds: 1_700_000_000, nanos: 5_000_000 },
    bornHost: 'h',
  },
  body: Buffer.from('hello'),
}

function decode(bytes: Uint8Array) {
  const message = v2.ReceiveMessageResponse.decode(bytes).message
  const system = message?.systemProperties
  if (!message || !system) throw new Error('no message')
  return { message, system }
}

describe('a delivery', () => {
  test('is what the official client decodes, with everything the client needs', () => {
    const bytes = encodeDelivery(received(v2.Message.encode(published).finish()), context)
    const { message } = client.ReceiveMessageResponse.deserializeBinary(bytes).toObject()
    expect(message?.topic).toEqual({ resourceNamespace: '', name: 'T' })
    expect(message?.userPropertiesMap).toEqual([['colour', 'blue']])
    expect(Buffer.from(message?.body ?? '', 'base64').toString()).toBe('hello')
    expect(message?.systemProperties).toMatchObject({
      tag: 'a',
      keysList: ['k1', 'k2'],
      messageId: '01AB',
      bodyDigest: { type: v2.DigestType.MD5, checksum: '5D41402ABC4B2A76B9719D911017C592' },
      bodyEncoding: 1,
      messageType: 1,
      bornTimestamp: { seconds: 1_700_000_000, nanos: 5_000_000 },
      bornHost: 'h',
      storeTimestamp: { seconds: 1_700_000_000, nanos: 123_000_000 },
      storeHost: '10.0.0.1:8081',
      receiptHandle: 'handle-1',
      queueId: 2,
      queueOffset: 5,
      invisibleDuration: { seconds: 60, nanos: 0 },
      deliveryAttempt: 1,
    })
  })

  test('is what our generated classes decode', () => {
    const bytes = encodeDelivery(received(v2.Message.encode(published).finish()), context)
    const { message, system } = decode(bytes)
    expect(message.topic).toMatchObject({ name: 'T' })
    expect(system).toMatchObject({
      tag: 'a',
      keys: ['k1', 'k2'],
      messageId: '01AB',
      receiptHandle: 'handle-1',
      queueOffset: 5,
      deliveryAttempt: 1,
    })
    expect(system.bodyDigest?.checksum).toBe('5D41402ABC4B2A76B9719D911017C592')
  })

  test('has these bytes', () => {
    const bytes = encodeDelivery(
      received(v2.Message.encode({ topic: { name: 'T' }, systemProperties: { messageId: 'i' }, body: Buffer.from('x') }).finish()),
      context,
    )
    expect(bytes.toString('hex')).toBe(
      [
        '1277', // ReceiveMessageResponse.message, 119 bytes
        '0a03 1201 54', // topic { name: "T" }
        '1a6d', // system_properties, 109 bytes
        '1a01 69', // message_id "i", as published
        '2224 0802 1220 3944443445343631323638433830333446354338353634453135354336374136', // body_digest { MD5 9DD4E461… }
        '2801', // body_encoding IDENTITY, since none was given
        '3001', // message_type NORMAL, since none was given
        '3a0b 0880e2cfaa06 10c0a9d33a', // born_timestamp, since none was given
        '4a0b 0880e2cfaa06 10c0a9d33a', // store_timestamp
        '520d 31302e302e302e313a38303831', // store_host
        '6208 68616e646c652d31', // receipt_handle
        '6802', // queue_id 2
        '7005', // queue_offset 5
        '7a04 083c 1000', // invisible_duration 60 s
        '800101', // delivery_attempt 1
        '2201 78', // body "x"
      ]
        .join('')
        .replaceAll(' ', ''),
    )
  })

  test('overrules what a producer had no business to say', () => {
    const meddled = {
      ...published,
      systemProperties: {
        ...published.systemProperties,
        queueId: 77,
        queueOffset: 1234,
        deliveryAttempt: 2_000_000_000,
        receiptHandle: 'forged',
        storeHost: 'elsewhere',
        storeTimestamp: { seconds: 1, nanos: 999 },
        invisibleDuration: { seconds: 1, nanos: 999 },
        bodyDigest: { type: v2.DigestType.SHA1, checksum: 'nonsense' },
      },
    }
    const bytes = encodeDelivery(
      received(v2.Message.encode(meddled).finish(), { queueId: 0 as QueueId, offset: queueOffset(0), storedAtMs: 1_700_000_000_000 }),
      context,
    )
    const told = {
      queueId: 0,
      queueOffset: 0,
      deliveryAttempt: 1,
      receiptHandle: 'handle-1',
      storeHost: '10.0.0.1:8081',
      storeTimestamp: { seconds: 1_700_000_000, nanos: 0 },
      invisibleDuration: { seconds: 60, nanos: 0 },
      bodyDigest: { type: v2.DigestType.MD5, checksum: '5D41402ABC4B2A76B9719D911017C592' },
    }
    expect(client.ReceiveMessageResponse.deserializeBinary(bytes).toObject().message?.systemProperties).toMatchObject(told)
    expect(decode(bytes).system).toMatchObject(told)
  })

  test.each([
    { given: '', delivered: 1 },
    { given: '2800', delivered: 1 },
    { given: '2801', delivered: 1 },
    { given: '2802', delivered: 2 },
    { given: '2809', delivered: 1 },
  ])('with body encoding [$given] as published has $delivered', ({ given, delivered }) => {
    const system = Buffer.concat([v2.SystemProperties.encode({ messageId: 'i' }).finish(), Buffer.from(given, 'hex')])
    const bytes = Buffer.concat([v2.Message.encode({ topic: { name: 'T' } }).finish(), Buffer.from([0x1a, system.length]), system])
    expect(decode(encodeDelivery(received(bytes), context)).system.bodyEncoding).toBe(delivered)
  })

  test('without a born time as published has the store time', () => {
    const { bornTimestamp, ...rest } = published.systemProperties ?? {}
    expect(bornTimestamp).toEqual({ seconds: 1_700_000_000, nanos: 5_000_000 })
    const bytes = v2.Message.encode({ ...published, systemProperties: rest }).finish()
    expect(decode(encodeDelivery(received(bytes), context)).system.bornTimestamp).toMatchObject({
      seconds: 1_700_000_000,
      nanos: 123_000_000,
    })
  })

  test('without a message type as published has FIFO when it has a message group', () => {
    const bytes = v2.Message.encode({ ...published, systemProperties: { messageId: 'i', messageGroup: 'g' } }).finish()
    expect(decode(encodeDelivery(received(bytes), context)).system).toMatchObject({ messageType: v2.MessageType.FIFO, messageGroup: 'g' })
  })

  test('says absent of what was not set', () => {
    const bytes = encodeDelivery(
      received(v2.Message.encode({ topic: { name: 'T' }, systemProperties: { messageId: 'i' }, body: Buffer.from('x') }).finish()),
      context,
    )
    const { system } = decode(bytes)
    for (const field of ['tag', 'messageGroup', 'deliveryTimestamp', 'traceContext', 'deadLetterQueue', 'liteTopic', 'priority'] as const) {
      expect(Object.hasOwn(system, field), field).toBe(false)
    }
  })

  test('bears the topic as the consumer named it, whoever merges or replaces', () => {
    const bytes = v2.Message.encode({ ...published, topic: { name: 'T', resourceNamespace: 'producers' } }).finish()
    for (const namespace of ['', 'consumers']) {
      const delivery = encodeDelivery(received(bytes), { ...context, namespace })
      expect(client.ReceiveMessageResponse.deserializeBinary(delivery).toObject().message?.topic).toEqual({
        resourceNamespace: namespace,
        name: 'T',
      })
      expect(decode(delivery).message.topic).toMatchObject({ resourceNamespace: namespace, name: 'T' })
    }
  })

  test('of a dead letter bears the dead letter topic and where it came from', () => {
    const delivery = encodeDelivery(received(v2.Message.encode(published).finish()), { ...context, topic: '%DLQ%g' })
    const { message, system } = decode(delivery)
    expect(message.topic?.name).toBe('%DLQ%g')
    expect(system).toMatchObject({ messageId: '01AB', tag: 'a', deadLetterQueue: { topic: 'T', messageId: '01AB' } })
    expect(message.userProperties).toEqual({ colour: 'blue' })
  })

  test('copes with fields in any order and with fields that nobody knows', () => {
    const unknown = Buffer.from('da0603616263', 'hex') // field 107, "abc"
    const system = Buffer.concat([unknown, v2.SystemProperties.encode({ messageId: 'i' }).finish()])
    const bytes = Buffer.concat([
      v2.Message.encode({ body: Buffer.from('hello') }).finish(),
      Buffer.from([0x1a, system.length]),
      system,
      unknown,
      v2.Message.encode({ topic: { name: 'T' } }).finish(),
    ])
    const { message, system: told } = decode(encodeDelivery(received(bytes), context))
    expect(told).toMatchObject({ messageId: 'i', receiptHandle: 'handle-1' })
    expect(Buffer.from(message.body ?? []).toString()).toBe('hello')
    expect(message.topic?.name).toBe('T')
  })

  test('of a body of 4 MiB has a body of 4 MiB', () => {
    const body = Buffer.alloc(4 * 1024 * 1024, 7)
    const delivery = encodeDelivery(received(v2.Message.encode({ ...published, body }).finish()), context)
    expect(Buffer.compare(decode(delivery).message.body ?? Buffer.alloc(0), body)).toBe(0)
  })

  test('keeps offsets beyond 2^32 and long handles', () => {
    const delivery = encodeDelivery(
      received(v2.Message.encode(published).finish(), { offset: queueOffset(2 ** 45 + 1), receiptHandle: 'x'.repeat(300) }),
      context,
    )
    expect(decode(delivery).system).toMatchObject({ queueOffset: 2 ** 45 + 1, receiptHandle: 'x'.repeat(300) })
  })
})
