/** The simulated world holds its promises (seeds 1 to 100; sim-b and sim-c have the next two hundred), and a seed is a seed. */
import { describe, expect, it } from 'vitest'
import { batchTimeoutMs, runBatch } from './seed-batch.ts'
import { runSeed } from './world.ts'

describe('the simulated world', () => {
  it('keeps every promise in seeds 1 to 100, with enough going on', { timeout: batchTimeoutMs }, () => {
    const summary = runBatch(0)
    expect(summary.failed).toEqual([])
    expect(summary.verdict, summary.reasons.join('; ')).toBe('valid')
  })

  it('replays a seed exactly, and no two seeds alike', { timeout: batchTimeoutMs }, () => {
    const first = [1, 2, 3, 4, 5].map(seed => runSeed(seed).hash)
    const again = [1, 2, 3, 4, 5].map(seed => runSeed(seed, { keepsLines: true }).hash)
    expect(again).toEqual(first)
    expect(new Set(first).size).toBe(first.length)
  })
})
