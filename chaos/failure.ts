/**
 * What is done with a seed that failed: its run is made small within a budget of real time, and written to a file. Not part of the world: this reads
 * the real clock, between runs.
 */
import { drawConfiguration } from './configuration.ts'
import type { SeedOutcome } from './outcome.ts'
import { writeRegression } from './regression-file.ts'
import { drawPlan } from './schedule.ts'
import { shrink, type Run } from './shrink.ts'
import { runSeed } from './world.ts'

export interface WrittenFailure {
  readonly path: string
  readonly items: number
  readonly itemsBefore: number
  readonly runs: number
  readonly seconds: number
}

/** Shrinks the run of a failed seed and writes it to `directory`. With no budget it is written as it was. */
export function keepFailure(outcome: SeedOutcome, directory: string, budgetMs: number): WrittenFailure {
  const { violation } = outcome
  if (violation === undefined) throw new Error(`seed ${outcome.seed} did not fail`)
  const startedMs = performance.now()
  const configuration = drawConfiguration(outcome.seed, outcome.profile)
  const whole: Run = { configuration, plan: drawPlan(configuration) }
  let runs = 0
  const small = shrink(whole, {
    mayGoOn: () => performance.now() - startedMs < budgetMs,
    fails: run => {
      runs += 1
      return runSeed(run.configuration.seed, { configuration: run.configuration, plan: run.plan }).violation?.id === violation.id
    },
  })
  const path = writeRegression(directory, small, `${violation.id}: ${violation.what}`)
  const seconds = (performance.now() - startedMs) / 1_000
  return { path, items: small.plan.length, itemsBefore: whole.plan.length, runs, seconds }
}
