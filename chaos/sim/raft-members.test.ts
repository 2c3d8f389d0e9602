/** The driver's part of membership, on simulated seams: who may connect, who is told that it is out, who has moved; and random changes under power cuts. */
import { describe, expect, it } from 'vitest'
import { nodeId } from '../../raft/index.ts'
import type { MembershipChange, ProposeOutcome } from '../../raft/index.ts'
import type { Member } from './raft-group.ts'
import { RaftGroup } from './raft-group.ts'
import { SimRandom } from './random.ts'

const votersOf = (member: Member): number[] => [...member.node.status().membership.membership.voters]

/** Asked of whoever leads, until it is taken; then until it has ended. */
function change(group: RaftGroup, wish: (leader: Member) => MembershipChange): void {
  let end: ProposeOutcome | undefined
  const leader = group.awaitLeader()
  expect(leader.node.changeMembership(wish(leader), outcome => (end = outcome))).toBeUndefined()
  group.run(2_000, () => end !== undefined)
  expect(end?.kind).toBe('applied')
  const isSteady = (): boolean => {
    const status = group.leader?.node.status()
    return status !== undefined && status.isMembershipCommitted && status.membership.membership.goal === undefined
  }
  group.run(5_000, () => isSteady() && group.leader?.node.status().membership.membership.outgoing.length === 0)
  expect(isSteady()).toBe(true)
}

const adding = (group: RaftGroup, ...ids: number[]): MembershipChange => ({
  kind: 'replace',
  add: ids.map(id => group.describe(group.member(nodeId(id)))),
  remove: [],
})

const removing = (...ids: number[]): MembershipChange => ({ kind: 'replace', add: [], remove: ids.map(nodeId) })

