/** Every mutant can be planted: the text that it changes stands in its file exactly once. That it is caught is another test's business. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mutants } from './list.ts'
import { editsOf } from './mutant.ts'
import { repositoryRoot } from './run.ts'

describe('the mutants', () => {
  it('are the ten that must be caught, each with its own name', () => {
    expect(mutants.map(mutant => mutant.id)).toEqual(['M01', 'M02', 'M07', 'M13', 'M28', 'M43', 'M46', 'M47', 'M66', 'prevCrc'])
  })

  it.each(mutants.map(mutant => [mutant.id, mutant] as const))('%s finds its place', (_id, mutant) => {
    for (const edit of editsOf(mutant)) {
      const text = readFileSync(join(repositoryRoot(), edit.file), 'utf8')
      expect(text.split(edit.find).length - 1, edit.file).toBe(1)
      expect(edit.replace).not.toBe(edit.find)
    }
    expect(mutant.expected.length).toBeGreaterThan(0)
  })
})
