/**
 * From outcomes to a verdict. Three of them: *valid*, *anomaly* (some seed broke a promise), *unknown* (nothing broke, but too little was tried:
 * a green run without changes of leader under load proves nothing).
 */
import { markNames, type Mark } from './marks.ts'
import type { SeedOutcome } from './outcome.ts'

/** Below this share of seeds with a change of leader while sends were in flight the verdict is unknown. */
export const failoverShareMin = 0.8
export const simulatedMsMin = 60_000
export const operationsMin = 200

export type Verdict = 'valid' | 'anomaly' | 'unknown'

/** Exit codes of the command. */
export const exitCodes = { valid: 0, anomaly: 1, usage: 2, harness: 3, unknown: 5 } as const

export interface FailedSeed {
  readonly seed: number
  readonly profile: string
  readonly id: string
  readonly what: string
  readonly atMs: number
  readonly replay: string
}

export interface Summary {
  readonly kind: 'summary'
  readonly verdict: Verdict
  /** Why the verdict is not valid; empty when it is. */
  readonly reasons: readonly string[]
  readonly seeds: number
  readonly simulatedHours: number
  readonly events: number
  readonly committedEntries: number
  readonly operations: number
  readonly leaderChanges: number
  readonly seedsWithFailoverUnderLoad: number
  readonly faults: Readonly<Record<string, number>>
  readonly sends: Readonly<{ ok: number; failed: number; unknown: number; retried: number; duplicateAnswers: number }>
  readonly deliveries: number
  readonly acks: number
  readonly marks: Readonly<Record<string, number>>
  readonly marksNotHit: readonly string[]
  readonly failed: readonly FailedSeed[]
  readonly wallSeconds: number
  readonly seedsPerSecond: number
  /** Simulated seconds in a second of this run, all threads together. */
  readonly timesRealTime: number
}

export function replayCommand(outcome: Pick<SeedOutcome, 'seed' | 'profile'>): string {
  return `npm run sim -- --seed ${outcome.seed}${outcome.profile === 'swarm' ? '' : ` --profile ${outcome.profile}`}`
}

/** Gathers outcomes as they come, in any order. */
export class Report {
  #seeds = 0
  #simulatedMs = 0
  #events = 0
  #entries = 0
  #operations = 0
  #leaderChanges = 0
  #withFailover = 0
  #tooShort = 0
  #deliveries = 0
  #acks = 0
  readonly #sends = { ok: 0, failed: 0, unknown: 0, retried: 0, duplicateAnswers: 0 }
  readonly #faults = new Map<string, number>()
  readonly #marks = new Map<string, number>()
  readonly #failed: FailedSeed[] = []

