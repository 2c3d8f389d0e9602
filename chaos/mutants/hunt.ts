/**
 * Runs in a mutated copy of the sources, as a process of its own: tries seeds until a promise is broken that names the mutant. The last line of its
 * output is the hunt as JSON.
 */
import { exit } from 'node:process'
import type { Profile } from '../profiles.ts'
import type { ViolationId } from '../violation.ts'
import { runSeed } from '../world.ts'
import type { Hunt } from './mutant.ts'

export interface HuntOrder {
  readonly id: string
  readonly profile: Profile
  readonly from: number
  readonly seeds: number
  readonly expected: readonly ViolationId[]
}

export function hunt(order: HuntOrder): Hunt {
  const startedMs = performance.now()
  const others = new Map<string, number>()
  let seedsRun = 0
  for (let seed = order.from; seed < order.from + order.seeds; seed += 1) {
    seedsRun += 1
    const { violation } = runSeed(seed, { profile: order.profile })
    if (violation === undefined) continue
    if (order.expected.includes(violation.id)) {
      const seconds = (performance.now() - startedMs) / 1_000
      return {
        id: order.id,
        isCaught: true,
        seed,
        violation: violation.id,
        what: violation.what,
        seedsRun,
        seconds,
        others: Object.fromEntries(others),
      }
    }
    const name = `${violation.id}: ${violation.what}`.slice(0, 120)
    others.set(name, (others.get(name) ?? 0) + 1)
  }
  const seconds = (performance.now() - startedMs) / 1_000
  return {
    id: order.id,
    isCaught: false,
    seed: undefined,
    violation: undefined,
    what: undefined,
    seedsRun,
    seconds,
    others: Object.fromEntries(others),
  }
}

const order = process.argv[2]
if (order !== undefined && import.meta.url.endsWith('hunt.ts') && process.argv[1]?.endsWith('hunt.ts') === true) {
  process.stdout.write(`${JSON.stringify(hunt(JSON.parse(order) as HuntOrder))}\n`)
  exit(0)
}
