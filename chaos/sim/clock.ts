/**
 * Clocks in a simulated world. A machine has one hardware clock (with its drift) and one calendar (an offset that an operator or NTP moves);
 * a process sees both through a `Clock` whose timers die with it. A pause does not stop the clocks: the process finds a gap.
 */
import type { Clock, Timer } from '../../src/platform/clock.ts'
import type { Scheduler, SimProcess } from './scheduler.ts'

/** What `soon` costs: more than nothing, so that a node that waits for itself does not stop the world's time. */
const soonMs = 0.001

export interface MachineClockOptions {
  /** What the calendar shows when the world begins. */
  readonly wallStartMs: number
  /** What the monotonic clock shows when the world begins: arbitrary, another one on each machine. */
  readonly monotonicStartMs: number
  /** Parts of a million that its clocks run fast (or slow, below 0). */
  readonly driftPpm: number
}

/** The clocks of one machine; they outlive its processes. */
export class MachineClock {
  readonly #scheduler: Scheduler
  readonly #options: MachineClockOptions
  readonly #rate: number
  #wallJumpMs = 0

  constructor(scheduler: Scheduler, options: MachineClockOptions) {
    this.#scheduler = scheduler
    this.#options = options
    this.#rate = 1 + options.driftPpm / 1e6
  }

  get nowMs(): number {
    return this.#options.monotonicStartMs + this.#scheduler.nowMs * this.#rate
  }

  get wallMs(): number {
    return Math.floor(this.#options.wallStartMs + this.#wallJumpMs + this.#scheduler.nowMs * this.#rate)
  }

  /** Moves the calendar; the monotonic clock knows nothing of it. */
  jumpWall(byMs: number): void {
    this.#wallJumpMs += byMs
  }

  /** The clock as this process sees it. */
  forProcess(process: SimProcess): Clock {
    const scheduler = this.#scheduler
    const rate = this.#rate
    return {
      nowMs: () => this.nowMs,
      wallMs: () => this.wallMs,
      setTimer(delayMs, callback): Timer {
        const event = scheduler.schedule(Math.max(0, delayMs) / rate, callback, process)
        return { cancel: () => scheduler.cancel(event) }
      },
      soon(callback) {
        scheduler.schedule(soonMs, callback, process)
      },
    }
  }
}
