/**
 * The clock seam. Everything above src/platform gets its time and its timers from here; the simulated clock is chaos/sim/clock.ts.
 * Monotonic and calendar time are two different things: durations and deadlines use `nowMs`, only the leader's stamp uses `wallMs`.
 */
export interface Timer {
  /** After this the callback does not run any more. Harmless when it has run. */
  cancel(): void
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start, with a fraction. Never goes back. */
  nowMs(): number
  /** Calendar milliseconds since 1970, an integer. May jump in either direction. */
  wallMs(): number
  /** Runs `callback` once, not before `delayMs` from now (0 = as soon as the present turn is over). */
  setTimer(delayMs: number, callback: () => void): Timer
  /** Runs `callback` once, when what is already waiting (sockets, disk completions) has been taken. Cheaper than a timer of 0. */
  soon(callback: () => void): void
}

/** The machine's clock. */
export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(handle) }
  },
  soon(callback) {
    setImmediate(callback)
  },
}
