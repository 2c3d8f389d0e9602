/**
 * The plan of a seed: which fault strikes when, for how long, drawn before the run. Whom it strikes is decided when it strikes (the leader of that
 * moment), by a stream keyed with the item's number: leaving an item out does not move the others.
 */
import type { WorldConfiguration } from './configuration.ts'
import type { FaultKind } from './faults/kinds.ts'
import { SimRandom } from './sim/random.ts'

export interface PlanItem {
  /** Stable through shrinking: names the item's own chance stream. */
  readonly number: number
  readonly atMs: number
  readonly kind: FaultKind
  readonly durationMs: number
}

/** At most this many items in a plan. */
const planItemsMax = 300

/** Draws the plan: for each kind of fault that is on, a train of strikes with exponential gaps. Sorted by time. */
export function drawPlan(configuration: WorldConfiguration): readonly PlanItem[] {
  const items: Omit<PlanItem, 'number'>[] = []
  for (const [kind, meanMs] of configuration.faults) {
    const random = new SimRandom(`${configuration.seed}/plan/${kind}`)
    let atMs = configuration.calmMs + meanMs * random.next()
    while (atMs < configuration.stormEndMs && items.length < planItemsMax) {
      items.push({ atMs: Math.round(atMs), kind, durationMs: Math.round(drawDuration(kind, random.next(), configuration)) })
      atMs += 50 + random.exponential(meanMs)
    }
  }
  items.sort((left, right) => left.atMs - right.atMs)
  return items.map((item, number) => ({ number, ...item }))
}

/** Short faults end before an election, long ones after several: both show things the other hides. */
function drawDuration(kind: FaultKind, share: number, configuration: WorldConfiguration): number {
  const electionMs = configuration.raft.electionTimeoutMs
  const spread = (low: number, high: number): number => Math.exp(Math.log(low) + share * (Math.log(high) - Math.log(low)))
  switch (kind) {
    case 'crashVoter':
    case 'crashVoters':
    case 'isolateNewLeader':
    case 'rivals':
    case 'crashRewriting':
      // How long it lies in wait.
      return spread(2_000, 10_000)
    case 'reset':
      return 1
    case 'resetStorm':
      return spread(1_000, 6_000)
    case 'clockHour':
    case 'clockYearLeader':
    case 'clockMajority':
      return spread(500, 15_000)
    case 'crashLeader':
    case 'crashNode':
    case 'crashPair':
    case 'crashAll':
    case 'stopNode':
      return spread(50, 8 * electionMs)
    case 'pauseNode':
    case 'pauseLeader':
    case 'isolateLeader':
    case 'isolateNode':
    case 'oneWay':
    case 'bridge':
      return spread(electionMs / 4, 10 * electionMs)
    case 'lossyLink':
    case 'slowLink':
    case 'slowDisk':
    case 'clientCut':
      return spread(200, 6_000)
  }
}
