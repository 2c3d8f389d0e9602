/** A job of run-seeds.ts: runs the seeds it is sent, one after another. */
import { parentPort } from 'node:worker_threads'
import { runRequest, type SeedRequest } from './run-seeds.ts'

parentPort?.on('message', (request: SeedRequest) => {
  parentPort?.postMessage(runRequest(request))
})
