/** Each trap bites, by whatever way one comes to it, and is gone afterwards. */
import { createHash, getRandomValues, randomUUID } from 'node:crypto'
import { openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { traps, withTraps } from './trap.ts'

const caught = /was called inside a simulated world/

describe('traps', () => {
  it.each(traps.map(trap => [trap.name, trap] as const))('%s throws', (_name, { holder, key }) => {
    const before = holder[key]
    expect(() => withTraps(() => (holder[key] as () => unknown)())).toThrow(caught)
    expect(holder[key]).toBe(before)
  })

  it('stand where functions were imported by name', () => {
    for (const attempt of [
      () => openSync('/dev/null', 'r'),
      () => readFileSync('/dev/null'),
      () => readFile('/dev/null'),
      () => connect(1),
      () => randomUUID(),
      () => getRandomValues(new Uint8Array(1)),
    ]) {
      expect(() => withTraps<unknown>(attempt)).toThrow(caught)
    }
  })

  it('let a date be made from a number, and none from the clock', () => {
    expect(withTraps(() => new Date(1_000).toISOString())).toBe('1970-01-01T00:00:01.000Z')
    expect(withTraps(() => Date.UTC(2026, 0, 1))).toBe(Date.UTC(2026, 0, 1))
    expect(() => withTraps(() => new Date())).toThrow(/new Date was called/)
    expect(() => withTraps(() => Date.now())).toThrow(/Date.now was called/)
  })

  it('leave alone what is always the same, and are gone afterwards, also when something threw', () => {
    expect(withTraps(() => createHash('md5').update('a').digest('hex'))).toBe('0cc175b9c0f1b6a831c399e269772661')
    expect(() =>
      withTraps(() => {
        throw new Error('mine')
      }),
    ).toThrow('mine')
    expect(Date.now()).toBeGreaterThan(0)
    expect(Math.random()).toBeLessThan(1)
    expect(randomUUID()).toHaveLength(36)
    expect(readFileSync('/dev/null')).toHaveLength(0)
  })
})
