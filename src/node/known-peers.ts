/**
 * Whether a node may ask others for what has rotted here, instead of refusing to start. Its configuration says who founded the group; who joined later stands
 * in its log and in its state, and the newest of what they say counts: a node that founded its group alone may have had peers for years.
 */
import { decodeMembership, logIndex, type MembershipAt } from '../../raft/index.ts'
import type { LoadedCheckpoint } from '../state/store.ts'
import type { NodeSettings } from './node-settings.ts'
import { stateIn } from './saved-state.ts'

/** Takes what is readable of the memberships in the log. The checkpoint is looked into when somebody asks, which is rare. */
export function peersKnownBy(
  { members, number }: Pick<NodeSettings, 'members' | 'number'>,
  checkpoint: LoadedCheckpoint | undefined,
): (inLog: readonly MembershipAt[]) => boolean {
  return inLog => {
    if (members.length > 1) return true
    const inState = membershipInState(checkpoint)
    const known = inState === undefined ? inLog : [inState, ...inLog]
    const newest = known.toSorted((a, b) => a.index - b.index).at(-1)
    return newest?.membership.members.some(({ id }) => id !== number) === true
  }
}

/** Only what the state says of the membership is asked of it: no queue is looked at. */
export function membershipInState(checkpoint: LoadedCheckpoint | undefined): MembershipAt | undefined {
  const found = checkpoint && stateIn(checkpoint)
  if (found?.kind !== 'whole') return undefined
  const { membership } = found.machine
  const decoded = membership && decodeMembership(membership.body)
  return membership === undefined || decoded?.kind !== 'ok'
    ? undefined
    : { index: logIndex(membership.index), membership: decoded.membership }
}
