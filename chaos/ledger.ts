/**
 * What the clients know: every value they tried to send, how that ended, every message they were handed. The truth that the cluster is held to.
 * A send is `ok` (acknowledged with a place), `failed` (the answer was a certain no) or `unknown` (no answer, or one that proves nothing).
 */
export type SendState = 'open' | 'ok' | 'failed' | 'unknown'

export interface Value {
  /** Dense, from 0. */
  readonly id: number
  readonly topic: string
  readonly messageGroup: string | undefined
  readonly clientId: string
  readonly messageId: string
  readonly bodyBytes: number
  readonly invokedAtMs: number
  /** By queue of its topic: the newest offset that was acknowledged before this send began; its own place must come after. */
  readonly floors: readonly (number | undefined)[]
  state: SendState
  /** Where the acknowledgement said it is. */
  place: { readonly queueId: number; readonly offset: number } | undefined
  /** Requests that carried it. */
  attempts: number
}

/** Counts for the report's power table. */
export interface LedgerCounts {
  ok: number
  failed: number
  unknown: number
  retriedSends: number
  duplicateAnswers: number
  receives: number
  deliveries: number
  acks: number
  nacks: number
  forwards: number
  forgotten: number
  operations: number
}

export class Ledger {
  readonly values: Value[] = []
  /** Sends whose last word has not come. */
  openSends = 0
  readonly counts: LedgerCounts = {
    ok: 0,
    failed: 0,
    unknown: 0,
    retriedSends: 0,
    duplicateAnswers: 0,
    receives: 0,
    deliveries: 0,
    acks: 0,
    nacks: 0,
    forwards: 0,
    forgotten: 0,
    operations: 0,
  }

  invoke(fields: Omit<Value, 'id' | 'state' | 'place' | 'attempts'>): Value {
    const value: Value = { id: this.values.length, state: 'open', place: undefined, attempts: 0, ...fields }
    this.values.push(value)
    this.openSends += 1
    return value
  }

  ok(value: Value, place: { readonly queueId: number; readonly offset: number }): void {
    this.#close(value, 'ok')
    value.place = place
    this.counts.ok += 1
  }

  failed(value: Value): void {
    this.#close(value, 'failed')
    this.counts.failed += 1
  }

  unknown(value: Value): void {
    this.#close(value, 'unknown')
    this.counts.unknown += 1
  }

  #close(value: Value, state: SendState): void {
    value.state = state
    this.openSends -= 1
  }
}
