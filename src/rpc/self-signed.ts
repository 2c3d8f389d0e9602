/**
 * A certificate for those clients whose default is TLS and who check nobody's identity (Java, Go, C++, C#): made in memory when the first of
 * them comes and none is configured. Not for clients that verify: those need a configured certificate.
 *
 * `selfsigned` makes it, in a worker thread that ends with it: the library takes long to load (rule 17) and much memory, for something that is
 * needed once in a process's life, if at all.
 */
import { createRequire } from 'node:module'
import { isIP } from 'node:net'
import { Worker } from 'node:worker_threads'

export interface Certificate {
  /** PEM. */
  readonly cert: Buffer
  readonly key: Buffer
}

export interface SelfSignedOptions {
  /** Names and addresses under which the node is reached. */
  readonly hosts: readonly string[]
  readonly wallMs: number
}

interface Made {
  readonly cert: string
  readonly private: string
}

const dayMs = 24 * 3_600_000
/** Begins before now, because the clocks of clients differ from ours. */
const backdatedMs = 2 * dayMs
const lifetimeMs = 3_650 * dayMs

const program = `
const { parentPort, workerData } = require('node:worker_threads')
const { library, subject, options } = workerData
require(library).generate(subject, options).then(made => parentPort.postMessage({ cert: made.cert, private: made.private }))
`

/** Rejects when the library fails. */
export function makeSelfSigned({ hosts, wallMs }: SelfSignedOptions): Promise<Certificate> {
  const options = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(wallMs - backdatedMs),
    notAfterDate: new Date(wallMs + lifetimeMs),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: hosts.map(host => (isIP(host) === 0 ? { type: 2, value: host } : { type: 7, ip: host })) },
    ],
  }
  // By its place: a worker made of text knows no folder to look for it from.
  const library = createRequire(import.meta.url).resolve('selfsigned')
  const subject = [{ name: 'commonName', value: 'raftmq' }]
  return new Promise((resolve, reject) => {
    const worker = new Worker(program, { eval: true, workerData: { library, subject, options } })
    worker.once('message', (made: Made) => resolve({ cert: Buffer.from(made.cert), key: Buffer.from(made.private) }))
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('the certificate was not made')))
  })
}
