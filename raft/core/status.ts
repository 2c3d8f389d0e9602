/** The node as seen from outside: a plain immutable object, cheap to make, the only thing that CLI, metrics and tests read. */
import type { EntryId, LogIndex, NodeId, Session, Term } from './ids.ts'
import type { MembershipAt } from './membership.ts'

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader' | 'recovering'

/** One line of "why is there no leader, why did it change?"; the last 20 are kept. */
export interface RoleChange {
  /** Monotonic time of the step. */
  readonly atMs: number
  readonly from: Role
  readonly to: Role
  readonly term: Term
  readonly leaderId: NodeId | undefined
  /** A short sentence with the evidence: `election timeout: no word from 2 for 412 ms`. */
  readonly reason: string
}

export interface PeerStatus {
  readonly id: NodeId
  readonly state: 'probe' | 'replicate' | 'snapshot'
  readonly session: Session
  readonly matchedIndex: LogIndex
  readonly durableIndex: LogIndex
  readonly nextIndex: LogIndex
  readonly inflightSlices: number
  readonly inflightBytes: number
  /** Since we last heard of it, in ms; undefined = never in this leadership. */
  readonly sinceContactMs: number | undefined
  readonly appliedIndex: LogIndex
}

/** A hand-over under way. */
export interface TransferStatus {
  readonly to: NodeId
  readonly phase: 'catchingUp' | 'draining' | 'told'
  /** Until it is given up. */
  readonly leftMs: number
}

/** Which writes this node's words rest on (durability.ts). */
export interface EpochStatus {
  /** The last one given out. */
  readonly taken: number
  /** On disk up to here; what rests on a later one has not left. */
  readonly durable: number
  /** Of the last change of term or vote. */
  readonly hardState: number
}

/** The cursors of the log as entries. Term 0: before the first entry, or gone with it. */
export interface CursorStatus {
  /** The last entry that is not in the log any more. */
  readonly purged: EntryId
  readonly applied: EntryId
  readonly commit: EntryId
  readonly durable: EntryId
  readonly last: EntryId
}

export interface RaftStatus {
  readonly id: NodeId
  readonly role: Role
  readonly term: Term
  readonly votedFor: NodeId | undefined
  readonly leaderId: NodeId | undefined
  readonly firstIndex: LogIndex
  readonly appliedIndex: LogIndex
  readonly commitIndex: LogIndex
  readonly durableIndex: LogIndex
  readonly last: EntryId
  readonly cursors: CursorStatus
  readonly epochs: EpochStatus
  /** As a follower: since the leader was last heard, in ms. */
  readonly sinceLeaderMs: number | undefined
  readonly voters: readonly NodeId[]
  /** In force here, committed or not. */
  readonly membership: MembershipAt
  readonly isMembershipCommitted: boolean
  /** The newest that is known to be committed; the one in force, or the one before. */
  readonly committedMembershipIndex: LogIndex
  /** Out of the group: by our own log, or because a member told us. Such a node starts no election. */
  readonly isRemoved: boolean
  readonly peers: readonly PeerStatus[]
  readonly clusterTimeMs: number
  readonly transfer: TransferStatus | undefined
  readonly uncommittedBytes: number
  readonly isVoteWithheld: boolean
  /** A torn tail or an empty log, and no leader has verified it yet: our votes count only when every voter grants. */
  readonly isVoteConditional: boolean
  readonly roleChanges: readonly RoleChange[]
}
