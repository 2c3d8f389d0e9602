/**
 * MD5 of large bodies off the event loop (rule 17): one worker thread, started with the first large body. A body of 4 MiB would hold the loop for
 * about ten milliseconds. The bytes are copied into the message; the worker answers in order.
 */
import { Worker } from 'node:worker_threads'
import type { DigestLarge } from '../broker/broker.ts'

const program = `
const { parentPort } = require('node:worker_threads')
const { createHash } = require('node:crypto')
parentPort.on('message', bytes => parentPort.postMessage(createHash('md5').update(bytes).digest()))
`

export interface DigestWorker {
  readonly digestLarge: DigestLarge
  close(): Promise<void>
}

export function openDigestWorker(): DigestWorker {
  let worker: Worker | undefined
  const waiting: ((md5: Uint8Array) => void)[] = []
  const start = (): Worker => {
    const started = new Worker(program, { eval: true })
    started.on('message', (md5: Uint8Array) => waiting.shift()?.(md5))
    // A worker without work must not hold the process.
    started.unref()
    return started
  }
  return {
    digestLarge(bytes, done) {
      worker ??= start()
      waiting.push(done)
      const copy = Uint8Array.from(bytes)
      worker.postMessage(copy, [copy.buffer])
    },
    async close() {
      await worker?.terminate()
    },
  }
}
