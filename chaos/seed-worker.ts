/** A job of run-seeds.ts: runs the seeds it is sent, one after another. */
import { parentPort } from 'node:worker_threads'
import type { SeedRequest } from './run-seeds.ts'
import { runSeed } from './world.ts'

parentPort?.on('message', (request: SeedRequest) => {
  parentPort?.postMessage(runSeed(request.seed, request.profile === undefined ? {} : { profile: request.profile }))
})
