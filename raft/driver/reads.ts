/**
 * Reads of this node's users (core/reads.ts): all that ask in one turn, or while a question is open, share the next one; each ends when this node has
 * applied the index that came of it, or with a reason.
 *
 *     waiting ── one question at a time ──▶ asked ── index ──▶ applying ── our own apply has come there ──▶ done
 *
 * Invariants: every `done` runs exactly once, and never inside the call that asked; who came after a question was put is not answered by it.
 * Bound: `readsMax` in all.
 */
import type { LogIndex } from '../core/ids.ts'
import type { ReadEnd as CoreReadEnd } from '../core/output.ts'

/** How a read ended. */
export type ReadEnd =
  /** Applied here up to `index`, and so all that was acknowledged anywhere before the read began. */
  | { readonly kind: 'ready'; readonly index: LogIndex }
  /** `noLeader`: none is known here; `leaderChanged`: it went while we asked; `busy`: too many wait. */
  | { readonly kind: 'refused'; readonly reason: 'busy' | 'noLeader' | 'leaderChanged' | 'deadline' | 'stopped' | 'storageFailed' }

export type ReadDone = (end: ReadEnd) => void

interface Reader {
  readonly giveUpMs: number
  readonly done: ReadDone
}

const readsMax = 10_000

export class Reads {
  #waiting: Reader[] = []
  #asked: { readonly ticket: number; readonly readers: Reader[] } | undefined
  readonly #applying: { readonly index: LogIndex; readonly readers: Reader[] }[] = []
  #count = 0
  #lastTicket = 0
  /** No reader's patience ends before. */
  #nextGiveUpMs = Infinity

  /** Reads that have not ended. */
  get count(): number {
    return this.#count
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0 && this.#asked === undefined
  }

  /** False = too many wait. */
  add(giveUpMs: number, done: ReadDone): boolean {
    if (this.#count >= readsMax) return false
    this.#count++
    this.#waiting.push({ giveUpMs, done })
    this.#nextGiveUpMs = Math.min(this.#nextGiveUpMs, giveUpMs)
    return true
  }

  /** A question for all that wait, unless one is open; the caller steps it now. */
  take(): { readonly ticket: number; readonly giveUpMs: number } | undefined {
    if (!this.hasWaiting) return undefined
    const readers = this.#waiting
    this.#waiting = []
    const ticket = ++this.#lastTicket
    this.#asked = { ticket, readers }
    return { ticket, giveUpMs: readers.reduce((latest, { giveUpMs }) => Math.max(latest, giveUpMs), 0) }
  }

  onEnd(end: CoreReadEnd): void {
    const asked = this.#asked
    if (asked?.ticket !== end.ticket) return
    this.#asked = undefined
    if (end.kind === 'ready') this.#applying.push({ index: end.index, readers: asked.readers })
    else this.#end(asked.readers, { kind: 'refused', reason: end.reason })
  }

  /** At the end of a turn: our own apply has come this far, and it is that late. */
  settle(appliedIndex: LogIndex, nowMs: number): void {
    // Not in order: a new leader's index may be above that of an earlier question.
    for (let i = 0; i < this.#applying.length; i++) {
      const ready = this.#applying[i]
      if (ready === undefined || ready.index > appliedIndex) continue
      this.#applying.splice(i--, 1)
      this.#end(ready.readers, { kind: 'ready', index: ready.index })
    }
    if (nowMs >= this.#nextGiveUpMs) this.#expire(nowMs)
  }

  /** The node goes. */
  abandon(reason: 'stopped' | 'storageFailed'): void {
    const all = this.#groups().flatMap(readers => readers.splice(0))
    this.#asked = undefined
    this.#applying.length = 0
    this.#end(all, { kind: 'refused', reason })
  }

  #groups(): Reader[][] {
    return [this.#waiting, ...(this.#asked === undefined ? [] : [this.#asked.readers]), ...this.#applying.map(({ readers }) => readers)]
  }

  #expire(nowMs: number): void {
    const late: Reader[] = []
    this.#nextGiveUpMs = Infinity
    for (const readers of this.#groups()) {
      for (const reader of readers.splice(0)) {
        if (reader.giveUpMs <= nowMs) late.push(reader)
        else {
          readers.push(reader)
          this.#nextGiveUpMs = Math.min(this.#nextGiveUpMs, reader.giveUpMs)
        }
      }
    }
    this.#end(late, { kind: 'refused', reason: 'deadline' })
  }

  #end(readers: readonly Reader[], end: ReadEnd): void {
    this.#count -= readers.length
    for (const { done } of readers) done(end)
  }
}
