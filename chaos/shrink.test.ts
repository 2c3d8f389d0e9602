/** Shrinking finds the few that matter, keeps what it was given when nothing can go, and stops when it must. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { drawConfiguration } from './configuration.ts'
import { readRegression, writeRegression } from './regression-file.ts'
import { drawPlan } from './schedule.ts'
import { minimize, shrink } from './shrink.ts'

describe('minimize', () => {
  it('leaves exactly what is needed, in order', () => {
    const numbers = Array.from({ length: 300 }, (_, i) => i)
    const setting = fc.uniqueArray(fc.integer({ min: 0, max: 299 }), { maxLength: 6 })
    fc.assert(
      fc.property(setting, needed => {
        const fails = (items: readonly number[]): boolean => needed.every(item => items.includes(item))
        expect(minimize(numbers, fails, () => true)).toEqual([...needed].sort((left, right) => left - right))
      }),
    )
  })

  it('gives back a list that still fails when its time is over', () => {
    const numbers = Array.from({ length: 100 }, (_, i) => i)
    let left = 5
    const rest = minimize(
      numbers,
      items => items.includes(71),
      () => left-- > 0,
    )
    expect(rest).toContain(71)
    expect(rest.length).toBeLessThan(100)
  })
})

describe('shrink', () => {
  const configuration = drawConfiguration(4)
  const plan = drawPlan(configuration)

  it('drops items, features, clients and weather that the failure does not need', () => {
    const [wanted] = plan.slice(7)
    const small = shrink({ configuration, plan }, { fails: run => run.plan.includes(wanted as never), mayGoOn: () => true })
    expect(small.plan).toEqual([wanted])
    expect(small.configuration).toMatchObject({ producers: 1, consumerGroups: [], network: { lossShare: 0 } })
  })

  it('is written to a file and read back as it was', () => {
    const directory = mkdtempSync(join(tmpdir(), 'raftmq-shrink-'))
    try {
      const path = writeRegression(directory, { configuration, plan }, 'what broke')
      expect(readRegression(path)).toEqual({ what: 'what broke', profile: 'swarm', run: { configuration, plan } })
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
