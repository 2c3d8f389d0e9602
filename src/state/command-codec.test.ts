import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bounds,
  checkCommand,
  decodeCommand,
  decodeEnvelope,
  decodeForApply,
  encodeCommand,
  sendMessageAt,
  stampEnvelope,
} from './command-codec.ts'
import type { Command, Envelope } from './command.ts'
import type { ConsumerGroupId, QueueId, QueueOffset, TopicId } from './ids.ts'
import { commands, envelopes } from './testing/arbitraries.ts'
import { bodyOf, message } from './testing/replica.ts'

const envelope: Envelope = { node: 2, incarnation: 3, sequence: 0x1_0000_0004, sentAtMs: 1_700_000_000_000 }
const envelopeHex = (kind: string) => `${kind} 01 0200 03000000 0400000001000000 0068e5cf8b010000`
const ref = {
  consumerGroupId: 1 as ConsumerGroupId,
  topicId: 2 as TopicId,
  queueId: 3 as QueueId,
  offset: 4 as QueueOffset,
  deliverySequence: 5,
}
const refHex = '01000000 02000000 0300 0400000000000000 0500000000000000'
const h = (low: number) => ({ low, high: 0x80000000 })
const hHex = (low: string) => `${low}000000 00000080`

/** Frozen with the first release: a change here makes old logs unreadable. */
const golden: readonly [string, Command, string][] = [
  ['tick', { kind: 'tick' }, envelopeHex('09')],
  ['barrier', { kind: 'barrier' }, envelopeHex('0a')],
  ['createTopic', { kind: 'createTopic', topic: 'ab', type: 'fifo', queueCount: 258 }, `${envelopeHex('04')} 02 6162 02 0201`],
  ['deleteTopic', { kind: 'deleteTopic', topic: 'ab' }, `${envelopeHex('05')} 02 6162`],
  ['nodeChanged', { kind: 'nodeChanged', node: 3, isUp: true }, `${envelopeHex('08')} 0300 01`],
  ['raiseLevel', { kind: 'raiseLevel', level: 2 }, `${envelopeHex('0c')} 0200`],
  [
    'digestCheck',
    { kind: 'digestCheck', atIndex: 1_000, digest: { a: h(1), b: h(2) } },
    `${envelopeHex('0b')} e803000000000000 ${hHex('01')} ${hHex('02')}`,
  ],
  [
    'clientsChanged',
    {
      kind: 'clientsChanged',
      changes: [
        { client: h(1), change: 'connected' },
        { client: h(2), change: 'terminated' },
      ],
    },
    `${envelopeHex('07')} 0200 ${hHex('01')} 01 ${hHex('02')} 03`,
  ],
  [
    'ensureGroup, customized, from a time',
    {
      kind: 'ensureGroup',
      consumerGroup: 'g',
      settings: { isFifo: true, maxAttempts: 17, retry: { kind: 'customized', stepsMs: [10, 20] } },
      start: { kind: 'time', wallMs: 7 },
      topics: ['ab'],
      replaceSettings: true,
    },
    `${envelopeHex('06')} 01 67 01 1100 02 02 0a000000 14000000 03 0700000000000000 01 0100 02 6162`,
  ],
  [
    'ensureGroup, exponential, from the last',
    {
      kind: 'ensureGroup',
      consumerGroup: 'g',
      settings: { isFifo: false, maxAttempts: 3, retry: { kind: 'exponential', initialMs: 10, maxMs: 20, multiplier: 1.5 } },
      start: { kind: 'last' },
      topics: [],
      replaceSettings: false,
    },
    `${envelopeHex('06')} 01 67 00 0300 01 0a000000 14000000 dc050000 02 00 0000`,
  ],
  [
    'settle',
    {
      kind: 'settle',
      items: [
        { kind: 'ack', ref },
        { kind: 'changeInvisible', ref, invisibleMs: 258, suspend: true },
        { kind: 'deadLetter', ref },
        { kind: 'confirm', ref },
        { kind: 'release', ref },
      ],
    },
    `${envelopeHex('03')} 0500 01 ${refHex} 02 ${refHex} 02010000 01 03 ${refHex} 04 ${refHex} 05 ${refHex}`,
  ],
  [
    'pop',
    {
      kind: 'pop',
      consumerGroup: 'g',
      topic: 'ab',
      requests: [
        { max: 32, invisibleMs: 258, autoRenew: true, client: h(1), attempt: h(2), filter: { kind: 'tags', hashes: [0xfffffffe] } },
        { max: 1, invisibleMs: 0, autoRenew: false, client: { low: 0, high: 0 }, attempt: undefined, filter: { kind: 'all' } },
      ],
    },
    `${envelopeHex('02')} 01 67 02 6162 0200
     20 02010000 01 ${hHex('01')} 01 ${hHex('02')} 02 0100 feffffff
     01 00000000 00 0000000000000000 00 01`,
  ],
  [
    'send',
    {
      kind: 'send',
      topic: 'ab',
      messageType: 2,
      messageGroup: h(3),
      messages: [
        {
          dedupeKey: { a: h(1), b: h(2) },
          fingerprint: h(4),
          tagHash: 0xfffffffe,
          bodyMd5: new Uint8Array(16).fill(0xee),
          systemPropertiesStart: 1,
          systemPropertiesEnd: 2,
          bytes: new Uint8Array([0xa1, 0xa2, 0xa3]),
        },
        message(undefined, { fingerprint: h(5), bytes: new Uint8Array([0xb1]) }),
      ],
    },
    `${envelopeHex('01')} 02 6162 02 01 ${hHex('03')} 0200
     01000000 ${hHex('01')} ${hHex('02')} ${hHex('04')} feffffff ${'ee'.repeat(16)} 01000000 02000000 03000000 a1a2a3
     00000000 ${'00'.repeat(16)} ${hHex('05')} 00000000 ${'00'.repeat(16)} 00000000 00000000 01000000 b1`,
  ],
]