describe('members on simulated seams', () => {
  it('a node that nobody told of the group is dialled by its leader, dials back, catches up and votes', () => {
    const group = new RaftGroup({ seed: 'join', spares: 2 })
    const leader = group.awaitLeader()
    for (let i = 0; i < 50; i++) group.propose(leader, `before ${i}`)
    group.run(500)
    change(group, () => adding(group, 4, 5))
    group.run(500)
    for (const member of group.members) expect(votersOf(member)).toEqual([1, 2, 3, 4, 5])
    expect(group.member(nodeId(5)).applied).toHaveLength(50)
    for (const id of [1, 2]) group.kill(nodeId(id))
    expect(group.awaitLeader().id).toBeGreaterThan(2)
    group.checkLogs()
  })

  it('a node that was away while it was removed is told by whoever it greets, and parks; added again it is back', () => {
    const group = new RaftGroup({ seed: 'removed', spares: 1, config: { farewellMs: 200 } })
    change(group, () => adding(group, 4))
    group.kill(nodeId(4))
    change(group, () => removing(4))
    group.run(6_000)
    const { term } = group.awaitLeader().node
    group.start(nodeId(4))
    group.run(3_000)
    const back = group.member(nodeId(4))
    expect(back.view?.isRemoved).toBe(true)
    expect(votersOf(back)).toContain(4)
    expect(back.node.role).toBe('follower')
    expect(group.awaitLeader().node.term).toBe(term)
    change(group, () => adding(group, 4))
    group.run(500)
    expect(back.view?.isRemoved).toBe(false)
    expect(votersOf(back)).toEqual([1, 2, 3, 4])
  })

  it('a node that was cut off while a removed one was added again follows it when that leads: who comes with a newer membership is heard', () => {
    const group = new RaftGroup({ seed: 'removed and back', spares: 1, config: { farewellMs: 200 } })
    change(group, () => adding(group, 4))
    group.run(1_000)
    change(group, () => removing(4))
    group.run(6_000)
    const away = group.member(nodeId(3))
    expect(votersOf(away)).toEqual([1, 2, 3])
    group.network.partition(
      [away.host],
      [1, 2, 4].map(id => group.member(nodeId(id)).host),
    )
    group.run(2_000)
    group.awaitLeader()
    group.run(500)
    change(group, () => adding(group, 4))
    const leader = group.awaitLeader()
    if (leader.id !== 4) leader.node.transferLeadership(nodeId(4), 1_000, () => undefined)
    expect(group.run(2_000, () => group.leader?.id === 4)).toBe(true)
    group.network.heal()
    expect(group.run(5_000, () => votersOf(away).includes(4))).toBe(true)
    expect(group.leader?.id).toBe(4)
  })

  it('a leader that is removed hands over, and the pause is no election timeout', () => {
    const group = new RaftGroup({ seed: 'leader leaves' })
    const old = group.awaitLeader()
    change(group, leader => removing(leader.id))
    const next = group.awaitLeader(1_000, old)
    expect(votersOf(next)).not.toContain(old.id)
    group.run(500)
    expect(old.view?.isRemoved).toBe(true)
    expect(next.node.term).toBe(2)
  })

  it('a member that comes back at another address is found under its number, and the log learns the address', () => {
    const group = new RaftGroup({ seed: 'moved' })
    const leader = group.awaitLeader()
    const moved = group.members.find(member => member !== leader) as Member
    group.kill(moved.id)
    moved.port = 7_777
    group.start(moved.id)
    const addressIn = (member: Member): string | undefined =>
      member.node.status().membership.membership.members.find(({ id }) => id === moved.id)?.address
    group.run(10_000, () => group.members.every(member => addressIn(member)?.endsWith(':7777') === true))
    for (const member of group.members) expect(addressIn(member)).toBe(`${moved.host}:7777`)
    // The others too, though nobody but it was restarted: it votes, and is fed.
    const third = group.members.find(member => member !== leader && member !== moved) as Member
    group.kill(third.id)
    const outcomes: ProposeOutcome[] = []
    group.propose(group.awaitLeader(), 'after the move', outcome => outcomes.push(outcome))
    group.run(2_000, () => outcomes.length > 0)
    expect(outcomes).toMatchObject([{ kind: 'applied' }])
  })

  it.each(Array.from({ length: 30 }, (_, i) => i))('changes at random under power cuts leave one group that commits (seed %i)', seed => {
    const group = new RaftGroup({ seed: `churn ${seed}`, spares: 3, config: { farewellMs: 300 } })
    const random = new SimRandom(`churn ${seed}`).stream('wishes')
    const ids = group.members.map(({ id }) => id)
    for (let step = 0; step < 25; step++) {
      const { leader } = group
      const someone = random.pick(ids)
      if (leader !== undefined && random.chance(500_000)) {
        const wish = votersOf(leader).includes(someone) ? removing(someone) : adding(group, someone)
        leader.node.changeMembership(random.chance(100_000) ? { kind: 'cancel' } : wish, () => undefined)
      } else if (random.chance(600_000)) {
        if (group.member(someone).process.isAlive) group.losePower(someone)
        else group.start(someone)
      }
      if (group.leader !== undefined) group.propose(group.leader, `step ${step}`)
      group.run(random.integer(50, 800))
    }
    for (const { id, process } of group.members) if (!process.isAlive) group.start(id)
    // A leader may be handing over to leave: then the next one is asked.
    const applied: ProposeOutcome[] = []
    const note = (outcome: ProposeOutcome): void => {
      if (outcome.kind === 'applied') applied.push(outcome)
    }
    for (let asked = 0; asked < 10 && applied.length === 0; asked++) {
      group.propose(group.awaitLeader(10_000), `last ${asked}`, note)
      group.run(1_000, () => applied.length > 0)
    }
    expect(applied).not.toEqual([])
    group.run(10_000, () => group.leader?.node.status().membership.membership.outgoing.length === 0)
    expect(group.leader?.node.status().membership.membership.outgoing).toEqual([])
  })
})
