/** A seed is replayed exactly, with all its lines or without. (Whether the world holds its promises: determinism, sim-b and sim-c.) */
import { expect, it } from 'vitest'
import { batchTimeoutMs } from './seed-batch.ts'
import { runSeed } from './world.ts'

it('the simulated world replays a seed exactly, and no two seeds alike', { timeout: batchTimeoutMs }, () => {
  const first = [1, 2, 3].map(seed => runSeed(seed).hash)
  const again = [1, 2, 3].map(seed => runSeed(seed, { keepsLines: true }).hash)
  expect(again).toEqual(first)
  expect(new Set(first).size).toBe(first.length)
})
