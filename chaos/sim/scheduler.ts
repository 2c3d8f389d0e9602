/**
 * Time in a simulated world: one binary heap of (time, sequence) events, run one after another in one thread. Nothing here waits.
 *
 * Invariants: time is integer microseconds and never goes back; events of one instant run in the order in which they were scheduled; an event
 * of a dead process never runs; an event of a paused process is held and runs, in its old order, when the process goes on.
 * It never reads a real clock and knows nothing of nodes, networks or disks: they schedule themselves here.
 */
import { assert } from '../../src/platform/assert.ts'

/** Who an event belongs to: one life of one operating system process. A restart is a new SimProcess. */
export class SimProcess {
  readonly name: string
  /** Unique in its scheduler, in order of creation. */
  readonly id: number
  #isAlive = true
  #isPaused = false
  readonly #held: SimEvent[] = []

  constructor(name: string, id: number) {
    this.name = name
    this.id = id
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Like kill -9: no event of it runs any more. What the world does with its connections and its disk is their business. */
  kill(): void {
    this.#isAlive = false
    this.#held.length = 0
  }

  /** Like SIGSTOP. */
  pause(): void {
    this.#isPaused = true
  }

  /** Scheduler only: keeps an event that came while paused. */
  hold(event: SimEvent): void {
    this.#held.push(event)
  }

  /** Scheduler only: what was held, in order, and running again. */
  release(): readonly SimEvent[] {
    this.#isPaused = false
    return this.#held.splice(0)
  }
}

/** Something that will happen. */
export interface SimEvent {
  readonly timeUs: number
  readonly sequence: number
  readonly process: SimProcess | undefined
  run: (() => void) | undefined
}

export class Scheduler {
  readonly #heap: SimEvent[] = []
  #nowUs = 0
  #sequence = 0
  #processes = 0
  #executed = 0
  #hashLow = 0x811c9dc5
  #hashHigh = 0x01000193

  /** Microseconds since the world began. */
  get nowUs(): number {
    return this.#nowUs
  }

  /** Milliseconds since the world began, with a fraction. */
  get nowMs(): number {
    return this.#nowUs / 1_000
  }

  /** Events run so far. */
  get executed(): number {
    return this.#executed
  }

  /** Events waiting, cancelled ones included. */
  get pending(): number {
    return this.#heap.length
  }

  /** Of everything that ran, and of all that was noted: the same seed gives the same hash, or something is not deterministic. */
  get traceHash(): string {
    return (this.#hashHigh >>> 0).toString(16).padStart(8, '0') + (this.#hashLow >>> 0).toString(16).padStart(8, '0')
  }

  newProcess(name: string): SimProcess {
    return new SimProcess(name, ++this.#processes)
  }

  /** Runs `run` after `delayMs` (rounded up to the microsecond), unless cancelled or its process has died. */
  schedule(delayMs: number, run: () => void, process?: SimProcess): SimEvent {
    assert(delayMs >= 0, 'schedule-in-the-past', delayMs)
    return this.scheduleAtUs(this.#nowUs + Math.ceil(delayMs * 1_000), run, process)
  }

  scheduleAtUs(timeUs: number, run: () => void, process?: SimProcess): SimEvent {
    assert(Number.isSafeInteger(timeUs), 'event-time', timeUs)
    assert(timeUs >= this.#nowUs, 'event-in-the-past', timeUs, this.#nowUs)
    const event: SimEvent = { timeUs, sequence: ++this.#sequence, process, run }
    push(this.#heap, event)
    return event
  }

  cancel(event: SimEvent): void {
    event.run = undefined
  }

  /** Lets a paused process go on: what it missed runs now, in its old order. */
  resume(process: SimProcess): void {
    if (!process.isPaused) return
    for (const event of process.release()) {
      if (event.run !== undefined) this.scheduleAtUs(this.#nowUs, event.run, process)
    }
  }

  /** Mixes a number into the trace hash. */
  note(value: number): void {
    this.#hashLow = Math.imul(this.#hashLow ^ value, 0x01000193)
    this.#hashHigh = Math.imul(this.#hashHigh ^ (this.#hashLow >>> 15) ^ Math.floor(value / 0x1_0000_0000), 0x85ebca6b)
  }

  /** Runs the next event. False when there is none. */
  step(): boolean {
    while (this.#heap.length > 0) if (this.#stepOne()) return true
    return false
  }

  /** Runs everything up to `timeMs` and leaves the clock there. */
  runUntil(timeMs: number): void {
    const endUs = Math.ceil(timeMs * 1_000)
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.timeUs > endUs) break
      this.#stepOne()
    }
    this.#nowUs = Math.max(this.#nowUs, endUs)
  }

  /** Runs for `durationMs` from now. */
  runFor(durationMs: number): void {
    this.runUntil(this.nowMs + durationMs)
  }

  /** Runs until `condition` holds after some event, at most `durationMs` long. Whether it held. */
  runUntilTrue(condition: () => boolean, durationMs: number): boolean {
    const endUs = this.#nowUs + Math.ceil(durationMs * 1_000)
    while (!condition()) {
      const next = this.#heap[0]
      if (next === undefined || next.timeUs > endUs) {
        this.#nowUs = endUs
        return condition()
      }
      this.#stepOne()
    }
    return true
  }

  /** Takes the first event of the heap; false when it did not run, being cancelled, dead or held. Never goes on to a later one. */
  #stepOne(): boolean {
    const event = pop(this.#heap)
    if (event === undefined) return false
    const { run, process } = event
    if (run === undefined || process?.isAlive === false) return false
    this.#nowUs = event.timeUs
    if (process?.isPaused === true) {
      process.hold(event)
      return false
    }
    event.run = undefined
    this.#executed++
    this.note(event.timeUs)
    this.note(process?.id ?? 0)
    run()
    return true
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.timeUs === b.timeUs ? a.sequence < b.sequence : a.timeUs < b.timeUs
}

function push(heap: SimEvent[], event: SimEvent): void {
  let place = heap.length
  heap.push(event)
  while (place > 0) {
    const parent = (place - 1) >> 1
    const above = heap[parent]
    if (above === undefined || !isBefore(event, above)) break
    heap[place] = above
    place = parent
  }
  heap[place] = event
}

function pop(heap: SimEvent[]): SimEvent | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined || heap.length === 0) return first
  let place = 0
  for (;;) {
    let child = 2 * place + 1
    let below = heap[child]
    if (below === undefined) break
    const right = heap[child + 1]
    if (right !== undefined && isBefore(right, below)) {
      child++
      below = right
    }
    if (!isBefore(below, last)) break
    heap[place] = below
    place = child
  }
  heap[place] = last
  return first
}
