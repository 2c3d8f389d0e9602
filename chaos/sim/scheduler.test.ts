import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { Scheduler } from './scheduler.ts'

describe('scheduler', () => {
  it('runs events by time, and those of one instant in the order they were scheduled', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), delays => {
        const scheduler = new Scheduler()
        const ran: { delay: number; place: number }[] = []
        delays.forEach((delay, place) => scheduler.schedule(delay, () => ran.push({ delay, place })))
        while (scheduler.step());
        const expected = delays.map((delay, place) => ({ delay, place })).sort((a, b) => a.delay - b.delay || a.place - b.place)
        expect(ran).toEqual(expected)
      }),
    )
  })

  it('never runs an event that was cancelled or whose process died', () => {
    const scheduler = new Scheduler()
    const process = scheduler.newProcess('n1')
    const ran: string[] = []
    const cancelled = scheduler.schedule(1, () => ran.push('cancelled'))
    scheduler.schedule(1, () => ran.push('dead'), process)
    scheduler.schedule(2, () => ran.push('kept'))
    scheduler.cancel(cancelled)
    process.kill()
    scheduler.runUntil(10)
    expect(ran).toEqual(['kept'])
    expect(scheduler.nowMs).toBe(10)
  })

  it('holds the events of a paused process and runs them in their old order when it goes on', () => {
    const scheduler = new Scheduler()
    const process = scheduler.newProcess('n1')
    const ran: string[] = []
    scheduler.schedule(1, () => ran.push(`a at ${scheduler.nowMs}`), process)
    scheduler.schedule(2, () => ran.push(`b at ${scheduler.nowMs}`), process)
    scheduler.schedule(2, () => ran.push(`other at ${scheduler.nowMs}`))
    process.pause()
    scheduler.runUntil(50)
    scheduler.resume(process)
    scheduler.runUntil(60)
    expect(ran).toEqual(['other at 2', 'a at 50', 'b at 50'])
  })

  it('stops at the time it was told, also when the next event is later', () => {
    const scheduler = new Scheduler()
    let ran = 0
    scheduler.schedule(1, () => scheduler.cancel(later))
    const later = scheduler.schedule(5, () => ran++)
    scheduler.schedule(9, () => ran++)
    scheduler.runUntil(6)
    expect(ran).toBe(0)
    expect(scheduler.nowMs).toBe(6)
    expect(scheduler.runUntilTrue(() => ran === 1, 2)).toBe(false)
    expect(scheduler.runUntilTrue(() => ran === 1, 2)).toBe(true)
    expect(scheduler.nowMs).toBe(9)
  })

  it('gives the same trace hash for the same events, another one for others', () => {
    const hashOf = (delays: readonly number[]): string => {
      const scheduler = new Scheduler()
      for (const delay of delays) scheduler.schedule(delay, () => undefined)
      while (scheduler.step());
      return scheduler.traceHash
    }
    expect(hashOf([1, 2, 3])).toBe(hashOf([1, 2, 3]))
    expect(hashOf([1, 2, 3])).not.toBe(hashOf([1, 2, 4]))
  })
})
