/**
 * Hands committed entries that are durable here to the application: each once, in order, never more than a slice of about two milliseconds at a time, so
 * that no heartbeat waits behind a long catch-up.
 */
import { assert } from '../../src/platform/assert.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { LogIndex } from '../core/ids.ts'
import { UnreadableEntry } from './log-storage.ts'
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
  /** The next entry has rotted here: it is applied when it is mended. */
  #isStuck = false

  constructor(options: ApplierOptions) {
    this.#options = options
    this.#appliedIndex = options.appliedIndex
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  /** Nothing more can be applied until a rotten entry is mended. */
  get isStuck(): boolean {
    return this.#isStuck
  }

  /** The log that was rotten at the start is whole: apply goes on behind the checkpoint. */
  restart(appliedIndex: LogIndex): void {
    assert(appliedIndex >= this.#appliedIndex, 'restart-goes-back', appliedIndex, this.#appliedIndex)
    this.#appliedIndex = appliedIndex
  }

  /** Applies towards `applyTo`, one slice. How many entries that were. */
  applySlice(applyTo: LogIndex): number {
    const { clock, log } = this.#options
    const first = this.#appliedIndex
    if (first >= applyTo) return 0
    const endMs = clock.nowMs() + applySliceMsMax
    while (this.#appliedIndex < applyTo) {
      const index = (this.#appliedIndex + 1) as LogIndex
      const entry = this.#read(log, index)
      this.#isStuck = entry === undefined
      if (entry === undefined) break
      this.#options.apply(entry)
      this.#appliedIndex = index
      if ((index - first) % entriesBetweenLooks === 0 && clock.nowMs() >= endMs) break
    }
    return this.#appliedIndex - first
  }

  #read(log: LogStorage, index: LogIndex): StoredEntry | undefined {
    try {
      return log.entry(index)
    } catch (error) {
      if (error instanceof UnreadableEntry) return undefined
      throw error
    }
  }
}
