/** A number is worth what its data directory remembers: who comes with another one is not let in, has no say, and comes back only through a removal. */
import { describe, expect, it } from 'vitest'
import { nodeId, type MembershipChange, type ProposeOutcome } from '../../raft/index.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { RaftGroup, type Member } from './raft-group.ts'

/** A group whose log says of each member which directory it has. */
function settled(seed: string, size = 3, sliceBytesMax = 1_000_000): { group: RaftGroup; leader: Member; followers: Member[] } {
  const group = new RaftGroup({ seed, size, config: { farewellMs: 200, sliceBytesMax } })
  group.awaitLeader()
  group.run(3_000, () => group.members.every(member => boundIn(member).every(bound => bound !== undefined)))
  const leader = group.awaitLeader()
  for (let i = 0; i < 20; i++) group.propose(leader, `kept ${i}`)
  group.run(200)
  return { group, leader, followers: group.members.filter(member => member !== leader) }
}

const boundIn = ({ node }: Member): (string | undefined)[] => node.status().membership.membership.members.map(({ directory }) => directory)

function change(group: RaftGroup, wish: MembershipChange): void {
  const outcomes: ProposeOutcome[] = []
  expect(group.awaitLeader().node.changeMembership(wish, outcome => outcomes.push(outcome))).toBeUndefined()
  const isOver = (): boolean => {
    const { membership, isMembershipCommitted } = group.awaitLeader().node.status()
    return (
      outcomes.length > 0 &&
      isMembershipCommitted &&
      membership.membership.goal === undefined &&
      membership.membership.outgoing.length === 0
    )
  }
  expect(group.run(8_000, isOver)).toBe(true)
  expect(outcomes).toMatchObject([{ kind: 'applied' }])
}

/** Two members have lost their directories, one after the other; each reads the log from its beginning, entry by entry. */
function twoTakenInAnew(seed: string): RaftGroup {
  const { group } = settled(seed, 3, 1)
  for (const id of [3, 1].map(nodeId)) {
    group.wipe(id)
    group.start(id)
    group.run(1_000)
    change(group, { kind: 'replace', add: [], remove: [id] })
    change(group, { kind: 'replace', add: [group.describe(group.member(id))], remove: [] })
    group.run(3_000)
  }
  return group
}

