/**
 * The hashes that gateways put into commands. They enter the replicated state, so they never change: golden values stand in the test.
 * MD5 because the protocol wants it for bodies and the one-shot call is the fastest strong mixing at hand; nothing here keeps a secret.
 */
import { hash as digestOf } from 'node:crypto'
import type { Hash64 } from '../state/ids.ts'
import type { OutgoingMessage } from './requests.ts'

/** 16 bytes. Takes ~1 µs per KiB: large bodies go through `digestLarge` instead. */
export function md5(bytes: Uint8Array): Uint8Array {
  return Buffer.from(digestOf('md5', bytes, 'binary'), 'latin1')
}

/** Of client ids, attempt ids, message groups. */
export function hash64(text: string): Hash64 {
  return half(digestOf('md5', text, 'hex'), 0)
}

/** Rule 5: (topic, client id, message id); M66 is what happens when one of them is left out. */
export function dedupeKeyOf(topic: string, clientId: string, messageId: string): { readonly a: Hash64; readonly b: Hash64 } {
  const hex = digestOf('md5', JSON.stringify([topic, clientId, messageId]), 'hex')
  return { a: half(hex, 0), b: half(hex, 16) }
}

/**
 * Of all that makes two messages with one id different: body, properties, tag, keys, message group. Not the born time and the like, which a
 * client stamps anew with each retry. Properties and keys count as sets: Go and Python send them in another order each time.
 */
export function fingerprintOf(message: OutgoingMessage, messageGroup: string | undefined, bodyMd5: Uint8Array): Hash64 {
  const { bytes, userProperties, keys, tag } = message
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const properties = userProperties.map(({ start, end }) => buffer.toString('latin1', start, end)).sort()
  const body = Buffer.from(bodyMd5.buffer, bodyMd5.byteOffset, bodyMd5.byteLength).toString('latin1')
  return half(digestOf('md5', JSON.stringify([body, properties, tag ?? null, [...keys].sort(), messageGroup ?? null]), 'hex'), 0)
}

/** 32 bits, never 0, which means "no tag". */
export function tagHashOf(tag: string): number {
  return hash32(tag) || 1
}

/** FNV-1a over UTF-16 units, with a closing avalanche. */
export function hash32(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad)
  return (h ^ (h >>> 15)) >>> 0
}

function half(hex: string, at: number): Hash64 {
  return { high: parseInt(hex.slice(at, at + 8), 16), low: parseInt(hex.slice(at + 8, at + 16), 16) }
}
