/** The chance seam. Production draws from the system, a simulated world from its seed (chaos/sim/random.ts). */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** `count` bytes, owned by the caller. */
  bytes(count: number): Uint8Array
}

/** The machine's random source. */
export const realRandom: Random = {
  next: () => Math.random(),
  bytes: count => randomBytes(count),
}
