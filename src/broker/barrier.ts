/**
 * Read barrier (rule 13): who comes back from it has seen, in this node's own state, everything that was applied anywhere before it asked.
 * Refusals that rest on absence stand behind it. Many share one entry.
 */
import { Gatherer, type GathererOptions } from './gatherer.ts'
import type { Refusal } from './refusal.ts'

export class Barrier {
  readonly #gatherer: Gatherer<undefined>

  constructor(options: Omit<GathererOptions<undefined>, 'toCommand' | 'batchMax' | 'itemsMax'>) {
    this.#gatherer = new Gatherer({ ...options, toCommand: () => ({ kind: 'barrier' }), batchMax: 100_000, itemsMax: 100_000 })
  }

  /** `done(undefined)`: read on. False = too many wait, and `done` does not run. */
  pass(deadlineMs: number, done: (refusal: Refusal | undefined) => void): boolean {
    return this.#gatherer.add(undefined, deadlineMs, result => {
      done(result.kind === 'refused' ? result : undefined)
    })
  }
}
