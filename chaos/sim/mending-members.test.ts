/** A log that has rotted, in a group whose members have been replaced meanwhile: who knows only those of long ago asks whoever comes. */
import { expect, it } from 'vitest'
import { logIndex, nodeId, type MembershipChange } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { viewOf } from '../../src/platform/bytes.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import { openLog } from '../../src/storage/open-log.ts'
import { recordBytes, recordHeaderBytes, recordIndex } from '../../src/storage/record.ts'
import { segmentHeaderBytes } from '../../src/storage/segment.ts'
import { SimulatedDisk, calmLatency } from './disk.ts'
import type { DiskMaker, GroupDisk } from './raft-group.ts'
import { RaftGroup } from './raft-group.ts'

function realLogs(): { disks: SimulatedDisk[]; make: (maker: DiskMaker) => GroupDisk } {
  const disks: SimulatedDisk[] = []
  const make = ({ scheduler, random, id }: DiskMaker): GroupDisk => {
    const disk = new SimulatedDisk({ scheduler, random, latency: calmLatency })
    disks.push(disk)
    return {
      open(process, clock, draws) {
        const seams = { disk: disk.openProcess(process), clock, random: draws }
        const identity = { clusterName: 'test', nodeName: `n${id}`, nodeId: id }
        const opened = openLog({ ...seams, dataDirectory: '/data', identity, limits: logLimits(100_000), hasPeers: () => true })
        return { ...opened, recovered: { ...opened.recovered, appliedIndex: logIndex(0) } }
      },
      killed: () => disk.kill(),
      powerLost: () => disk.cutPower(),
    }
  }
  return { disks, make }
}

/** The record of this entry can't be read any more. */
function rot(disk: SimulatedDisk, index: number): void {
  const path = mustExist(
    disk.files().find(name => name.endsWith('.log')),
    'segment',
  )
  const view = viewOf(mustExist(disk.contentOf(path), 'content'))
  let position = segmentHeaderBytes
  while (recordIndex(view, position) < index) position += recordBytes(view, position)
  disk.flipBit(path, position + recordHeaderBytes - 20, 3)
  const files = disk.openProcess()
  for (const name of disk.files()) if (name.endsWith('.idx')) files.remove(name)
}

function write(group: RaftGroup, count: number, name: string): void {
  const leader = group.awaitLeader(20_000)
  let open = count
  for (let i = 0; i < count; i++) expect(group.propose(leader, `${name} ${i} ${'x'.repeat(300)}`, () => open--)).toBeUndefined()
  expect(group.run(5_000, () => open === 0)).toBe(true)
}

function change(group: RaftGroup, wish: MembershipChange): void {
  let isDone = false
  expect(group.awaitLeader().node.changeMembership(wish, outcome => (isDone = outcome.kind === 'applied'))).toBeUndefined()
  const isOver = (): boolean => {
    const { membership: at, isMembershipCommitted } = group.awaitLeader().node.status()
    return isDone && isMembershipCommitted && at.membership.goal === undefined && at.membership.outgoing.length === 0
  }
  expect(group.run(10_000, isOver)).toBe(true)
}

it('who comes back with a rotten log to a group in which all others were replaced is mended by those who are there now', () => {
  const { disks, make } = realLogs()
  const group = new RaftGroup({ seed: 'all replaced', size: 3, spares: 2, disk: make, config: { farewellMs: 200 } })
  write(group, 20, 'first')
  group.run(2_000)
  const absent = mustExist(
    group.members.slice(0, 3).find(member => member !== group.leader),
    'follower',
  )
  group.kill(absent.id)
  const old = group.members.slice(0, 3).filter(member => member !== absent)
  for (const [i, gone] of old.entries()) {
    const add = [group.describe(group.member(nodeId(4 + i)))]
    change(group, { kind: 'replace', add, remove: [gone.id] })
    group.run(2_000)
  }
  for (const gone of old) group.kill(gone.id)
  group.awaitLeader(10_000)
  rot(mustExist(disks[absent.id - 1], 'disk'), 10)
  group.start(absent.id)
  group.run(20_000, () => absent.node.role === 'follower' && absent.applied.length === 20)
  expect(absent.applied.length).toBe(20)
})

it('two serve, of whom one came while the other was away, though the log of that one has rotted', () => {
  const { disks, make } = realLogs()
  const group = new RaftGroup({ seed: 'one replaced', size: 3, spares: 1, disk: make, config: { farewellMs: 200 } })
  write(group, 20, 'first')
  group.run(2_000)
  const absent = mustExist(
    group.members.slice(0, 3).find(member => member !== group.leader),
    'follower',
  )
  group.kill(absent.id)
  const leader = mustExist(group.leader, 'leader')
  const gone = mustExist(
    group.members.slice(0, 3).find(member => member !== absent && member !== leader),
    'gone',
  )
  change(group, { kind: 'replace', add: [group.describe(group.member(nodeId(4)))], remove: [gone.id] })
  group.run(4_000)
  group.kill(gone.id)
  rot(mustExist(disks[absent.id - 1], 'disk'), 10)
  group.kill(leader.id)
  group.start(absent.id)
  group.run(20_000, () => absent.node.role !== 'recovering' && absent.applied.length === 20)
  expect(absent.applied.length).toBe(20)
  write(group, 5, 'after')
})
