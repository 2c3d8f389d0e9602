import { describe, expect, it } from 'vitest'
import { SimRandom } from './random.ts'

describe('simulated chance', () => {
  it('gives the same draws for the same key and others for another', () => {
    const draws = (key: string): number[] => {
      const random = new SimRandom(key)
      return Array.from({ length: 20 }, () => random.next())
    }
    expect(draws('7')).toEqual(draws('7'))
    expect(draws('7')).not.toEqual(draws('8'))
  })

  it('gives a stream that does not depend on what was drawn before', () => {
    const one = new SimRandom('1')
    const other = new SimRandom('1')
    other.next()
    expect(one.stream('link', 1, 2).bytes(16)).toEqual(other.stream('link', 1, 2).bytes(16))
    expect(one.stream('link', 1, 2).bytes(16)).not.toEqual(one.stream('link', 2, 1).bytes(16))
  })

  it('draws evenly from [0, 1) and from a range of integers', () => {
    const random = new SimRandom('even')
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 20_000; i++) {
      const x = random.next()
      expect(x >= 0 && x < 1).toBe(true)
      counts[Math.floor(x * 10)] = (counts[Math.floor(x * 10)] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(250)
    const seen = new Set(Array.from({ length: 200 }, () => random.integer(3, 6)))
    expect([...seen].sort()).toEqual([3, 4, 5, 6])
    expect(random.shuffle([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4])
  })
})
