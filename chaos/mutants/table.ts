/** What hunts came to, in words: one mutant, and all of them. */
import { seedsMax, type Hunt, type Mutant } from './mutant.ts'

export interface HuntsSummary {
  readonly hunted: number
  /** Not asked for, or not yet seen killed. */
  readonly leftOut: number
  readonly killed: number
  /** Something failed, but nothing that belongs to the mutant. */
  readonly byLuck: readonly string[]
  readonly survived: readonly string[]
  /** Of the killed ones. */
  readonly medianSeconds: number
  readonly slowest: string
  readonly slowestSeconds: number
  /** How many each violation has named. */
  readonly namedBy: Readonly<Record<string, number>>
}

export function tellHunts(hunts: readonly Hunt[], leftOut: number): HuntsSummary {
  const killed = hunts.filter(hunt => hunt.end === 'killed').sort((left, right) => left.seconds - right.seconds)
  const slowest = killed.at(-1)
  const namedBy = new Map<string, number>()
  for (const { violation = '' } of killed) namedBy.set(violation, (namedBy.get(violation) ?? 0) + 1)
  return {
    hunted: hunts.length,
    leftOut,
    killed: killed.length,
    byLuck: hunts.filter(hunt => hunt.end === 'luck').map(hunt => hunt.id),
    survived: hunts.filter(hunt => hunt.end === 'survived').map(hunt => hunt.id),
    medianSeconds: killed[killed.length >> 1]?.seconds ?? 0,
    slowest: slowest?.id ?? '',
    slowestSeconds: slowest?.seconds ?? 0,
    namedBy: Object.fromEntries([...namedBy].sort(([, left], [, right]) => right - left)),
  }
}

/** Two lines: the verdict, and the evidence. */
export function describeHunt(mutant: Mutant, hunt: Hunt): string {
  const { end, seedsRun, seconds } = hunt
  const head = `${hunt.id.padEnd(9)}${(end === 'luck' ? 'BY LUCK' : end === 'survived' ? 'SURVIVED' : 'killed').padEnd(9)}`
  const cost = `${String(seedsRun).padStart(4)} ${seedsRun === 1 ? 'seed ' : 'seeds'} ${seconds.toFixed(1).padStart(6)} s`
  const { profile = 'swarm', seeds = seedsMax, test } = mutant
  if (test !== undefined) {
    const found = end === 'killed' ? (hunt.violation ?? '').padEnd(10) : ' '.repeat(10)
    return `${head}${found}${' '.repeat(11)}${seconds.toFixed(1).padStart(6)} s  ${mutant.what}\n${' '.repeat(18)}${test.file}: ${hunt.what ?? `"${test.name}" passes`}`
  }
  if (end === 'killed') {
    return `${head}${(hunt.violation ?? '').padEnd(10)}${cost}  ${mutant.what}\n${' '.repeat(18)}seed ${hunt.seed ?? 0}, ${profile}: ${hunt.what ?? ''}`
  }
  const others = Object.entries(hunt.others).map(([what, count]) => `\n${' '.repeat(18)}${count} × ${what}`)
  return `${head}${' '.repeat(10)}${cost}  ${mutant.what} (expected ${mutant.expected.join(', ')} within ${seeds} seeds, ${profile})${others.join('')}`
}

export function describeHunts(summary: HuntsSummary): string {
  const { hunted, leftOut, killed, byLuck, survived, medianSeconds, slowest, slowestSeconds, namedBy } = summary
  const lines = [
    `${killed} of ${hunted} mutants killed; median ${medianSeconds.toFixed(1)} s, slowest ${slowest} with ${slowestSeconds.toFixed(1)} s`,
  ]
  lines.push(
    `named by ${Object.entries(namedBy)
      .map(([id, count]) => `${id} ${count}`)
      .join(', ')}`,
  )
  if (byLuck.length > 0) lines.push(`killed by luck: ${byLuck.join(', ')}`)
  if (survived.length > 0) lines.push(`survived: ${survived.join(', ')}`)
  if (leftOut > 0) lines.push(`${leftOut} left out: not asked for, or open (--open hunts these too)`)
  return lines.join('\n')
}
