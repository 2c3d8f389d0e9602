/**
 * What this node's users want appended: gathered over a turn, handed to the core as few large proposals, and followed to one of three ends.
 *
 * A batch has one ticket. It is waiting (not yet proposed), then in the log of this leader, then committed and waiting for our own apply; or it is
 * rejected, or unknown. A submission without a `done` costs nothing after its bytes are in the log.
 * Invariant: every `done` runs exactly once, and never inside the call that submitted it.
 */
import { assert } from '../../src/platform/assert.ts'
import { EntryKind } from '../core/entry.ts'
import type { MembershipChange } from '../core/event.ts'
import type { LogIndex, Term } from '../core/ids.ts'
import type { ProposalOutcome, RejectReason } from '../core/output.ts'
import type { EntryBody } from './log-storage.ts'

/** How a submission ended. */
export type ProposeOutcome =
  /** Committed and applied here; its first entry is at `index`. */
  | { readonly kind: 'applied'; readonly index: LogIndex; readonly term: Term; readonly count: number }
  /** Surely not in the log, now or later. */
  | { readonly kind: 'rejected'; readonly reason: RejectReason }
  /** May be in the log: the caller must not say that it failed. */
  | { readonly kind: 'unknown'; readonly cause: 'leadershipLost' | 'stopped' | 'storageFailed' }

export type ProposeDone = (outcome: ProposeOutcome) => void

/** A wish to change the membership that no turn has taken up yet. */
export interface WaitingChange {
  readonly ticket: number
  readonly change: MembershipChange
}

/** Somebody who wants to know: about `count` bodies from `offset` on in its batch. */
interface Waiter {
  readonly offset: number
  readonly count: number
  readonly done: ProposeDone
}

export interface Batch {
  readonly ticket: number
  readonly kind: EntryKind
  readonly bodies: EntryBody[]
  /** Record bytes. */
  bytes: number
  readonly waiters: Waiter[]
}

interface Committed {
  readonly batch: Batch
  readonly firstIndex: LogIndex
  readonly term: Term
}

const madeByCore: EntryBody = { parts: [], bytes: 0, crc: 0 }

export class Submissions {
  readonly #batchBytesMax: number
  readonly #waiting: Batch[] = []
  #waitingBytes = 0
  readonly #changes: WaitingChange[] = []
  /** In the log, fate unknown. A batch that nobody waits for is not here. */
  readonly #open = new Map<number, Batch>()
  readonly #committed: Committed[] = []
  #lastTicket = 0

  constructor(batchBytesMax: number) {
    this.#batchBytesMax = batchBytesMax
  }

  /** Record bytes that no proposal carries yet. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0 || this.#changes.length > 0
  }

  /** Another membership is wanted; the core makes the entry. */
  addChange(change: MembershipChange, done: ProposeDone | undefined): void {
    const ticket = ++this.#lastTicket
    this.#changes.push({ ticket, change })
    if (done === undefined) return
    this.#open.set(ticket, { ticket, kind: EntryKind.config, bodies: [madeByCore], bytes: 0, waiters: [{ offset: 0, count: 1, done }] })
  }

  takeChange(): WaitingChange | undefined {
    return this.#changes.shift()
  }

  /** Adds to the youngest batch of the same kind, while it is not too large. */
  add(kind: EntryKind, bodies: readonly EntryBody[], bytes: number, done: ProposeDone | undefined): void {
    assert(bodies.length > 0, 'submission-without-bodies')
    let batch = this.#waiting.at(-1)
    if (batch?.kind !== kind || batch.bytes + bytes > this.#batchBytesMax) {
      batch = { ticket: ++this.#lastTicket, kind, bodies: [], bytes: 0, waiters: [] }
      this.#waiting.push(batch)
    }
    if (done !== undefined) batch.waiters.push({ offset: batch.bodies.length, count: bodies.length, done })
    for (const body of bodies) batch.bodies.push(body)
    batch.bytes += bytes
    this.#waitingBytes += bytes
  }

  /** The oldest waiting batch; the caller steps a proposal for it now. */
  take(): Batch | undefined {
    const batch = this.#waiting.shift()
    if (batch === undefined) return undefined
    this.#waitingBytes -= batch.bytes
    if (batch.waiters.length > 0) this.#open.set(batch.ticket, batch)
    return batch
  }

  onOutcome(outcome: ProposalOutcome): void {
    if (outcome.kind === 'appended') return
    const batch = this.#open.get(outcome.ticket)
    if (batch === undefined) return
    this.#open.delete(outcome.ticket)
    switch (outcome.kind) {
      case 'committed':
        this.#committed.push({ batch, firstIndex: outcome.firstId.index, term: outcome.firstId.term })
        return
      case 'rejected':
        return tellAll(batch, { kind: 'rejected', reason: outcome.reason })
      case 'unknown':
        return tellAll(batch, { kind: 'unknown', cause: outcome.cause })
    }
  }

  /** Our own apply has come this far. */
  onApplied(appliedIndex: LogIndex): void {
    for (;;) {
      const oldest = this.#committed[0]
      if (oldest === undefined || oldest.firstIndex + oldest.batch.bodies.length - 1 > appliedIndex) return
      this.#committed.shift()
      const { batch, firstIndex, term } = oldest
      for (const { offset, count, done } of batch.waiters) done({ kind: 'applied', index: (firstIndex + offset) as LogIndex, term, count })
    }
  }

  /** Nothing that waits is proposed. */
  rejectWaiting(reason: RejectReason): void {
    this.#waitingBytes = 0
    for (const batch of this.#waiting.splice(0)) tellAll(batch, { kind: 'rejected', reason })
    for (const { ticket } of this.#changes.splice(0)) this.onOutcome({ kind: 'rejected', ticket, reason })
  }

  /** The node goes: what was not proposed is rejected, the rest is unknown. */
  abandon(cause: 'stopped' | 'storageFailed'): void {
    const reason = cause === 'stopped' ? 'notLeader' : 'storageFailed'
    this.rejectWaiting(reason)
    const unknown = [...this.#committed.splice(0).map(committed => committed.batch), ...this.#open.values()]
    this.#open.clear()
    for (const batch of unknown) tellAll(batch, { kind: 'unknown', cause })
  }
}

function tellAll(batch: Batch, outcome: ProposeOutcome): void {
  for (const { done } of batch.waiters) done(outcome)
}
