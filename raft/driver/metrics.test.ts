import { describe, expect, it } from 'vitest'
import { Durations } from './metrics.ts'

describe('durations', () => {
  it('are nothing without samples, and the quantiles of the last thousand with them', () => {
    const durations = new Durations()
    expect(durations.quantiles()).toEqual({ p50Ms: 0, p99Ms: 0 })
    durations.add(5)
    expect(durations.quantiles()).toEqual({ p50Ms: 5, p99Ms: 5 })
    for (let i = 0; i < 10_000; i++) durations.add(1_000)
    for (let i = 0; i < 1_024; i++) durations.add(i)
    expect(durations.quantiles()).toEqual({ p50Ms: 512, p99Ms: 1_013 })
  })
})
