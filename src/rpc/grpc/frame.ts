/**
 * gRPC messages on an HTTP/2 stream: u8 compressed, u32 length (big endian), message. The parser takes any cutting of the stream and gives
 * whole messages; it copies only those that came in pieces. Compression is not offered: official clients send plain messages, and a message
 * that inflates is a message whose size nobody knows beforehand.
 */
import { assert } from '../../platform/assert.ts'

export const prefixBytes = 5

/** The prefix of a message of this length. */
export function framePrefix(length: number): Buffer {
  const prefix = Buffer.allocUnsafe(prefixBytes)
  prefix[0] = 0
  prefix.writeUInt32BE(length, 1)
  return prefix
}

/** Prefix and message as one buffer. */
export function frameOf(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  framed.set(message, prefixBytes)
  return framed
}

export type FrameProblem = 'compressed' | 'tooLarge'

export class FrameParser {
  readonly #messageBytesMax: number
  /** Bytes that no message has taken yet, in order. */
  #chunks: Buffer[] = []
  #bytes = 0
  /** Length of the message being collected, once its prefix is there. */
  #wanted: number | undefined

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax
  }

  /** That no message has taken yet. */
  get bytes(): number {
    return this.#bytes
  }

  /** Nothing of a further message has come. */
  get isBetweenMessages(): boolean {
    return this.#bytes === 0 && this.#wanted === undefined
  }

  /** No more is to be had from it. */
  clear(): void {
    this.#chunks = []
    this.#bytes = 0
    this.#wanted = undefined
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** The next whole message, undefined when it has not come yet. A view of the chunk it came in, or a copy when it came in several. */
  next(): Buffer | FrameProblem | undefined {
    if (this.#wanted === undefined) {
      if (this.#bytes < prefixBytes) return undefined
      const prefix = this.#take(prefixBytes)
      if (prefix[0] !== 0) return 'compressed'
      const length = prefix.readUInt32BE(1)
      if (length > this.#messageBytesMax) return 'tooLarge'
      this.#wanted = length
    }
    if (this.#bytes < this.#wanted) return undefined
    const message = this.#take(this.#wanted)
    this.#wanted = undefined
    return message
  }

  #take(count: number): Buffer {
    assert(count <= this.#bytes, 'frame-take', count, this.#bytes)
    this.#bytes -= count
    const first = this.#chunks[0]
    if (first === undefined) return Buffer.alloc(0)
    if (first.length === count) {
      this.#chunks.shift()
      return first
    }
    if (first.length > count) {
      this.#chunks[0] = first.subarray(count)
      return first.subarray(0, count)
    }
    const all = Buffer.concat(this.#chunks)
    this.#chunks = all.length > count ? [all.subarray(count)] : []
    return all.subarray(0, count)
  }
}
