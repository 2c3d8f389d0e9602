import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import '../../platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import { FieldReader } from './reader.ts'
import { scanAck, scanChangeInvisible, scanForward, scanReceive } from './scan-requests.ts'
import { scanMessage, scanSend, type ScannedMessage } from './scan.ts'
import { readTimeMs, wireTime } from './time.ts'

const v2 = apache.rocketmq.v2

const text = fc.string({ maxLength: 12 })
const name = fc.string({ unit: fc.constantFrom('a', 'B', '_', '9', 'é'), minLength: 1, maxLength: 8 })
const time = fc.record({
  seconds: fc.integer({ min: 0, max: 4_000_000_000 }),
  nanos: fc.integer({ min: 0, max: 999 }).map(ms => ms * 1_000_000),
})
const systemProperties = fc.record(
  {
    tag: text,
    keys: fc.array(text, { maxLength: 3 }),
    messageId: text,
    bodyEncoding: fc.constantFrom(v2.Encoding.ENCODING_UNSPECIFIED, v2.Encoding.IDENTITY, v2.Encoding.GZIP),
    messageType: fc.constantFrom(v2.MessageType.NORMAL, v2.MessageType.FIFO),
    bornTimestamp: time,
    bornHost: text,
    deliveryTimestamp: time,
    queueId: fc.integer({ min: -5, max: 5 }),
    deliveryAttempt: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    messageGroup: text,
  },
  { requiredKeys: [] },
)
const message = fc.record(
  {
    topic: fc.record({ resourceNamespace: text, name }),
    userProperties: fc.dictionary(name, text, { maxKeys: 4 }),
    systemProperties,
    body: fc.uint8Array({ maxLength: 40 }),
  },
  { requiredKeys: ['topic'] },
)

function scanned(message: apache.rocketmq.v2.Message.$Properties): ScannedMessage {
  const scan = scanMessage(v2.Message.encode(message).finish())
  if (typeof scan === 'string') throw new Error(scan)
  return scan
}

function sliceOf(scan: ScannedMessage, range: { start: number; end: number }): Buffer {
  return Buffer.from(scan.bytes.subarray(range.start, range.end))
}

