/** Builds that differ in feature level, in one group: up, back before the finalisation, up again and through it, with clients at work all the time. */
import { expect, it } from 'vitest'
import { drawConfiguration } from './configuration.ts'
import type { PlanItem } from './schedule.ts'
import { batchTimeoutMs } from './seed-batch.ts'
import { runSeed } from './world.ts'

/** One node after the other is exchanged, whichever may be. */
const plan: readonly PlanItem[] = Array.from({ length: 14 }, (_, i) => ({
  key: `otherBuild-${i + 1}`,
  atMs: 6_000 + 2_500 * i,
  kind: 'otherBuild',
  durationMs: 400,
}))

it.each([11, 12, 13])(
  'a rolling upgrade, with steps back, loses nothing and parts no replicas (seed %i)',
  { timeout: batchTimeoutMs },
  seed => {
    const drawn = drawConfiguration(seed, 'swarm')
    const configuration = { ...drawn, features: [...new Set([...drawn.features, 'oldBuilds' as const])], faults: {} }
    const outcome = runSeed(seed, { configuration, plan, keepsLines: true })
    expect(outcome.violation).toBeUndefined()
    expect(outcome.marks['the feature level was raised']).toBeGreaterThan(0)
    const lives = outcome.lines.filter(line => line.text.startsWith('starts (life'))
    const builds = new Map<string, boolean[]>()
    for (const { who, text } of lives) builds.set(who, [...(builds.get(who) ?? []), text.includes('the build before')])
    const wentBack = [...builds.values()].some(isOld => isOld.some((old, i) => old && isOld[i - 1] === false))
    expect(wentBack).toBe(true)
    expect([...builds.values()].map(isOld => isOld.at(-1))).toEqual([...builds.values()].map(() => false))
  },
)
