/** Seeds 101 to 150 of the ordinary test run. */
import { expect, it } from 'vitest'
import { batchTimeoutMs, runBatch } from './seed-batch.ts'

it('the simulated world keeps every promise in seeds 101 to 150, with enough going on', { timeout: batchTimeoutMs }, () => {
  const { summary } = runBatch(2)
  expect(summary.failed).toEqual([])
  expect(summary.verdict, summary.reasons.join('; ')).toBe('valid')
})
