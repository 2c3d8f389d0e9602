/** What one seed came to. Plain data: it travels between threads and into JSON. */
import type { FaultKind } from './faults/catalog.ts'
import type { LedgerCounts } from './ledger.ts'
import type { Mark } from './marks.ts'
import type { Profile } from './profiles.ts'
import type { TraceLine } from './trace.ts'
import { AssertionError } from '../src/platform/assert.ts'
import { Violation, type ViolationId } from './violation.ts'

export interface SeedOutcome {
  readonly seed: number
  readonly profile: Profile
  readonly violation:
    { readonly id: ViolationId; readonly what: string; readonly atMs: number; readonly stack: string | undefined } | undefined
  readonly hash: string
  readonly simulatedMs: number
  readonly events: number
  readonly committedEntries: number
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  readonly leaderChanges: number
  readonly leaderChangesWithSendsInFlight: number
  readonly counts: Readonly<LedgerCounts>
  readonly marks: Readonly<Partial<Record<Mark, number>>>
  /** Only when asked for. */
  readonly lines: readonly TraceLine[]
  readonly configuration: string
}

/** What ended a run, in a report's words: a promise that was broken, an assertion of the product, or something that nobody foresaw. */
export function causeOf(error: unknown): Omit<NonNullable<SeedOutcome['violation']>, 'atMs'> {
  if (error instanceof Violation) return { id: error.id, what: error.message, stack: undefined }
  if (error instanceof AssertionError) return { id: 'assertion', what: error.message, stack: error.stack }
  if (error instanceof Error) return { id: 'crash', what: `${error.name}: ${error.message}`, stack: error.stack }
  return { id: 'crash', what: String(error), stack: undefined }
}
