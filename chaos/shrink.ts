/**
 * Makes a failing run small: the plan first (ddmin: chunks of its items are left out, then single ones), then the features, clients and groups of the
 * configuration, then the storm's length. A candidate counts only if the *same* promise breaks in it; every item keeps its own random stream, so what
 * is left strikes as before.
 *
 * `fails` runs a candidate; how long that may go on is the caller's business (`mayGoOn`). The result is never worse than what was given.
 */
import type { WorldConfiguration } from './configuration.ts'
import type { PlanItem } from './schedule.ts'

/** All that a run is made from. */
export interface Run {
  readonly configuration: WorldConfiguration
  readonly plan: readonly PlanItem[]
}

export interface ShrinkOptions {
  /** Whether the candidate breaks the same promise. */
  fails(run: Run): boolean
  mayGoOn(): boolean
}

export function shrink(run: Run, options: ShrinkOptions): Run {
  const { fails, mayGoOn } = { fails: (candidate: Run) => options.fails(candidate), mayGoOn: () => options.mayGoOn() }
  let { configuration } = run
  let plan = minimize(run.plan, items => fails({ configuration, plan: items }), mayGoOn)
  for (const simplify of simplifications) {
    if (!mayGoOn()) break
    for (const simpler of simplify(configuration)) {
      if (!mayGoOn() || !fails({ configuration: simpler, plan })) continue
      configuration = simpler
    }
  }
  plan = minimize(plan, items => fails({ configuration, plan: items }), mayGoOn)
  return { configuration, plan }
}

/** Delta debugging: a list from which nothing more can be left out, as far as `mayGoOn` let it get. The whole list is taken to fail. */
export function minimize<T>(items: readonly T[], fails: (items: readonly T[]) => boolean, mayGoOn: () => boolean): readonly T[] {
  if (items.length === 0 || !mayGoOn()) return items
  if (fails([])) return []
  let rest = items
  let pieces = 2
  while (rest.length > 1 && mayGoOn()) {
    const size = Math.ceil(rest.length / pieces)
    let found: readonly T[] | undefined
    for (let from = 0; from < rest.length && found === undefined && mayGoOn(); from += size) {
      const without = [...rest.slice(0, from), ...rest.slice(from + size)]
      if (without.length > 0 && fails(without)) found = without
    }
    if (found !== undefined) {
      rest = found
      pieces = Math.max(2, pieces - 1)
    } else if (size === 1) break
    else pieces = Math.min(rest.length, pieces * 2)
  }
  return rest
}

type Simplify = (configuration: WorldConfiguration) => readonly WorldConfiguration[]

/** Each gives simpler configurations to try one after another; what is dropped together stands in one. */
const simplifications: readonly Simplify[] = [
  // One step after the other: what one drops, the next must not bring back, so they come as functions of what is left.
  configuration => [{ ...configuration, network: { ...configuration.network, lossShare: 0, duplicateShare: 0, reorderShare: 0 } }],
  configuration => [{ ...configuration, disk: { ...configuration.disk, spikeShare: 0 }, clocks: { skewMsMax: 0 } }],
  configuration => [{ ...configuration, features: configuration.features.filter(feature => feature === 'core') }],
  configuration => [{ ...configuration, consumerGroups: [] }],
  configuration => configuration.consumerGroups.map(group => ({ ...configuration, consumerGroups: [group] })),
  configuration => [{ ...configuration, consumerGroups: configuration.consumerGroups.map(group => ({ ...group, consumers: 1 })) }],
  configuration => [
    { ...configuration, producers: 2 },
    { ...configuration, producers: 1 },
  ],
  configuration => [{ ...configuration, messagesPerSendMax: 1 }],
]
