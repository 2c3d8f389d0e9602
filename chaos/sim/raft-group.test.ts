import { describe, expect, it } from 'vitest'
import type { ProposeOutcome } from '../../raft/index.ts'
import { logIndex } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { openLog } from '../../src/storage/open-log.ts'
import { SimulatedDisk, calmLatency } from './disk.ts'
import { MemoryDisk } from './memory-log.ts'
import type { LinkProfile } from './network.ts'
import { calmProfile } from './network.ts'
import { SimRandom } from './random.ts'
import type { DiskMaker, GroupDisk, Member } from './raft-group.ts'
import { RaftGroup } from './raft-group.ts'

function others(group: RaftGroup, member: Member): Member[] {
  return group.members.filter(other => other !== member)
}

describe('three Raft nodes on simulated seams', () => {
  it('read on every node what was acknowledged before, with one question for all that ask in a turn', () => {
    const group = new RaftGroup({ seed: 'reads' })
    const leader = group.awaitLeader(1_000)
    group.run(100)
    const outcomes: ProposeOutcome[] = []
    group.propose(leader, 'first', outcome => outcomes.push(outcome))
    group.run(1_000, () => outcomes.length > 0)
    for (const member of group.members) {
      const before = member.node.status().metrics.framesOut
      let ended = 0
      for (let i = 0; i < 1_000; i++) {
        const refused = member.node.readIndex(200, end => {
          expect(end.kind).toBe('ready')
          expect(member.applied).toEqual(['first'])
          ended++
        })
        expect(refused).toBeUndefined()
      }
      group.run(40, () => ended === 1_000)
      expect(ended).toBe(1_000)
      // A question, and what is due anyway; a leader asks the two others.
      expect(member.node.status().metrics.framesOut - before).toBeLessThan(6)
      expect(member.node.status().readsOpen).toBe(0)
    }
    expect(leader.node.commitIndex).toBe(leader.appliedIndex)
  })

  it('answer no read on a leader that is cut off, and say so in time', () => {
    const group = new RaftGroup({ seed: 'cut off reads' })
    const old = group.awaitLeader(1_000)
    group.network.partition(
      [old.host],
      others(group, old).map(({ host }) => host),
    )
    const ends: string[] = []
    for (let i = 0; i < 20; i++) {
      old.node.readIndex(200, end => ends.push(end.kind === 'ready' ? 'ready' : end.reason))
      group.run(100)
    }
    expect(ends.length).toBeGreaterThan(15)
    expect(ends).not.toContain('ready')
    expect([...new Set(ends)].sort()).toEqual(['deadline', 'leaderChanged', 'noLeader'].sort())
  })

  it('elect a leader within a second and replicate what it is given, with the same bytes everywhere', () => {
    const group = new RaftGroup({ seed: 'replicates' })
    const leader = group.awaitLeader(1_000)
    const outcomes: ProposeOutcome[] = []
    for (let i = 0; i < 100; i++) expect(group.propose(leader, `entry ${i}`, outcome => outcomes.push(outcome))).toBeUndefined()
    expect(outcomes).toEqual([])
    group.run(100)
    expect(outcomes.length).toBe(100)
    const firstIndex = outcomes[0]?.kind === 'applied' ? outcomes[0].index : 0
    outcomes.forEach((outcome, i) => expect(outcome).toEqual({ kind: 'applied', index: firstIndex + i, term: leader.node.term, count: 1 }))
    for (const { applied } of group.members) expect(applied).toEqual(Array.from({ length: 100 }, (_, i) => `entry ${i}`))
    group.checkLogs()
  })

  it('tell after a pause what the calendar shows now, and not what it showed before (seed 40005108)', () => {
    const group = new RaftGroup({ seed: 'woken' })
    const leader = group.awaitLeader(1_000)
    const [wrong, paused] = others(group, leader) as [Member, Member]
    const yearMs = 365 * 24 * 3_600_000
    paused.machine.jumpWall(yearMs)
    group.run(500)
    paused.process.pause()
    group.run(2_000)
    paused.machine.jumpWall(-yearMs)
    wrong.machine.jumpWall(3_600_000)
    group.run(500)
    group.scheduler.resume(paused.process)
    group.run(1_000)
    expect(group.awaitLeader(1_000)).toBe(leader)
    expect(Math.abs(leader.node.clusterTimeMs() - leader.machine.wallMs)).toBeLessThan(1_000)
  })

  it('apply a long batch in slices, and tell of none that it is applied before its last entry is', () => {
    const group = new RaftGroup({ seed: 'slices', applyMs: 0.5 })
    const leader = group.awaitLeader(1_000)
    group.run(100)
    const before = leader.applied.length
    const seen = new Set<number>()
    const appliedWhenTold: number[] = []
    for (let i = 0; i < 100; i++) {
      expect(group.propose(leader, `entry ${i}`, () => appliedWhenTold.push(leader.applied.length - before))).toBeUndefined()
    }
    // Less than a heartbeat: no turn comes by itself.
    const isTold = group.run(20, () => {
      seen.add(leader.applied.length - before)
      return appliedWhenTold.length === 100
    })
    expect(isTold).toBe(true)
    expect(new Set(appliedWhenTold)).toEqual(new Set([100]))
    // Two milliseconds are four entries, and the clock is looked at once for eight.
    expect([...seen].sort((a, b) => a - b)).toEqual([...Array.from({ length: 13 }, (_, i) => 8 * i), 100])
  })

  it('have a new leader within 250 ms after the leader was killed, and go on after its return', () => {
    const tookMs: number[] = []
    for (let seed = 0; seed < 100; seed++) {
      const group = new RaftGroup({ seed: `kill ${seed}` })
      const leader = group.awaitLeader()
      group.run(group.random.integer(0, 500))
      group.propose(leader, 'before')
      group.run(20)
      const killedMs = group.scheduler.nowMs
      group.kill(leader.id)
      const next = group.awaitLeader(2_000, leader)
      tookMs.push(group.scheduler.nowMs - killedMs)
      group.propose(next, 'after')
      group.start(leader.id)
      group.run(500)
      for (const { applied } of group.members) expect(applied).toEqual(['before', 'after'])
      expect(group.elections()).toBe(2)
    }
    expect(Math.max(...tookMs)).toBeLessThanOrEqual(250)
  })

  it('see no election while both links to the leader are reset every 200 ms', () => {
    const group = new RaftGroup({ seed: 'resets' })
    const leader = group.awaitLeader()
    let proposed = 0
    for (let i = 0; i < 50; i++) {
      for (const other of others(group, leader)) expect(group.network.resetConnections(leader.host, other.host)).toBe(2)
      for (let j = 0; j < 10; j++) if (group.propose(leader, `${proposed}`) === undefined) proposed++
      group.run(200)
    }
    expect(group.elections()).toBe(1)
    expect(leader.node.role).toBe('leader')
    expect(proposed).toBe(500)
    group.run(100)
    for (const { applied } of group.members) expect(applied).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`))
  })

  it('have a new leader within 1.2 s when the leader is paused, loses power or is cut off, and the old one follows when it is back', () => {
    const tookMs: number[] = []
    for (let seed = 0; seed < 60; seed++) {
      const group = new RaftGroup({ seed: `silent ${seed}` })
      const leader = group.awaitLeader()
      group.run(group.random.integer(0, 300))
      const { term } = leader.node
      const startMs = group.scheduler.nowMs
      const rest = others(group, leader).map(({ host }) => host)
      if (seed % 3 === 0) leader.process.pause()
      else if (seed % 3 === 1) group.losePower(leader.id)
      else group.network.partition([leader.host], rest)
      group.run(2_000, () => others(group, leader).some(({ node }) => node.role === 'leader' && node.term > term && node.commitIndex >= 2))
      tookMs.push(group.scheduler.nowMs - startMs)
      const next = others(group, leader).find(({ node }) => node.role === 'leader')
      if (next === undefined) throw new Error('no new leader')
      group.propose(next, 'after')
      group.run(group.random.integer(0, 20_000))
      if (seed % 3 === 0) group.scheduler.resume(leader.process)
      else if (seed % 3 === 1) group.start(leader.id)
      else group.network.heal()
      group.run(3_000)
      for (const { applied } of group.members) expect(applied).toEqual(['after'])
      expect(group.elections()).toBe(2)
    }
    expect(Math.max(...tookMs)).toBeLessThanOrEqual(1_200)
  })

  it('lose nothing, commit nothing twice and agree on every byte, whatever happens to processes, disks and links', () => {
    for (let seed = 0; seed < 50; seed++) storm(`storm ${seed}`, 'memory')
  })

  it('do so too on the real commit log and a simulated disk', () => {
    for (let seed = 0; seed < 40; seed++) storm(`log storm ${seed}`, 'commitLog')
  })

  it('do the same twice for one seed', () => {
    expect(storm('twice', 'commitLog')).toBe(storm('twice', 'commitLog'))
  })
})

const roughProfile: LinkProfile = {
  delayMs: 0.2,
  jitterMs: 2,
  lossPpm: 10_000,
  duplicatePpm: 20_000,
  latePpm: 20_000,
  lateMs: 100,
  cutPpm: 200_000,
  flipPpm: 2_000,
}

function memoryDisk(slowMs: number): (maker: DiskMaker) => GroupDisk {
  return ({ scheduler, random }) =>
    new MemoryDisk(scheduler, () => (random.chance(10_000) ? random.next() * 80 : 0.3 + random.next() * slowMs))
}

/** The broker's own log, in segments of this size, on a disk that keeps any part of what was not synced when the power goes. */
function realLog(slowMs: number, segmentBytes: number): (maker: DiskMaker) => GroupDisk {
  return ({ scheduler, random, id }) => {
    const disk = new SimulatedDisk({ scheduler, random, latency: { ...calmLatency, syncMs: 0.3 + slowMs / 2 } })
    const identity = { clusterName: 'test', nodeName: `n${id}`, nodeId: id }
    const limits = logLimits(segmentBytes)
    return {
      open(process, clock, draws) {
        const opened = openLog({ disk: disk.openProcess(process), clock, random: draws, dataDirectory: '/data', identity, limits })
        return { ...opened, recovered: { ...opened.recovered, appliedIndex: logIndex(0) } }
      },
      killed: () => disk.kill(),
      powerLost: () => disk.cutPower(),
    }
  }
}

/** Six seconds of trouble with proposals all the time, then peace; returns the trace hash. */
function storm(seed: string, storage: 'memory' | 'commitLog'): string {
  const chance = new SimRandom(seed).stream('storm')
  const mode = chance.chance(500_000) ? 'stream' : 'datagram'
  const size = chance.chance(300_000) ? 5 : 3
  // Some disks are so slow that a crash finds much that is said and not yet synced.
  const slowMs = chance.pick([1, 1, 10, 60])
  const disk = storage === 'memory' ? memoryDisk(slowMs) : realLog(slowMs, chance.pick([2_000, 20_000, 1 << 20]))
  const config = { sliceBytesMax: chance.pick([200, 4_000, 1 << 20]), inflightBytesMax: chance.pick([300, 1 << 20]) }
  const group = new RaftGroup({ seed, size, disk, network: { mode, profile: roughProfile }, config })
  const { scheduler } = group
  const ends = new Map<string, ProposeOutcome>()
  const reads = new ReadChecker()
  let count = 0
  const end = scheduler.nowMs + 6_000
  while (scheduler.nowMs < end) {
    trouble(group, chance)
    for (const member of group.members) {
      if (!member.process.isAlive || member.process.isPaused || member.node.role !== 'leader') continue
      for (let i = chance.integer(0, 8); i > 0; i--) {
        const text = `${count++}:${'x'.repeat(chance.integer(0, 300))}`
        group.propose(member, text, outcome => {
          if (ends.has(text)) throw new Error(`${text} ended twice`)
          ends.set(text, outcome)
          if (outcome.kind === 'applied') reads.acknowledged(outcome.index)
        })
      }
    }
    for (const member of group.members) if (chance.chance(300_000)) reads.begin(member, chance.integer(1, 500))
    group.run(chance.exponential(chance.chance(500_000) ? 2 : 30))
  }
  group.network.heal()
  for (const { host } of group.members) for (const { host: other } of group.members) group.network.setProfile(host, other, calmProfile)
  for (const { id, process } of group.members) {
    if (!process.isAlive) group.start(id)
    else scheduler.resume(process)
  }
  group.run(8_000)
  const leader = group.awaitLeader()
  group.propose(leader, 'peace')
  group.run(1_000)
  const readsBefore = reads.readyCount
  for (const member of group.members) reads.begin(member, 500)
  group.run(500)
  expect(reads.readyCount - readsBefore).toBe(group.members.length)
  const { applied } = leader
  const places = new Map(applied.map((text, i) => [text, i]))
  expect(applied.at(-1)).toBe('peace')
  expect(places.size).toBe(applied.length)
  for (const member of group.members) expect(member.applied).toEqual(applied)
  for (const [text, outcome] of ends) {
    if (outcome.kind === 'applied') expect(places.has(text)).toBe(true)
    if (outcome.kind === 'rejected') expect(places.has(text)).toBe(false)
  }
  group.checkLogs()
  return scheduler.traceHash
}

/** A read never misses what was acknowledged before it began: its node has applied that much when it ends. */
class ReadChecker {
  readyCount = 0
  #acknowledgedIndex = 0

  acknowledged(index: number): void {
    this.#acknowledgedIndex = Math.max(this.#acknowledgedIndex, index)
  }

  begin(member: Member, patienceMs: number): void {
    const { process, node } = member
    if (!process.isAlive || process.isPaused) return
    const knownThen = this.#acknowledgedIndex
    node.readIndex(patienceMs, end => {
      if (end.kind === 'refused') return
      this.readyCount++
      if (member.process !== process || member.appliedIndex < knownThen)
        throw new Error(`a read of ${member.host} saw ${member.appliedIndex} of ${knownThen}`)
    })
  }
}

function trouble(group: RaftGroup, chance: SimRandom): void {
  const member = chance.pick(group.members)
  const other = chance.pick(others(group, member))
  switch (chance.integer(0, 24)) {
    case 0:
    case 1:
      if (member.process.isAlive) group.kill(member.id)
      return
    case 2:
      if (member.process.isAlive) group.losePower(member.id)
      return
    case 3:
    case 4:
    case 5:
      for (const { id, process } of group.members) if (!process.isAlive) group.start(id)
      return
    case 6:
      return member.process.pause()
    case 7:
    case 8:
      for (const { process } of group.members) group.scheduler.resume(process)
      return
    case 9:
      return group.network.partition(
        [member.host],
        others(group, member).map(({ host }) => host),
      )
    case 10:
      return group.network.setLink(member.host, other.host, chance.chance(500_000) ? 'drop' : 'hold')
    case 11:
    case 12:
    case 13:
      return group.network.heal()
    case 14:
      group.network.resetConnections(member.host, other.host)
      return
    case 15:
      return member.machine.jumpWall(chance.pick([-3_600_000, 3_600_000, 10_000]))
    case 16:
      // The lights go out for all of them.
      for (const { id, process } of group.members) if (process.isAlive) group.losePower(id)
      for (const { id } of group.members) group.start(id)
      return
    default:
      return
  }
}
