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
  it('lately are what most of the last eight took: neither a few long ones nor a process that has just started make a disk slow (seed 530003)', () => {
    const durations = new Durations()
    for (let i = 0; i < 7; i++) durations.add(400)
    expect(durations.latelyMs()).toBe(0)
    for (let i = 0; i < 5; i++) durations.add(1)
    expect(durations.latelyMs()).toBe(1)
    for (let i = 0; i < 4; i++) durations.add(300 + i)
    expect(durations.latelyMs()).toBe(300)
  })
})
