import { expect, test } from 'vitest'
import { playRandomHistory } from './random-cluster.ts'
import type { Profile } from './random-cluster.ts'

const profiles: readonly { readonly name: string; readonly seeds: number; readonly profile: Profile }[] = [
  { name: 'three voters', seeds: 150, profile: { voters: 3, steps: 1_500, areTearsAllowed: false } },
  { name: 'five voters', seeds: 80, profile: { voters: 5, steps: 2_000, areTearsAllowed: false } },
  { name: 'three voters whose disks may lose what was synced', seeds: 100, profile: { voters: 3, steps: 1_500, areTearsAllowed: true } },
  { name: 'five voters whose disks may lose what was synced', seeds: 40, profile: { voters: 5, steps: 2_000, areTearsAllowed: true } },
  { name: 'three voters and four that come and go', seeds: 150, profile: { voters: 3, spares: 4, steps: 2_000, areTearsAllowed: false } },
  { name: 'one voter and three that come and go', seeds: 60, profile: { voters: 1, spares: 3, steps: 1_500, areTearsAllowed: false } },
  { name: 'one voter', seeds: 20, profile: { voters: 1, steps: 500, areTearsAllowed: false } },
]

test.each(profiles)(
  '$name keep every promise of raft under random faults',
  ({ seeds, profile }) => {
    let elections = 0
    let commits = 0
    let reads = 0
    for (let seed = 1; seed <= seeds; seed++) {
      try {
        const history = playRandomHistory(seed, profile)
        elections += history.elections
        commits += history.commits
        reads += history.reads
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
    // A run that elected nobody and committed nothing proves nothing.
    expect(elections).toBeGreaterThan(seeds)
    expect(commits).toBeGreaterThan(seeds * 10)
    expect(reads).toBeGreaterThan(seeds * 5)
  },
  120_000,
)
