/** The parts around the world: plans, payloads, traps, verdicts. */
import { describe, expect, it } from 'vitest'
import { drawConfiguration } from './configuration.ts'
import { markNames } from './marks.ts'
import type { SeedOutcome } from './outcome.ts'
import { profiles } from './profiles.ts'
import { describeSummary, describeVerdict, Report, replayCommand } from './report.ts'
import { drawPlan } from './schedule.ts'
import { bodyOf, encodeMessage, findBody, readBody } from './workloads/payload.ts'

const counts = {
  ok: 100,
  failed: 0,
  unknown: 2,
  retriedSends: 3,
  duplicateAnswers: 1,
  receives: 50,
  deliveries: 100,
  acks: 100,
  nacks: 0,
  forwards: 0,
  forgotten: 0,
  operations: 300,
}

function anOutcome(fields: Partial<SeedOutcome> = {}): SeedOutcome {
  return {
    seed: 1,
    profile: 'swarm',
    violation: undefined,
    hash: '0',
    simulatedMs: 60_000,
    events: 10,
    committedEntries: 10,
    faults: { crashLeader: 2 },
    leaderChanges: 2,
    leaderChangesWithSendsInFlight: 1,
    counts,
    marks: {},
    lines: [],
    configuration: '{}',
    ...fields,
  }
}

describe('configurations and plans', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(drawPlan(drawConfiguration(5))).toEqual(drawPlan(drawConfiguration(5)))
    expect(drawConfiguration(5)).not.toEqual(drawConfiguration(6))
  })

  it('strike in order, inside the storm, in every profile', () => {
    for (const profile of profiles) {
      for (let seed = 0; seed < 50; seed += 1) {
        const configuration = drawConfiguration(seed, profile)
        const plan = drawPlan(configuration)
        expect(plan.length).toBeGreaterThan(0)
        for (const [i, item] of plan.entries()) {
          expect(item.atMs).toBeGreaterThanOrEqual(plan[i - 1]?.atMs ?? configuration.calmMs)
          expect(item.atMs).toBeLessThanOrEqual(configuration.stormEndMs)
          expect(item.durationMs).toBeGreaterThan(0)
        }
      }
    }
  })
})

describe('payloads', () => {
  it('name their value, and nothing else does', () => {
    for (const length of [0, 16, 17, 200, 5_000]) {
      const message = encodeMessage({ topic: 'orders', messageId: 'm-1', tag: 'red', messageGroup: 'g', body: bodyOf(3, 77, length) })
      const body = findBody(message.bytes)
      expect(body).toEqual(message.bytes.subarray(message.body.start, message.body.end))
      expect(readBody(3, body as Uint8Array)).toEqual({ kind: 'value', value: 77 })
      expect(readBody(4, body as Uint8Array)).toEqual({ kind: 'foreign' })
    }
    expect(readBody(3, Uint8Array.of(1, 2, 3))).toEqual({ kind: 'foreign' })
  })

  it('show a single flipped bit', () => {
    const body = bodyOf(3, 77, 100)
    for (let i = 16; i < body.length; i += 1) {
      body[i] = (body[i] ?? 0) ^ 0x10
      expect(readBody(3, body)).toEqual({ kind: 'damaged', value: 77 })
      body[i] = (body[i] ?? 0) ^ 0x10
    }
  })
})

describe('the verdict', () => {
  it('is valid when enough was tried and nothing broke', () => {
    const report = new Report()
    for (let i = 0; i < 10; i += 1) report.add(anOutcome({ leaderChangesWithSendsInFlight: i < 8 ? 1 : 0 }))
    expect(report.summary(2)).toMatchObject({ verdict: 'valid', seeds: 10, seedsPerSecond: 5, marksNotHit: markNames })
  })

  it('is unknown without changes of leader under load, with short seeds, and with none at all', () => {
    const calm = new Report()
    for (let i = 0; i < 10; i += 1) calm.add(anOutcome({ leaderChangesWithSendsInFlight: i < 7 ? 1 : 0 }))
    expect(calm.summary(1).verdict).toBe('unknown')
    const short = new Report()
    short.add(anOutcome({ simulatedMs: 59_000 }))
    expect(short.summary(1).verdict).toBe('unknown')
    expect(new Report().summary(1).verdict).toBe('unknown')
  })

  it('is told again in a line of its own; rare situations that few seeds do not meet are a number, and a list on demand', () => {
    const report = new Report()
    report.add(anOutcome({ marks: { 'the cluster time leapt': 2 } }))
    const summary = report.summary(1)
    expect(describeVerdict(summary)).toBe('verdict: valid')
    const short = describeSummary(summary)
    expect(short).toContain(`1 rare situation met, ${summary.marksNotHit.length} not (normal with few seeds; --marks lists them)`)
    expect(short).not.toContain('the cluster time leapt')
    const long = describeSummary(summary, { listsMarks: true })
    expect(long).toContain('        2  the cluster time leapt')
    expect(long).toContain('  not met  all nodes were down at once')
    expect(describeVerdict(new Report().summary(1))).toBe('verdict: unknown (no seed was run)')
  })

  it('is an anomaly as soon as one seed broke a promise, and says how to see it again', () => {
    const report = new Report()
    report.add(anOutcome())
    const violation = { id: 'A1', what: 'value 3 is gone', atMs: 1_500, stack: undefined } as const
    report.add(anOutcome({ seed: 9, profile: 'power', violation }))
    expect(report.summary(1)).toMatchObject({
      verdict: 'anomaly',
      failed: [{ seed: 9, id: 'A1', replay: 'npm run sim -- --seed 9 --profile power' }],
    })
    expect(replayCommand({ seed: 4, profile: 'swarm' })).toBe('npm run sim -- --seed 4')
  })
})
