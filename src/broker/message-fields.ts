/**
 * Two fields of a stored message's `system_properties`, read straight from its bytes: tag (1) and message id (3). The log holds the Message as
 * the producer encoded it, checked when it was sent; whatever does not read as such here counts as absent.
 */
import type { ByteRange } from './requests.ts'

const tagField = 1
const messageIdField = 3

/** undefined = the message has no tag. */
export function tagOf(bytes: Uint8Array, systemProperties: ByteRange): string | undefined {
  return textField(bytes, systemProperties, tagField)
}

export function messageIdOf(bytes: Uint8Array, systemProperties: ByteRange): string | undefined {
  return textField(bytes, systemProperties, messageIdField)
}

/** The last occurrence wins, as in every protobuf reader. */
function textField(bytes: Uint8Array, range: ByteRange, wanted: number): string | undefined {
  const cursor = { at: range.start }
  const fieldEnd = Math.min(range.end, bytes.length)
  if (cursor.at >= fieldEnd) return undefined
  // Tag and length of system_properties itself.
  if (readVarint(bytes, cursor, fieldEnd) === undefined) return undefined
  if (readVarint(bytes, cursor, fieldEnd) === undefined) return undefined
  let found: string | undefined
  while (cursor.at < fieldEnd) {
    const key = readVarint(bytes, cursor, fieldEnd)
    if (key === undefined) return found
    if (key === wanted * 8 + 2) {
      const length = readVarint(bytes, cursor, fieldEnd)
      if (length === undefined || cursor.at + length > fieldEnd) return found
      found = Buffer.from(bytes.buffer, bytes.byteOffset + cursor.at, length).toString()
      cursor.at += length
    } else if (!skip(bytes, cursor, fieldEnd, key % 8)) return found
  }
  return found
}

function skip(bytes: Uint8Array, cursor: { at: number }, end: number, wireType: number): boolean {
  switch (wireType) {
    case 0:
      return readVarint(bytes, cursor, end) !== undefined
    case 1:
      cursor.at += 8
      return cursor.at <= end
    case 2: {
      const length = readVarint(bytes, cursor, end)
      if (length === undefined) return false
      cursor.at += length
      return cursor.at <= end
    }
    case 5:
      cursor.at += 4
      return cursor.at <= end
    default:
      return false
  }
}

/** Up to ten bytes; what does not fit a safe integer is still skipped rightly. */
function readVarint(bytes: Uint8Array, cursor: { at: number }, end: number): number | undefined {
  let value = 0
  let scale = 1
  for (let i = 0; i < 10 && cursor.at < end; i++) {
    const byte = bytes[cursor.at++] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
  return undefined
}
