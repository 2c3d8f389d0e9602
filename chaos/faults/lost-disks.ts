/**
 * A whole data directory is lost: the machine comes back with an empty disk and the configuration that it had. Which losses the group can bear, and what else
 * may not happen meanwhile, is the world's to know (chaos/lost-disks.ts); what an operator does about it, the operator's.
 */
import { spread } from '../chance.ts'
import type { Fault, FaultPowers, Target } from './fault.ts'
import { downMs } from './times.ts'

/** Of a leader more is lost than of others: a third of the strikes try that first. */
function loseOne(powers: FaultPowers): Target | undefined {
  const { random } = powers
  const leader = random.chance(350_000) ? powers.leader() : undefined
  const targets = [...(leader === undefined ? [] : [leader]), ...random.shuffle(powers.targets)]
  return targets.find(target => target.loseDisk(random.chance(500_000) ? 'kill' : 'power'))
}

export const lostDisk: Fault = {
  about: 'a machine goes down, and its next start finds an empty disk',
  lastsMs: downMs,
  everyMs: [12_000, 40_000],
  needs: ['lostDisk'],
  strike: powers => {
    const target = loseOne(powers)
    return target && (() => target.start())
  },
}

const lookMs = 20

/** Lies in wait for a change of members, and strikes in the middle of it. */
export const lostDiskAmongChanges: Fault = {
  about: 'a machine loses its disk while members change',
  lastsMs: () => [2_000, 12_000],
  everyMs: [10_000, 30_000],
  needs: ['lostDisk', 'membership'],
  strike: powers => {
    const { random, operator } = powers
    const after = (delayMs: number, run: () => void): void => powers.after(delayMs, run)
    let isOver = false
    const strike = (): void => {
      if (isOver || !operator.isChanging) return
      const target = loseOne(powers)
      if (target !== undefined) after(spread(random, 20, 4_000), () => target.start())
      isOver = target !== undefined
    }
    const look = (): void => {
      if (isOver) return
      if (operator.isChanging) after(random.next() * 150, strike)
      after(operator.isChanging ? 200 : lookMs, look)
    }
    look()
    return () => {
      isOver = true
    }
  },
}
