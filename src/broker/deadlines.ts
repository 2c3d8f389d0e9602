/**
 * Many deadlines, one timer. A binary heap by instant; a cancelled entry stays until its time and then does nothing, because most
 * requests finish long before their patience ends and taking them out of the middle would cost more than leaving them.
 * Entries of the same instant run in the order they were added, so a simulated world replays exactly.
 */
import type { Clock, Timer } from '../platform/clock.ts'
import { assert, mustExist } from '../platform/assert.ts'

export interface Deadline {
  /** After this the callback does not run any more. Harmless when it has run. */
  cancel(): void
}

class Entry implements Deadline {
  readonly atMs: number
  readonly order: number
  callback: (() => void) | undefined

  constructor(atMs: number, order: number, callback: () => void) {
    this.atMs = atMs
    this.order = order
    this.callback = callback
  }

  cancel(): void {
    this.callback = undefined
  }
}

export class Deadlines {
  readonly #clock: Clock
  readonly #heap: Entry[] = []
  #added = 0
  #timer: Timer | undefined
  #timerAtMs = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs `callback` once at `atMs` of the monotonic clock or soon after, never inside this call. */
  at(atMs: number, callback: () => void): Deadline {
    const entry = new Entry(atMs, this.#added++, callback)
    this.#push(entry)
    this.#arm()
    return entry
  }

  after(delayMs: number, callback: () => void): Deadline {
    return this.at(this.#clock.nowMs() + delayMs, callback)
  }

  /** Nothing runs any more. */
  close(): void {
    this.#heap.length = 0
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAtMs = Infinity
  }

  #arm(): void {
    while (this.#heap[0] !== undefined && this.#heap[0].callback === undefined) this.#pop()
    const first = this.#heap[0]
    if (first === undefined || this.#timerAtMs <= first.atMs) return
    this.#timer?.cancel()
    this.#timerAtMs = first.atMs
    this.#timer = this.#clock.setTimer(Math.max(0, first.atMs - this.#clock.nowMs()), () => {
      this.#fire()
    })
  }

  #fire(): void {
    this.#timer = undefined
    this.#timerAtMs = Infinity
    const nowMs = this.#clock.nowMs()
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.#pop()
      const { callback } = first
      first.callback = undefined
      callback?.()
    }
    this.#arm()
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(entry)
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = mustExist(heap[up], 'heap-hole')
      if (isBefore(parent, entry)) break
      heap[i] = parent
      i = up
    }
    heap[i] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    assert(last !== undefined, 'heap-empty')
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      let child = heap[down]
      if (child === undefined) break
      const right = heap[down + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        down++
      }
      if (isBefore(last, child)) break
      heap[i] = child
      i = down
    }
    heap[i] = last
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