test.each(golden)('%s has the bytes of the first release', (_name, command, hex) => {
  const expected = hex.replace(/\s/g, '')
  expect(Buffer.from(bodyOf(envelope, command)).toString('hex')).toBe(expected)
  const body = new Uint8Array(Buffer.from(expected, 'hex'))
  expect(decodeCommand(body)).toEqual({ ok: true, envelope, command })
  expect(checkCommand(body)).toBeUndefined()
})

test.each(golden)('%s is refused when it is cut anywhere, or has a byte too many', (_name, command) => {
  const body = bodyOf(envelope, command)
  for (let length = 0; length < body.length; length++) expect(decodeCommand(body.subarray(0, length)).ok).toBe(false)
  const longer = new Uint8Array(body.length + 1)
  longer.set(body)
  expect(decodeCommand(longer)).toMatchObject({ ok: false, problem: expect.stringContaining('behind the end') as string })
})

test.each(golden)('%s with any one bit flipped is refused, or is exactly the command that those bytes say', (_name, command) => {
  const body = bodyOf(envelope, command)
  for (let bit = 0; bit < body.length * 8; bit++) {
    const flipped = body.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    const decoded = decodeCommand(flipped)
    if (decoded.ok && Buffer.compare(bodyOf(decoded.envelope, decoded.command), flipped) !== 0)
      throw new Error(`bit ${bit} is not in the command`)
  }
})

test('every command comes back from its bytes', () => {
  fc.assert(
    fc.property(envelopes, commands, (anEnvelope, command) => {
      const body = bodyOf(anEnvelope, command)
      expect(decodeCommand(body)).toEqual({ ok: true, envelope: anEnvelope, command })
      expect(decodeEnvelope(body)).toEqual(anEnvelope)
      expect(decodeForApply(body).ok).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('message bytes are not copied by encoding', () => {
  const bytes = new Uint8Array(1_000)
  const { parts, bytes: total } = encodeCommand(envelope, {
    kind: 'send',
    topic: 'ab',
    messageType: 1,
    messageGroup: undefined,
    messages: [message(1, { bytes }), message(2, { bytes })],
  })
  expect(parts).toHaveLength(4)
  expect(parts[1]).toBe(bytes)
  expect(parts[3]).toBe(bytes)
  expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(total)
})

test('a gateway finds each message of a send in its entry, and none in anything else', () => {
  const messages = [
    message(1),
    message(undefined, { bytes: new Uint8Array(70).fill(5), systemPropertiesStart: 3, systemPropertiesEnd: 9 }),
    message(3),
  ]
  for (const messageGroup of [undefined, h(9)]) {
    const body = bodyOf(envelope, { kind: 'send', topic: 'ab', messageType: 2, messageGroup, messages })
    for (let i = 0; i < 3; i++) expect(sendMessageAt(body, i)).toEqual(messages[i])
    expect(sendMessageAt(body, 3)).toBeUndefined()
    expect(sendMessageAt(body.subarray(0, 40), 0)).toBeUndefined()
  }
  expect(sendMessageAt(bodyOf(envelope, { kind: 'tick' }), 0)).toBeUndefined()
})

test('an encoded command can be stamped again with another envelope', () => {
  const { parts } = encodeCommand(envelope, { kind: 'barrier' })
  const [first] = parts
  if (first === undefined) throw new Error('no part')
  const other = { node: 9, incarnation: 8, sequence: 7, sentAtMs: 6 }
  stampEnvelope(first, other)
  expect(decodeCommand(first)).toEqual({ ok: true, envelope: other, command: { kind: 'barrier' } })
})

test('what is out of bounds is refused with a sentence', () => {
  const refused = (hex: string) => checkCommand(new Uint8Array(Buffer.from(hex.replace(/\s/g, ''), 'hex')))
  expect(refused(`${envelopeHex('05')} 02 2020`)).toBe('a command is refused: a name has a character that names may not have')
  expect(refused(`${envelopeHex('05')} 00`)).toBe('a command is refused: a name is empty or too long')
  expect(refused(`${envelopeHex('04')} 01 61 01 0000`)).toBe('a command is refused: a topic has no queue, or too many')
  expect(refused(`${envelopeHex('04')} 01 61 01 0104`)).toContain('too many')
  expect(refused(`${envelopeHex('08')} 0000 01`)).toContain('a node has no number')
  expect(refused(`${envelopeHex('08')} 0100 02`)).toContain('a flag is neither 0 nor 1')
  expect(refused(`${envelopeHex('03')} 0000`)).toContain('a list is empty or too long')
  expect(refused(`${envelopeHex('0c')} 0000`)).toContain('a feature level is 0')
  expect(refused(`${envelopeHex('0c')} ffff`)).toBe('a command is refused: there is no feature level 65535')
  expect(refused(envelopeHex('7f'))).toContain('its kind is unknown')
  expect(refused(`09 02 ${envelopeHex('09').slice(6)}`)).toContain('its format is unknown')
  expect(refused(`09 01 0000 00000000 0100000000000000 0000000000000000`)).toContain('its node has no number')
  expect(refused(`09 01 0100 00000000 0000000000000000 0000000000000000`)).toContain('its sequence is 0')
  expect(refused(`09 01 0100 00000000 ffffffffffffffff 0000000000000000`)).toContain('out of range')
  expect(refused(`${envelopeHex('03')} 0100 02 ${refHex} ffffffff 00`)).toContain('an invisible duration is too long')
  expect(bounds.invisibleMsMax).toBe(12 * 3_600_000)
})
