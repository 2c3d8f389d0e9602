import { expect, test } from 'vitest'
import fc from 'fast-check'
import { addInflight, createInflight, freeInflight, isWindowFull, resetInflight } from './inflight.ts'
import type { LogIndex } from './ids.ts'

type Step =
  | { readonly kind: 'add'; readonly gap: number; readonly bytes: number }
  | { readonly kind: 'free'; readonly back: number }
  | { readonly kind: 'reset' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      gap: fc.integer({ min: 1, max: 5 }),
      bytes: fc.integer({ min: 0, max: 60 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('free' as const), back: fc.integer({ min: -2, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const) }) },
)

test('the ring is a list that forgets from the front, and counts its bytes right', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), (slicesMax, steps) => {
      const ring = createInflight(slicesMax, 100)
      let twin: { last: number; bytes: number }[] = []
      let last = 0
      for (const action of steps) {
        if (action.kind === 'reset') {
          resetInflight(ring)
          twin = []
        } else if (action.kind === 'free') {
          const upTo = Math.max(0, last - action.back)
          freeInflight(ring, upTo as LogIndex)
          twin = twin.filter(slice => slice.last > upTo)
        } else if (!isWindowFull(ring)) {
          last += action.gap
          addInflight(ring, last as LogIndex, action.bytes)
          twin.push({ last, bytes: action.bytes })
        }
        const bytes = twin.reduce((sum, slice) => sum + slice.bytes, 0)
        expect(ring.count).toBe(twin.length)
        expect(ring.bytes).toBe(bytes)
        expect(isWindowFull(ring)).toBe(twin.length === slicesMax || bytes >= 100)
      }
    }),
  )
})

test('one slice larger than the byte bound travels alone', () => {
  const ring = createInflight(4, 100)
  addInflight(ring, 1 as LogIndex, 5_000)
  expect(isWindowFull(ring)).toBe(true)
  freeInflight(ring, 1 as LogIndex)
  expect(isWindowFull(ring)).toBe(false)
})

test('an acknowledgement that ends exactly where a slice ends frees it', () => {
  const ring = createInflight(1, 100)
  addInflight(ring, 7 as LogIndex, 10)
  freeInflight(ring, 6 as LogIndex)
  expect(ring.count).toBe(1)
  freeInflight(ring, 7 as LogIndex)
  expect(ring.count).toBe(0)
})
