/** For the tests of the checkers: a group whose members never change. */
import { firstMembership, nodeId, type Membership } from '../../raft/index.ts'
import type { ReferenceReplica } from '../reference.ts'
import { roster, type Roster } from './membership.ts'

export function membershipOf(...ids: readonly number[]): Membership {
  return firstMembership(ids.map(id => ({ id: nodeId(id), name: `node-${id}`, address: '', clientAddress: '' })))
}

export function rosterOf(...founders: readonly number[]): Roster {
  return roster({ reference: { commitIndex: 0 } as unknown as ReferenceReplica, founders })
}

/** As a core shows what it goes by. */
export function membersOf(...ids: readonly number[]): { readonly current: { readonly index: number; readonly membership: Membership } } {
  return { current: { index: 0, membership: membershipOf(...ids) } }
}
