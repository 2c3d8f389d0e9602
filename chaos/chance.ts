/** Draws that plans and model clients need besides those of SimRandom. */
import type { SimRandom } from './sim/random.ts'

/** True with this probability (a share of 1). */
export function happens(random: SimRandom, share: number): boolean {
  return random.chance(Math.round(share * 1e6))
}

/** Log-uniform in [low, high]: small values come as often as large ones. */
export function spread(random: SimRandom, low: number, high: number): number {
  return Math.exp(Math.log(low) + random.next() * (Math.log(high) - Math.log(low)))
}
