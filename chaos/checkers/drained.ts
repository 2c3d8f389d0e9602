/**
 * The end of the drain: every acknowledged message is in the log, has come to every group of its topic, and every message in the log is done
 * with by every group: acknowledged, or in its dead letters (A1, A3, A27, A33: what is missing says which).
 */
import type { WorldConfiguration } from '../configuration.ts'
import type { Ledger, Value } from '../ledger.ts'
import { Violation } from '../violation.ts'
import type { AppendedOnce } from './appended-once.ts'
import type { Deliveries } from './deliveries.ts'
import type { Received } from './received.ts'

export class Drained {
  readonly #configuration: WorldConfiguration
  readonly #ledger: Ledger
  readonly #appended: AppendedOnce
  readonly #received: Received
  readonly #deliveries: Deliveries
  /** Values that are not done with, or not in the log. */
  #open: Value[] | undefined
  #openPairs = Infinity

  constructor(configuration: WorldConfiguration, ledger: Ledger, appended: AppendedOnce, received: Received, deliveries: Deliveries) {
    this.#configuration = configuration
    this.#ledger = ledger
    this.#appended = appended
    this.#received = received
    this.#deliveries = deliveries
  }

  /** The first thing that is still to come; undefined when all is done. Throws for what can't come any more. Not before the producers have stopped. */
  missing(): string | undefined {
    if (this.#ledger.openSends > 0) return `${this.#ledger.openSends} sends without an answer`
    this.#open ??= [...this.#ledger.values]
    let first: string | undefined
    this.#openPairs = 0
    this.#open = this.#open.filter(value => {
      const missing = this.#missingOf(value)
      first ??= missing
      // What is not in the log may still come, if its fate is unknown.
      return missing !== undefined || this.#appended.placeOf(value.id) === undefined
    })
    return first
  }

  /** How many pairs of a value and a group were still to come when `missing` last looked. */
  get left(): number {
    return this.#openPairs
  }

  #missingOf(value: Value): string | undefined {
    let first: string | undefined
    const place = this.#appended.placeOf(value.id)
    if (place === undefined) {
      if (value.state === 'ok') throw new Violation('A1', `value ${value.id} was acknowledged and is not in the log`)
      return undefined
    }
    for (const group of this.#configuration.consumerGroups) {
      if (!group.topics.includes(value.topic)) continue
      if (this.#deliveries.isDone(group.name, place.topic, place.queueId, place.offset)) continue
      const seen = this.#received.hasSeen(group.name, value.id) ? 'was handed out and is not done (A27)' : 'never came (A3)'
      first ??= `group ${group.name}: value ${value.id} at ${place.topic}/${place.queueId}@${place.offset} ${seen}`
      this.#openPairs++
    }
    return first
  }
}
