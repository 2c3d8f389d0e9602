/** The hunt itself: a planted mutant is killed by name, and what kills it otherwise is called luck. All of them: `raftmq chaos mutants`. */
import { expect, it, vi } from 'vitest'
import { mutants } from './list.ts'
import { isExpected, type Mutant } from './mutant.ts'
import { huntMutant, repositoryRoot } from './run.ts'

/** Far above what a hunt takes; a shared machine may be slow. */
const timeoutMs = 300_000

function theMutant(id: string): Mutant {
  const mutant = mutants.find(other => other.id === id)
  if (mutant === undefined) throw new Error(`no mutant ${id}`)
  return mutant
}

it.each(['M01', 'M28', 'M47', 'M53', 'R26'])('%s is killed by a violation that belongs to it', { timeout: timeoutMs }, async id => {
  const mutant = theMutant(id)
  const hunt = await huntMutant(repositoryRoot(), mutant)
  expect(hunt.end, JSON.stringify(hunt.others)).toBe('killed')
  expect(isExpected(mutant.expected, { id: hunt.violation as 'A1', what: hunt.what ?? '' })).toBe(true)
})

it(
  'a mutant that a named test kills is killed where CI is set too, though reports go elsewhere there',
  { timeout: timeoutMs },
  async () => {
    vi.stubEnv('CI', 'true')
    const { end, violation } = await huntMutant(repositoryRoot(), theMutant('N141'))
    vi.unstubAllEnvs()
    expect({ end, violation }).toEqual({ end: 'killed', violation: 'test' })
  },
)

it('a mutant that only something unexpected has named was killed by luck', { timeout: timeoutMs }, async () => {
  const hunt = await huntMutant(repositoryRoot(), { ...theMutant('M47'), expected: ['A22'], seeds: 1 })
  expect(hunt.end).toBe('luck')
  expect(Object.keys(hunt.others)[0]).toContain('A49')
})

it('a mutant that does not load is an error, not a kill', { timeout: timeoutMs }, async () => {
  const broken = { ...theMutant('M47'), replace: 'this.#state.machine.apply(' }
  await expect(huntMutant(repositoryRoot(), broken)).rejects.toThrow('the hunt ended')
})
