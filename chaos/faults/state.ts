/** Faults of what a node keeps besides its log. */
import { spread } from '../chance.ts'
import type { Fault, Target } from './fault.ts'
import { downMs, waitMs } from './times.ts'

/** LevelDB fails its checks and is thrown away (rule 10): the state comes from the log alone. */
export const loseState: Fault = {
  about: 'power cut of a node whose checkpoint of the state is found unusable',
  lastsMs: downMs,
  everyMs: [15_000, 40_000],
  strike: powers => {
    const up = powers.targets.filter(target => target.isUp)
    if (up.length === 0) return undefined
    const target = powers.random.pick(up)
    target.crash('power')
    target.loseCheckpoint()
    return () => powers.after(spread(powers.random, 1, 50), () => target.start())
  },
}

/**
 * A sector goes bad while the power is off. What the node has told stands in the other slot too (rule 12). Half of them lie in wait for a vote,
 * and come while it is being written.
 */
export const loseVoteSlot: Fault = {
  about: 'power cut of a node, one slot of whose hard state is found unreadable',
  lastsMs: waitMs,
  everyMs: [20_000, 60_000],
  strike: powers => {
    const { random } = powers
    const targets = powers.targets.filter(target => target.isUp)
    if (targets.length === 0) return undefined
    let isSprung = false
    const lose = (target: Target): void => {
      if (isSprung || !target.isUp) return
      isSprung = true
      target.crash('power')
      target.rotHardState(random.pick([0, 1] as const))
      powers.after(spread(random, 2, 400), () => target.start())
    }
    if (random.chance(500_000)) {
      lose(random.pick(targets))
      return () => undefined
    }
    return powers.watch((target, now, before) => {
      if (now.term > before.term && before.term > 0) powers.after(random.next() * 4 * powers.syncMs, () => lose(target))
    })
  },
}
