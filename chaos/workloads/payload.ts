/**
 * Messages that prove themselves: the body names the value and holds bytes that follow from (seed, value), so any reader can tell a foreign, an
 * exchanged and a damaged message apart without asking anybody. Encoded as a client encodes a v2 Message; the little reader below is written
 * from the wire format alone, not with the broker's scanner.
 */
import type { ByteRange, OutgoingMessage } from '../../src/broker/requests.ts'

const magic = 0x51_4d_46_52
const plainMagic = 0x50_4d_46_52
const headerBytes = 16

/** Smallest body that can name its value. */
export const bodyBytesMin = headerBytes

/** The body of a value: magic, seed, value, length, then noise that follows from them, or zeros when it is plain. */
export function bodyOf(seed: number, value: number, bytes: number, isPlain = false): Uint8Array {
  const body = new Uint8Array(Math.max(bytes, headerBytes))
  const view = new DataView(body.buffer)
  view.setUint32(0, isPlain ? plainMagic : magic, true)
  view.setUint32(4, seed >>> 0, true)
  view.setUint32(8, value, true)
  view.setUint32(12, body.length, true)
  if (isPlain) return body
  let noise = Math.imul(value + 1, 0x9e3779b1) ^ seed
  for (let i = headerBytes; i < body.length; i += 1) {
    noise = Math.imul(noise ^ (noise >>> 15), 0x85ebca6b) + i
    body[i] = noise >>> 24
  }
  return body
}

export type BodyReading =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'foreign' }
  /** It names a value, and its bytes are not that value's. */
  | { readonly kind: 'damaged'; readonly value: number }

/** Which value a body is. */
export function readBody(seed: number, body: Uint8Array): BodyReading {
  if (body.length < headerBytes) return { kind: 'foreign' }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const found = view.getUint32(0, true)
  if ((found !== magic && found !== plainMagic) || view.getUint32(4, true) !== seed >>> 0) return { kind: 'foreign' }
  const value = view.getUint32(8, true)
  const expected = bodyOf(seed, value, view.getUint32(12, true), found === plainMagic)
  return sameBytes(expected, body) ? { kind: 'value', value } : { kind: 'damaged', value }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false
  for (let i = 0; i < left.length; i += 1) if (left[i] !== right[i]) return false
  return true
}

/** A v2 Message: topic, system properties (tag, message id, message group), body. */
export function encodeMessage(message: {
  readonly topic: string
  readonly messageId: string
  readonly tag: string | undefined
  readonly messageGroup: string | undefined
  readonly body: Uint8Array
}): OutgoingMessage {
  const out: number[] = []
  const topic: number[] = []
  text(topic, 2, message.topic)
  nested(out, 1, topic)
  const system: number[] = []
  if (message.tag !== undefined) text(system, 1, message.tag)
  text(system, 3, message.messageId)
  if (message.messageGroup !== undefined) text(system, 9, message.messageGroup)
  const systemStart = out.length
  nested(out, 3, system)
  const systemEnd = out.length
  tagAndLength(out, 4, message.body.length)
  const bytes = new Uint8Array(out.length + message.body.length)
  bytes.set(out)
  bytes.set(message.body, out.length)
  return {
    bytes,
    systemProperties: { start: systemStart, end: systemEnd },
    body: { start: out.length, end: bytes.length },
    userProperties: [],
    messageId: message.messageId,
    tag: message.tag,
    keys: [],
  }
}

/** The body field (4) of an encoded Message; undefined when there is none or the bytes are no message. */
export function findBody(bytes: Uint8Array): Uint8Array | undefined {
  const range = findField(bytes, 4)
  return range === undefined ? undefined : bytes.subarray(range.start, range.end)
}

function findField(bytes: Uint8Array, wanted: number): ByteRange | undefined {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; at < bytes.length && shift < 35; shift += 7) {
      const byte = bytes[at] ?? 0
      at += 1
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    return 0
  }
  while (at < bytes.length) {
    const key = varint()
    if ((key & 7) !== 2) return undefined
    const length = varint()
    if (at + length > bytes.length) return undefined
    if (key >>> 3 === wanted) return { start: at, end: at + length }
    at += length
  }
  return undefined
}

function text(out: number[], field: number, value: string): void {
  tagAndLength(out, field, value.length)
  for (let i = 0; i < value.length; i += 1) out.push(value.charCodeAt(i))
}

function nested(out: number[], field: number, content: readonly number[]): void {
  tagAndLength(out, field, content.length)
  out.push(...content)
}

function tagAndLength(out: number[], field: number, length: number): void {
  out.push((field << 3) | 2)
  let rest = length
  while (rest >= 0x80) {
    out.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  out.push(rest)
}
