/**
 * Reads little-endian fields and never throws: the first thing that is wrong stays in `problem`, and everything read after it is zero or empty.
 * So a decoder reads straight on and looks once at the end; loops look at `problem` too.
 */
import { readU64, viewOf } from '../../platform/bytes.ts'
import type { Hash64 } from '../ids.ts'

/** `%`, `|`, letters, digits, `_`, `-` (semantics reference §1.1). */
const isNameByte = new Uint8Array(256)
for (const char of '%|_-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz') isNameByte[char.charCodeAt(0)] = 1

const noBytes = new Uint8Array(0)

export class ByteReader {
  #bytes: Uint8Array = noBytes
  #view: DataView = viewOf(noBytes)
  #at = 0
  problem: string | undefined

  open(bytes: Uint8Array): this {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#at = 0
    this.problem = undefined
    return this
  }

  /** Forgets the bytes. */
  close(): void {
    this.#bytes = noBytes
    this.#view = viewOf(noBytes)
  }

  fail(problem: string): void {
    this.problem ??= problem
  }

  u8(): number {
    return this.#has(1) ? this.#view.getUint8(this.#take(1)) : 0
  }

  u16(): number {
    return this.#has(2) ? this.#view.getUint16(this.#take(2), true) : 0
  }

  u32(): number {
    return this.#has(4) ? this.#view.getUint32(this.#take(4), true) : 0
  }

  u64(): number {
    if (!this.#has(8)) return 0
    const value = readU64(this.#view, this.#take(8))
    if (Number.isSafeInteger(value)) return value
    this.fail('a number is out of range')
    return 0
  }

  hash(): Hash64 {
    const low = this.u32()
    return { low, high: this.u32() }
  }

  flag(): boolean {
    const value = this.u8()
    if (value > 1) this.fail('a flag is neither 0 nor 1')
    return value === 1
  }

  /** A view of the next bytes. */
  raw(length: number): Uint8Array {
    if (!this.#has(length)) return noBytes
    const from = this.#take(length)
    return this.#bytes.subarray(from, from + length)
  }

  skip(length: number): void {
    if (this.#has(length)) this.#at += length
  }

  name(bytesMax: number): string {
    const length = this.u8()
    if (length === 0 || length > bytesMax) this.fail('a name is empty or too long')
    if (!this.#has(length)) return ''
    const from = this.#take(length)
    const text = this.#bytes.subarray(from, from + length)
    for (let i = 0; i < length; i++) if (isNameByte[text[i] as number] === 0) this.fail('a name has a character that names may not have')
    return this.problem === undefined ? String.fromCharCode.apply(null, text as unknown as number[]) : ''
  }

  /** A number between bounds. */
  within(value: number, low: number, high: number, what: string): number {
    if (value >= low && value <= high) return value
    this.fail(what)
    return low
  }

  end(): void {
    if (this.#at !== this.#bytes.length) this.fail('there are bytes behind the end')
  }

  #has(length: number): boolean {
    if (this.problem !== undefined) return false
    if (this.#at + length <= this.#bytes.length) return true
    this.problem = 'it ends too early'
    return false
  }

  #take(length: number): number {
    const from = this.#at
    this.#at += length
    return from
  }
}
