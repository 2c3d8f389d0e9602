/** A node that can't go on ends as a process, with its sentence and its exit code: whoever supervises it waits for that. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { raftmq } from '../support/cluster.ts'

let directory = ''
let taken: Server
let takenPort = 0
let freePort = 0

function listening(): Promise<Server> {
  return new Promise(done => {
    const server = createServer().listen(0, '127.0.0.1', () => done(server))
  })
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'raftmq-fatal-'))
  taken = await listening()
  takenPort = portOf(taken)
  const other = await listening()
  freePort = portOf(other)
  await new Promise(done => other.close(done))
})

afterEach(() => {
  taken.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a node that has to stop by itself ends its process, though its port for clients is open', { timeout: 60_000 }, async () => {
  const file = join(directory, 'cluster.yaml')
  const listen = `{ client: "127.0.0.1:${freePort}", peer: "127.0.0.1:${takenPort}" }`
  writeFileSync(file, `version: 1\nnodes:\n  - { id: n1, host: 127.0.0.1, listen: ${listen}, data_dir: ${directory}/n1 }\n`)
  const { code, stderr } = await raftmq('', ['start', '-c', file, '--node', 'n1'])
  expect(code).toBe(1)
  expect(stderr).toContain('n1 stops: listen EADDRINUSE')
})
