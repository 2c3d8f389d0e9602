/** Writes little-endian fields into one growing buffer. Values out of range are the caller's fault: asserted, because a gateway checked them. */
import { assert } from '../../platform/assert.ts'
import { viewOf, writeU64 } from '../../platform/bytes.ts'
import type { Hash64 } from '../ids.ts'

export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #at = 0

  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes)
    this.#view = viewOf(this.#bytes)
  }

  get at(): number {
    return this.#at
  }

  u8(value: number): this {
    assert(value >= 0 && value <= 0xff, 'u8-range', value)
    this.#room(1)
    this.#view.setUint8(this.#at, value)
    this.#at += 1
    return this
  }

  u16(value: number): this {
    assert(value >= 0 && value <= 0xffff, 'u16-range', value)
    this.#room(2)
    this.#view.setUint16(this.#at, value, true)
    this.#at += 2
    return this
  }

  /** A number from −2^31 to 2^32 − 1: hashes come signed or unsigned and mean the same. */
  u32(value: number): this {
    assert(Number.isInteger(value) && value >= -0x8000_0000 && value <= 0xffff_ffff, 'u32-range', value)
    this.#room(4)
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
    return this
  }

  u64(value: number): this {
    this.#room(8)
    writeU64(this.#view, this.#at, value)
    this.#at += 8
    return this
  }

  hash(value: Hash64): this {
    return this.u32(value.low).u32(value.high)
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  /** ASCII, length first. */
  name(value: string): this {
    this.u8(value.length)
    this.#room(value.length)
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      assert(code < 0x80, 'name-ascii', code)
      this.#bytes[this.#at + i] = code
    }
    this.#at += value.length
    return this
  }

  /** What was written between two places. Only valid once nothing more is written. */
  slice(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to)
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#at + more, this.#bytes.length * 2))
    larger.set(this.#bytes)
    this.#bytes = larger
    this.#view = viewOf(larger)
  }
}
