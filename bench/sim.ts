/**
 * `npm run bench:sim`: how fast the simulated world is, on one core. Three rows: the swarm as the nights run it; two hundred client calls a simulated
 * second with all auditors; the same in lite mode. Measured in processor time of this process (compiler and collector included), so that a busy
 * machine blurs it little, after a few seeds that nobody counts: the nights run thousands.
 */
import type { Profile } from '../chaos/profiles.ts'
import { runSeed } from '../chaos/world.ts'

interface Row {
  readonly name: string
  readonly profile: Profile
  readonly isLite: boolean
  readonly seeds: number
}

const rows: readonly Row[] = [
  { name: 'swarm', profile: 'swarm', isLite: false, seeds: 20 },
  { name: 'load', profile: 'load', isLite: false, seeds: 6 },
  { name: 'load-lite', profile: 'load', isLite: true, seeds: 6 },
]
const firstSeed = 4_001
const warmUpSeeds = 4

for (const { name, profile, isLite, seeds } of rows) {
  for (let i = 1; i <= warmUpSeeds; i += 1) runSeed(firstSeed - i, { profile, isLite })
  const before = process.cpuUsage()
  let simulatedSeconds = 0
  let operations = 0
  let failed = 0
  for (let i = 0; i < seeds; i += 1) {
    const outcome = runSeed(firstSeed + i, { profile, isLite })
    simulatedSeconds += outcome.simulatedMs / 1_000
    operations += outcome.counts.operations
    if (outcome.violation !== undefined) failed += 1
  }
  const { user, system } = process.cpuUsage(before)
  const seconds = (user + system) / 1e6
  const row = {
    name,
    seeds,
    timesRealTime: Math.round(simulatedSeconds / seconds),
    operationsPerSimulatedSecond: Math.round(operations / simulatedSeconds),
    operationsPerSecond: Math.round(operations / seconds),
    seedsPerSecond: Number((seeds / seconds).toFixed(2)),
    failed,
  }
  console.log(JSON.stringify(row))
}
