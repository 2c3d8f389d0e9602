/**
 * Chance in a simulated world: one seed, many streams. Each purpose (a link, a disk, a client, the schedule of faults) draws from a stream of
 * its own, found by its key, so that a new draw in one place does not shift the draws of all others.
 * The generator is sfc32: 32-bit integers only, the same on every machine.
 */
import type { Random } from '../../src/platform/random.ts'
import { assert, mustExist } from '../../src/platform/assert.ts'

const twoTo32 = 0x1_0000_0000
const twoTo53 = 0x20_0000_0000_0000

export class SimRandom implements Random {
  readonly #key: string
  #a: number
  #b: number
  #c: number
  #d = 1

  /** The stream of this key. Equal keys give equal streams. */
  constructor(key: string) {
    this.#key = key
    this.#a = hashOf(key, 0x9e3779b9)
    this.#b = hashOf(key, 0x243f6a88)
    this.#c = hashOf(key, 0xb7e15162)
    for (let i = 0; i < 12; i++) this.next32()
  }

  /** A stream of its own for this purpose: depends on the key alone, not on what has been drawn here. */
  stream(...purpose: readonly (string | number)[]): SimRandom {
    return new SimRandom(`${this.#key}/${purpose.join('/')}`)
  }

  /** 32 random bits. */
  next32(): number {
    const t = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0
    return t >>> 0
  }

  next(): number {
    return ((this.next32() >>> 6) * 0x800_0000 + (this.next32() >>> 5)) / twoTo53
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) bytes[i] = this.next32() >>> 24
    return bytes
  }

  /** An integer in [low, high], both included. */
  integer(low: number, high: number): number {
    assert(low <= high, 'empty-range', low, high)
    assert(high - low < twoTo32, 'wide-range', low, high)
    return low + Math.floor(this.next() * (high - low + 1))
  }

  /** True with this probability, in parts of a million. */
  chance(ppm: number): boolean {
    return this.integer(0, 999_999) < ppm
  }

  pick<T>(items: readonly T[]): T {
    return mustExist(items[this.integer(0, items.length - 1)], 'pick-of-none')
  }

  /** Exponentially distributed with this mean: waiting times that have no memory. */
  exponential(mean: number): number {
    return -Math.log1p(-this.next()) * mean
  }

  /** A copy in random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.integer(0, i)
      const held = result[i] as T
      result[i] = result[j] as T
      result[j] = held
    }
    return result
  }
}

/** 32 bits of a text, by multiplication and folding. */
function hashOf(text: string, start: number): number {
  let h = start | 0
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x85ebca6b)
    h ^= h >>> 13
  }
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
