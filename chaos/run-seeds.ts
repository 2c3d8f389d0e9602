/**
 * Runs many seeds, on one thread or on several: each job is a worker thread with its own heap and its own traps, and takes the next seed when it
 * is done with one. The only part of the simulator that knows real time and threads.
 */
import { Worker } from 'node:worker_threads'
import type { SeedOutcome } from './outcome.ts'
import type { Profile } from './profiles.ts'
import { Report, type Summary } from './report.ts'
import { runSeed } from './world.ts'

export interface RunSeedsOptions {
  readonly seeds: number
  readonly from: number
  readonly jobs: number
  readonly profile?: Profile | undefined
  /** Stop after so many failed seeds. */
  readonly failuresMax: number
  onOutcome(outcome: SeedOutcome): void
}

/** What a worker is asked, and answers with a SeedOutcome. */
export interface SeedRequest {
  readonly seed: number
  readonly profile?: Profile | undefined
}

export async function runSeeds(options: RunSeedsOptions): Promise<Summary> {
  const startedMs = performance.now()
  const report = new Report()
  let next = options.from
  let failures = 0
  const end = options.from + options.seeds
  const take = (): number | undefined => (next < end && failures < options.failuresMax ? next++ : undefined)
  const finish = (outcome: SeedOutcome): void => {
    report.add(outcome)
    if (outcome.violation !== undefined) failures += 1
    options.onOutcome(outcome)
  }
  if (options.jobs <= 1) {
    for (let seed = take(); seed !== undefined; seed = take()) finish(runSeed(seed, profileOf(options.profile)))
  } else {
    await Promise.all(Array.from({ length: options.jobs }, () => runJob(options.profile, take, finish)))
  }
  return report.summary((performance.now() - startedMs) / 1_000)
}

function profileOf(profile: Profile | undefined): { readonly profile?: Profile } {
  return profile === undefined ? {} : { profile }
}

function runJob(profile: Profile | undefined, take: () => number | undefined, finish: (outcome: SeedOutcome) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const isSource = import.meta.url.endsWith('.ts')
    const worker = new Worker(new URL(isSource ? './seed-worker.ts' : './seed-worker.js', import.meta.url))
    const next = (): void => {
      const seed = take()
      if (seed === undefined) void worker.terminate().then(() => resolve(), reject)
      else worker.postMessage({ seed, profile } satisfies SeedRequest)
    }
    worker.on('message', (outcome: SeedOutcome) => {
      finish(outcome)
      next()
    })
    worker.once('error', reject)
    next()
  })
}
