/**
 * Rot, and disks that lie: what was synced is not what is read. It strikes one machine of the group only, the same one in the whole seed (`frail`), so that of no byte more
 * than one copy is harmed. The scrubber, a read or a start finds it.
 */
import { spread } from '../chance.ts'
import type { Fault, FaultPowers, Undo } from './fault.ts'
import { downMs, waitMs } from './times.ts'

export const rotAtWork: Fault = {
  about: 'a bit or a sector of a file rots while its node runs',
  lastsMs: () => [1, 1],
  everyMs: [3_000, 20_000],
  needs: ['frailDisk'],
  strike: ({ frail, random }) => (frail.isUp && frail.hasCopy && frail.rot(random) ? () => undefined : undefined),
}

export const rotAtRest: Fault = {
  about: 'a node goes down, and its next start finds a bit or a sector of a file rotten',
  lastsMs: downMs,
  everyMs: [6_000, 30_000],
  needs: ['frailDisk'],
  strike: powers => {
    const { frail, random } = powers
    if (!frail.isUp || !frail.hasCopy) return undefined
    frail.crash(random.chance(500_000) ? 'kill' : 'power')
    for (let i = random.integer(1, 3); i > 0; i -= 1) frail.rot(random)
    return () => powers.after(spread(random, 1, 50), () => frail.start())
  },
}

/** Waits until enough others hold all that the node has, then cuts its power. What its last sync of some file wrote is not there when it comes back. */
function liesOnce(powers: FaultPowers, isMisdirected: boolean): Undo | undefined {
  const { frail, random } = powers
  if (!frail.isUp) return undefined
  let isOver = false
  const look = (): void => {
    if (isOver || !frail.isUp) return
    if (!frail.isBackedUp) return powers.after(lookMs, look)
    frail.crash('power')
    frail.lie(random, isMisdirected)
    powers.after(spread(random, 2, 2_000), () => frail.start())
  }
  look()
  return () => {
    isOver = true
  }
}

const lookMs = 50

export const loseWrite: Fault = {
  about: 'a sync that was acknowledged has written nothing, as the next start finds',
  lastsMs: waitMs,
  everyMs: [5_000, 25_000],
  needs: ['lyingDisk'],
  strike: powers => liesOnce(powers, false),
}

export const misdirectWrite: Fault = {
  about: 'a sync that was acknowledged has written to another place of its file, as the next start finds',
  lastsMs: waitMs,
  everyMs: [5_000, 25_000],
  needs: ['lyingDisk'],
  strike: powers => liesOnce(powers, true),
}
