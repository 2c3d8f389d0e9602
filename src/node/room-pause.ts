/**
 * A snapshot that finds no room, where it is taken or where it is fetched: others need it, so it is tried again, and not at once, for each attempt
 * fills the disk anew. The operator hears of it once, and not with every attempt.
 */
import type { Clock } from '../platform/clock.ts'

/** So much later those who wait get it at most when there is room again. */
export const roomPauseMs = 10_000

export class RoomPause {
  readonly #clock: Pick<Clock, 'nowMs'>
  #untilMs = 0
  #isMissing = false

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  /** An attempt may be made. */
  get isOver(): boolean {
    return this.#clock.nowMs() >= this.#untilMs
  }

  /** There was no room. False: nor was there at the last attempt. */
  begin(): boolean {
    this.#untilMs = this.#clock.nowMs() + roomPauseMs
    const isNew = !this.#isMissing
    this.#isMissing = true
    return isNew
  }

  /** There was room. */
  end(): void {
    this.#isMissing = false
  }
}
