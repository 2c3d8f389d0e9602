/** A seed is a seed: 50 of them, each in two processes that differ in what must not matter (time zone, hash seed, garbage collection), to the same hash. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { batchTimeoutMs } from './seed-batch.ts'

const from = 9_001
const seeds = 50

function hashes(flags: readonly string[], zone: string): Promise<readonly string[]> {
  const root = join(import.meta.dirname, '..')
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs')
  const order = [tsx, join(root, 'chaos', 'hash-seeds.ts'), String(from), String(from + seeds - 1)]
  const child = spawn(process.execPath, [...flags, ...order], {
    cwd: root,
    env: { ...process.env, TZ: zone },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('error', reject)
    child.once('close', () => resolve(text.trim().split('\n')))
  })
}

it('50 seeds give the same traces in two processes', { timeout: batchTimeoutMs }, async () => {
  const [first, second] = await Promise.all([hashes([], 'UTC'), hashes(['--hash-seed=77', '--max-semi-space-size=2'], 'Pacific/Chatham')])
  expect(first).toHaveLength(seeds)
  expect(second).toEqual(first)
  expect(new Set(first.map(line => line.split(' ')[1])).size).toBe(seeds)
})
