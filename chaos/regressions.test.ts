/**
 * Bugs that the simulator has found, each as the run (or the seeds) that showed it. A run says something else as soon as the product's events change,
 * so each of these also has a directed test where the bug was; here they are run because they were unlucky once. docs/bugs-found.md tells their stories.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { profiles } from './profiles.ts'
import { readRegression, runRegression } from './regression-file.ts'
import { batchTimeoutMs } from './seed-batch.ts'

const directory = join(import.meta.dirname, 'regressions')
const regressions = readdirSync(directory)
  .filter(name => name.endsWith('.json'))
  .sort()
  .map(name => [name, readRegression(join(directory, name))] as const)

it('there are regressions to run', () => {
  expect(regressions.length).toBeGreaterThan(0)
})

it.each(regressions)('%s', { timeout: batchTimeoutMs }, (_name, regression) => {
  expect(profiles).toContain(regression.profile)
  const outcomes = runRegression(regression)
  expect(outcomes.length).toBeGreaterThan(0)
  for (const { violation } of outcomes) expect(violation, regression.what).toBeUndefined()
})
