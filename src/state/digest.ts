/**
 * The digest: Σ H(key, value) over all rows of the state, in two lanes of 64 bits with wrap-around (rule 11). A sum does not care about order,
 * so it can be kept while rows come and go, and layout, insertion history and table growth never enter it.
 *
 * H works on the canonical words of a row: seeded with the table's tag, it takes each word into four 32-bit lanes by multiply, add, rotate, and
 * ends with an avalanche. It finds accidents, not attacks: nobody outside chooses what stands in a row's words beyond names and hashes.
 */
import type { Digest } from './command.ts'

/** Four 32-bit lanes of one row's hash: a.low, a.high, b.low, b.high. */
export const hashLanes = 4

/** H of `count` words from `at` (key words, then value words) under a table's tag; written to `out` at `outAt`. */
export function hashWords(tag: number, words: Int32Array, at: number, count: number, out: Int32Array, outAt: number): void {
  let a = Math.imul(tag + 1, 0x9e3779b1) ^ count
  let b = Math.imul(tag + 1, 0x85ebca77) + 0x27d4eb2f
  let c = Math.imul(tag + 1, 0xc2b2ae3d) ^ 0x165667b1
  let d = (tag << 16) ^ Math.imul(count, 0x2c1b3c6d)
  const end = at + count
  for (let i = at; i < end; i++) {
    const word = words[i] as number
    a = Math.imul(a ^ word, 0xcc9e2d51)
    a = (a << 15) | (a >>> 17)
    b = Math.imul(b + word, 0x1b873593) ^ a
    c = (c << 13) | (c >>> 19)
    c = Math.imul(c ^ b, 0x85ebca6b)
    d = Math.imul(((d << 7) | (d >>> 25)) + c, 0xc2b2ae35) ^ word
  }
  // Every lane hears of every other, then an avalanche each.
  a = (a + b + c + d) | 0
  b = (b + a) | 0
  c = (c + a) | 0
  d = (d + a) | 0
  out[outAt] = avalanche(a)
  out[outAt + 1] = avalanche(b ^ 0x5bd1e995)
  out[outAt + 2] = avalanche(c ^ 0x7feb352d)
  out[outAt + 3] = avalanche(d ^ 0x68e31da4)
}

function avalanche(value: number): number {
  let h = value ^ (value >>> 16)
  h = Math.imul(h, 0x21f0aaad)
  h ^= h >>> 15
  h = Math.imul(h, 0x735a2d97)
  return h ^ (h >>> 15)
}

/** A running sum. */
export class DigestSum {
  readonly #lanes = new Uint32Array(hashLanes)

  add(hash: Int32Array, at: number): void {
    this.#addLane(0, hash, at)
    this.#addLane(2, hash, at + 2)
  }

  subtract(hash: Int32Array, at: number): void {
    this.#subtractLane(0, hash, at)
    this.#subtractLane(2, hash, at + 2)
  }

  read(): Digest {
    const lanes = this.#lanes
    return { a: { low: lanes[0] as number, high: lanes[1] as number }, b: { low: lanes[2] as number, high: lanes[3] as number } }
  }

  #addLane(lane: number, hash: Int32Array, at: number): void {
    const low = (this.#lanes[lane] as number) + ((hash[at] as number) >>> 0)
    this.#lanes[lane] = low
    this.#lanes[lane + 1] = (this.#lanes[lane + 1] as number) + (hash[at + 1] as number) + (low > 0xffff_ffff ? 1 : 0)
  }

  #subtractLane(lane: number, hash: Int32Array, at: number): void {
    const low = (this.#lanes[lane] as number) - ((hash[at] as number) >>> 0)
    this.#lanes[lane] = low
    this.#lanes[lane + 1] = (this.#lanes[lane + 1] as number) - (hash[at + 1] as number) - (low < 0 ? 1 : 0)
  }
}

export function sameDigest(left: Digest, right: Digest): boolean {
  return left.a.low === right.a.low && left.a.high === right.a.high && left.b.low === right.b.low && left.b.high === right.b.high
}

/** 32 hex digits, for people. */
export function digestText(digest: Digest): string {
  return [digest.a.high, digest.a.low, digest.b.high, digest.b.low].map(half => half.toString(16).padStart(8, '0')).join('')
}
