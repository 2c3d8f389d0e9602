import { expect, test } from 'vitest'
import { dedupeKeyOf, fingerprintOf, hash32, hash64, md5, tagHashOf } from './hash.ts'
import type { OutgoingMessage } from './requests.ts'

/** A message whose bytes are its property entries, then its body. */
function message(options: { body?: string; properties?: string[]; tag?: string; keys?: string[] }): OutgoingMessage {
  const { body = 'body', properties = [], tag, keys = [] } = options
  let at = 0
  const userProperties = properties.map(entry => ({ start: at, end: (at += entry.length) }))
  const bytes = Buffer.from(properties.join('') + body)
  return {
    bytes,
    systemProperties: { start: 0, end: 0 },
    body: { start: at, end: bytes.length },
    userProperties,
    messageId: 'm',
    tag,
    keys,
  }
}

function fingerprint(options: Parameters<typeof message>[0], group?: string): string {
  const made = message(options)
  return JSON.stringify(fingerprintOf(made, group, md5(made.bytes.subarray(made.body.start, made.body.end))))
}

test('the hashes are pinned: they stand in logs', () => {
  expect(hash64('host@1@0@abc')).toMatchInlineSnapshot(`
    {
      "high": 781397752,
      "low": 187750188,
    }
  `)
  expect(hash32('TagA')).toMatchInlineSnapshot(`853948387`)
  expect(dedupeKeyOf('t', 'c', 'm')).toMatchInlineSnapshot(`
    {
      "a": {
        "high": 3796301553,
        "low": 2151996081,
      },
      "b": {
        "high": 157070834,
        "low": 3152863544,
      },
    }
  `)
  expect(Buffer.from(md5(Buffer.from('abc'))).toString('hex')).toBe('900150983cd24fb0d6963f7d28e17f72')
})

test('a deduplication key differs when topic, client or message id differ (M66)', () => {
  const keys = [
    dedupeKeyOf('t', 'c', 'm'),
    dedupeKeyOf('t2', 'c', 'm'),
    dedupeKeyOf('t', 'c2', 'm'),
    dedupeKeyOf('t', 'c', 'm2'),
    dedupeKeyOf('tc', '', 'm'),
  ]
  expect(new Set(keys.map(key => JSON.stringify(key))).size).toBe(keys.length)
})

test('a fingerprint does not care about the order of properties and keys', () => {
  expect(fingerprint({ properties: ['a1', 'b2'], keys: ['k', 'l'] })).toBe(fingerprint({ properties: ['b2', 'a1'], keys: ['l', 'k'] }))
})

test('a fingerprint cares about body, properties, tag, keys and message group', () => {
  const all = [
    fingerprint({}),
    fingerprint({ body: 'other' }),
    fingerprint({ properties: ['a1'] }),
    fingerprint({ tag: 'x' }),
    fingerprint({ tag: '' }),
    fingerprint({ keys: ['x'] }),
    fingerprint({}, 'x'),
  ]
  expect(new Set(all).size).toBe(all.length)
})

test('no tag hashes to 0', () => {
  for (let i = 0; i < 10_000; i++) expect(tagHashOf(`t${i}`)).toBeGreaterThan(0)
})
