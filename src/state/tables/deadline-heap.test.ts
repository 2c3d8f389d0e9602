import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DeadlineHeap } from './deadline-heap.ts'

test('what is due comes in the order of (deadline, key), whatever was put, moved and taken out before', () => {
  const step = fc.record({ handle: fc.integer({ min: 1, max: 60 }), deadline: fc.integer({ min: 0, max: 20 }), isRemoved: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), steps => {
      const places = new Map<number, number>()
      const heap = new DeadlineHeap({
        // Keys that do not follow the handles.
        isBefore: (left, right) => (left * 37) % 61 < (right * 37) % 61,
        placeOf: handle => places.get(handle) ?? 0,
        setPlace: (handle, place) => places.set(handle, place),
      })
      const model = new Map<number, number>()
      for (const { handle, deadline, isRemoved } of steps) {
        if (isRemoved) {
          heap.remove(handle)
          model.delete(handle)
        } else {
          heap.put(handle, deadline)
          model.set(handle, deadline)
        }
        expect(heap.count).toBe(model.size)
        expect(heap.has(handle)).toBe(!isRemoved)
      }
      const expected = [...model].sort((a, b) => a[1] - b[1] || ((a[0] * 37) % 61) - ((b[0] * 37) % 61))
      for (const [handle, deadline] of expected) {
        expect([heap.first, heap.firstDeadline]).toEqual([handle, deadline])
        heap.remove(handle)
      }
      expect([heap.first, heap.firstDeadline]).toEqual([0, Infinity])
    }),
    { numRuns: 200 },
  )
})

test('it grows', () => {
  const places = new Int32Array(10_001)
  const heap = new DeadlineHeap({
    isBefore: (left, right) => left < right,
    placeOf: handle => places[handle] ?? 0,
    setPlace: (handle, place) => {
      places[handle] = place
    },
  })
  for (let i = 1; i <= 10_000; i++) heap.put(i, 10_000 - i)
  for (let i = 10_000; i >= 1; i--) {
    expect(heap.first).toBe(i)
    heap.remove(i)
  }
})
