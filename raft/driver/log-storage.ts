/**
 * What the driver needs of a log on disk. Implemented by src/storage/commit-log.ts; the broker's CommitLog is this log.
 *
 * Two clocks run here. In memory, `appendOwn`, `appendSlice` and `truncateFrom` take effect at once: `lastId`, `read` and the next append see them.
 * On disk, they take effect in the same order when `flush` carries them out: one write (or few), then one fdatasync; a truncation zeroes the first
 * header after the new end and syncs that before anything is written behind it. Exactly one flush is outstanding.
 * The first error of a flush poisons the storage: every later flush fails with it.
 */
import type { EntryKind, TermRun } from '../core/entry.ts'
import type { EntryId, LogIndex, Term } from '../core/ids.ts'
import type { MembershipAt } from '../core/membership.ts'

/** The body of an entry to append: parts that will stand one behind the other. Lent until `appendOwn` has returned. */
export interface EntryBody {
  readonly parts: readonly Uint8Array[]
  /** Bytes of all parts. */
  readonly bytes: number
  /** CRC-32C over all parts, made where the body was made. */
  readonly crc: number
}

/** An entry as read back. `body` is a view of the storage's memory: valid until the call that handed it out returns to the event loop. */
export interface StoredEntry {
  readonly index: LogIndex
  readonly term: Term
  readonly kind: EntryKind
  /** Cluster time, written by the leader that made the entry. */
  readonly wallMs: number
  readonly body: Uint8Array
}

/** Whole records as they stand in the log, one behind the other. */
export interface RecordBlock {
  readonly prev: EntryId
  readonly lastIndex: LogIndex
  readonly runs: readonly TermRun[]
  readonly bytes: number
  /** Cluster time stamped into the last record. */
  readonly lastWallMs: number
  /** The records, in order, cut anywhere; together exactly `bytes`. Views of memory that is not written again. */
  readonly buffers: readonly Uint8Array[]
}

export type BlockCheck =
  /** `memberships`: of its config entries. */
  | { readonly kind: 'ok'; readonly block: RecordBlock; readonly memberships: readonly MembershipAt[] }
  /** A sentence about what is wrong with the bytes. */
  | { readonly kind: 'corrupt'; readonly problem: string }

export interface LogStorage {
  /** Everything below was deleted; 1 for a log that never was. */
  readonly firstIndex: LogIndex
  readonly lastId: EntryId
  /** Of what is in the log now. */
  readonly termRuns: readonly TermRun[]
  /** Record bytes of a body of this length: what `Propose.bytes` counts. */
  recordBytes(bodyBytes: number): number
  /** Stamps and appends entries `firstIndex …`, one for each body. Bodies are copied. */
  appendOwn(stamp: { term: Term; firstIndex: LogIndex; kind: EntryKind; wallMs: number }, bodies: readonly EntryBody[]): void
  /** Decodes and checks records from a peer: headers, CRCs, chain, running indexes, terms that do not fall, config entries that decode. Changes nothing. */
  checkBlock(prev: EntryId, bytes: Uint8Array): BlockCheck
  /** Appends a checked block's records from `fromIndex` on, verbatim. `fromIndex` is our last index + 1. Copied. */
  appendBlock(block: RecordBlock, fromIndex: LogIndex): void
  /** Drops everything from `index` on. Throws UnreadableEntry, with nothing dropped, when what stands before has rotted: the next start finds it. */
  truncateFrom(index: LogIndex): void
  /**
   * Whole segments that end below `index` go: from memory at once, from the disk in the background, the oldest first, each for good before the next.
   * The newest segment stays. Raises `firstIndex`, never beyond `index`.
   */
  trimTo(index: LogIndex): void
  /**
   * Records from `fromIndex`, at most about `bytesMax` but at least one; undefined when the log ends before it or begins after it. They end before one
   * that has rotted. Throws UnreadableEntry when the first one has.
   */
  readBlock(fromIndex: LogIndex, lastIndex: LogIndex, bytesMax: number): RecordBlock | undefined
  /** One entry, from memory or by a synchronous read. Asserts that the log holds it. Throws UnreadableEntry. */
  entry(index: LogIndex): StoredEntry
  /** Record bytes of the entries above `index`, about: never less, at most a few pages more. Reads nothing from the disk. */
  bytesBehind(index: LogIndex): number
  /** Bytes appended or truncations made that no flush has taken up yet. */
  readonly hasUnflushed: boolean
  /** Writes and syncs all that is pending now. `done` runs later, never inside this call. */
  flush(done: (error: Error | undefined) => void): void
  /** `failed` runs once, later, when the storage is poisoned by work of its own in the background: with no flush to fail, nobody else would hear of it. */
  whenPoisoned?(failed: (error: Error) => void): void
  /** An approximate durable mark for recovery (rule 3): the driver tells how far the log is durable; storage keeps it in the hard-state file every second or 16 MiB. */
  noteDurable(index: LogIndex): void
}

/** Thrown by a read: the entry is on this disk no more, or damaged. It was, so it is not missing: storage asks for it (`RepairStorage.wanted`). */
export class UnreadableEntry extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnreadableEntry'
  }
}

/** `mended`: nothing is wanted any more. `refused`: these records are not what belongs here; another peer may have them. */
export type SupplyOutcome = 'progress' | 'mended' | 'refused'

/**
 * Rot, and its repair from peers. Storage decides whether supplied records are what stood in the rotten place; the driver only asks and carries.
 * A log that was found rotten at the start ends, for the core, before the first hole until all is mended; one that rots later keeps its shape.
 */
export interface RepairStorage {
  /** What to ask peers for next. */
  readonly wanted: { readonly fromIndex: number; readonly lastIndex: number } | undefined
  /** The log is not whole since the start: the node takes no part. */
  readonly isRecovering: boolean
  /** As in RecoveredState, once the log is whole. */
  readonly memberships: readonly MembershipAt[]
  readonly hasTornTail: boolean
  /** The log, once it is whole, ends in a term that we have been in and our hard state does not know: it was lost, and perhaps a vote with it. */
  readonly isHardStateOld: boolean
  /** Cluster time of the last entry, once the log is whole. */
  readonly lastWallMs: number
  /** Whole records of a peer's log from `fromIndex` on. All up to `commitIndex` are committed there. Throws StorageError when the disk fails. */
  supply(fromIndex: number, bytes: Uint8Array, commitIndex: number): SupplyOutcome
  /** Nobody who is connected has what is wanted from here on: something else may be wanted first. */
  passOver?(fromIndex: number): void
  /** Forgets records that wait for a proof, which those that follow them may never bring; false when there are none. */
  startOver?(): boolean
}

/** Term and vote on disk (rule 12). Implemented by src/storage/hard-state.ts. */
export interface HardStateStorage {
  /** Writes one slot and syncs it: then `released` runs and what waits for the state may leave; the other slot follows by itself. In order; one outstanding. */
  save(state: { term: Term; votedFor: number | undefined }, released: (error: Error | undefined) => void): void
  /**
   * The core has lifted a reserve: `tail` when votes after a torn tail or in a new directory are unconditional again
   * (`RaftStatus.isVoteConditional` is false), `vote` when a withheld vote is free again. Storage forgets the cause, which until then outlives every restart.
   */
  trustRestored?(what: 'tail' | 'vote'): void
  /** As of the log: a write that nobody waits for (the durable mark) has failed. Once, later. */
  whenPoisoned?(failed: (error: Error) => void): void
}
