/** A known mistake, as data: where it goes, and which broken promise must name it. */
import type { Profile } from '../profiles.ts'
import type { ViolationId } from '../violation.ts'

export interface Mutant {
  /** M-numbers are those of the harness reference's list of seeded bugs. */
  readonly id: string
  readonly what: string
  /** Path from the root of the repository. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly find: string
  readonly replace: string
  /** More places to change for the same mistake. */
  readonly also?: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
  /** It counts as caught only when one of these is reported first by some seed. */
  readonly expected: readonly ViolationId[]
  /** The kind of seeds that show it best. */
  readonly profile: Profile
  /** Seeds that it may take. */
  readonly seeds: number
}

export interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export function editsOf(mutant: Mutant): readonly Edit[] {
  return [{ file: mutant.file, find: mutant.find, replace: mutant.replace }, ...(mutant.also ?? [])]
}

/** What a hunt for a mutant came to. */
export interface Hunt {
  readonly id: string
  readonly isCaught: boolean
  /** The seed that named it. */
  readonly seed: number | undefined
  readonly violation: string | undefined
  readonly what: string | undefined
  readonly seedsRun: number
  readonly seconds: number
  /** Seeds that failed with something that was not expected, by violation. */
  readonly others: Readonly<Record<string, number>>
}
