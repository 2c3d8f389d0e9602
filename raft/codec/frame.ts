/**
 * Frames on a peer connection, little endian:
 *
 *   u32 length | u8 kind | u8 flags | u16 headerBytes | u32 crc32c | header (protobuf) | payload (raw)
 *
 * `length` counts what stands behind the twelve bytes: header and payload. The checksum covers the first eight bytes, the header and the payload;
 * with the flag `payloadIsSelfChecked` it leaves the payload out, because log records carry checksums of their own.
 *
 * The reader takes the stream however it is cut. It hands out views of what it was given, copies only a frame that came in several pieces, and never
 * allocates more than eight times what has really arrived (or 64 KiB). The first fault is final: the caller closes the connection and says why.
 * Which kinds there are is messages.ts.
 */
import { assert } from '../../src/platform/assert.ts'
import { byteAt, crc32c, crc32cRange, putU32, u16At, u32At } from '../../src/platform/bytes.ts'

/** Length, kind, flags, header length and checksum. */
export const framePrefixBytes = 12
/** Bytes of the prefix that the checksum covers. */
const checkedPrefixBytes = 8
/** No header of ours comes near it. */
export const frameHeaderBytesMax = 4_096
/** Nothing sends more in one frame: the largest batch of messages a client may send, and room. */
export const frameBytesMaxDefault = 16 * 1024 * 1024
/** A frame in pieces starts with this much room at most. */
const firstRoomBytes = 64 * 1024
/** And grows so much at a time: what is thrown away on the way brings the next full garbage collection nearer. */
const roomFactor = 8

export const FrameFlag = { payloadIsSelfChecked: 1 } as const
const knownFlags = FrameFlag.payloadIsSelfChecked

/** Why a stream can't be read any further. */
export type FrameFault = 'tooLong' | 'badPrefix' | 'badChecksum' | 'stopped'

/** Takes one frame. The views are the taker's to keep; nobody writes to them again. False stops the reader for good. */
export type TakeFrame = (kind: number, header: Uint8Array, payload: Uint8Array) => boolean

/** Prefix and header of a frame in one buffer; the payload's own buffers are to follow it in the same write. */
export function frameHead(kind: number, header: Uint8Array, payload: readonly Uint8Array[] = [], isSelfChecked = false): Uint8Array {
  assert(header.length <= frameHeaderBytesMax, 'frame-header-length', header.length)
  let payloadBytes = 0
  for (const part of payload) payloadBytes += part.length
  const head = new Uint8Array(framePrefixBytes + header.length)
  putU32(head, 0, header.length + payloadBytes)
  head[4] = kind
  head[5] = isSelfChecked ? FrameFlag.payloadIsSelfChecked : 0
  head[6] = header.length
  head[7] = header.length >>> 8
  head.set(header, framePrefixBytes)
  let crc = crc32c(header, crc32cRange(head, 0, checkedPrefixBytes))
  if (!isSelfChecked) for (const part of payload) crc = crc32c(part, crc)
  putU32(head, 8, crc)
  return head
}

const noBytes = new Uint8Array(0)

export class FrameReader {
  /** Longest frame taken (header and payload). May be raised when the other side has said who it is. */
  bytesMax: number
  #take: TakeFrame
  #fault: FrameFault | undefined
  /** The start of a frame that has not come whole. */
  #held = noBytes
  #heldBytes = 0

  constructor(bytesMax: number, take: TakeFrame) {
    this.bytesMax = bytesMax
    this.#take = take
  }

  /** Reads on. The fault, if the stream is or was broken. */
  push(chunk: Uint8Array): FrameFault | undefined {
    let rest = chunk
    if (this.#fault === undefined && this.#heldBytes > 0) rest = this.#completeHeld(chunk)
    while (this.#fault === undefined && rest.length >= framePrefixBytes) {
      const frameBytes = this.#frameBytes(rest)
      if (frameBytes === undefined || rest.length < frameBytes) break
      this.#takeFrame(rest.length === frameBytes ? rest : rest.subarray(0, frameBytes))
      rest = rest.length === frameBytes ? noBytes : rest.subarray(frameBytes)
    }
    if (this.#fault === undefined && rest.length > 0) this.#hold(rest)
    if (this.#fault !== undefined) {
      this.#held = noBytes
      this.#heldBytes = 0
    }
    return this.#fault
  }

  /** Bytes kept of a frame that has not come whole. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Adds what is missing to the frame that we hold the start of; returns what stands behind it. */
  #completeHeld(chunk: Uint8Array): Uint8Array {
    let rest = chunk
    if (this.#heldBytes < framePrefixBytes) rest = this.#holdUpTo(framePrefixBytes, rest)
    if (this.#fault !== undefined || this.#heldBytes < framePrefixBytes) return noBytes
    const frameBytes = this.#frameBytes(this.#held)
    if (frameBytes === undefined) return noBytes
    rest = this.#holdUpTo(frameBytes, rest)
    if (this.#heldBytes < frameBytes) return noBytes
    const frame = this.#held.subarray(0, frameBytes)
    this.#held = noBytes
    this.#heldBytes = 0
    this.#takeFrame(frame)
    return rest
  }

  #holdUpTo(bytes: number, chunk: Uint8Array): Uint8Array {
    const missing = bytes - this.#heldBytes
    this.#hold(missing >= chunk.length ? chunk : chunk.subarray(0, missing), bytes)
    return missing >= chunk.length ? noBytes : chunk.subarray(missing)
  }

  #hold(piece: Uint8Array, frameBytes = framePrefixBytes): void {
    const bytes = this.#heldBytes + piece.length
    if (bytes > this.#held.length) {
      const room = Math.max(bytes, Math.min(frameBytes, Math.max(firstRoomBytes, roomFactor * bytes)))
      const larger = new Uint8Array(room)
      larger.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = larger
    }
    this.#held.set(piece, this.#heldBytes)
    this.#heldBytes = bytes
    // Garbage and foreign protocols are told by an impossible length, before a whole prefix has come.
    if (bytes >= 4 && bytes < framePrefixBytes && u32At(this.#held, 0) > this.bytesMax) this.#fault = 'tooLong'
  }

  /** Length of the frame at the start of `bytes`, prefix included; undefined, and a fault, when it can't be one. */
  #frameBytes(bytes: Uint8Array): number | undefined {
    const length = u32At(bytes, 0)
    const headerBytes = u16At(bytes, 6)
    if (length > this.bytesMax) this.#fault = 'tooLong'
    else if (headerBytes > length || headerBytes > frameHeaderBytesMax || (byteAt(bytes, 5) & ~knownFlags) !== 0) this.#fault = 'badPrefix'
    return this.#fault === undefined ? framePrefixBytes + length : undefined
  }

  #takeFrame(frame: Uint8Array): void {
    const headerEnd = framePrefixBytes + u16At(frame, 6)
    const header = frame.subarray(framePrefixBytes, headerEnd)
    const payload = headerEnd === frame.length ? noBytes : frame.subarray(headerEnd)
    let crc = crc32c(header, crc32cRange(frame, 0, checkedPrefixBytes))
    if ((byteAt(frame, 5) & FrameFlag.payloadIsSelfChecked) === 0) crc = crc32c(payload, crc)
    if (crc !== u32At(frame, 8)) this.#fault = 'badChecksum'
    else if (!this.#take(byteAt(frame, 4), header, payload)) this.#fault = 'stopped'
  }
}
