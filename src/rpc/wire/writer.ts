/**
 * Protobuf fields into a buffer of the right size: every function writes at `position` and returns the next. The sizes are computed first, so
 * nothing grows and nothing is copied twice. Only what the hot path sends; everything else uses the generated classes.
 */
import { assert } from '../../platform/assert.ts'

/** Bytes of a non-negative integer as a varint. */
export function varintBytes(value: number): number {
  let count = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) count++
  return count
}

/** Non-negative safe integers only: what is negative on the wire is not written here. */
export function writeVarint(out: Uint8Array, position: number, value: number): number {
  assert(Number.isSafeInteger(value) && value >= 0, 'varint-range', value)
  let rest = value
  let at = position
  // Above 2^31 the bit operators would be wrong.
  while (rest >= 0x8000_0000) {
    out[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest >= 128) {
    out[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  out[at++] = rest
  return at
}

/** Tag of a field below 16 (one byte) or below 2048 (two). */
export function writeTag(out: Uint8Array, position: number, field: number, wireType: 0 | 2): number {
  return writeVarint(out, position, field * 8 + wireType)
}

export function tagBytes(field: number): number {
  return field < 16 ? 1 : 2
}

/** Bytes of a field that holds `length` bytes. */
export function lengthFieldBytes(field: number, length: number): number {
  return tagBytes(field) + varintBytes(length) + length
}

export function varintFieldBytes(field: number, value: number): number {
  return tagBytes(field) + varintBytes(value)
}

/** Tag and length of a field whose `length` bytes the caller writes behind it. */
export function writeLengthTag(out: Uint8Array, position: number, field: number, length: number): number {
  return writeVarint(out, writeTag(out, position, field, 2), length)
}

export function writeVarintField(out: Uint8Array, position: number, field: number, value: number): number {
  return writeVarint(out, writeTag(out, position, field, 0), value)
}

/** `length` is the text's UTF-8 length, counted before. */
export function writeTextField(out: Buffer, position: number, field: number, text: string, length: number): number {
  const at = writeLengthTag(out, position, field, length)
  const written = out.write(text, at, length, length === text.length ? 'latin1' : 'utf8')
  assert(written === length, 'text-length', written, length)
  return at + length
}
