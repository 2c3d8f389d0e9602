/** A known mistake, as data: where it goes, and which broken promise must name it. */
import type { Profile } from '../profiles.ts'
import type { ViolationId } from '../violation.ts'

/** A kind of violation, or one assertion of the product by its code: a mistake that runs into it has been named just as well. */
export type Expected = ViolationId | `assertion:${string}`

export interface Edit {
  /** Path from the root of the repository. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly find: string
  readonly replace: string
}

/** A test of the repository, by its file and its whole name. */
export interface NamedTest {
  readonly file: string
  readonly name: string
}

export interface Mutant extends Edit {
  /** M-numbers are those of the harness reference's list of seeded bugs, R-numbers those of the Raft reference's; X are our own. */
  readonly id: string
  readonly what: string
  /** More places to change for the same mistake. */
  readonly also?: readonly Edit[]
  /** It counts as killed only when one of these is reported by some seed. Anything else is luck. Empty where a test kills it. */
  readonly expected: readonly Expected[]
  /**
   * Killed by this test, not by seeds: it must fail in the copy, by an assertion of its own. For mistakes whose harm no run of the world can show within
   * reason: formats, rare meetings of late messages, second lines of defence.
   */
  readonly test?: NamedTest
  /** The kind of seeds that show it best; `swarm` unless told. */
  readonly profile?: Profile
  /** Seeds that it may take; `seedsMax` unless told. */
  readonly seeds?: number
  /** Why it is not yet seen killed: then it is hunted only by name or with `--open`. A hole to be closed, or a proof to be written that there is none. */
  readonly open?: string
}

export const seedsMax = 100

export function editsOf(mutant: Mutant): readonly Edit[] {
  return [{ file: mutant.file, find: mutant.find, replace: mutant.replace }, ...(mutant.also ?? [])]
}

/** Whether this violation is one that belongs to the mutant. */
export function isExpected(expected: readonly Expected[], violation: { readonly id: ViolationId; readonly what: string }): boolean {
  if (expected.includes(violation.id)) return true
  const code = violation.what.split(':')[0] ?? ''
  return violation.id === 'assertion' && expected.includes(`assertion:${code}`)
}

/** What a hunt for a mutant came to. */
export interface Hunt {
  readonly id: string
  /** `killed` by an expected violation; by `luck`: seeds failed, none of them as expected; `survived`: no seed failed. */
  readonly end: 'killed' | 'luck' | 'survived'
  /** The seed that named it. */
  readonly seed: number | undefined
  readonly violation: string | undefined
  readonly what: string | undefined
  readonly seedsRun: number
  readonly seconds: number
  /** Seeds that failed with something that was not expected, by violation. */
  readonly others: Readonly<Record<string, number>>
}
