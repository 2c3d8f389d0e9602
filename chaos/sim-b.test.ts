/** Seeds 51 to 100 of the ordinary test run. */
import { expect, it } from 'vitest'
import { batchTimeoutMs, runBatch } from './seed-batch.ts'

it('the simulated world keeps every promise in seeds 51 to 100, with enough going on', { timeout: batchTimeoutMs }, () => {
  const { summary } = runBatch(1)
  expect(summary.failed).toEqual([])
  expect(summary.verdict, summary.reasons.join('; ')).toBe('valid')
})
