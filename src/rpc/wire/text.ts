/**
 * What the bytes of a string field are worth: every client decodes strings as UTF-8 and some end with an exception on anything else, so a
 * message with bad text must not get into the log. Control characters are what Java's isISOControl says: 00–1F, 7F–9F.
 */
import { isUtf8 } from 'node:buffer'

export type TextKind = 'plain' | 'control' | 'notUtf8'

export function textKind(bytes: Uint8Array, start: number, end: number): TextKind {
  for (let i = start; i < end; i++) {
    const byte = bytes[i] ?? 0
    if (byte < 0x20 || byte > 0x7e) return unusualTextKind(bytes.subarray(start, end))
  }
  return 'plain'
}

function unusualTextKind(bytes: Uint8Array): TextKind {
  if (!isUtf8(bytes)) return 'notUtf8'
  let previous = 0
  for (const byte of bytes) {
    if (byte < 0x20 || byte === 0x7f) return 'control'
    if (previous === 0xc2 && byte < 0xa0) return 'control'
    previous = byte
  }
  return 'plain'
}

/** The string of bytes that `textKind` has seen and found to be UTF-8. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  if (end === start) return ''
  // What comes from a socket is a Buffer already; to make one costs more than to read the string.
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return buffer.toString('utf8', start, end)
}

/** Nothing to see: empty, or only spaces of any kind. */
export function isBlank(text: string): boolean {
  return text.trim() === ''
}
