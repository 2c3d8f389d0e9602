/** What members say of themselves, and what of it the leader wants in the log. */
import { expect, test } from 'vitest'
import type { RaftCore } from '../core/core.ts'
import type { MembershipChange } from '../core/event.ts'
import type { NodeId } from '../core/ids.ts'
import { firstMembership, type Member } from '../core/membership.ts'
import { MembershipWatch } from './membership-watch.ts'

const member = (id: number, name: string): Member => ({ id: id as NodeId, name, address: `${name}:1`, clientAddress: `${name}:2` })

test('a member whose new name is still that of another keeps nobody else from being recorded', () => {
  const members = [member(1, 'a'), member(2, 'b'), member(3, 'c'), member(4, 'd')]
  const [self] = members as [Member]
  const wishes: MembershipChange[] = []
  const core = {
    inspect: () => ({
      role: { kind: 'leader', firstOwnIndex: 1 },
      commitIndex: 1,
      members: { current: { index: 1, membership: firstMembership(members) } },
    }),
  } as unknown as RaftCore
  const watch = new MembershipWatch({
    core,
    transport: { follow: () => undefined, isUp: () => true },
    app: {},
    self,
    join: [],
    wish: change => wishes.push(change),
  })
  watch.introduced({ ...member(2, 'c'), address: 'elsewhere:1' })
  watch.maybeRecordMoves()
  expect(wishes).toEqual([])
  watch.introduced(member(4, 'e'))
  watch.maybeRecordMoves()
  expect(wishes).toEqual([{ kind: 'update', member: member(4, 'e') }])
})

test('of two that say that a node is out, the one that knows the newer membership is believed: why it is out decides what its operator does', () => {
  const [self] = [member(4, 'd')]
  const at = { index: 0, membership: firstMembership([]) }
  const core = { inspect: () => ({ toldRemovedAt: 446, commitIndex: 0, members: { current: at, log: [] } }) } as unknown as RaftCore
  const told: boolean[] = []
  const watch = new MembershipWatch({
    core,
    transport: { follow: () => undefined, isUp: () => true },
    app: { membershipChanged: view => told.push(view.isOtherDirectory) },
    self,
    join: [],
    wish: () => undefined,
  })
  for (const [index, isOtherDirectory] of [
    [181, false],
    [446, true],
    [181, false],
    [446, true],
    [500, false],
  ] as const) {
    watch.toldOut(index, isOtherDirectory)
    watch.tell()
  }
  expect(told).toEqual([false, true, false])
})
