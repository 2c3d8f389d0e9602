/**
 * What a node is at the moment, with the state that belongs to that role and to no other. A role's object is made anew at each change, so nothing of an
 * earlier leadership, round or vote can be found in a later one (catalogue B58, B67, B120). Legal changes are the table below; all go through `changeRole`.
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex, NodeId, Session } from './ids.ts'
import type { Progress } from './progress.ts'
import type { Ballot } from './quorum.ts'
import type { Role } from './status.ts'

export interface FollowerRole {
  readonly kind: 'follower'
  /** Known from the first message of a leader of our term on; then it stays. */
  leaderId: NodeId | undefined
  /** The leader's newest replication session with us; 0 = none heard. */
  session: Session
  /** Our log agrees with the leader's up to here, by what this session has shown. */
  verifiedIndex: LogIndex
  /** The highest commit index that an append of this session told. */
  toldCommitIndex: LogIndex
  /** The highest durable index that we have reported in this session. */
  reportedIndex: LogIndex
  electionDeadlineMs: number
  /** When the early round begins, after the leader's process died; Infinity = none is due. */
  earlyDeadlineMs: number
  read: OpenRead | undefined
}

/** What this node has asked its leader. Changed in reads.ts. */
export interface OpenRead {
  readonly ticket: number
  readonly giveUpMs: number
  askedMs: number
}

/** What this node reads as the leader. Confirmed by a majority's answers to `round` or a later one. */
export interface OwnRead {
  readonly ticket: number
  readonly giveUpMs: number
  readonly index: LogIndex
  readonly round: number
}

export interface PreCandidateRole {
  readonly kind: 'preCandidate'
  readonly leaderId: undefined
  readonly round: number
  /** An early round: we saw the leader's process die. */
  readonly isEarly: boolean
  /** By slot of the electorate, which does not change while we ask. */
  readonly ballots: Ballot[]
  electionDeadlineMs: number
}

export interface CandidateRole {
  readonly kind: 'candidate'
  readonly leaderId: undefined
  /** Our own is cast when our hard state is on disk. */
  readonly ballots: Ballot[]
  electionDeadlineMs: number
}

/** Handing over, as the leader sees it. Changed in transfer.ts. */
export interface LeaderTransfer {
  readonly to: NodeId
  /**
   * `catchingUp`: the target lacks more than what is in flight; proposals are taken as ever. `draining`: none are, and what is in flight is the last
   * that it lacks. `told`: it has all, and was told to take over.
   */
  phase: 'catchingUp' | 'draining' | 'told'
  /** Of the whole while it catches up; then of the time without proposals. */
  deadlineMs: number
}

export interface LeaderRole {
  readonly kind: 'leader'
  readonly leaderId: NodeId
  /** The other members, in the order of the membership in force. */
  readonly peers: Progress[]
  /** The first entry of our own term: only from there on may copies be counted (Raft §5.4.2). */
  readonly firstOwnIndex: LogIndex
  /** Cluster time rests on no entry beyond this one: our first entry (leaps of earlier terms stand before it), or the last leap since. */
  timeSettledIndex: LogIndex
  heartbeatDueMs: number
  transfer: LeaderTransfer | undefined
  /** Of the last heartbeat; a read is confirmed by answers to a later one. */
  round: number
  read: OwnRead | undefined
  /** The last round that was begun for a read, and the last that a majority has answered. Changed in reads.ts. */
  readRound: number
  confirmedRound: number
  /** The membership that we have seen committed, and since when: its next step counts from there. */
  steeredIndex: LogIndex
  steeredMs: number
  /** We are to cease to be a voter and have tried to hand over first. */
  hasTriedHandOver: boolean
}

/**
 * Our log has rotted: what we hold of it can't be trusted to be all, so we give no vote, no pre-vote and no acknowledgement, and hear no leader, until
 * the driver has mended it from peers. Entered at the start only, left for `follower`.
 */
export interface RecoveringRole {
  readonly kind: 'recovering'
  readonly leaderId: undefined
}

export type RoleState = RecoveringRole | FollowerRole | PreCandidateRole | CandidateRole | LeaderRole

/** From a role to the roles that may follow it. A leader never campaigns, and nobody leads without having been a candidate. */
const successors: Record<Role, readonly Role[]> = {
  recovering: ['follower'],
  // … to candidate only when the leader tells it to take over.
  follower: ['follower', 'preCandidate', 'candidate'],
  preCandidate: ['follower', 'preCandidate', 'candidate'],
  candidate: ['follower', 'preCandidate', 'leader'],
  leader: ['follower'],
}

export function assertSuccessor(from: Role, to: Role): void {
  assert(successors[from].includes(to), 'role-change', from, to)
}
