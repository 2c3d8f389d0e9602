import { describe, expect, it } from 'vitest'
import { applyChange } from './changing.ts'
import type { NodeId } from './ids.ts'
import {
  decodeMembership,
  encodeMembership,
  firstMembership,
  isElector,
  isLearner,
  phaseOf,
  problemOfMembership,
  wasRemoved,
} from './membership.ts'
import type { Membership } from './membership.ts'

const member = (id: number) => ({ id: id as NodeId, name: `n${id}`, address: `h${id}:9876`, clientAddress: `h${id}:8081` })
const ids = (...numbers: number[]) => numbers as NodeId[]
const three = firstMembership([3, 1, 2].map(member))

describe('a membership', () => {
  it('is the same after its bytes have been read back, in every phase', () => {
    const catchUp: Membership = { ...three, members: [1, 2, 3, 4].map(member), goal: ids(1, 2, 4), idMax: 4 }
    const joint: Membership = { ...catchUp, goal: undefined, voters: ids(1, 2, 4), outgoing: ids(1, 2, 3) }
    const farewell: Membership = { ...joint, outgoing: [], leaving: ids(3) }
    for (const membership of [three, catchUp, joint, farewell]) {
      expect(decodeMembership(encodeMembership(membership))).toEqual({ kind: 'ok', membership })
    }
    expect([three, catchUp, joint, farewell].map(phaseOf)).toEqual(['steady', 'catchUp', 'joint', 'steady'])
    expect([isElector(joint, 3 as NodeId), isLearner(catchUp, 4 as NodeId), wasRemoved(farewell, 3 as NodeId)]).toEqual([true, true, true])
  })

  it('names the data directory of a member once it is known, and is read by builds that know of none', () => {
    const directory = '0123456789abcdef'.repeat(2)
    const bound = { ...three, members: three.members.map(each => (each.id === 2 ? { ...each, directory } : each)) }
    expect(decodeMembership(encodeMembership(bound))).toEqual({ kind: 'ok', membership: bound })
    const text = new TextDecoder().decode(encodeMembership(bound))
    expect(decodeMembership(new TextEncoder().encode(text.replace(directory, 'somewhere'))).kind).toBe('bad')
    expect(new TextDecoder().decode(encodeMembership(three))).not.toContain('directory')
  })

  it('takes another address for a member, and the first word on its directory, but no other directory', () => {
    const directory = 'a'.repeat(32)
    const bound = applyChange(three, { kind: 'update', member: { ...member(2), directory } }) as Membership
    expect(bound.members[1]).toEqual({ ...member(2), directory })
    expect(applyChange(bound, { kind: 'update', member: { ...member(2), directory: 'b'.repeat(32) } })).toBe('invalid')
    expect(applyChange(bound, { kind: 'update', member: member(2) })).toBe('invalid')
    expect(applyChange(bound, { kind: 'update', member: { ...member(2), directory, address: 'h9:1' } })).not.toBe('invalid')
  })

  it('is refused with a sentence when the bytes are none', () => {
    const bytes = (text: string) => new TextEncoder().encode(text)
    const good = JSON.parse(new TextDecoder().decode(encodeMembership(three))) as Record<string, unknown>
    const problem = (change: Record<string, unknown>) => {
      const decoded = decodeMembership(bytes(JSON.stringify({ ...good, ...change })))
      return decoded.kind === 'bad' ? decoded.problem : 'none'
    }
    expect(decodeMembership(bytes('first'))).toEqual({ kind: 'bad', problem: 'it is no JSON object' })
    expect(problem({})).toBe('none')
    expect(problem({ format: 2 })).toMatch(/format is 2/)
    expect(problem({ voters: [] })).toMatch(/1 to 9 voters/)
    expect(problem({ voters: [2, 1] })).toMatch(/ascend/)
    expect(problem({ voters: [1, 9] })).toMatch(/9 is in a set and no member/)
    expect(problem({ outgoing: [1], goal: [1] })).toMatch(/beside a joint/)
    expect(problem({ leaving: [1] })).toMatch(/no voter/)
    expect(problem({ idMax: 2 })).toMatch(/idMax/)
    expect(problem({ members: [{ id: 1 }] })).toMatch(/no \{id, name/)
    expect(problem({ members: [1, 2, 3].map(id => ({ ...member(id), name: 'same' })) })).toMatch(/one name/)
    expect(problemOfMembership({ ...three, members: [1, 2, 3].map(id => ({ ...member(id), address: 'x'.repeat(300) })) })).toMatch(/255/)
  })
})
