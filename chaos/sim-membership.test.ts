/** A dozen seeds of the profile `membership` in the ordinary test run: one, three, five and three nodes again while everything else goes on. */
import { expect, it } from 'vitest'
import { batchTimeoutMs } from './seed-batch.ts'
import { Report } from './report.ts'
import { runSeed } from './world.ts'

it('every promise is kept while members come and go', { timeout: batchTimeoutMs }, () => {
  const report = new Report()
  for (let seed = 1; seed <= 12; seed += 1) report.add(runSeed(seed, { profile: 'membership' }))
  const { failed, marks } = report.summary(1)
  expect(failed).toEqual([])
  for (const mark of ['a change of members was accepted', 'the group was five nodes', 'the group was one node'] as const)
    expect(marks[mark], mark).toBeGreaterThan(0)
})
