/**
 * Messages between members. One kind, one meaning per field. Every message carries the sender's term; `from` and `to` are the envelope's.
 * On the wire: raft/codec/messages.ts.
 */
import type { EntryId, LogIndex, Session, Term } from './ids.ts'
import type { LogSlice } from './entry.ts'

/** Would you vote for me? Asks without raising anybody's term (thesis 9.6). */
export interface PreVote {
  readonly kind: 'preVote'
  /** The asker's current term. It would campaign in `term + 1`. */
  readonly term: Term
  readonly last: EntryId
  /** The asker saw both connections to the leader close and a redial refused (DESIGN §6): a peer in the same case does not count its lease, for this round. */
  readonly leaderLost: boolean
  /** Number of this round of the asker, echoed; answers to earlier rounds do not count. */
  readonly round: number
}

export interface PreVoteReply {
  readonly kind: 'preVoteReply'
  readonly term: Term
  readonly granted: boolean
  readonly round: number
  /** See VoteReply.isConditional. */
  readonly isConditional: boolean
}

export interface Vote {
  readonly kind: 'vote'
  readonly term: Term
  readonly last: EntryId
  /** The leader of the term before told the candidate to take over: its lease does not stand in the way (thesis 4.2.3). */
  readonly isTransfer: boolean
}

export interface VoteReply {
  readonly kind: 'voteReply'
  readonly term: Term
  readonly granted: boolean
  /**
   * The voter's log lost a torn tail at its last start and no leader has verified it since, so it may have forgotten what it acknowledged.
   * Such a vote counts only when every voter of the group grants (docs/decisions/0008).
   */
  readonly isConditional: boolean
  /** The voter's calendar clock: a new leader knows a majority of clocks from its first moment (rule 4). */
  readonly wallMs: number
}

/** Entries, or none: a probe or the news of a commit. */
export interface Append {
  readonly kind: 'append'
  readonly term: Term
  readonly session: Session
  readonly slice: LogSlice
  /** The leader's commit index. The follower may take it only as far as this message verifies its log. */
  readonly commitIndex: LogIndex
}

/** Everything up to `matchedIndex` agrees with the leader's log, and everything up to `durableIndex` of that is on my disk. */
export interface AppendAccepted {
  readonly kind: 'appendAccepted'
  readonly term: Term
  readonly session: Session
  /** Never above what the requests of this session verified: their `prev` plus their entries. */
  readonly matchedIndex: LogIndex
  /** ≤ matchedIndex. Moves commit. */
  readonly durableIndex: LogIndex
}

/** My log does not hold `prev`. */
export interface AppendConflict {
  readonly kind: 'appendConflict'
  readonly term: Term
  readonly session: Session
  /** The `prev.index` that was refused: tells late answers from current ones. */
  readonly refusedIndex: LogIndex
  /** The last place where my log could agree: index ≤ refused, term ≤ the refused entry's (etcd's scheme). */
  readonly hint: EntryId
}

/** Not of our term, session or sort; carries only the term, so that the other side learns of a higher one. */
export interface AppendRefused {
  readonly kind: 'appendRefused'
  readonly term: Term
  readonly session: Session
}

export interface Heartbeat {
  readonly kind: 'heartbeat'
  readonly term: Term
  readonly session: Session
  /** min(match of the receiver, commit): nothing that the receiver may lack. */
  readonly commitIndex: LogIndex
  /**
   * The cluster time at sending; a follower's gateway stamps its proposals with it (rule 7). Not told while a leap that it rests on may still be
   * thrown away: a follower that had heard it could come to lead without the leap's entry.
   */
  readonly clusterTimeMs: number | undefined
  /** Read round, echoed. For ReadIndex. */
  readonly round: number
}

export interface HeartbeatReply {
  readonly kind: 'heartbeatReply'
  readonly term: Term
  readonly session: Session
  /** Echoed; 0 from who may have forgotten a vote or what it acknowledged: it can not answer for there being no later leader. */
  readonly round: number
  /** The follower's calendar clock, for the cluster time (rule 4). */
  readonly wallMs: number
  /** Its applied index, for status and for the up/down of nodes. */
  readonly appliedIndex: LogIndex
}

/** How far must I have applied to have seen all that was acknowledged before now? Asked of the leader; one at a time, repeated until it is answered. */
export interface ReadIndex {
  readonly kind: 'readIndex'
  readonly term: Term
  /** The asker's restart counter, and its number for this read: they rise. */
  readonly incarnation: number
  readonly read: number
}

export interface ReadIndexReply {
  readonly kind: 'readIndexReply'
  readonly term: Term
  readonly incarnation: number
  readonly read: number
  /** undefined = the answerer does not lead. */
  readonly index: LogIndex | undefined
}

/** Take over: you hold all that I have, and I take no more proposals. Thesis 3.10. */
export interface TimeoutNow {
  readonly kind: 'timeoutNow'
  readonly term: Term
  readonly session: Session
}

/**
 * What you lack is no longer in my log, or files are faster than appends: fetch a snapshot from me. Repeated at the pace of heartbeats while that is so.
 * The answer is an AppendAccepted of what is committed at the follower: if the leader can go on from there it does, else the offer stands.
 */
export interface SnapshotOffer {
  readonly kind: 'snapshotOffer'
  readonly term: Term
  readonly session: Session
  readonly commitIndex: LogIndex
}

export type Message =
  | ReadIndex
  | ReadIndexReply
  | TimeoutNow
  | SnapshotOffer
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendAccepted
  | AppendConflict
  | AppendRefused
  | Heartbeat
  | HeartbeatReply
