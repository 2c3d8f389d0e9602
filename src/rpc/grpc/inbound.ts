/**
 * What clients have begun to say and not finished, over all calls: the one thing that they could make us hoard. Its bytes have a bound, and each
 * message has an end of its patience. Nothing here has a timer: whoever made it sweeps.
 */
export interface Unfinished {
  readonly untilMs: number
  /** It came to nothing; runs once at most, and gives back what it holds. */
  drop(): void
}

export class Inbound {
  readonly #bytesMax: number
  readonly #unfinished = new Set<Unfinished>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Held now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Messages that are not whole yet. */
  get unfinishedCount(): number {
    return this.#unfinished.size
  }

  tryHold(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }

  began(message: Unfinished): void {
    this.#unfinished.add(message)
  }

  /** It is whole, or nobody waits for the rest. */
  ended(message: Unfinished): void {
    this.#unfinished.delete(message)
  }

  dropOverdue(nowMs: number): void {
    for (const message of this.#unfinished) {
      if (message.untilMs > nowMs) continue
      this.#unfinished.delete(message)
      message.drop()
    }
  }
}
