/**
 * Runs in a mutated copy of the sources, as a process of its own: tries seeds until a promise is broken that names the mutant. The last line of its
 * output is the hunt as JSON.
 */
import { exit } from 'node:process'
import type { Profile } from '../profiles.ts'
import { runSeed } from '../world.ts'
import { isExpected, type Expected, type Hunt } from './mutant.ts'

export interface HuntOrder {
  readonly id: string
  readonly profile: Profile
  readonly from: number
  readonly seeds: number
  readonly expected: readonly Expected[]
}

/** So many seeds that fail with something else, and nothing better will come. */
const luckMax = 8

export function hunt(order: HuntOrder): Hunt {
  const startedMs = performance.now()
  const others = new Map<string, number>()
  const end = (kind: Hunt['end'], seedsRun: number, seed?: number, violation?: { id: string; what: string }): Hunt => ({
    id: order.id,
    end: kind,
    seed,
    violation: violation?.id,
    what: violation?.what,
    seedsRun,
    seconds: (performance.now() - startedMs) / 1_000,
    others: Object.fromEntries(others),
  })
  let failed = 0
  let seedsRun = 0
  while (seedsRun < order.seeds && failed < luckMax) {
    const seed = order.from + seedsRun
    seedsRun += 1
    const { violation } = runSeed(seed, { profile: order.profile })
    if (violation === undefined) continue
    if (isExpected(order.expected, violation)) return end('killed', seedsRun, seed, violation)
    failed += 1
    const name = `${violation.id}: ${violation.what}`.slice(0, 160)
    others.set(name, (others.get(name) ?? 0) + 1)
  }
  return end(failed > 0 ? 'luck' : 'survived', seedsRun)
}

const order = process.argv[2]
if (order !== undefined && import.meta.url.endsWith('hunt.ts') && process.argv[1]?.endsWith('hunt.ts') === true) {
  process.stdout.write(`${JSON.stringify(hunt(JSON.parse(order) as HuntOrder))}\n`)
  exit(0)
}
