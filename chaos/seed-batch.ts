/** The seeds of the ordinary test run, a batch for each test file, so that the files run side by side. */
import { Report, type Summary } from './report.ts'
import { runSeed } from './world.ts'

export const batchSeeds = 100
/** Far above what a batch takes; a shared machine may be slow. */
export const batchTimeoutMs = 600_000

/** Runs seeds `100 × number + 1` to `100 × (number + 1)`. */
export function runBatch(number: number): Summary {
  const startedMs = performance.now()
  const report = new Report()
  for (let i = 1; i <= batchSeeds; i += 1) report.add(runSeed(number * batchSeeds + i))
  return report.summary((performance.now() - startedMs) / 1_000)
}
