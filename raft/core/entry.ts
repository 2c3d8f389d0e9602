/**
 * What the core knows of entries: how many, how long, of which terms. It never sees a body: the driver keeps the bytes under a `ticket`
 * and the log storage keeps them on disk, so the core stays small, pure and fast however large messages are.
 */
import type { EntryId, LogIndex, Term } from './ids.ts'
import type { MembershipAt } from './membership.ts'

/** Kinds on disk and on the wire. */
export const EntryKind = { data: 1, noop: 2, config: 3, timeLeap: 4 } as const
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind]

/** Entries `firstIndex` up to the next run's first are of `term`. */
export interface TermRun {
  readonly firstIndex: LogIndex
  readonly term: Term
}

/**
 * A piece of a leader's log as it arrived from the wire, already checked by the driver: the records decode, their checksums hold, they chain,
 * their indexes run from `prev.index + 1` to `lastIndex`, and terms do not fall. An empty slice has `lastIndex === prev.index` and no runs.
 */
export interface LogSlice {
  readonly prev: EntryId
  readonly lastIndex: LogIndex
  /** Ascending; the first begins at `prev.index + 1`. */
  readonly runs: readonly TermRun[]
  /** The config entries in it, ascending. */
  readonly memberships: readonly MembershipAt[]
  readonly bytes: number
  /** `wallMs` of the last record; 0 for an empty slice. A later leader's stamps begin there (rule 4). */
  readonly lastWallMs: number
  /** The driver's handle for the records; the core passes it on in `AppendSlice` and never looks inside. */
  readonly ticket: number
}
