import { describe, expect, it } from 'vitest'
import { DiskAlarm } from './disk-alarm.ts'
import { DiskWatch, levelOf, type DiskLevel, type DiskLimits } from './disk-watch.ts'
import { FakeClock } from './testing/fake-clock.ts'

const limits: DiskLimits = { cleanAt: 0.75, forceCleanAt: 0.85, refuseAt: 0.9, freeBytesMin: 20 }
const used = (percent: number) => ({ totalBytes: 1_000, freeBytes: 1_000 - percent * 10 })

describe('the level of a disk', () => {
  it.each<[number, DiskLevel]>([
    [0, 'ok'],
    [74.9, 'ok'],
    [75, 'clean'],
    [85, 'force'],
    [89.9, 'force'],
    [90, 'refuse'],
    [100, 'refuse'],
  ])('%d %% used is %s', (percent, level) => {
    expect(levelOf(used(percent), limits, 'ok')).toBe(level)
  })

  it('is left a point below where it began, so that it does not flicker', () => {
    expect(levelOf(used(89.5), limits, 'refuse')).toBe('refuse')
    expect(levelOf(used(88.9), limits, 'refuse')).toBe('force')
    expect(levelOf(used(89.5), limits, 'force')).toBe('force')
    expect(levelOf(used(74.5), limits, 'force')).toBe('clean')
    expect(levelOf(used(73.9), limits, 'force')).toBe('ok')
  })

  it('is refuse when less is free than must be, whatever the share', () => {
    expect(levelOf({ totalBytes: 40, freeBytes: 19 }, limits, 'ok')).toBe('refuse')
    expect(levelOf({ totalBytes: 0, freeBytes: 100 }, limits, 'ok')).toBe('ok')
  })
})

describe('the alarm', () => {
  function group(leaderId: number | undefined, peers: Readonly<Record<number, DiskLevel>>) {
    const clock = new FakeClock()
    let space = used(10)
    const disk = new DiskWatch({ clock, limits, space: () => space })
    const alarm = new DiskAlarm({
      node: 1,
      nodes: [1, 2, 3],
      clock,
      raft: { leaderId },
      disk,
      reports: {
        peerDisk: id => {
          const level = peers[id]
          return level && { ...used(level === 'refuse' ? 95 : 10), level, retainedBytes: 0, segments: 1 }
        },
      },
    })
    return { alarm, clock, fill: (percent: number) => (space = used(percent)) }
  }

  it('refuses sends while the leader’s disk is full, with the code that makes clients wait, and lifts by itself', () => {
    const { alarm, clock, fill } = group(1, {})
    expect(alarm.refusal()).toBeUndefined()
    fill(95)
    clock.advance(1_000)
    expect(alarm.refusal()).toMatchObject({
      kind: 'refused',
      code: 'tooManyRequests',
      hint: expect.stringMatching(/node 1 is full \(95 % used/) as string,
    })
    fill(80)
    clock.advance(1_000)
    expect(alarm.refusal()).toBeUndefined()
  })

  it('knows another leader’s disk from its reports', () => {
    expect(group(2, { 2: 'refuse', 3: 'ok' }).alarm.refusal()).toMatchObject({ hint: expect.stringMatching(/node 2 is full/) as string })
  })

  it('lets a minority of full disks stop nobody, and a majority everybody', () => {
    expect(group(1, { 2: 'refuse', 3: 'force' }).alarm.refusal()).toBeUndefined()
    expect(group(1, { 2: 'refuse', 3: 'refuse' }).alarm.refusal()).toMatchObject({ code: 'tooManyRequests' })
  })
})
