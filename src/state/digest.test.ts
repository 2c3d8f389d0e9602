import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DigestSum, digestText, hashWords, sameDigest } from './digest.ts'

function hashOf(tag: number, words: readonly number[]): bigint[] {
  const out = new Int32Array(4)
  hashWords(tag, new Int32Array(words), 0, words.length, out, 0)
  const lane = (at: number) => BigInt((out[at] ?? 0) >>> 0) | (BigInt((out[at + 1] ?? 0) >>> 0) << 32n)
  return [lane(0), lane(2)]
}

test('H of a row is what it was in the first release', () => {
  const text = (tag: number, words: number[]) => hashOf(tag, words).map(lane => lane.toString(16).padStart(16, '0'))
  expect(text(1, [])).toMatchInlineSnapshot(`
    [
      "c6ed59d2dbac9926",
      "c949e8e6163e199b",
    ]
  `)
  expect(text(7, [1, 2, 3])).toMatchInlineSnapshot(`
    [
      "e2db848d52c293c5",
      "4ad65893b6aaf477",
    ]
  `)
})

test('a changed word, a changed order, another length and another table give another hash', () => {
  const base = [1, 2, 3, 4]
  const seen = new Set<string>()
  const variants = [[...base], [1, 2, 4, 3], [1, 2, 3], [1, 2, 3, 4, 0], [0, 1, 2, 3, 4], [2, 2, 3, 4], [1, 2, 3, -4], []]
  for (let bit = 0; bit < 32; bit++) variants.push([1, 2 ^ (1 << bit), 3, 4].map((n, i) => (i === 1 && n === 2 ? 77 : n)))
  for (const words of variants) for (const tag of [1, 2]) seen.add(hashOf(tag, words).join())
  expect(seen.size).toBe(variants.length * 2)
})

test('small rows collide in neither lane', () => {
  const lanes = [new Set<bigint>(), new Set<bigint>()]
  for (let a = 0; a < 200; a++) {
    for (let b = 0; b < 200; b++) hashOf(7, [a, b]).forEach((lane, i) => lanes[i]?.add(lane))
  }
  expect(lanes.map(({ size }) => size)).toEqual([40_000, 40_000])
})

test('adding and subtracting is arithmetic modulo 2^64 in each lane, in any order', () => {
  const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
  const hashes = fc.array(fc.tuple(word, word, word, word), { maxLength: 30 })
  fc.assert(
    fc.property(hashes, fc.nat(), (all, keep) => {
      const sum = new DigestSum()
      let expected = [0n, 0n]
      const lanesOf = (hash: Int32Array) => [0, 2].map(at => BigInt((hash[at] ?? 0) >>> 0) + (BigInt((hash[at + 1] ?? 0) >>> 0) << 32n))
      all.forEach((words, i) => {
        const hash = new Int32Array(words)
        sum.add(hash, 0)
        expected = expected.map((lane, at) => BigInt.asUintN(64, lane + (lanesOf(hash)[at] ?? 0n)))
        if (i % 3 !== keep % 3) return
        sum.subtract(hash, 0)
        expected = expected.map((lane, at) => BigInt.asUintN(64, lane - (lanesOf(hash)[at] ?? 0n)))
      })
      const text = expected.map(lane => lane.toString(16).padStart(16, '0')).join('')
      expect(digestText(sum.read())).toBe(text)
      expect(sameDigest(sum.read(), sum.read())).toBe(true)
    }),
  )
})
