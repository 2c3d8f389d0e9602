/** Rolling upgrades and their undoing: nodes come back as another build, one at a time, while the others serve. */
import type { Fault, FaultPowers, Target } from './fault.ts'
import { waitMs } from './times.ts'

/**
 * Once all have been upgraded the group finalises by itself, and there is no way back: a node goes back only while another one has not been upgraded.
 * (Then a raise was never proposed: whenever one could have been, all were upgraded, and from there nobody can be the first to go back.)
 */
function canBeExchanged(target: Target, powers: FaultPowers): boolean {
  if (!target.isUp || target.isPaused) return false
  return target.isOldBuild || powers.targets.some(other => other !== target && other.isOldBuild)
}

/** The upgrade goes on to its end; and then an operator's mistake, and what a group that has finalised does about it: that node stops itself, with a sentence. */
export const buildTooOld: Fault = {
  about: 'a node is upgraded; or, when all are, started as the build before',
  lastsMs: () => [200, 3_000],
  everyMs: [3_000, 9_000],
  needs: ['oldBuilds'],
  strike: powers => {
    const up = powers.targets.filter(target => target.isUp)
    const old = up.filter(target => target.isOldBuild)
    const able = (old.length > 0 ? old : up).filter(target => !target.isPaused)
    if (able.length === 0) return undefined
    const target = powers.random.pick(able)
    target.isOldBuild = old.length === 0
    target.stop()
    return () => target.start()
  },
}

export const otherBuild: Fault = {
  about: 'a node is stopped and comes back as the next build, or as the one before',
  lastsMs: waitMs,
  everyMs: [3_000, 10_000],
  needs: ['oldBuilds'],
  strike: powers => {
    const able = powers.targets.filter(target => canBeExchanged(target, powers))
    if (able.length === 0) return undefined
    const target = powers.random.pick(able)
    target.isOldBuild = !target.isOldBuild
    target.stop()
    return () => target.start()
  },
}
