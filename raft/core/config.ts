/** Settings of the core, checked once. Few on purpose; invalid combinations do not pass `validateConfig`. */
import type { EntryId, LogIndex, NodeId } from './ids.ts'
import type { HardState } from './output.ts'
import type { TermRun } from './entry.ts'
import { memberOf, problemOfMembership } from './membership.ts'
import type { Membership, MembershipAt } from './membership.ts'

export interface RaftConfig {
  readonly id: NodeId
  /** What an empty log begins with: a new group. undefined = an empty log waits until a group takes it in, and has no vote. */
  readonly first: Membership | undefined
  readonly heartbeatIntervalMs: number
  /** The election deadline falls in [electionTimeoutMs, 2 × electionTimeoutMs), by the tick's jitter. ≥ 4 heartbeats. */
  readonly electionTimeoutMs: number
  /** After `peerDied` of the leader: the early round starts within [0, earlyElectionSpreadMs). */
  readonly earlyElectionSpreadMs: number
  /** Soft bound of one append's records; one entry may exceed it. */
  readonly sliceBytesMax: number
  readonly inflightSlicesMax: number
  readonly inflightBytesMax: number
  /** The three pools of a leader, in record bytes; proposals beyond are rejected as `busy` (driver/admission.ts). Not on our own disk: */
  readonly unwrittenBytesMax: number
  /** … not on a majority's disks: */
  readonly uncommittedBytesMax: number
  /** … committed, and not applied here. */
  readonly unappliedBytesMax: number
  /** A peer that lacks more applied entries than this gets files instead: above it they are faster than appends and applying them. Infinity = only where it must. */
  readonly snapshotLagEntries: number
  /** How far the cluster time may be moved at once without its own entry (rule 4). */
  readonly timeLeapMs: number
  /** A member that was removed hears of it and may serve its clients for so long; then it is cut off. */
  readonly farewellMs: number
}

/** What is wrong with the settings, one sentence each; none when they are fit for use. */
export function validateConfig(config: RaftConfig): readonly string[] {
  const problems: string[] = []
  const { id, first } = config
  const problem = first === undefined ? undefined : problemOfMembership(first)
  if (problem !== undefined) problems.push(problem)
  if (first !== undefined && memberOf(first, id) === undefined)
    problems.push(`node ${id} is not among the members ${first.members.map(member => member.id).join(', ')}`)
  if (!(config.heartbeatIntervalMs > 0)) problems.push(`heartbeatIntervalMs is ${config.heartbeatIntervalMs}, must be above 0`)
  if (config.electionTimeoutMs < heartbeatsPerTimeoutMin * config.heartbeatIntervalMs) {
    problems.push(`electionTimeoutMs is ${config.electionTimeoutMs}, must be at least ${heartbeatsPerTimeoutMin} heartbeat intervals`)
  }
  if (config.earlyElectionSpreadMs < 0 || config.earlyElectionSpreadMs > config.electionTimeoutMs) {
    problems.push(`earlyElectionSpreadMs is ${config.earlyElectionSpreadMs}, must be between 0 and electionTimeoutMs`)
  }
  for (const key of [
    'sliceBytesMax',
    'inflightSlicesMax',
    'inflightBytesMax',
    'unwrittenBytesMax',
    'uncommittedBytesMax',
    'unappliedBytesMax',
    'snapshotLagEntries',
    'timeLeapMs',
    'farewellMs',
  ] as const) {
    if (!(config[key] >= 1)) problems.push(`${key} is ${config[key]}, must be at least 1`)
  }
  return problems
}

const heartbeatsPerTimeoutMin = 4

/** What recovery found on disk. */
export interface RecoveredState {
  readonly hardState: HardState
  /** Everything below was compacted away; 1 for a whole log. */
  readonly firstIndex: LogIndex
  /** The last entry, all of which is durable. */
  readonly last: EntryId
  /** Of the whole log, ascending; where the log was compacted also of the entry before its first. */
  readonly runs: readonly TermRun[]
  /** All config entries of the log, ascending; before them the one in force at `firstIndex − 1`, if entries were dropped. */
  readonly memberships: readonly MembershipAt[]
  /** The state machine's checkpoint is at this index. */
  readonly appliedIndex: LogIndex
  /** Cluster time of the last entry: it never goes back. */
  readonly lastWallMs: number
  /**
   * A torn tail was cut off: what we acknowledged may be missing, so votes are conditional until a current leader has verified our log.
   * Whoever recovers keeps saying so on later starts until `RaftStatus.isVoteConditional` has been false once; and says so of a new directory too,
   * for what an earlier one of this node may have acknowledged is unknown. As long as such a directory has seen neither an entry nor a term, its vote
   * for an equally empty log is unconditional: so a new group begins without waiting for its last member.
   */
  readonly hasTornTail: boolean
  /** The hard state may be an older one than what was told: no vote and no campaign until a leader of a higher term is heard (rule 12). */
  readonly isVoteWithheld: boolean
  /**
   * The log has rotted: what is told here is the part before the first damage. The node recovers: it takes no part until `repaired` tells the rest.
   * `appliedIndex` may then lie beyond `last`.
   */
  readonly isRecovering: boolean
  /** Our own restart counter. */
  readonly incarnation: number
}
