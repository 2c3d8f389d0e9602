/** How many bytes of requests may be on their way through this node at once (truth 8). Over it: tooManyRequests, which clients back off from. */
import { assert } from '../platform/assert.ts'
import { refuse, type Refusal } from './refusal.ts'

export class Admission {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False = no room. One request may pass alone however large it is. */
  tryEnter(bytes: number): boolean {
    if (this.#bytes > 0 && this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    return true
  }

  leave(bytes: number): void {
    this.#bytes -= bytes
    assert(this.#bytes >= 0, 'admission-negative', this.#bytes)
  }
}

export function fullRefusal(): Refusal {
  return refuse('tooManyRequests', 'This node has as many requests on their way as it may: come again later.')
}
