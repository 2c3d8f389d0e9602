/** Every mutant can be planted: the text that it changes stands in its file exactly once. That it is caught is another test's business. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mutants } from './list.ts'
import { editsOf, isExpected, type NamedTest } from './mutant.ts'
import { references } from './references.ts'
import { noSuchMutant, repositoryRoot } from './run.ts'

/** Shorter texts are no titles. */
const titleLengthMin = 8
const pad = (n: number): string => String(n).padStart(2, '0')

/** Whether a title in the test's file, its placeholders filled in, ends the full name; a transcript is its own title. */
function isThere({ file, name }: NamedTest): boolean {
  const path = join(repositoryRoot(), file)
  if (!existsSync(path)) return false
  if (name.endsWith('.txt')) return existsSync(join(dirname(path), 'scenarios', name))
  const literals = readFileSync(path, 'utf8').matchAll(/(['"`])((?:\\.|(?!\1).)+)\1/g)
  return [...literals].some(([, , title = '']) => {
    const fixed = title.split(/%[sdjio]|\$\{[^}]*\}|\$\w+/)
    if (fixed.join('').length < titleLengthMin) return false
    const pattern = fixed.map(text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')
    return new RegExp(`(^| )${pattern}$`).test(name)
  })
}

describe('the mutants', () => {
  it('have each a name of its own', () => {
    expect(new Set(mutants.map(mutant => mutant.id)).size).toBe(mutants.length)
  })

  it('answer both lists of the references, row by row, with mutants that there are', () => {
    const rows = [...Array.from({ length: 40 }, (_, i) => `R${pad(i + 1)}`), ...Array.from({ length: 72 }, (_, i) => `M${pad(i + 1)}`)]
    expect(Object.keys(references)).toEqual(rows)
    const known = new Set(mutants.map(mutant => mutant.id))
    const named = Object.values(references).flatMap(answer => (answer.kind === 'planted' ? answer.by : []))
    expect(named.filter(id => !known.has(id))).toEqual([])
  })

  it('are found near a name that is none of theirs, a few of them', () => {
    const ids = ['M01', 'M02', ...Array.from({ length: 12 }, (_, i) => `R1${pad(i)}`)]
    expect(noSuchMutant('M9', ids)).toBe('there is no mutant M9; near it: M01, M02')
    expect(noSuchMutant('R1x*', ids)).toMatch(/^there is no mutant R1x\*; near it: R100, .* and 4 more$/)
    expect(noSuchMutant('Q', ids)).toBe('there is no mutant Q; there are 14, from M01 to R111; M*, R* take many')
  })

  it('are named by what is expected: a kind of violation, or an assertion by its code', () => {
    const violation = { id: 'assertion', what: 'append-gap: 4, 3' } as const
    expect(isExpected(['assertion:append-gap'], violation)).toBe(true)
    expect(isExpected(['assertion:append'], violation)).toBe(false)
    expect(isExpected(['I12'], violation)).toBe(false)
    expect(isExpected(['I12'], { id: 'I12', what: 'an entry' })).toBe(true)
  })

  it.each(mutants.map(mutant => [mutant.id, mutant] as const))('%s finds its place', (_id, mutant) => {
    for (const edit of editsOf(mutant)) {
      const text = readFileSync(join(repositoryRoot(), edit.file), 'utf8')
      expect(text.split(edit.find).length - 1, edit.file).toBe(1)
      expect(edit.replace).not.toBe(edit.find)
    }
    if (mutant.test === undefined) expect(mutant.expected.length).toBeGreaterThan(0)
    else expect(isThere(mutant.test), `${mutant.test.file}: ${mutant.test.name}`).toBe(true)
  })
})
