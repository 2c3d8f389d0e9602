/**
 * Read barrier (rule 13): who comes back from it has seen, in this node's own state, everything that was applied anywhere before it asked. Refusals that
 * rest on absence stand behind it, and so does what operators read. It makes no entry: it is a ReadIndex (raft/core/reads.ts), one for all who ask in a
 * turn or while one is open.
 *
 * Invariants: every asker is answered exactly once, at his deadline at the latest, and never inside `pass`; who came after a read began waits for the next.
 * A read that ended without an index is made anew as soon as a leader is known, and a little later where one is.
 */
import { patienceRefusal } from './apply-refusal.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import type { BrokerRaft } from './raft-view.ts'
import type { Refusal } from './refusal.ts'

export interface BarrierOptions {
  readonly raft: Pick<BrokerRaft, 'leaderId' | 'readIndex'>
  readonly deadlines: Deadlines
  soon(callback: () => void): void
  nowMs(): number
}

export type BarrierDone = (refusal: Refusal | undefined) => void

interface Asker {
  readonly deadlineMs: number
  done: BarrierDone | undefined
}

/** Who waits, in all. */
const askersMax = 200_000
/** Before a read that was refused is made anew under a leader that is known. */
const againMs = 20

export class Barrier {
  readonly #options: BarrierOptions
  #waiting: Asker[] = []
  /** Whom the read under way is for. */
  #inRead: readonly Asker[] = []
  #count = 0
  #isReading = false
  #isScheduled = false
  #again: Deadline | undefined
  /** One for all: at the earliest deadline, or later ones that were earlier once. */
  #expiry: { readonly atMs: number; readonly deadline: Deadline } | undefined
  #reads = 0
  #isClosed = false

  constructor(options: BarrierOptions) {
    this.#options = options
  }

  /** Reads made so far. */
  get reads(): number {
    return this.#reads
  }

  /** `done(undefined)`: read on. False = too many wait, and `done` does not run. */
  pass(deadlineMs: number, done: BarrierDone): boolean {
    if (this.#count >= askersMax) return false
    this.#count++
    this.#waiting.push({ deadlineMs, done })
    this.#expireAt(deadlineMs)
    this.#readSoon()
    return true
  }

  /** Whoever waits for a leader may have one now. */
  onLeadershipChanged(): void {
    this.#again?.cancel()
    this.#again = undefined
    if (this.#waiting.length > 0) this.#readSoon()
  }

  /** Nobody is answered any more. */
  close(): void {
    this.#isClosed = true
  }

  /** One turn's askers make one read. */
  #readSoon(): void {
    if (this.#isScheduled || this.#isReading || this.#again !== undefined) return
    this.#isScheduled = true
    this.#options.soon(() => {
      this.#isScheduled = false
      this.#read()
    })
  }

  #read(): void {
    const { raft } = this.#options
    if (this.#isClosed || this.#isReading || raft.leaderId === undefined) return
    const askers = this.#waiting.filter(asker => asker.done !== undefined)
    this.#waiting = []
    if (askers.length === 0) return
    const untilMs = askers.reduce((latest, { deadlineMs }) => Math.max(latest, deadlineMs), 0)
    this.#isReading = true
    this.#reads++
    this.#inRead = askers
    raft.readIndex(Math.max(1, untilMs - this.#options.nowMs()), isReady => {
      if (this.#isClosed) return
      this.#isReading = false
      this.#inRead = []
      if (isReady) for (const asker of askers) this.#end(asker, undefined)
      else {
        this.#waiting = [...askers, ...this.#waiting]
        this.#again = this.#options.deadlines.after(againMs, () => {
          this.#again = undefined
          this.#readSoon()
        })
      }
      if (this.#waiting.length > 0) this.#readSoon()
    })
  }

  #expireAt(deadlineMs: number): void {
    if (this.#expiry !== undefined && this.#expiry.atMs <= deadlineMs) return
    this.#expiry?.deadline.cancel()
    this.#expiry = { atMs: deadlineMs, deadline: this.#options.deadlines.at(deadlineMs, () => this.#expire()) }
  }

  #expire(): void {
    this.#expiry = undefined
    const nowMs = this.#options.nowMs()
    const refusal = patienceRefusal(this.#options.raft.leaderId !== undefined)
    let nextMs = Infinity
    const late: Asker[] = []
    for (const asker of [...this.#waiting, ...this.#inRead]) {
      if (asker.done === undefined) continue
      if (asker.deadlineMs <= nowMs) late.push(asker)
      else nextMs = Math.min(nextMs, asker.deadlineMs)
    }
    if (nextMs < Infinity) this.#expireAt(nextMs)
    for (const asker of late) this.#end(asker, refusal)
    this.#waiting = this.#waiting.filter(asker => asker.done !== undefined)
  }

  #end(asker: Asker, refusal: Refusal | undefined): void {
    const { done } = asker
    if (done === undefined) return
    asker.done = undefined
    this.#count--
    done(refusal)
  }
}
