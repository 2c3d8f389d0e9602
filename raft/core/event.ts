/** Everything that can happen to a node. `RaftCore.step(event)` is the only way to change a core; the same events give the same outputs. */
import type { EntryKind, TermRun } from './entry.ts'
import type { EntryId, Epoch, LogIndex, NodeId } from './ids.ts'
import type { Member, MembershipAt } from './membership.ts'
import type { Message } from './message.ts'

/** Time passed. Sent when the deadline of the last output is reached, or earlier. */
export interface Tick {
  readonly kind: 'tick'
  /** Monotonic. */
  readonly nowMs: number
  /** Our own calendar clock now, only for the cluster time. */
  readonly wallMs: number
  /** Drawn by the driver, in [0, 1): where in the election timeout's range the next deadline falls. */
  readonly jitter: number
}

/**
 * Our process stood still for a while. Comes before what waited for it meanwhile: our calendar clock may have been put right since, and what we answer before
 * our next tick would tell the old one (seed 40005108).
 */
export interface Woke {
  readonly kind: 'woke'
  readonly nowMs: number
  readonly wallMs: number
}

export interface Receive {
  readonly kind: 'receive'
  readonly nowMs: number
  readonly from: NodeId
  readonly message: Message
}

/** Entries to append, as leader. The outcome comes in the output under `ticket`. */
export interface Propose {
  readonly kind: 'propose'
  readonly nowMs: number
  readonly ticket: number
  readonly entryKind: EntryKind
  /** ≥ 1; all of one kind, appended one behind the other. */
  readonly count: number
  /** Record bytes of all of them together, headers included. */
  readonly bytes: number
}

/** Everything up to this epoch is on disk. Never "index n is durable": after a truncation n may name another entry. */
export interface Durable {
  readonly kind: 'durable'
  readonly nowMs: number
  readonly epoch: Epoch
}

/** The state machine has applied up to here. */
export interface Applied {
  readonly kind: 'applied'
  readonly index: LogIndex
}

/** Storage holds nothing below `firstIndex` any more: retention has deleted it. All of it was applied. */
export interface Compacted {
  readonly kind: 'compacted'
  readonly firstIndex: LogIndex
}

/** Both connections to the peer closed, and an immediate redial was refused or met a new incarnation: its process died. */
export interface PeerDied {
  readonly kind: 'peerDied'
  readonly nowMs: number
  readonly peer: NodeId
  readonly jitter: number
}

/** A connection to the peer's present incarnation is up. A leader opens a new replication session when the incarnation is a new one. */
export interface PeerConnected {
  readonly kind: 'peerConnected'
  readonly nowMs: number
  readonly peer: NodeId
  /** The peer's restart counter, kept with its hard state. */
  readonly incarnation: number
}

/** The peer's data connection closed: what was in flight is lost, go back to probing. */
export interface PeerDisconnected {
  readonly kind: 'peerDisconnected'
  readonly nowMs: number
  readonly peer: NodeId
}

export type MembershipChange =
  /** These become voters when they have caught up, those cease to be members; either list may be empty. */
  | { readonly kind: 'replace'; readonly add: readonly Member[]; readonly remove: readonly NodeId[] }
  /** Undo what has not reached its joint membership yet. */
  | { readonly kind: 'cancel' }
  /** Another name or address for the same number. */
  | { readonly kind: 'update'; readonly member: Member }

/** As leader: the group is to be another one. The outcome comes under `ticket`; what follows the first entry goes by itself. */
export interface ChangeMembership {
  readonly kind: 'changeMembership'
  readonly nowMs: number
  readonly ticket: number
  readonly change: MembershipChange
}

/** A member refused to talk to us: by its committed membership at this index we were removed. */
export interface ToldRemoved {
  readonly kind: 'toldRemoved'
  readonly nowMs: number
  readonly index: LogIndex
}

/** A snapshot that our leader wants us to fetch ends with an entry that our log holds: `judgeSnapshot` says `held`. */
export interface SnapshotHeld {
  readonly kind: 'snapshotHeld'
  readonly nowMs: number
  readonly last: EntryId
}

/** The operator, or a test, wants an election now (leaves PreVote in place). */
export interface Campaign {
  readonly kind: 'campaign'
  readonly nowMs: number
}

/** A log that was rotten at the start is whole again: this is all of it. What was told at the start is its beginning. */
export interface Repaired {
  readonly kind: 'repaired'
  readonly nowMs: number
  readonly last: EntryId
  /** Of the whole log, ascending. */
  readonly runs: readonly TermRun[]
  /** Its config entries, ascending. */
  readonly memberships: readonly MembershipAt[]
  readonly lastWallMs: number
  readonly hasTornTail: boolean
  /** The log ends in a term that we have been in, and our hard state was older. */
  readonly isHardStateOld: boolean
  readonly jitter: number
}

/** Hand the leadership to `to`. How it ended comes in the output's `transfers`. */
export interface Transfer {
  readonly kind: 'transfer'
  readonly nowMs: number
  readonly to: NodeId
  /** Given up at this moment if the target has not caught up by then; proposals are taken until it has. */
  readonly giveUpMs: number
}

/** We want to read: an index is wanted that covers all that was acknowledged before now. How it ended comes in the output's `reads`. One at a time. */
export interface ReadIndexWish {
  readonly kind: 'readIndex'
  readonly nowMs: number
  /** Rises with each. */
  readonly ticket: number
  readonly giveUpMs: number
}

export type Event =
  | Repaired
  | ReadIndexWish
  | Transfer
  | Tick
  | Woke
  | Receive
  | Propose
  | Durable
  | Applied
  | Compacted
  | PeerDied
  | PeerConnected
  | PeerDisconnected
  | Campaign
  | ChangeMembership
  | ToldRemoved
  | SnapshotHeld
