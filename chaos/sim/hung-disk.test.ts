/**
 * A leader whose own disk hangs, while the others' are well: entries go on being committed without it, so nothing in Raft stops it from taking more and
 * more into its memory. The pools do (raft/driver/admission.ts). First a Raft group on real commit logs, measured; then whole worlds with model clients.
 */
import { describe, expect, it } from 'vitest'
import { logIndex } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { openLog, type OpenedLog } from '../../src/storage/open-log.ts'
import { drawConfiguration } from '../configuration.ts'
import { runSeed } from '../world.ts'
import { SimulatedDisk, calmLatency } from './disk.ts'
import { RaftGroup } from './raft-group.ts'
import type { GroupDisk } from './raft-group.ts'

interface SlowDisk extends GroupDisk {
  readonly disk: SimulatedDisk
  opened: OpenedLog | undefined
}

const poolBytes = 40_000
const bodyBytes = 900

function aGroup(seed: string): { group: RaftGroup; disks: SlowDisk[] } {
  const disks: SlowDisk[] = []
  const group = new RaftGroup({
    seed,
    config: { unwrittenBytesMax: poolBytes, uncommittedBytesMax: 10 * poolBytes, unappliedBytesMax: 10 * poolBytes },
    disk: ({ scheduler, random, id }) => {
      const disk = new SimulatedDisk({ scheduler, random, latency: calmLatency })
      const identity = { clusterName: 'test', nodeName: `n${id}`, nodeId: id }
      const limits = logLimits(64 * 1024, { slabBytes: 4_000, tailBytesMax: 8_000, tailBytesIdle: 4_000 })
      const slow: SlowDisk = {
        disk,
        opened: undefined,
        open(process, clock, draws) {
          const seams = { disk: disk.openProcess(process), clock, random: draws }
          const opened = openLog({ ...seams, dataDirectory: '/data', identity, limits, hasPeers: () => true })
          slow.opened = opened
          return { ...opened, recovered: { ...opened.recovered, appliedIndex: logIndex(0) } }
        },
        killed: () => disk.kill(),
        powerLost: () => disk.cutPower(),
      }
      disks.push(slow)
      return slow
    },
  })
  return { group, disks }
}

describe("a leader's disk that hangs", () => {
  it('fills its memory no further than its pool, refuses the rest at once, and loses nothing', () => {
    const { group, disks } = aGroup('hung')
    const leader = group.awaitLeader(10_000)
    group.run(1_000)
    const slow = disks[leader.id - 1]
    if (slow === undefined) throw new Error('the leader has a disk')
    slow.disk.latency = { ...calmLatency, syncMs: 8_000 }
    const taken: string[] = []
    const known: string[] = []
    let refused = 0
    let tailBytesMax = 0
    for (let i = 0; i < 400; i++) {
      const text = `${i}:`.padEnd(bodyBytes, 'x')
      const reason = group.propose(leader, text, outcome => {
        if (outcome.kind === 'applied') known.push(text)
      })
      if (reason === undefined) taken.push(text)
      else refused++
      if (reason !== undefined) expect(reason).toBe('busy')
      group.run(10)
      expect(leader.node.role).toBe('leader')
      tailBytesMax = Math.max(tailBytesMax, slow.opened?.log.status().tailBytes ?? 0)
    }
    // The others had it all on their disks: it is committed, and yet the leader could not go on taking more.
    expect(refused).toBeGreaterThan(300)
    expect(leader.node.commitIndex).toBeGreaterThan(taken.length)
    expect(tailBytesMax).toBeLessThan(2 * poolBytes)
    const [unwritten] = leader.node.status().pools
    expect(unwritten).toMatchObject({ pool: 'unwritten', bytesMax: poolBytes, refused })
    expect(unwritten?.bytes).toBeLessThanOrEqual(poolBytes)
    slow.disk.latency = calmLatency
    group.run(30_000, () => group.members.every(({ applied }) => applied.length === taken.length))
    for (const { applied } of group.members) expect(applied).toEqual(taken)
    expect(known).toEqual(taken)
    group.checkLogs()
  })

  it.each([11, 13])('is survived by a whole world with tiny pools: seed %i', seed => {
    const drawn = drawConfiguration(seed, 'crash')
    const configuration = { ...drawn, faults: {}, sendIntervalMs: 150, raft: { ...drawn.raft, poolBytesMax: 3_000 } }
    const plan = [5_000, 15_000, 25_000, 35_000].map(atMs => ({
      key: `leaderDiskHangs-${atMs}`,
      atMs,
      kind: 'leaderDiskHangs' as const,
      durationMs: 1_000,
    }))
    const outcome = runSeed(seed, { configuration, plan, isLite: true })
    expect(outcome.violation).toBeUndefined()
    expect(outcome.faults.leaderDiskHangs).toBe(4)
    expect(outcome.marks['a leader had no room for a proposal']).toBeGreaterThan(0)
    expect(outcome.counts.ok).toBeGreaterThan(100)
  })
})
