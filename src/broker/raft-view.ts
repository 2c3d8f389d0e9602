/** What this floor needs of RaftNode, and how a RaftNode gives it. */
import type { ProposerRaft } from './proposer.ts'
import type { MembersView, MembersWish } from './admin-requests.ts'

/** A follower as the leader sees it. */
export interface FollowerHealth {
  readonly node: number
  /** Since we last heard of it; undefined = never in this leadership. */
  readonly sinceContactMs: number | undefined
  readonly appliedIndex: number
  /** Its log agrees with the leader's up to here. */
  readonly matchedIndex: number
}

/** How a wish to change the members ended. */
export type ChangeOutcome =
  { readonly kind: 'done'; readonly index: number } | { readonly kind: 'rejected'; readonly reason: string } | { readonly kind: 'unknown' }

export interface BrokerRaft extends ProposerRaft {
  readonly commitIndex: number
  /** Of an entry of this node's log. A view: valid until the present turn is over. Undefined when it has rotted and is being mended. */
  entryBody(index: number): Uint8Array | undefined
  /** On the leader: all its followers. Elsewhere empty. */
  followers(): readonly FollowerHealth[]
  isConnected(peer: number): boolean
  /** The group as our log has it. */
  membership(): MembersView
  /** As leader. `done` runs once. */
  changeMembers(wish: MembersWish, done: (outcome: ChangeOutcome) => void): void
  /** `done(true)`, once, later: this node has applied all that was acknowledged anywhere before this call. False: not now, or not in time. */
  readIndex(patienceMs: number, done: (isReady: boolean) => void): void
  /** As leader. `done` runs once, later: undefined when handed over, or why not. False: one is under way already. */
  transferLeadership(to: number, patienceMs: number, done: (why: string | undefined) => void): boolean
  /** What each member's present process supports, ourselves included; undefined = not connected, so nothing is known. */
  supportedLevels(): readonly { readonly node: number; readonly level: number | undefined }[]
}
