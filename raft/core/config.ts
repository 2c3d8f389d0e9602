/** Settings of the core, checked once. Few on purpose; invalid combinations do not pass `validateConfig`. */
import type { EntryId, LogIndex, NodeId } from './ids.ts'
import type { HardState } from './output.ts'
import type { TermRun } from './entry.ts'

export interface RaftConfig {
  readonly id: NodeId
  /** All voters, ourselves included, ascending. */
  readonly voters: readonly NodeId[]
  readonly heartbeatIntervalMs: number
  /** The election deadline falls in [electionTimeoutMs, 2 × electionTimeoutMs), by the tick's jitter. ≥ 4 heartbeats. */
  readonly electionTimeoutMs: number
  /** After `peerDied` of the leader: the early round starts within [0, earlyElectionSpreadMs). */
  readonly earlyElectionSpreadMs: number
  /** Soft bound of one append's records; one entry may exceed it. */
  readonly sliceBytesMax: number
  readonly inflightSlicesMax: number
  readonly inflightBytesMax: number
  /** Proposals beyond this many uncommitted bytes are rejected as `busy`. */
  readonly uncommittedBytesMax: number
  /** How far the cluster time may be moved at once without its own entry (rule 4). */
  readonly timeLeapMs: number
}

/** What recovery found on disk. */
export interface RecoveredState {
  readonly hardState: HardState
  /** Everything below was compacted away; 1 for a whole log. */
  readonly firstIndex: LogIndex
  /** The last entry, all of which is durable. */
  readonly last: EntryId
  /** Of the whole log, ascending. */
  readonly runs: readonly TermRun[]
  /** The state machine's checkpoint is at this index. */
  readonly appliedIndex: LogIndex
  /** Cluster time of the last entry: it never goes back. */
  readonly lastWallMs: number
  /** A torn tail was cut off: what we acknowledged may be missing, so votes are conditional until a current leader has verified our log. */
  readonly hasTornTail: boolean
  /** The directory was empty: neither log nor hard state. Like a torn tail, except that our vote for an equally empty log is unconditional. */
  readonly isEmptyStart: boolean
  /** One of the two hard-state slots was unreadable: no vote and no campaign until a leader of a higher term is heard (rule 12). */
  readonly isVoteWithheld: boolean
  /** Our own restart counter. */
  readonly incarnation: number
}
