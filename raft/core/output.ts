/**
 * Everything a node wants done. One buffer, reused: the driver drains it after each step or after several, and clears it.
 * The driver's duties, in order:
 *  1. carry out `persists` in order, all of them before the next sync starts; when a sync that covers the last of them has returned, step `durable(epoch)`;
 *  2. hold each message until `durable ≥ after`; drop held messages when the process stops. `after = 0` may leave at once, also beside the write;
 *  3. apply entries up to `applyTo`, in order, each once;
 *  4. resolve proposals by their outcomes;
 *  5. send a tick no later than `deadlineMs`.
 */
import type { EntryKind, LogSlice } from './entry.ts'
import type { EntryId, Epoch, LogIndex, NodeId, Session, Term } from './ids.ts'
import type { Membership } from './membership.ts'
import type { Message } from './message.ts'
import type { RoleChange } from './status.ts'

export interface HardState {
  readonly term: Term
  readonly votedFor: NodeId | undefined
}

export type Persist =
  | { readonly kind: 'hardState'; readonly epoch: Epoch; readonly state: HardState }
  /** Drop everything from this index on. Never at or below commit. */
  | { readonly kind: 'truncateFrom'; readonly epoch: Epoch; readonly index: LogIndex }
  /** Append the entries of a proposal's ticket. The driver stamps them with `term`, the indexes from `firstIndex` on, and `wallMs`. */
  | {
      readonly kind: 'appendOwn'
      readonly epoch: Epoch
      readonly ticket: number
      readonly entryKind: EntryKind
      readonly firstIndex: LogIndex
      readonly count: number
      readonly term: Term
      readonly wallMs: number
      /** What a config entry holds; the driver encodes it. */
      readonly membership: Membership | undefined
    }
  /** Append the slice's records from `fromIndex` on, verbatim. */
  | { readonly kind: 'appendSlice'; readonly epoch: Epoch; readonly slice: LogSlice; readonly fromIndex: LogIndex }

/** A message without entries, ready to send. */
export interface Outgoing {
  readonly kind: 'message'
  readonly to: NodeId
  readonly after: Epoch
  readonly message: Exclude<Message, { kind: 'append' }>
}

/**
 * An append whose records the driver takes from the log storage: entries `prev.index + 1 .. lastIndex`, at most about `bytesMax` bytes but at
 * least one entry. How far it really went is told back with `RaftCore.sentUpTo`, in the same turn, for each OutgoingAppend that was handed to a
 * connection, empty ones too. That call may put the next OutgoingAppend behind the last message of this same buffer: walk `messages` by index.
 * One that could not be handed over is just dropped. Empty when `lastIndex === prev.index`.
 */
export interface OutgoingAppend {
  readonly kind: 'append'
  readonly to: NodeId
  readonly after: Epoch
  readonly term: Term
  readonly session: Session
  readonly prev: EntryId
  readonly lastIndex: LogIndex
  readonly commitIndex: LogIndex
}

export type ProposalOutcome =
  /** Appended at these places by this leader; not committed yet. */
  | { readonly kind: 'appended'; readonly ticket: number; readonly firstId: EntryId; readonly count: number }
  /** Committed, in this term and at these places. `applied` follows when the driver has applied that far. */
  | { readonly kind: 'committed'; readonly ticket: number; readonly firstId: EntryId; readonly count: number }
  /** Surely not in the log, now or later. */
  | { readonly kind: 'rejected'; readonly ticket: number; readonly reason: RejectReason }
  /** We lost the leadership before its fate was known: may be in the log. */
  | { readonly kind: 'unknown'; readonly ticket: number; readonly cause: 'leadershipLost' }

/** `transferring`: we are handing over; the next leader is a few milliseconds away. */
export type RejectReason = 'notLeader' | 'busy' | 'transferring' | 'storageFailed' | 'overwritten' | ChangeRefusal

/** Why a membership is not changed. */
export type ChangeRefusal =
  /** Another change is not finished, or the leader is too new to know that none is. */
  | 'changeInProgress'
  | 'alreadyMember'
  | 'notMember'
  | 'noVoterLeft'
  | 'nothingToCancel'
  /** The joint membership stands: it finishes. */
  | 'tooLate'
  /** Too many members, or two with one name. */
  | 'invalid'

/** How a wish to hand over the leadership ended. */
export type TransferEnd =
  /** The target was told and we do not lead any more. Who leads now, if anybody, the log's next entries say. */
  | { readonly kind: 'handedOver'; readonly to: NodeId }
  /** Nothing was begun. */
  | { readonly kind: 'refused'; readonly to: NodeId; readonly reason: 'notLeader' | 'notAVoter' | 'alreadyLeads' | 'inProgress' }
  /** We go on leading (but for `leadershipLost`), and take proposals again. */
  | { readonly kind: 'failed'; readonly to: NodeId; readonly reason: 'deadline' | 'targetLost' | 'leadershipLost' }

/** How a wish to read ended. */
export type ReadEnd =
  /** Whoever has applied this index has seen all that was acknowledged before the wish. */
  | { readonly kind: 'ready'; readonly ticket: number; readonly index: LogIndex }
  | { readonly kind: 'refused'; readonly ticket: number; readonly reason: 'busy' | 'noLeader' | 'leaderChanged' | 'deadline' }

export interface Output {
  readonly persists: Persist[]
  readonly messages: (Outgoing | OutgoingAppend)[]
  readonly outcomes: ProposalOutcome[]
  readonly transfers: TransferEnd[]
  readonly reads: ReadEnd[]
  readonly roleChanges: RoleChange[]
  /** Reason codes of what was refused or ignored in this step (`R-11-stale-term`), for trace and tests. */
  readonly refusals: string[]
  /** This leader wants us to fetch a snapshot from it. */
  snapshotOfferedBy: NodeId | undefined
  /** Apply up to here: min(commit, durable on our own disk). Only grows. */
  applyTo: LogIndex
  /** The next moment (monotonic) at which the core wants a tick. */
  deadlineMs: number
}

export function createOutput(applyTo: LogIndex, deadlineMs: number): Output {
  const lists = { persists: [], messages: [], outcomes: [], transfers: [], reads: [], roleChanges: [], refusals: [] }
  return { ...lists, snapshotOfferedBy: undefined, applyTo, deadlineMs }
}

/** Empties the lists; the two cursors stay. */
export function emptyOutput(output: Output): void {
  output.persists.length = 0
  output.messages.length = 0
  output.outcomes.length = 0
  output.transfers.length = 0
  output.reads.length = 0
  output.roleChanges.length = 0
  output.refusals.length = 0
  output.snapshotOfferedBy = undefined
}
