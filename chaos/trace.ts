/**
 * The timeline of a world: what a person who replays a seed wants to read, and part of the trace hash (the scheduler's rolling hash over all
 * events): two runs of one seed that say anything different have different hashes. Lines are only kept when somebody will read them.
 */
import type { Scheduler } from './sim/scheduler.ts'

/** Beyond this the oldest lines are the interesting ones no more. */
const linesMax = 100_000

export interface TraceLine {
  readonly atMs: number
  readonly who: string
  readonly text: string
}

export class Trace {
  readonly lines: TraceLine[] = []
  readonly #scheduler: Scheduler
  readonly #keepsLines: boolean

  constructor(scheduler: Scheduler, keepsLines: boolean) {
    this.#scheduler = scheduler
    this.#keepsLines = keepsLines
  }

  say(who: string, text: string): void {
    const scheduler = this.#scheduler
    for (let i = 0; i < text.length; i += 1) scheduler.note(text.charCodeAt(i))
    if (!this.#keepsLines) return
    if (this.lines.length >= linesMax) this.lines.shift()
    this.lines.push({ atMs: scheduler.nowMs, who, text })
  }

  hash(): string {
    return this.#scheduler.traceHash
  }
}
