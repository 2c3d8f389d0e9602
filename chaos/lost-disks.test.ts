/** Which disks a group may lose, and what is forgotten with one: no more than was on it. */
import { describe, expect, it } from 'vitest'
import { firstMembership, nodeId, type Membership } from '../raft/index.ts'
import { lostDirectories, type LostDirectories } from './checkers/lost-directories.ts'
import { LostDisks, type Bearer } from './lost-disks.ts'

const directoryOf = (id: number, life = 0): string => `${life}${id}`.padEnd(32, '0')

function groupOf(...ids: readonly number[]): Membership {
  return firstMembership(ids.map(id => ({ id: nodeId(id), name: `n${id}`, address: '', clientAddress: '', directory: directoryOf(id) })))
}

interface Facts {
  readonly isDiskBad?: boolean
  readonly wasHarmed?: boolean
  readonly isDown?: boolean
  readonly logTrust?: 'whole' | 'torn'
}

function bearer(id: number, { isDiskBad = false, wasHarmed = false, isDown = false, logTrust = 'whole' }: Facts = {}): Bearer {
  const core = { inspect: () => ({ logTrust, voteWithheldAt: undefined, role: { kind: 'follower' } }) }
  return { id, isDiskBad, wasHarmed, isBlank: false, node: isDown ? undefined : ({ raft: { core } } as never) }
}

interface World {
  readonly disks: LostDisks
  readonly directories: LostDirectories
  readonly hosts: Bearer[]
  possible: Membership[]
  wishes: { kind: 'replace'; add: []; remove: number[] }[]
  lose(id: number): boolean
}

function aWorld(membership: Membership, facts: Readonly<Record<number, Facts>> = {}): World {
  const hosts = [1, 2, 3, 4, 5].map(id => bearer(id, facts[id]))
  const world = { possible: [membership], wishes: [] } as unknown as World
  const roster = {
    get newest() {
      return world.possible[0] as Membership
    },
    get possible() {
      return world.possible
    },
  }
  const directories = lostDirectories(roster)
  const disks = new LostDisks({ founders: 3, hosts, roster, directories, wishes: () => world.wishes })
  const lose = (id: number): boolean => {
    const host = hosts[id - 1] as Bearer
    if (!disks.mayLose(host)) return false
    directories.diskLost?.(host as never)
    hosts[id - 1] = { ...host, isBlank: true }
    return true
  }
  return Object.assign(world, { disks, directories, hosts, lose })
}

describe('a group', () => {
  it('may lose a minority of its disks: one of three, two of five, none of two', () => {
    const three = aWorld(groupOf(1, 2, 3))
    expect([three.lose(1), three.lose(2), three.lose(3)]).toEqual([true, false, false])
    const five = aWorld(groupOf(1, 2, 3, 4, 5))
    expect([five.lose(5), five.lose(4), five.lose(1)]).toEqual([true, true, false])
    expect(aWorld(groupOf(1, 2)).lose(1)).toBe(false)
    expect(five.disks.missing).toEqual([4, 5])
  })

  it('counts on no disk that is not a member’s, or that the committed log does not know yet', () => {
    expect(aWorld(groupOf(1, 2, 3)).lose(4)).toBe(false)
    const unknown = groupOf(1, 2, 3)
    const members = unknown.members.map(({ id, name, address, clientAddress }) => ({ id, name, address, clientAddress }))
    expect(aWorld({ ...unknown, members }).lose(1)).toBe(false)
  })

  it('may lose another one when the first is out, or is known by its new directory', () => {
    const out = aWorld(groupOf(1, 2, 3, 4))
    expect([out.lose(4), out.lose(1)]).toEqual([true, false])
    out.possible = [groupOf(1, 2, 3)]
    expect(out.disks.missing).toEqual([])
    expect(out.lose(1)).toBe(true)
    const again = aWorld(groupOf(1, 2, 4))
    expect(again.lose(4)).toBe(true)
    const { members, ...rest } = groupOf(1, 2, 4)
    again.possible = [{ ...rest, members: members.map(member => (member.id === 4 ? { ...member, directory: directoryOf(4, 1) } : member)) }]
    expect(again.lose(1)).toBe(true)
  })

  it('that is to become smaller may lose only what the smaller one can bear: by its goal, by a log behind, by a wish', () => {
    const five = groupOf(1, 2, 3, 4, 5)
    const goal = aWorld({ ...five, goal: [1, 2].map(nodeId) })
    expect([goal.lose(1), goal.lose(3)]).toEqual([false, true])
    const joint = aWorld(groupOf(1, 2, 3))
    joint.possible.push({ ...groupOf(1, 2, 3), voters: [1, 2].map(nodeId), outgoing: [1, 2, 3].map(nodeId) })
    expect(joint.lose(2)).toBe(false)
    const wish = aWorld(groupOf(1, 2, 3))
    wish.wishes.push({ kind: 'replace', add: [], remove: [3] })
    expect(wish.lose(2)).toBe(false)
  })

  it('loses nothing while another disk is bad, was harmed, or leaves its node in doubt', () => {
    for (const facts of [{ isDiskBad: true }, { wasHarmed: true }, { isDown: true }, { logTrust: 'torn' }] as const)
      expect(aWorld(groupOf(1, 2, 3), { 2: facts }).lose(1)).toBe(false)
    expect(aWorld(groupOf(1, 2, 3), { 1: { wasHarmed: true } }).lose(1)).toBe(true)
    expect(aWorld(groupOf(1, 2, 3), { 4: { isDown: true } }).lose(1)).toBe(true)
  })

  it('keeps two founders from being a new group: of three no two have an empty disk', () => {
    const world = aWorld(groupOf(1, 2, 4, 5))
    expect(world.lose(1)).toBe(true)
    world.possible = [groupOf(2, 4, 5)]
    expect([world.lose(2), world.lose(4)]).toEqual([false, true])
  })

  it('is asked for no change that leaves it without a majority of disks', () => {
    const world = aWorld(groupOf(1, 2, 3))
    world.lose(3)
    expect(world.disks.mayAsk({ kind: 'replace', add: [], remove: [2] })).toBe(false)
    expect(world.disks.mayAsk({ kind: 'replace', add: [], remove: [3] })).toBe(true)
    expect(world.disks.mayAsk({ kind: 'cancel' })).toBe(true)
  })
})