describe('a data directory', () => {
  it('of each member is written into the log by the leader, once', () => {
    const { group, leader } = settled('bound')
    for (const member of group.members) expect(boundIn(member)).toEqual(group.members.map(({ directory }) => directory))
    const { index } = leader.node.status().membership
    group.run(3_000)
    expect(group.awaitLeader().node.status().membership.index).toBe(index)
  })

  it('that is another one is refused by everybody: no link, no vote, no entry; and its node is told why', () => {
    const { group, leader, followers } = settled('wiped')
    const wiped = mustExist(followers[0], 'follower')
    group.wipe(wiped.id)
    group.start(wiped.id)
    group.run(3_000)
    expect(wiped.appliedIndex).toBe(0)
    expect(wiped.view).toMatchObject({ isRemoved: true, isOtherDirectory: true })
    for (const member of group.members) {
      if (member === wiped) continue
      expect(member.node.isConnectedTo(wiped.id)).toBe(false)
      const told = group.trace.filter(({ who, event }) => who === member.id && event.kind === 'otherDirectory')
      expect(told.map(({ event }) => event)).toEqual([{ kind: 'otherDirectory', peer: wiped.id }])
    }
    expect(group.awaitLeader()).toBe(leader)
    // One of the two that know is gone: the other finds no majority with a node that has forgotten everything.
    group.kill(leader.id)
    group.run(3_000)
    expect(group.leader).toBeUndefined()
    group.start(leader.id)
    group.awaitLeader()
    group.checkLogs()
  })

  it('that turns out to be another one while its node is connected is cut off', () => {
    const group = new RaftGroup({ seed: 'learned late', size: 3, config: { farewellMs: 200 } })
    const leader = group.awaitLeader()
    const [late, wiped] = group.members.filter(member => member !== leader) as [Member, Member]
    group.network.partition([leader.host], [late.host])
    expect(group.run(3_000, () => boundIn(leader)[wiped.id - 1] !== undefined)).toBe(true)
    expect(boundIn(late)[wiped.id - 1]).toBeUndefined()
    group.wipe(wiped.id)
    group.start(wiped.id)
    expect(group.run(3_000, () => late.node.isConnectedTo(wiped.id))).toBe(true)
    group.network.heal()
    expect(group.run(5_000, () => boundIn(late)[wiped.id - 1] !== undefined)).toBe(true)
    group.run(1_000)
    expect(late.node.isConnectedTo(wiped.id)).toBe(false)
  })

  it('that is the old one again is let in: nothing was lost', () => {
    const { group, followers } = settled('found again')
    const member = mustExist(followers[0], 'follower')
    const { disk, directory } = member
    group.wipe(member.id)
    group.start(member.id)
    group.run(1_000)
    group.kill(member.id)
    member.disk = disk
    member.directory = directory
    group.start(member.id)
    expect(group.run(3_000, () => member.applied.length === 20)).toBe(true)
    expect(member.view?.isRemoved).toBe(false)
  })

  it('that is another one votes again after a removal and an addition of its number', () => {
    const { group, leader, followers } = settled('taken in anew')
    const wiped = mustExist(followers[0], 'follower')
    group.wipe(wiped.id)
    group.start(wiped.id)
    group.run(1_000)
    change(group, { kind: 'replace', add: [], remove: [wiped.id] })
    change(group, { kind: 'replace', add: [group.describe(wiped)], remove: [] })
    expect(group.run(3_000, () => wiped.applied.length === 20)).toBe(true)
    expect(wiped.view).toMatchObject({ isRemoved: false, isOtherDirectory: false })
    group.run(1_000)
    expect(boundIn(leader)).toEqual(group.members.map(({ directory }) => directory))
    group.kill(mustExist(followers[1], 'follower').id)
    const outcomes: ProposeOutcome[] = []
    group.propose(group.awaitLeader(), 'with its vote', outcome => outcomes.push(outcome))
    group.run(2_000, () => outcomes.length > 0)
    expect(outcomes).toMatchObject([{ kind: 'applied' }])
  })

  it('lost on two nodes of three does not let these two begin the group anew', () => {
    const { group, leader, followers } = settled('two wiped')
    for (const { id } of followers) group.wipe(id)
    for (const { id } of followers) group.start(id)
    group.run(10_000)
    expect(followers.map(({ appliedIndex }) => appliedIndex)).toEqual([0, 0])
    expect(followers.map(({ node }) => node.role)).toEqual(['follower', 'follower'])
    expect(followers.map(({ view }) => view?.isOtherDirectory)).toEqual([true, true])
    expect(leader.applied).toHaveLength(20)
  })

  it('that says nothing of itself, from a build before, is believed', () => {
    const { group, followers } = settled('older build')
    const older = mustExist(followers[0], 'follower')
    const { directory } = older
    group.kill(older.id)
    older.directory = ''
    group.start(older.id)
    group.run(1_000)
    expect(older.applied).toHaveLength(20)
    expect(boundIn(older)[older.id - 1]).toBe(directory)
  })

  it('that was lost counts for nothing of a number that comes in again: not what it held, nor that it had caught up', () => {
    const { group, followers } = settled('counted')
    const member = mustExist(followers[0], 'follower')
    group.wipe(member.id)
    change(group, { kind: 'replace', add: [], remove: [member.id] })
    const leader = group.awaitLeader()
    const known = (): unknown => leader.node.status().peers.find(({ id }) => id === member.id)
    expect(known()).not.toMatchObject({ durableIndex: 0 })
    leader.node.changeMembership({ kind: 'replace', add: [group.describe(member)], remove: [] }, () => undefined)
    group.run(100)
    expect(leader.node.status().membership.membership).toMatchObject({ goal: [1, 2, 3], outgoing: [] })
    expect(known()).toMatchObject({ matchedIndex: 0, durableIndex: 0, sinceContactMs: undefined })
  })

  it('that an old membership names, met on the way through the log, cuts nobody off for good (seed 7300013)', () => {
    const group = twoTakenInAnew('old names')
    const closed = group.members.flatMap(({ id, node }) =>
      node
        .status()
        .links.filter(({ control, data }) => control !== 'open' || data !== 'open')
        .map(({ peer }) => [id, peer]),
    )
    expect(closed).toEqual([])
  })

  it('that an old membership names, met on the way through the log, does not interrupt the leader who has another by now (seed 110002508)', () => {
    const group = twoTakenInAnew('old leader')
    const cut = group.trace.filter(({ event }) => event.kind === 'link' && event.what === 'it has another data directory')
    expect(cut).toEqual([])
  })

  it('of a number that was added is not the one that an earlier process of it told', () => {
    const { group, followers } = settled('stale word')
    const member = mustExist(followers[0], 'follower')
    group.wipe(member.id)
    group.run(200)
    change(group, { kind: 'replace', add: [], remove: [member.id] })
    const outcomes: ProposeOutcome[] = []
    group
      .awaitLeader()
      .node.changeMembership({ kind: 'replace', add: [group.describe(member)], remove: [] }, outcome => outcomes.push(outcome))
    group.run(2_000)
    expect(outcomes).toMatchObject([{ kind: 'applied' }])
    expect(boundIn(group.awaitLeader())[member.id - 1]).toBeUndefined()
    group.start(nodeId(member.id))
    expect(group.run(3_000, () => member.applied.length === 20)).toBe(true)
  })
})
