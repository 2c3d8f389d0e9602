/** A clock for tests of this floor: time stands still until the test moves it. Callbacks of the same instant run in the order they were asked for. */
import type { Clock, Timer } from '../../platform/clock.ts'

interface Waiting {
  readonly atMs: number
  readonly order: number
  callback: (() => void) | undefined
}

export class FakeClock implements Clock {
  #nowMs = 1_000
  #leapMs = 0
  #asked = 0
  #waiting: Waiting[] = []

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return 1_700_000_000_000 + Math.floor(this.#nowMs) + this.#leapMs
  }

  /** The calendar alone goes on. */
  leap(ms: number): void {
    this.#leapMs += ms
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const waiting: Waiting = { atMs: this.#nowMs + delayMs, order: this.#asked++, callback }
    this.#waiting.push(waiting)
    return {
      cancel() {
        waiting.callback = undefined
      },
    }
  }

  soon(callback: () => void): void {
    this.setTimer(0, callback)
  }

  /** Runs what is due, then moves on, up to `ms` from now. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      this.#waiting = this.#waiting.filter(waiting => waiting.callback !== undefined)
      let first: Waiting | undefined
      for (const waiting of this.#waiting) {
        if (first === undefined || waiting.atMs < first.atMs || (waiting.atMs === first.atMs && waiting.order < first.order))
          first = waiting
      }
      if (first === undefined || first.atMs > untilMs) break
      this.#nowMs = Math.max(this.#nowMs, first.atMs)
      const { callback } = first
      first.callback = undefined
      callback?.()
    }
    this.#nowMs = untilMs
  }

  /** Runs what is due now. */
  settle(): void {
    this.advance(0)
  }
}
