/** Some seeds of the profile `wiped` in the ordinary test run: machines come back with empty disks, and the group gets over it. */
import { expect, it } from 'vitest'
import { batchTimeoutMs } from './seed-batch.ts'
import { Report } from './report.ts'
import { runSeed } from './world.ts'

it('every promise is kept while machines lose their disks, and the operator sees to it', { timeout: batchTimeoutMs }, () => {
  const report = new Report()
  for (let seed = 1; seed <= 6; seed += 1) report.add(runSeed(seed, { profile: 'wiped' }))
  const { failed, marks } = report.summary(1)
  expect(failed).toEqual([])
  for (const mark of [
    'the disk of a node was lost',
    'a disk was lost while members were changing',
    'a node that came back with an empty disk was refused',
    'a node whose disk was lost was taken in anew, and caught up',
    'another node took the place of one whose disk was lost',
  ] as const)
    expect(marks[mark], mark).toBeGreaterThan(0)
})