describe('the scan of a message', () => {
  test('finds what the generated classes decode', () => {
    fc.assert(
      fc.property(message, published => {
        const scan = scanned(published)
        const decoded = v2.Message.decode(scan.bytes)
        const system = decoded.systemProperties
        expect(scan.topic).toBe(decoded.topic?.name ?? '')
        expect(scan.namespace).toBe(decoded.topic?.resourceNamespace ?? '')
        expect(scan.messageId).toBe(system?.messageId ?? '')
        expect(scan.tag ?? '').toBe(system?.tag ?? '')
        expect(scan.keys).toEqual((system?.keys ?? []).filter(key => key !== ''))
        expect(scan.messageGroup ?? '').toBe(system?.messageGroup ?? '')
        expect(scan.messageType).toBe(system?.messageType ?? 0)
        expect(sliceOf(scan, scan.body).equals(Buffer.from(decoded.body))).toBe(true)
        expect(scan.userPropertyCount).toBe(Object.keys(decoded.userProperties).length)
        const texts = [...Object.entries(decoded.userProperties).flat(), system?.tag ?? '', ...(system?.keys ?? [])]
        expect(scan.propertyBytes).toBe(texts.reduce((sum, part) => sum + Buffer.byteLength(part), 0))
      }),
    )
  })

  test('gives the range of system_properties with tag and length', () => {
    const scan = scanned({ topic: { name: 'T' }, systemProperties: { messageId: 'i' }, body: Buffer.from('b') })
    expect(sliceOf(scan, scan.systemProperties).toString('hex')).toBe('1a031a0169')
  })

  test('never throws, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
        for (const scan of [scanSend, scanMessage, scanReceive, scanAck, scanChangeInvisible, scanForward]) scan(bytes)
      }),
      { numRuns: 2_000 },
    )
  })

  test('either refuses a damaged message or finds what the generated classes decode', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (published, where, flip, cut) => {
        const whole = v2.Message.encode(published).finish()
        if (whole.length === 0) return
        const at = where % whole.length
        const bytes = cut ? whole.subarray(0, at) : Uint8Array.from(whole, (byte, i) => (i === at ? byte ^ flip : byte))
        const scan = scanMessage(bytes)
        if (typeof scan === 'string') return
        const decoded = v2.Message.decode(bytes)
        expect(scan.topic).toBe(decoded.topic?.name ?? '')
        expect(scan.messageId).toBe(decoded.systemProperties?.messageId ?? '')
        expect(sliceOf(scan, scan.body).equals(Buffer.from(decoded.body))).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('lets the last of a repeated scalar count', () => {
    const twice = Buffer.concat([
      v2.SystemProperties.encode({ messageId: 'first', tag: 'x' }).finish(),
      v2.SystemProperties.encode({ messageId: 'last', tag: 'y' }).finish(),
    ])
    const bytes = Buffer.concat([
      v2.Message.encode({ topic: { name: 'T' }, body: Buffer.from('1') }).finish(),
      Buffer.from([0x1a, twice.length]),
      twice,
      Buffer.from('220132', 'hex'),
    ])
    expect(scanMessage(bytes)).toMatchObject({ messageId: 'last', tag: 'y', topic: 'T' })
    const scan = scanMessage(bytes)
    if (typeof scan !== 'string') expect(sliceOf(scan, scan.body).toString()).toBe('2')
  })

  const garbage: [string, string, string][] = [
    ['two system_properties', '1a031a01611a031a0162', 'two system_properties'],
    ['two topics', '0a0312015a0a03120154', 'two topics'],
    ['a length past the end', '0aff01', 'past the end'],
    ['a cut tag', '80', 'cut off'],
    ['field number 0', '0201', 'number 0'],
    ['an endless varint', '08ffffffffffffffffffffff01', 'cut off or too long'],
    ['a group', '2b2c', 'unknown wire type'],
    ['a body that is an integer', '2001', 'wrong wire type'],
    ['a tag that is an integer', '1a020801', 'wrong wire type'],
    ['a tag that is not UTF-8', '1a040a02c328', 'not UTF-8'],
    ['a topic that is not UTF-8', '0a041202c328', 'not UTF-8'],
    ['a property that is not UTF-8', '12040a02c328', 'not UTF-8'],
    ['a born time that is garbage', '1a033a0108', 'does not decode'],
    ['a digest that is garbage', '1a04220210ff', 'does not decode'],
  ]
  test.each(garbage)('refuses %s', (_what, hex, problem) => {
    expect(scanMessage(Buffer.from(hex, 'hex'))).toContain(problem)
  })

  test('skips unknown fields of every wire type', () => {
    const unknown = Buffer.from('a80601' + 'a106' + '0102030405060708' + 'a50601020304' + 'aa0603616263', 'hex')
    const bytes = Buffer.concat([unknown, v2.Message.encode({ topic: { name: 'T' } }).finish(), unknown])
    expect(scanMessage(bytes)).toMatchObject({ topic: 'T' })
  })

  test.each([
    ['UNIQ_KEY', 'v', 'reserved'],
    ['1ST_POP_TIME', 'v', 'reserved'],
    ['__BORNHOST', 'v', 'reserved'],
    ['TAGS', 'v', 'reserved'],
    ['a\u0001', 'v', 'control'],
    ['a', 'v\u0085', 'control'],
    ['a', 'v\u007f', 'control'],
  ] as const)('marks property %j = %j as %s', (key, value, why) => {
    expect(scanned({ topic: { name: 'T' }, userProperties: { [key]: value } }).badProperty).toEqual({ name: key, why })
  })

  test.each(['uniq_key', 'TAGSX', 'émigré', '\u{1f600}', 'a\u00a0b'])('has nothing against property %j', key => {
    expect(scanned({ topic: { name: 'T' }, userProperties: { [key]: 'v' } }).badProperty).toBeUndefined()
  })

  test('counts properties beyond the bound without collecting them', () => {
    const userProperties = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, 'v']))
    const scan = scanned({ topic: { name: 'T' }, userProperties })
    expect(scan.userPropertyCount).toBe(500)
    expect(scan.userProperties.length).toBeLessThan(130)
  })
})

