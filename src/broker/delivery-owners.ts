/**
 * Which stream has a delivery in its hands on this node. A client that repeats its receive gets the same deliveries again, perhaps here, before
 * the node has noticed that the first stream broke: then only the later stream's word on them counts (rule 14).
 */
import type { Delivery } from '../state/result.ts'

/** One answer on its way to a client. */
export interface Stream {
  readonly deliveries: readonly Delivery[]
  /** Set when it is over: those before arrived, those from there on did not. */
  releaseFrom: number | undefined
}

export class DeliveryOwners {
  readonly #owners = new Map<number, Stream>()

  get count(): number {
    return this.#owners.size
  }

  /** The oldest entry that some stream still reads from; Infinity when none does. What it stands in must not be deleted. */
  get oldestLogIndex(): number {
    let oldest = Infinity
    for (const { deliveries } of this.#owners.values()) for (const { logIndex } of deliveries) oldest = Math.min(oldest, logIndex)
    return oldest
  }

  take(deliveries: readonly Delivery[], owner: Stream): void {
    for (const { ref } of deliveries) this.#owners.set(ref.deliverySequence, owner)
  }

  /** Another stream here has it. */
  isTakenByOther({ ref }: Delivery, owner: Stream): boolean {
    const taken = this.#owners.get(ref.deliverySequence)
    return taken !== undefined && taken !== owner
  }

  /** Its stream is over. */
  leave({ ref }: Delivery, owner: Stream): void {
    if (this.#owners.get(ref.deliverySequence) === owner) this.#owners.delete(ref.deliverySequence)
  }
}
