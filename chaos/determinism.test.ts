/**
 * The simulated world holds its promises (seeds 1 to 50; sim-b and sim-c have those up to 150), and a seed is a seed: another process, which differs in what
 * must not matter (time zone, hash seed, garbage collection), comes to the same hashes.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { batchSeeds, batchTimeoutMs, runBatch } from './seed-batch.ts'

function tracesOfAnotherProcess(): Promise<readonly string[]> {
  const root = join(import.meta.dirname, '..')
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs')
  const order = [tsx, join(root, 'chaos', 'hash-seeds.ts'), '1', String(batchSeeds)]
  const child = spawn(process.execPath, ['--hash-seed=77', '--max-semi-space-size=2', ...order], {
    cwd: root,
    env: { ...process.env, TZ: 'Pacific/Chatham' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('error', reject)
    child.once('close', () => resolve(text.trim().split('\n')))
  })
}

it(
  'the simulated world keeps every promise in seeds 1 to 50, with enough going on, and they give the same traces in two processes',
  { timeout: batchTimeoutMs },
  async () => {
    const there = tracesOfAnotherProcess()
    const { summary, traces } = runBatch(0)
    expect(summary.failed).toEqual([])
    expect(summary.verdict, summary.reasons.join('; ')).toBe('valid')
    expect(traces).toHaveLength(batchSeeds)
    expect(await there).toEqual(traces)
    expect(new Set(traces.map(line => line.split(' ')[1])).size).toBe(batchSeeds)
  },
)
