/**
 * Canonical words: the one form in which a row of state is hashed, checkpointed and compared. Integers of 32 bits, little endian as bytes;
 * a u64 is low then high; text is its length, then its ASCII codes four to a word. Names are ASCII because the codec lets nothing else in.
 */
import { assert } from '../../platform/assert.ts'
import { byteAt, u32At } from '../../platform/bytes.ts'
import type { Hash64 } from '../ids.ts'

const twoTo32 = 0x1_0000_0000
const lowByteFirst = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
assert(lowByteFirst, 'little-endian-machine')

/** Writes words one behind the other; reused, so what it holds is valid until the next `reset`. */
export class WordWriter {
  words = new Int32Array(64)
  count = 0

  reset(): this {
    this.count = 0
    return this
  }

  u32(value: number): this {
    if (this.count === this.words.length) this.#grow(this.count + 1)
    this.words[this.count++] = value
    return this
  }

  u64(value: number): this {
    return this.u32(value % twoTo32).u32(Math.floor(value / twoTo32))
  }

  hash(value: Hash64): this {
    return this.u32(value.low).u32(value.high)
  }

  flag(value: boolean): this {
    return this.u32(value ? 1 : 0)
  }

  text(value: string): this {
    this.u32(value.length)
    for (let i = 0; i < value.length; i += 4) {
      let word = 0
      for (let j = Math.min(3, value.length - 1 - i); j >= 0; j--) word = (word << 8) | (value.charCodeAt(i + j) & 0x7f)
      this.u32(word)
    }
    return this
  }

  copyFrom(words: Int32Array, at: number, count: number): this {
    if (this.count + count > this.words.length) this.#grow(this.count + count)
    for (let i = 0; i < count; i++) this.words[this.count + i] = words[at + i] as number
    this.count += count
    return this
  }

  #grow(atLeast: number): void {
    const larger = new Int32Array(Math.max(atLeast, this.words.length * 2))
    larger.set(this.words)
    this.words = larger
  }
}

const noBytes = new Uint8Array(0)

/** Reads what a WordWriter wrote. Never throws: reading past the end, or a number that is none, leaves `problem` set and gives zeros. */
export class WordReader {
  #bytes: Uint8Array = noBytes
  #at = 0
  problem: string | undefined

  open(bytes: Uint8Array, from: number): this {
    this.#bytes = bytes
    this.#at = from
    this.problem = undefined
    return this
  }

  u32(): number {
    if (this.#at + 4 > this.#bytes.length) {
      this.problem = 'the row is too short'
      return 0
    }
    const value = u32At(this.#bytes, this.#at)
    this.#at += 4
    return value
  }

  u64(): number {
    const low = this.u32()
    const value = this.u32() * twoTo32 + low
    if (Number.isSafeInteger(value)) return value
    this.problem = 'a number of the row is out of range'
    return 0
  }

  hash(): Hash64 {
    const low = this.u32()
    return { low, high: this.u32() }
  }

  flag(): boolean {
    return this.u32() !== 0
  }

  text(): string {
    const length = this.u32()
    if (this.#at + Math.ceil(length / 4) * 4 > this.#bytes.length) {
      this.problem = 'the row is too short'
      return ''
    }
    let value = ''
    for (let i = 0; i < length; i++) value += String.fromCharCode(byteAt(this.#bytes, this.#at + i))
    this.#at += Math.ceil(length / 4) * 4
    return value
  }

  /** Everything was read; a problem if not. */
  end(): string | undefined {
    if (this.problem === undefined && this.#at !== this.#bytes.length) this.problem = 'the row is too long'
    return this.problem
  }
}

/** From so many words on, a view and one copy cost less than a loop. */
const bulkWords = 64

/** The first slab is small and the next are larger: most checkpoints are small. */
const slabBytesMin = 2_048
const slabBytesMax = 65_536

/** Where a table puts its changed rows. Byte arrays are cut from slabs: a checkpoint has tens of thousands of them. */
export class CheckpointSink {
  readonly puts: { readonly key: Uint8Array; readonly value: Uint8Array }[] = []
  readonly deletes: Uint8Array[] = []
  #slab = new Uint8Array(0)
  #used = 0

  /** Key bytes are the table's tag and then the words. */
  put(tag: number, words: Int32Array, at: number, keyWords: number, valueWords: number): void {
    this.puts.push({ key: this.#key(tag, words, at, keyWords), value: this.#cut(words, at + keyWords, valueWords, 0) })
  }

  delete(tag: number, words: Int32Array, at: number, keyWords: number): void {
    this.deletes.push(this.#key(tag, words, at, keyWords))
  }

  #key(tag: number, words: Int32Array, at: number, count: number): Uint8Array {
    const key = this.#cut(words, at, count, 1)
    key[0] = tag
    return key
  }

  #cut(words: Int32Array, at: number, count: number, before: number): Uint8Array {
    const bytes = before + count * 4
    if (this.#used + bytes > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(Math.min(slabBytesMax, this.#slab.length * 4), slabBytesMin, bytes))
      this.#used = 0
    }
    const cut = this.#slab.subarray(this.#used, this.#used + bytes)
    this.#used += bytes
    if (count >= bulkWords) {
      // The machine is little-endian, as the canonical form is (asserted above).
      cut.set(new Uint8Array(words.buffer, words.byteOffset + at * 4, count * 4), before)
      return cut
    }
    let to = before
    for (let i = at; i < at + count; i++) {
      const word = words[i] as number
      cut[to] = word
      cut[to + 1] = word >>> 8
      cut[to + 2] = word >>> 16
      cut[to + 3] = word >>> 24
      to += 4
    }
    return cut
  }
}

/** A key or value as text, for maps that need one. */
export function wordsText(words: Int32Array, at: number, count: number): string {
  let text = ''
  for (let i = at; i < at + count; i++) text += `${words[i] as number},`
  return text
}

/** What all tables of state can do, whatever they hold. */
export interface StateTable {
  /** First byte of the keys. */
  readonly tag: number
  /** Rows now. */
  readonly count: number
  /** Rows changed or gone since the last `collect`, about. */
  readonly changedCount: number
  /** Brings the running sum up to date with what changed. */
  settle(sum: DigestSumLike): void
  /** Puts what changed since the last time into `sink`; what came and went in between never appears. */
  collect(sink: CheckpointSink): void
  /** Puts one row of a checkpoint back, unlinked. A sentence when the bytes are not such a row. */
  load(key: Uint8Array, value: Uint8Array): string | undefined
  /** Everything has been loaded. A sentence when that can't be. */
  finishLoad?(): string | undefined
  /** Every row's canonical words, in any order: for the auditor, who trusts no stored hash. */
  forEachRow(visit: (words: Int32Array, at: number, count: number) => void): void
}

export interface DigestSumLike {
  add(hash: Int32Array, at: number): void
  subtract(hash: Int32Array, at: number): void
}