describe('the scan of a send', () => {
  test('gives each message on its own', () => {
    const bytes = v2.SendMessageRequest.encode({
      messages: ['a', 'b'].map(id => ({ topic: { name: 'T' }, systemProperties: { messageId: id } })),
    }).finish()
    expect(scanSend(bytes)).toMatchObject({ kind: 'send', messages: [{ messageId: 'a' }, { messageId: 'b' }] })
  })

  test('says how many messages were whole', () => {
    const one = v2.SendMessageRequest.encode({ messages: [{ topic: { name: 'T' } }] }).finish()
    expect(scanSend(Buffer.concat([one, Buffer.from('0a0120', 'hex')]))).toMatchObject({ kind: 'problem', whole: 1 })
  })

  test('looks at no more than 1024 messages', () => {
    expect(scanSend(Buffer.from('0a00'.repeat(1025), 'hex'))).toMatchObject({ kind: 'problem', problem: 'more than 1024 messages' })
  })
})

describe('the scan of a receive', () => {
  test('finds what was asked', () => {
    const bytes = v2.ReceiveMessageRequest.encode({
      group: { name: 'g', resourceNamespace: 'n' },
      messageQueue: { topic: { name: 'T' }, id: -1, broker: { name: 'n1' } },
      filterExpression: { type: v2.FilterType.TAG, expression: 'a || b' },
      batchSize: 32,
      invisibleDuration: { seconds: 15, nanos: 0 },
      autoRenew: true,
      longPollingTimeout: { seconds: 1, nanos: 500_000_000 },
      attemptId: 'uuid',
    }).finish()
    expect(scanReceive(bytes)).toEqual({
      consumerGroup: { namespace: 'n', name: 'g' },
      topic: { namespace: '', name: 'T' },
      filterType: 1,
      filterExpression: 'a || b',
      batchSize: 32,
      invisibleMs: 15_000,
      autoRenew: true,
      longPollingMs: 1_500,
      attemptId: 'uuid',
    })
  })

  test('of nothing asks for nothing', () => {
    expect(scanReceive(new Uint8Array())).toMatchObject({
      batchSize: 0,
      invisibleMs: undefined,
      longPollingMs: undefined,
      attemptId: undefined,
      autoRenew: false,
    })
  })
})

describe('the scan of a settlement', () => {
  const resources = { group: { name: 'g' }, topic: { name: 'T' } }
  const named = { consumerGroup: { namespace: '', name: 'g' }, topic: { namespace: '', name: 'T' } }

  test('finds the entries of an ack', () => {
    const bytes = v2.AckMessageRequest.encode({
      ...resources,
      entries: [{ messageId: 'm', receiptHandle: 'h' }, { receiptHandle: 'h2' }],
    }).finish()
    const entries = [
      { messageId: 'm', receiptHandle: 'h' },
      { messageId: '', receiptHandle: 'h2' },
    ]
    expect(scanAck(bytes)).toEqual({ ...named, entries })
  })

  test('finds a change of the invisible duration, parts of a millisecond rounded up', () => {
    const bytes = v2.ChangeInvisibleDurationRequest.encode({
      ...resources,
      receiptHandle: 'h',
      messageId: 'm',
      invisibleDuration: { seconds: 0, nanos: 1 },
      suspend: true,
    }).finish()
    expect(scanChangeInvisible(bytes)).toEqual({ ...named, receiptHandle: 'h', messageId: 'm', invisibleMs: 1, suspend: true })
  })

  test('finds a forward', () => {
    const bytes = v2.ForwardMessageToDeadLetterQueueRequest.encode({
      ...resources,
      receiptHandle: 'h',
      messageId: 'm',
      deliveryAttempt: 3,
    }).finish()
    expect(scanForward(bytes)).toEqual({ ...named, receiptHandle: 'h', messageId: 'm' })
  })
})

describe('times on the wire', () => {
  test('come back as they went', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), ms => {
        const { seconds, nanos } = wireTime(ms)
        const encoded = v2.SystemProperties.encode({ bornTimestamp: { seconds, nanos } }).finish()
        expect(readTimeMs(new FieldReader(encoded, 2))).toBe(ms)
      }),
    )
  })

  test('that no number holds are no times', () => {
    const huge = v2.SystemProperties.encode({ bornTimestamp: { seconds: Number.MAX_SAFE_INTEGER, nanos: 0 } }).finish()
    expect(readTimeMs(new FieldReader(huge, 2))).toBeUndefined()
  })
})
