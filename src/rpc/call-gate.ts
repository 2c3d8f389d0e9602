/**
 * Which calls are let in, and when the last has left.
 *
 * After a stall of more than 10 s (SIGSTOP, a frozen machine) the sockets are full of requests whose callers gave up long ago and asked somebody
 * else. To serve them would be to append what may have left the deduplication window (DESIGN rule 7), so all connections are dropped before
 * anything read from them is served, and for a moment those that were waiting to be accepted, too. A timer alone would come too late: after a
 * stall the event loop hands out what sockets hold before it looks at timers. So every call asks.
 */
import type { Clock, Timer } from '../platform/clock.ts'

const stallMs = 10_000
const checkEveryMs = 1_000
/** How long after a stall a new connection is taken for an old one. */
const lateAcceptMs = 1_000

export class CallGate {
  readonly #clock: Clock
  readonly #dropAll: () => void
  #timer: Timer | undefined
  #seenMs: number
  #refuseConnectionsUntilMs = -Infinity
  #inFlight = 0
  #whenIdle: (() => void) | undefined

  /** `dropAll` closes every connection at once. */
  constructor(clock: Clock, dropAll: () => void) {
    this.#clock = clock
    this.#dropAll = dropAll
    this.#seenMs = clock.nowMs()
    this.#arm()
  }

  /** May this connection stay? */
  admitsConnection(): boolean {
    this.#check()
    return this.#clock.nowMs() >= this.#refuseConnectionsUntilMs
  }

  /** May this call be served? Then `leave` follows when it has been answered. */
  tryEnter(): boolean {
    if (this.#check()) return false
    this.#inFlight += 1
    return true
  }

  leave(): void {
    this.#inFlight -= 1
    if (this.#inFlight > 0) return
    const whenIdle = this.#whenIdle
    this.#whenIdle = undefined
    whenIdle?.()
  }

  /** Runs `callback` as soon as no call is in flight, perhaps inside this call. */
  onIdle(callback: () => void): void {
    if (this.#inFlight === 0) callback()
    else this.#whenIdle = callback
  }

  close(): void {
    this.#timer?.cancel()
  }

  /** True when there was a stall just now. */
  #check(): boolean {
    const nowMs = this.#clock.nowMs()
    const gapMs = nowMs - this.#seenMs
    if (gapMs <= stallMs) return false
    this.#seenMs = nowMs
    this.#refuseConnectionsUntilMs = nowMs + lateAcceptMs
    this.#dropAll()
    return true
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(checkEveryMs, () => {
      this.#check()
      this.#seenMs = this.#clock.nowMs()
      this.#arm()
    })
  }
}
