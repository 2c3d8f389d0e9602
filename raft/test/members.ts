/** Memberships of nodes that have nothing but a number. */
import type { NodeId } from '../core/ids.ts'
import { firstMembership } from '../core/membership.ts'
import type { Member, Membership } from '../core/membership.ts'

export function plainMember(id: number): Member {
  return { id: id as NodeId, name: `n${id}`, address: `h${id}:9876`, clientAddress: `h${id}:8081` }
}

/** A group of these voters. */
export function groupOf(...ids: readonly number[]): Membership {
  return firstMembership(ids.map(plainMember))
}

/** `1 2 3, joint with 1 2 4`, and what else is not plain. */
export function describeMembership({ members, voters, outgoing, goal, leaving }: Membership): string {
  const learners = members.map(({ id }) => id).filter(id => !voters.includes(id) && !outgoing.includes(id) && !leaving.includes(id))
  const parts = [voters.join(' ')]
  if (outgoing.length > 0) parts.push(`joint with ${outgoing.join(' ')}`)
  if (learners.length > 0) parts.push(`learning ${learners.join(' ')}`)
  if (goal !== undefined) parts.push(`to be ${goal.join(' ')}`)
  if (leaving.length > 0) parts.push(`leaving ${leaving.join(' ')}`)
  return parts.join(', ')
}
