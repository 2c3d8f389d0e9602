/** The seeds of the ordinary test run, a batch for each test file, so that the files run side by side. */
import { Report, type Summary } from './report.ts'
import { runSeed } from './world.ts'

export const batchSeeds = 50
/** Far above what a batch takes; a shared machine may be slow. */
export const batchTimeoutMs = 600_000

export interface Batch {
  readonly summary: Summary
  /** A line for each seed, as hash-seeds.ts prints it: its number, the hash of everything that happened, and how much that was. */
  readonly traces: readonly string[]
}

/** Runs seeds `50 × number + 1` to `50 × (number + 1)`. */
export function runBatch(number: number): Batch {
  const startedMs = performance.now()
  const report = new Report()
  const traces: string[] = []
  for (let seed = number * batchSeeds + 1; seed <= (number + 1) * batchSeeds; seed += 1) {
    const outcome = runSeed(seed)
    report.add(outcome)
    traces.push(traceLine(seed, outcome))
  }
  return { summary: report.summary((performance.now() - startedMs) / 1_000), traces }
}

export function traceLine(seed: number, { hash, events }: { readonly hash: string; readonly events: number }): string {
  return `${seed} ${hash} ${events}`
}
