/** The mutants. A change of the product that moves one of the texts fails chaos/mutants/mutants.test.ts: then the mutant moves with it. */
import type { Mutant } from './mutant.ts'

export const mutants: readonly Mutant[] = []
