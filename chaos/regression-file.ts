/**
 * A failing run as a file: what broke, and the configuration and plan it broke in, so that it can be run again however the draws of seeds change.
 * `chaos/regressions/` holds those that were bugs; they run in every test run. Older ones are lists of seeds.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SeedOutcome } from './outcome.ts'
import type { Profile } from './profiles.ts'
import type { Run } from './shrink.ts'
import { runSeed } from './world.ts'

export interface Regression {
  /** In half a sentence: what was wrong. */
  readonly what: string
  readonly profile: Profile
  readonly seeds?: readonly number[]
  readonly run?: Run
}

export function readRegression(path: string): Regression {
  return JSON.parse(readFileSync(path, 'utf8')) as Regression
}

/** Writes the file of a failed run, and gives its path. */
export function writeRegression(directory: string, run: Run, what: string): string {
  mkdirSync(directory, { recursive: true })
  const { seed, profile } = run.configuration
  const path = join(directory, `seed-${seed}-${profile}.json`)
  writeFileSync(path, `${JSON.stringify({ what, profile, run } satisfies Regression, undefined, 2)}\n`)
  return path
}

/** Runs all that a file holds, and gives what came of each. */
export function runRegression(regression: Regression, keepsLines = false): readonly SeedOutcome[] {
  const seeds = (regression.seeds ?? []).map(seed => runSeed(seed, { profile: regression.profile, keepsLines }))
  if (regression.run === undefined) return seeds
  const { configuration, plan } = regression.run
  return [...seeds, runSeed(configuration.seed, { configuration, plan, keepsLines })]
}
