/** What one seed came to. Plain data: it travels between threads and into JSON. */
import type { FaultKind } from './faults/catalog.ts'
import type { LedgerCounts } from './ledger.ts'
import type { Mark } from './marks.ts'
import type { Profile } from './profiles.ts'
import type { TraceLine } from './trace.ts'
import type { ViolationId } from './violation.ts'

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
