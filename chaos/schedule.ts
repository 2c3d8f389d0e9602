/**
 * The plan of a seed: which fault strikes when, for how long, drawn before the run. Whom it strikes is decided when it strikes (the leader of that
 * moment), by a stream keyed with the item's own key: leaving an item out, or one more kind of fault, does not move the others.
 */
import type { WorldConfiguration } from './configuration.ts'
import { faultCatalog, type FaultKind } from './faults/catalog.ts'
import { SimRandom } from './sim/random.ts'

export interface PlanItem {
  /** Names the item's own chance stream; unique in its plan, and the same however the plan is shrunk. */
  readonly key: string
  readonly atMs: number
  readonly kind: FaultKind
  readonly durationMs: number
}

/** At most this many items of a kind in a plan. */
const itemsOfKindMax = 40

/** Draws the plan: for each kind of fault that is on, a train of strikes with exponential gaps. Sorted by time. */
export function drawPlan(configuration: WorldConfiguration): readonly PlanItem[] {
  const items: PlanItem[] = []
  for (const [kind, meanMs] of Object.entries(configuration.faults) as (readonly [FaultKind, number])[]) {
    const random = new SimRandom(`${configuration.seed}/plan/${kind}`)
    let atMs = configuration.calmMs + meanMs * random.next()
    for (let number = 1; atMs < configuration.stormEndMs && number <= itemsOfKindMax; number += 1) {
      const durationMs = drawDuration(kind, random.next(), configuration.raft.electionTimeoutMs)
      items.push({ key: `${kind}-${number}`, atMs: Math.round(atMs), kind, durationMs })
      atMs += 50 + random.exponential(meanMs)
    }
  }
  return items.sort((left, right) => left.atMs - right.atMs || (left.key < right.key ? -1 : 1))
}

function drawDuration(kind: FaultKind, share: number, electionTimeoutMs: number): number {
  const [low, high] = faultCatalog[kind].lastsMs(electionTimeoutMs)
  return Math.round(Math.exp(Math.log(low) + share * (Math.log(high) - Math.log(low))))
}
