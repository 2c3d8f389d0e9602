import { describe, expect, it } from 'vitest'
import { Scheduler } from './scheduler.ts'
import { MachineClock } from './clock.ts'

function machine(driftPpm = 0): { scheduler: Scheduler; clock: MachineClock } {
  const scheduler = new Scheduler()
  return { scheduler, clock: new MachineClock(scheduler, { wallStartMs: 1_000_000, monotonicStartMs: 500, driftPpm }) }
}

describe('simulated clocks', () => {
  it('jump in the calendar without touching the monotonic clock', () => {
    const { scheduler, clock } = machine()
    scheduler.runUntil(100)
    clock.jumpWall(-3_600_000)
    expect(clock.nowMs).toBe(600)
    expect(clock.wallMs).toBe(1_000_100 - 3_600_000)
  })

  it('drift: a fast clock fires its timers early in true time, on time in its own', () => {
    const { scheduler, clock } = machine(100_000)
    const seen = clock.forProcess(scheduler.newProcess('n1'))
    let firedMs = 0
    seen.setTimer(110, () => (firedMs = seen.nowMs()))
    scheduler.runUntil(99)
    expect(firedMs).toBe(0)
    scheduler.runUntil(101)
    expect(firedMs).toBeCloseTo(610, 1)
  })

  it('let timers die with their process and cancel', () => {
    const { scheduler, clock } = machine()
    const process = scheduler.newProcess('n1')
    const seen = clock.forProcess(process)
    const ran: string[] = []
    seen.setTimer(1, () => ran.push('cancelled')).cancel()
    seen.setTimer(5, () => ran.push('late'))
    seen.soon(() => ran.push('soon'))
    scheduler.runUntil(2)
    process.kill()
    scheduler.runUntil(20)
    expect(ran).toEqual(['soon'])
  })

  it('let the world go on when a node calls soon for ever', () => {
    const { scheduler, clock } = machine()
    const seen = clock.forProcess(scheduler.newProcess('n1'))
    const again = (): void => seen.soon(again)
    again()
    scheduler.runUntil(1)
    expect(scheduler.nowMs).toBe(1)
  })
})
