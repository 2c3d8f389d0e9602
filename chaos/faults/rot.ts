/**
 * Rot: what was synced is not what is read. It strikes one machine of the group only, the same one in the whole seed (`frail`), so that of no byte more
 * than one copy is harmed. The scrubber, a read or a start finds it.
 */
import { spread } from '../chance.ts'
import type { Fault } from './fault.ts'
import { downMs } from './times.ts'

export const rotAtWork: Fault = {
  about: 'a bit or a sector of a file rots while its node runs',
  lastsMs: () => [1, 1],
  everyMs: [3_000, 20_000],
  needs: ['frailDisk'],
  strike: ({ frail, random }) => (frail.isUp && frail.rot(random) ? () => undefined : undefined),
}

export const rotAtRest: Fault = {
  about: 'a node goes down, and its next start finds a bit or a sector of a file rotten',
  lastsMs: downMs,
  everyMs: [6_000, 30_000],
  needs: ['frailDisk'],
  strike: powers => {
    const { frail, random } = powers
    if (!frail.isUp) return undefined
    frail.crash(random.chance(500_000) ? 'kill' : 'power')
    for (let i = random.integer(1, 3); i > 0; i -= 1) frail.rot(random)
    return () => powers.after(spread(random, 1, 50), () => frail.start())
  },
}