  add(outcome: SeedOutcome): void {
    this.#seeds += 1
    this.#simulatedMs += outcome.simulatedMs
    this.#events += outcome.events
    this.#entries += outcome.committedEntries
    this.#operations += outcome.counts.operations
    this.#leaderChanges += outcome.leaderChanges
    this.#deliveries += outcome.counts.deliveries
    this.#acks += outcome.counts.acks
    this.#sends.ok += outcome.counts.ok
    this.#sends.failed += outcome.counts.failed
    this.#sends.unknown += outcome.counts.unknown
    this.#sends.retried += outcome.counts.retriedSends
    this.#sends.duplicateAnswers += outcome.counts.duplicateAnswers
    if (outcome.leaderChangesWithSendsInFlight > 0) this.#withFailover += 1
    for (const [kind, count] of Object.entries(outcome.faults)) this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count)
    for (const [mark, count] of Object.entries(outcome.marks)) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + count)
    if (outcome.violation !== undefined) {
      const { id, what, atMs } = outcome.violation
      this.#failed.push({ seed: outcome.seed, profile: outcome.profile, id, what, atMs, replay: replayCommand(outcome) })
    } else if (outcome.simulatedMs < simulatedMsMin || outcome.counts.operations < operationsMin) this.#tooShort += 1
  }

  summary(wallSeconds: number): Summary {
    const reasons: string[] = []
    if (this.#failed.length > 0) reasons.push(`${this.#failed.length} of ${this.#seeds} seeds broke a promise`)
    if (this.#seeds === 0) reasons.push('no seed was run')
    else if (this.#withFailover < failoverShareMin * this.#seeds) {
      reasons.push(`only ${this.#withFailover} of ${this.#seeds} seeds had a change of leader with sends in flight`)
    }
    if (this.#tooShort > 0) reasons.push(`${this.#tooShort} seeds were shorter than 60 simulated seconds or ${operationsMin} operations`)
    const hit = (mark: Mark): boolean => this.#marks.has(mark)
    return {
      kind: 'summary',
      verdict: this.#failed.length > 0 ? 'anomaly' : reasons.length > 0 ? 'unknown' : 'valid',
      reasons,
      seeds: this.#seeds,
      simulatedHours: this.#simulatedMs / 3_600_000,
      events: this.#events,
      committedEntries: this.#entries,
      operations: this.#operations,
      leaderChanges: this.#leaderChanges,
      seedsWithFailoverUnderLoad: this.#withFailover,
      faults: sorted(this.#faults),
      sends: { ...this.#sends },
      deliveries: this.#deliveries,
      acks: this.#acks,
      marks: sorted(this.#marks),
      marksNotHit: markNames.filter(mark => !hit(mark)),
      failed: [...this.#failed].sort((left, right) => left.seed - right.seed),
      wallSeconds,
      seedsPerSecond: wallSeconds > 0 ? this.#seeds / wallSeconds : 0,
      timesRealTime: wallSeconds > 0 ? this.#simulatedMs / 1_000 / wallSeconds : 0,
    }
  }
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([, left], [, right]) => right - left))
}

/** One line on a seed that failed. */
export function describeFailure(failed: FailedSeed): string {
  return `seed ${failed.seed}: ${failed.id} after ${(failed.atMs / 1_000).toFixed(3)} s: ${failed.what}\n  replay: ${failed.replay}`
}

function operationsPerSecond({ operations, simulatedHours }: Summary): string {
  return simulatedHours === 0 ? '0' : (operations / (simulatedHours * 3_600)).toFixed(0)
}

/** What a handful of seeds does not meet, a night of them does. */
function marksLine({ marks, marksNotHit }: Summary): string {
  const hit = Object.keys(marks).length
  const met = `${hit} rare ${hit === 1 ? 'situation' : 'situations'} met`
  return marksNotHit.length === 0 ? met : `${met}, ${marksNotHit.length} not (normal with few seeds; --marks lists them)`
}

/** Words that go on in the next line, under where they began, where a line would be wider than `columns`. */
function folded(label: string, text: string, columns: number): string {
  const indent = ' '.repeat(label.length)
  const lines: string[] = []
  let line = label
  for (const word of text.split(' ')) {
    if (line.trim() !== '' && line !== label && line.length + 1 + word.length >= columns) {
      lines.push(line)
      line = indent
    }
    line += line === label || line === indent ? word : ` ${word}`
  }
  return [...lines, line].join('\n')
}

export interface SummaryStyle {
  /** What a line may be wide. */
  readonly columns?: number | undefined
  /** Each mark in a line of its own. */
  readonly listsMarks?: boolean | undefined
}

/** In one line, which fits behind whatever else was said. */
export function describeVerdict({ verdict, reasons }: Summary): string {
  return `verdict: ${verdict}${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`
}

/** The summary as people read it. */
export function describeSummary(summary: Summary, { columns = Infinity, listsMarks = false }: SummaryStyle = {}): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  const { sends } = summary
  const rows: (readonly [string, string])[] = [
    ['verdict', summary.verdict + (summary.reasons.length === 0 ? '' : ` (${summary.reasons.join('; ')})`)],
    ['seeds', `${summary.seeds}, ${summary.seedsPerSecond.toFixed(1)} a second`],
    [
      'simulated',
      `${summary.simulatedHours.toFixed(1)} hours (${Math.round(summary.timesRealTime)} × real time), ${summary.events} events, ${summary.committedEntries} committed entries`,
    ],
    [
      'operations',
      `${summary.operations} calls (${operationsPerSecond(summary)} in a simulated second): ${summary.deliveries} deliveries, ${summary.acks} acks`,
    ],
    [
      'messages',
      `${sends.ok} acknowledged, ${sends.unknown} unknown, ${sends.failed} refused; ${sends.retried} retries, ${sends.duplicateAnswers} recognised copies`,
    ],
    [
      'leaders',
      `${summary.leaderChanges} changes; sends were in flight at one in ${summary.seedsWithFailoverUnderLoad} of ${summary.seeds} seeds`,
    ],
    ['faults', list(summary.faults) || 'none'],
    ['marks', marksLine(summary)],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const marks = listsMarks ? [...Object.entries(summary.marks), ...summary.marksNotHit.map(name => [name, 'not met'] as const)] : []
  return [
    ...rows.map(([name, text]) => folded(`${name.padEnd(width)}  `, text, columns)),
    ...marks.map(([name, count]) => `  ${String(count).padStart(9)}  ${name}`),
  ].join('\n')
}
