/** Faults of what a node keeps besides its log. */
import { spread } from '../chance.ts'
import type { Fault } from './fault.ts'
import { downMs } from './times.ts'

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
