/**
 * Bugs that the simulator has found, each as the seed that showed it. A seed says something else as soon as the product's events change, so each of
 * these also has a directed test where the bug was; here they are run because they were unlucky once. docs/bugs-found.md tells their stories.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { profiles, type Profile } from './profiles.ts'
import { batchTimeoutMs } from './seed-batch.ts'
import { runSeed } from './world.ts'

interface Regression {
  readonly what: string
  readonly seeds: readonly number[]
  readonly profile: Profile
}

const directory = join(import.meta.dirname, 'regressions')
const regressions = readdirSync(directory)
  .filter(name => name.endsWith('.json'))
  .sort()
  .map(name => [name, JSON.parse(readFileSync(join(directory, name), 'utf8')) as Regression] as const)

it('there are regressions to run', () => {
  expect(regressions.length).toBeGreaterThan(0)
})

it.each(regressions)('%s', { timeout: batchTimeoutMs }, (_name, regression) => {
  expect(profiles).toContain(regression.profile)
  for (const seed of regression.seeds) {
    const { violation } = runSeed(seed, { profile: regression.profile })
    expect(violation, regression.what).toBeUndefined()
  }
})
