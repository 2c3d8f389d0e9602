import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogIndex, NodeId } from './ids.ts'
import { addMembership, compactMemberships, createMembers, isRemovedAt, knowPeer, membershipAt, truncateMemberships } from './members.ts'
import type { Membership } from './membership.ts'
import { noMembership } from './membership.ts'
import { groupOf } from '../test/members.ts'

const index = (n: number) => n as LogIndex

/** From none to all, evenly: a double of fast-check is mostly next to nothing. */
const aShare = fc.integer({ min: 0, max: 8 }).map(eighths => eighths / 8)

/** A log as a plain list: the membership of each entry that is one. */
class DumbLog {
  readonly entries: (Membership | undefined)[] = []
  first = 1

  inForceAt(at: number, before: Membership): Membership {
    for (let i = at; i >= 1; i--) {
      const membership = this.entries[i - 1]
      if (membership !== undefined) return membership
    }
    return before
  }
}

test('what is in force anywhere in the log is what walking back through its entries finds, whatever is cut off at either end', () => {
  const group = fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }).map(ids => groupOf(...ids))
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), membership: group }),
    fc.record({ kind: fc.constant('fill' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant('truncate' as const), back: fc.nat(4) }),
    fc.record({ kind: fc.constant('compact' as const), share: aShare }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const first = groupOf(1, 2, 3)
      const members = createMembers(1 as NodeId, [], first)
      const log = new DumbLog()
      for (const each of steps) {
        const last = log.entries.length
        if (each.kind === 'append') {
          log.entries.push(each.membership)
          addMembership(members, { index: index(last + 1), membership: each.membership })
        } else if (each.kind === 'fill') {
          for (let i = 0; i < each.count; i++) log.entries.push(undefined)
        } else if (each.kind === 'truncate') {
          // Never into what is compacted: that is committed.
          log.entries.length = Math.max(log.first - 1, last - each.back)
          truncateMemberships(members, index(log.entries.length + 1), first)
        } else {
          log.first = Math.max(log.first, Math.ceil(each.share * last))
          compactMemberships(members, index(log.first - 1))
        }
        const end = log.entries.length
        expect(members.current.membership).toEqual(log.inForceAt(end, first))
        for (let at = Math.max(1, log.first - 1); at <= end; at++) {
          const known = log.entries.slice(0, at).some(entry => entry !== undefined)
          // Before its first entry a log knows of no group; what the node was configured with is in force, and committed nowhere.
          if (known) expect(membershipAt(members, index(at)).membership).toEqual(log.inForceAt(at, noMembership))
        }
        const { voters } = members.current.membership
        expect(members.peers.map(peer => peer.id)).toEqual(voters.filter(id => id !== 1))
        for (const peer of members.peers) expect(peer.slot).toBe(members.electorate.ids.indexOf(peer.id))
        expect(members.ownSlot).toBe(voters.includes(1 as NodeId) ? voters.indexOf(1 as NodeId) : undefined)
      }
    }),
  )
})

test('a peer that leaves and comes back is the one that was known', () => {
  const members = createMembers(1 as NodeId, [], groupOf(1, 2, 3))
  const peer = knowPeer(members, 3 as NodeId)
  peer.sessionCount = 7
  addMembership(members, { index: index(1), membership: groupOf(1, 2) })
  expect(peer.slot).toBeUndefined()
  addMembership(members, { index: index(2), membership: groupOf(1, 2, 3) })
  expect(members.peers[1]).toBe(peer)
  expect(peer).toMatchObject({ slot: 2, sessionCount: 7 })
})

test('a node is removed when what is committed says so, and not while its newest membership gives it a vote', () => {
  const members = createMembers(3 as NodeId, [], groupOf(1, 2, 3))
  addMembership(members, { index: index(1), membership: groupOf(1, 2, 3) })
  addMembership(members, { index: index(2), membership: { ...groupOf(1, 2), idMax: 3 } })
  expect([isRemovedAt(members, index(1)), isRemovedAt(members, index(2))]).toEqual([false, true])
  addMembership(members, { index: index(3), membership: groupOf(1, 2, 3) })
  expect(isRemovedAt(members, index(2))).toBe(false)
})
