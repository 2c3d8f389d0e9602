/**
 * Who has a seat in the group, as gateways count: who is named by the newest committed membership. A node that is still told of its removal is named too; if
 * it is taken in again within that time it has lost its seat and taken a new one, though it never ceased to be named.
 */
import type { Membership } from '../../raft/index.ts'

export interface Turn {
  /** Named no more, or named anew: what was known of it as a gateway is forgotten. */
  readonly isGone: (node: number) => boolean
  /** Named now and not before, or again. Nobody is by the first membership. */
  readonly isAnew: (node: number) => boolean
}

/** Takes each committed membership in order. */
export function seats(): (membership: Membership) => Turn {
  let named: ReadonlySet<number> | undefined
  let leaving: ReadonlySet<number> = new Set()
  return membership => {
    const before = named
    const left = leaving
    const now = new Set<number>(membership.members.map(({ id }) => id))
    const leaves = new Set<number>(membership.leaving)
    named = now
    leaving = leaves
    const isAnew = (node: number): boolean => now.has(node) && (before?.has(node) === false || (left.has(node) && !leaves.has(node)))
    return { isAnew, isGone: node => !now.has(node) || isAnew(node) }
  }
}
