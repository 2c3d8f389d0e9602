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
  readonly isLite?: boolean | undefined
  /** No seed begins after this much real time. */
  readonly minutesMax?: number | undefined
  /** Stop after so many failed seeds. */
  readonly failuresMax: number
  /** No seed begins after this is aborted. */
  readonly signal?: AbortSignal
  onOutcome(outcome: SeedOutcome): void
}

/** What a worker is asked, and answers with a SeedOutcome. */
export interface SeedRequest {
  readonly seed: number
  readonly profile?: Profile | undefined
  readonly isLite?: boolean | undefined
}

export async function runSeeds(options: RunSeedsOptions): Promise<Summary> {
  const startedMs = performance.now()
  const report = new Report()
  let next = options.from
  let failures = 0
  const end = options.from + options.seeds
  const endMs = startedMs + (options.minutesMax ?? Infinity) * 60_000
  const mayGoOn = (): boolean =>
    options.signal?.aborted !== true && next < end && failures < options.failuresMax && performance.now() < endMs
  const take = (): SeedRequest | undefined => (mayGoOn() ? { seed: next++, profile: options.profile, isLite: options.isLite } : undefined)
  const finish = (outcome: SeedOutcome): void => {
    report.add(outcome)
    if (outcome.violation !== undefined) failures += 1
    options.onOutcome(outcome)
  }
  if (options.jobs <= 1) {
    for (let request = take(); request !== undefined; request = take()) {
      finish(runRequest(request))
      // So that a signal can be heard, and the bar be drawn.
      await new Promise(resolve => setImmediate(resolve))
    }
  } else {
    await Promise.all(Array.from({ length: options.jobs }, () => runJob(take, finish)))
  }
  return report.summary((performance.now() - startedMs) / 1_000)
}

/** Runs what was asked for, on this thread. */
export function runRequest({ seed, profile, isLite = false }: SeedRequest): SeedOutcome {
  return runSeed(seed, { isLite, ...(profile === undefined ? {} : { profile }) })
}

function runJob(take: () => SeedRequest | undefined, finish: (outcome: SeedOutcome) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const isSource = import.meta.url.endsWith('.ts')
    const worker = new Worker(new URL(isSource ? './seed-worker.ts' : './seed-worker.js', import.meta.url))
    const next = (): void => {
      const request = take()
      if (request === undefined) void worker.terminate().then(() => resolve(), reject)
      else worker.postMessage(request)
    }
    worker.on('message', (outcome: SeedOutcome) => {
      finish(outcome)
      next()
    })
    worker.once('error', reject)
    next()
  })
}
