/**
 * The bounds of the state. They belong to the feature level, not to a node's configuration: two replicas with different limits would
 * decide differently and part. Only tests give others.
 */
export interface StateLimits {
  /** Dead-letter topics do not count: there is at most one for each group. */
  readonly topicsMax: number
  readonly groupsMax: number
  /** Places: pairs of a consumer group and a topic it reads. */
  readonly placesMax: number
  readonly clientsMax: number
  /** Rows of one consumer group: delivered, waiting for redelivery, or blocked behind a FIFO lock. */
  readonly groupRowsMax: number
  /** The same over all groups. */
  readonly rowsMax: number
  readonly dedupeRowsMax: number
  readonly dedupeWindowMs: number
  /** Younger ids are never evicted, whatever the table's size: a client may still retry (rule 5). */
  readonly dedupeKeepMs: number
}

export const defaultLimits: StateLimits = {
  topicsMax: 10_000,
  groupsMax: 10_000,
  placesMax: 100_000,
  clientsMax: 50_000,
  groupRowsMax: 100_000,
  rowsMax: 2_000_000,
  dedupeRowsMax: 2_000_000,
  dedupeWindowMs: 120_000,
  dedupeKeepMs: 30_000,
}

/** A command whose first forwarding is further back than this is refused (rule 7). */
export const lateMs = 15_000
/** Deadlines that one entry may fire (rule 8). */
export const firedMax = 256
/** Index slots and ready rows that one pop may visit (rule 8). */
export const visitedMax = 512
/** How far a FIFO group's cursor may run past its first unfinished message of a queue (rule 8). */
export const fifoAheadMax = 1024
/** An auto-renewed delivery ends after this, whatever its client does (protocol reference §11.4). */
export const autoRenewMs = 3 * 3_600_000
/** A client without any connection to a live node is gone after this (rule 19); sooner when it said goodbye (feature-level.ts). */
export const clientGoneMs = 10_000
/** Every so many entries the digest is kept for comparison (rule 11). */
export const milestoneEntries = 1_000
/** So many milestones are kept. */
export const milestonesKept = 64
/** Queues, places and rows that one trim may touch; the leader proposes the rest again. */
export const trimmedMax = 4_096
/** Rows of deleted topics that one entry may clear away. */
export const clearedMax = 256
/** A customized retry table: the waits before the second, third … delivery (semantics reference §1.8). */
export const defaultRetryStepsMs: readonly number[] = [
  10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000, 600_000, 1_200_000, 1_800_000, 3_600_000,
  7_200_000,
]
export const defaultMaxAttempts = 17
