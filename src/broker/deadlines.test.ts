import { expect, test } from 'vitest'
import fc from 'fast-check'
import { Deadlines } from './deadlines.ts'
import { FakeClock } from './testing/fake-clock.ts'

test('deadlines run in order of time, equal ones in the order they were set', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ inMs: fc.integer({ min: 0, max: 50 }), isCancelled: fc.boolean() }), { maxLength: 80 }), wishes => {
      const clock = new FakeClock()
      const deadlines = new Deadlines(clock)
      const ran: number[] = []
      wishes.forEach(({ inMs, isCancelled }, i) => {
        const deadline = deadlines.after(inMs, () => ran.push(i))
        if (isCancelled) deadline.cancel()
      })
      expect(ran).toEqual([])
      clock.advance(100)
      const expected = wishes.map((wish, i) => ({ ...wish, i })).filter(({ isCancelled }) => !isCancelled)
      expected.sort((a, b) => a.inMs - b.inMs || a.i - b.i)
      expect(ran).toEqual(expected.map(({ i }) => i))
    }),
  )
})

test('a deadline does not run before its time, and may set others', () => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const ran: string[] = []
  deadlines.after(10, () => {
    ran.push('first')
    deadlines.after(0, () => ran.push('child'))
    deadlines.after(5, () => ran.push('later'))
  })
  clock.advance(9)
  expect(ran).toEqual([])
  clock.advance(1)
  expect(ran).toEqual(['first', 'child'])
  clock.advance(5)
  expect(ran).toEqual(['first', 'child', 'later'])
})

test('an earlier deadline set later runs first', () => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const ran: number[] = []
  deadlines.after(100, () => ran.push(100))
  deadlines.after(1, () => ran.push(1))
  clock.advance(1)
  expect(ran).toEqual([1])
})

test('after close nothing runs', () => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  let hasRun = false
  deadlines.after(1, () => (hasRun = true))
  deadlines.close()
  clock.advance(10)
  expect(hasRun).toBe(false)
})
