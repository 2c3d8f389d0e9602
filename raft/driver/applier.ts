/**
 * Hands committed entries that are durable here to the application: each once, in order, never more than a slice of about two milliseconds at a time, so
 * that no heartbeat waits behind a long catch-up.
 */
import type { Clock } from '../../src/platform/clock.ts'
import type { LogIndex } from '../core/ids.ts'
import type { LogStorage, StoredEntry } from './log-storage.ts'

export const applySliceMsMax = 2
/** The clock is read once for so many entries. */
const entriesBetweenLooks = 8

export interface ApplierOptions {
  readonly clock: Clock
  readonly log: LogStorage
  readonly appliedIndex: LogIndex
  apply(entry: StoredEntry): void
}

export class Applier {
  readonly #options: ApplierOptions
  #appliedIndex: LogIndex

  constructor(options: ApplierOptions) {
    this.#options = options
    this.#appliedIndex = options.appliedIndex
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  /** Applies towards `applyTo`, one slice. How many entries that were. */
  applySlice(applyTo: LogIndex): number {
    const { clock, log } = this.#options
    const first = this.#appliedIndex
    if (first >= applyTo) return 0
    const endMs = clock.nowMs() + applySliceMsMax
    while (this.#appliedIndex < applyTo) {
      const index = (this.#appliedIndex + 1) as LogIndex
      this.#options.apply(log.entry(index))
      this.#appliedIndex = index
      if ((index - first) % entriesBetweenLooks === 0 && clock.nowMs() >= endMs) break
    }
    return this.#appliedIndex - first
  }
}
