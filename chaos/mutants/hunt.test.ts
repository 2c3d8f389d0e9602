/** Every mutant is caught: planted in a copy of the sources, it is named by a violation that belongs to it, within its budget of seeds. */
import { expect, it } from 'vitest'
import { mutants } from './list.ts'
import { huntMutant, repositoryRoot } from './run.ts'

/** Far above what a hunt takes; a shared machine may be slow. */
const timeoutMs = 900_000

it.each(mutants.map(mutant => [mutant.id, mutant.what, mutant] as const))('%s: %s', { timeout: timeoutMs }, async (_id, _what, mutant) => {
  const hunt = await huntMutant(repositoryRoot(), mutant)
  expect(hunt.isCaught, JSON.stringify(hunt.others)).toBe(true)
  expect(mutant.expected).toContain(hunt.violation)
})
