/**
 * The two things the state needs of a disk, as interfaces. src/storage fits them structurally, without an import; src/node proves it by wiring them.
 */
import type { Digest } from './command.ts'
import type { Hash64, QueueId, QueueOffset, TopicId } from './ids.ts'

/** Where one message of a queue is, and what a pop needs to know of it. */
export interface QueueSlot {
  /** Entry of the send. */
  readonly logIndex: number
  /** Which message of that send. */
  readonly ordinal: number
  readonly tagHash: number
  /** 0/0 = no message group. */
  readonly messageGroup: Hash64
  /** Cluster time of the send. */
  readonly storedAtMs: number
  /** Bytes of the queue's messages before this one, in KiB, modulo 2^32: the difference of two slots is what lies between them. */
  readonly queueKiB: number
}

/**
 * (queue, offset) → slot. Derived: written by apply in the order of the log, never in LevelDB and never in the digest.
 * Rows are immutable. Reads are synchronous.
 */
export interface QueueIndex {
  /** `offset` is the queue's next. */
  append(topicId: TopicId, queueId: QueueId, offset: QueueOffset, slot: QueueSlot): void
  /** Asserts that the slot is there. */
  read(topicId: TopicId, queueId: QueueId, offset: QueueOffset): QueueSlot
  /** The topic is gone: its rows may be forgotten. */
  dropTopic(topicId: TopicId): void
}

/** The keys that changed since the last checkpoint, with their canonical bytes. */
export interface CheckpointBatch {
  /** Counts checkpoints, without gaps. */
  readonly number: number
  readonly appliedIndex: number
  readonly digest: Digest
  readonly puts: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
  readonly deletes: readonly Uint8Array[]
}

export interface LoadedCheckpoint {
  readonly number: number
  readonly appliedIndex: number
  readonly digest: Digest
  readonly rows: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
}

/** Rows of one consistent moment, some at a time. */
export interface CheckpointRows {
  /** Undefined rows: there are no more. `done` runs later. */
  next(done: (error: Error | undefined, rows: LoadedCheckpoint['rows'] | undefined) => void): void
  close(): void
}

/** The state's checkpoint on disk (rule 10). */
export interface CheckpointStore {
  /** One atomic, synced batch. One outstanding. An error is final. */
  save(batch: CheckpointBatch, done: (error: Error | undefined) => void): void
  /** The rows of the last saved checkpoint, whatever is saved while they are being read. Not to be called while a save is under way. */
  rows(): CheckpointRows
}
