/** A log that has rotted, in a group whose members have been replaced meanwhile: who knows only those of long ago asks whoever comes. */
import { expect, it } from 'vitest'
import { nodeId, type MembershipChange } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { RaftGroup } from './raft-group.ts'
import { SimRandom } from './random.ts'
import { rotRecords, rottenDisks, textsOf, write } from './rotten-disks.ts'

function change(group: RaftGroup, wish: MembershipChange): void {
  let isDone = false
  expect(group.awaitLeader().node.changeMembership(wish, outcome => (isDone = outcome.kind === 'applied'))).toBeUndefined()
  const isOver = (): boolean => {
    const { membership: at, isMembershipCommitted } = group.awaitLeader().node.status()
    return isDone && isMembershipCommitted && at.membership.goal === undefined && at.membership.outgoing.length === 0
  }
  expect(group.run(10_000, isOver)).toBe(true)
}

/** Twenty entries that everybody has; then one follower is dead. */
function oneAway(seed: string, spares: number) {
  const random = new SimRandom(seed)
  const { disks, make } = rottenDisks(100_000)
  const group = new RaftGroup({ seed, size: 3, spares, disk: make, config: { farewellMs: 200 } })
  write(group, textsOf('first', 20, random))
  group.run(2_000)
  const founders = group.members.slice(0, 3)
  const absent = mustExist(
    founders.find(member => member !== group.leader),
    'follower',
  )
  group.kill(absent.id)
  const { disk } = mustExist(disks[absent.id - 1], 'disk')
  return { random, group, absent, disk, present: founders.filter(member => member !== absent) }
}

it('who comes back with a rotten log to a group in which all others were replaced is mended by those who are there now', () => {
  const { group, absent, disk, present } = oneAway('all replaced', 2)
  for (const [i, gone] of present.entries()) {
    const add = [group.describe(group.member(nodeId(4 + i)))]
    change(group, { kind: 'replace', add, remove: [gone.id] })
    group.run(2_000)
  }
  for (const gone of present) group.kill(gone.id)
  group.awaitLeader(10_000)
  rotRecords(disk, index => index === 10)
  group.start(absent.id)
  group.run(20_000, () => absent.node.role === 'follower' && absent.applied.length === 20)
  expect(absent.applied.length).toBe(20)
})

it('two serve, of whom one came while the other was away, though the log of that one has rotted', () => {
  const { random, group, absent, disk, present } = oneAway('one replaced', 1)
  const leader = mustExist(group.leader, 'leader')
  const gone = mustExist(
    present.find(member => member !== leader),
    'gone',
  )
  change(group, { kind: 'replace', add: [group.describe(group.member(nodeId(4)))], remove: [gone.id] })
  group.run(4_000)
  group.kill(gone.id)
  rotRecords(disk, index => index === 10)
  group.kill(leader.id)
  group.start(absent.id)
  group.run(20_000, () => absent.node.role !== 'recovering' && absent.applied.length === 20)
  expect(absent.applied.length).toBe(20)
  write(group, textsOf('after', 5, random))
})
