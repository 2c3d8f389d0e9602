/**
 * Replies as bytes. In every v2 reply field 1 is the status, so a refusal of any call looks the same; what the hot path says over and over is
 * encoded once.
 */
import type { Refusal } from '../../broker/refusal.ts'
import { okCode, statusCodeOf } from '../status-codes.ts'
import { lengthFieldBytes, varintFieldBytes, writeLengthTag, writeTextField, writeVarintField } from '../wire/writer.ts'

/** A status to be written: both lengths known. */
export interface StatusText {
  readonly code: number
  readonly message: string
  /** Content of the Status message. */
  readonly bytes: number
}

export function statusText(code: number, message: string): StatusText {
  return { code, message, bytes: varintFieldBytes(1, code) + lengthFieldBytes(2, Buffer.byteLength(message)) }
}

export const okStatus = statusText(okCode, 'OK')

export function statusOf(refusal: Refusal): StatusText {
  return statusText(statusCodeOf(refusal.code), refusal.hint)
}

/** Bytes of a field that holds the status. */
export function statusFieldBytes(field: number, status: StatusText): number {
  return lengthFieldBytes(field, status.bytes)
}

export function writeStatusField(out: Buffer, position: number, field: number, status: StatusText): number {
  const at = writeLengthTag(out, position, field, status.bytes)
  return writeTextField(out, writeVarintField(out, at, 1, status.code), 2, status.message, Buffer.byteLength(status.message))
}

/** A reply, or an item of a receive stream, that holds a status and nothing else. */
export function statusReply(status: StatusText): Buffer {
  const out = Buffer.allocUnsafe(statusFieldBytes(1, status))
  writeStatusField(out, 0, 1, status)
  return out
}

/** Lent to every call: nobody writes into it. */
export const okReply = statusReply(okStatus)

export function refusalReply(refusal: Refusal): Buffer {
  return statusReply(statusOf(refusal))
}
