/**
 * Plans that no seed would draw: fast-check makes the configuration and the plan, and makes them small when a promise breaks; what it leaves is finished
 * by delta debugging (shrink.ts), written as a file of a run, and named in one line. It makes no choice below the plan: those have streams of their own.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drawConfiguration } from './configuration.ts'
import { faultKinds } from './faults/catalog.ts'
import { writeRegression } from './regression-file.ts'
import type { PlanItem } from './schedule.ts'
import { batchTimeoutMs } from './seed-batch.ts'
import { shrink, type Run } from './shrink.ts'
import { runSeed } from './world.ts'

const itemsMax = 60
const budgetMs = 300_000

/** The key goes with the item through all shrinking, and with it the item's own chance. */
const plans = fc
  .uniqueArray(
    fc.record({
      kind: fc.constantFrom(...faultKinds),
      number: fc.nat(9_999),
      atMs: fc.integer({ min: 3_000, max: 45_000 }),
      durationMs: fc.integer({ min: 1, max: 8_000 }),
    }),
    { selector: item => `${item.kind}-${item.number}`, maxLength: itemsMax, size: 'max' },
  )
  .map(items =>
    items
      .map(({ kind, number, atMs, durationMs }): PlanItem => ({ key: `${kind}-${number}`, kind, atMs, durationMs }))
      .sort((left, right) => left.atMs - right.atMs || (left.key < right.key ? -1 : 1)),
  )

const runs = fc
  .record({ seed: fc.integer({ min: 1, max: 1_000_000 }), profile: fc.constantFrom('swarm', 'liveness'), plan: plans })
  .map(({ seed, profile, plan }): Run => ({ configuration: drawConfiguration(seed, profile), plan }))

/** The smallest run that was found to break the same promise; undefined when `tries` of them broke none. `broken` names what a run breaks. */
function search(
  tries: number,
  seed: number,
  broken: (run: Run) => string | undefined,
): { readonly run: Run; readonly what: string } | undefined {
  const endMs = performance.now() + budgetMs
  let what: string | undefined
  const { counterexample } = fc.check(
    fc.property(runs, run => {
      const now = broken(run)
      what ??= now
      return now === undefined || now !== what
    }),
    { numRuns: tries, seed, interruptAfterTimeLimit: budgetMs },
  )
  const found = counterexample?.[0]
  if (found === undefined || what === undefined) return undefined
  const known = what
  return { what, run: shrink(found, { fails: run => broken(run) === known, mayGoOn: () => performance.now() < endMs }) }
}

describe('plans that fast-check makes', () => {
  it('break no promise', { timeout: batchTimeoutMs }, () => {
    const found = search(4, 20_261_121, ({ configuration, plan }) => runSeed(configuration.seed, { configuration, plan }).violation?.id)
    const path = found === undefined ? undefined : writeRegression(join(tmpdir(), 'raftmq-plans'), found.run, found.what)
    expect(path, `replay: npx raftmq chaos sim --replay ${path ?? ''}`).toBeUndefined()
  })

  it('are made small when one does: to what the failure needs, and nothing else', () => {
    // As a bug would that needs two faults of a kind, one behind the other, in a world with consumers.
    const broken = ({ plan, configuration }: Run): string | undefined => {
      const crash = plan.findIndex(item => item.kind.startsWith('crash'))
      return crash >= 0 && configuration.consumerGroups.length > 0 && plan.slice(crash + 1).some(item => item.kind.startsWith('isolate'))
        ? 'A1'
        : undefined
    }
    const found = search(100, 7, broken)
    expect(found?.run.plan.map(item => item.kind.replace(/[A-Z].*/, ''))).toEqual(['crash', 'isolate'])
    expect(found?.run.configuration).toMatchObject({ producers: 1, network: { lossShare: 0 } })
    expect(found?.run.configuration.consumerGroups).toHaveLength(1)
  })
})
