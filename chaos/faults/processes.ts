/** Faults of processes and machines: power cuts, stops, pauses. */
import { spread } from '../chance.ts'
import type { Glance } from '../checkers/checker.ts'
import type { Fault, FaultPowers, Target } from './fault.ts'
import { isolate } from './links.ts'
import { cutMs, downMs, waitMs } from './times.ts'

/**
 * Most crashes are power cuts: they show all that a killed process would, and more. But only a killed process is missed at once.
 * Idle nodes have nothing unsynced, so most crashes wait for the next write somewhere and come within the few milliseconds that it takes.
 */
function crashes(
  powers: FaultPowers,
  targets: readonly Target[],
  how: 'power' | 'kill' = 'power',
  startSpreadMs = 0,
): (() => void) | undefined {
  const struck = targets.filter(target => target.isUp)
  if (struck.length === 0) return undefined
  const crash = (): void => {
    for (const target of struck) target.crash(how)
  }
  let unwatch = (): void => undefined
  if (powers.random.chance(atWritePpm)) {
    let isSprung = false
    unwatch = powers.watch((_target, now, before) => {
      if (isSprung || now.lastIndex <= before.lastIndex) return
      isSprung = true
      powers.after(powers.random.next() * 2 * powers.syncMs, crash)
    })
  } else crash()
  return () => {
    unwatch()
    for (const target of struck) {
      if (startSpreadMs === 0) target.start()
      else powers.after(powers.random.next() * startSpreadMs, () => target.start())
    }
  }
}

const atWritePpm = 700_000

function upTargets(powers: FaultPowers): readonly Target[] {
  return powers.targets.filter(target => target.isUp)
}

const killPpm = 300_000

export const crashLeader: Fault = {
  about: 'power cut of the leader, or a kill',
  lastsMs: downMs,
  strike: powers =>
    crashes(
      powers,
      [powers.leader()].filter(target => target !== undefined),
      powers.random.chance(killPpm) ? 'kill' : 'power',
    ),
}

export const crashNode: Fault = {
  about: 'power cut of any node, or a kill',
  lastsMs: downMs,
  strike: powers => {
    const up = upTargets(powers)
    return up.length === 0 ? undefined : crashes(powers, [powers.random.pick(up)], powers.random.chance(killPpm) ? 'kill' : 'power')
  },
}

export const crashPair: Fault = {
  about: 'power cut of two nodes at the same moment',
  lastsMs: downMs,
  strike: powers => crashes(powers, powers.random.shuffle(upTargets(powers)).slice(0, 2)),
}

/** They come back one by one, in any order. */
export const crashAll: Fault = {
  about: 'power cut of the whole group',
  lastsMs: downMs,
  strike: powers => crashes(powers, powers.random.shuffle(upTargets(powers)), 'power', 400),
}

/** A node that has just taken part in an election loses power a moment later, and is back while votes are still being asked for. */
export const crashVoter: Fault = {
  about: 'a node loses power just after it voted, and is back while the election still runs',
  lastsMs: waitMs,
  strike: powers => ambush(powers, (now, before) => now.term > before.term && before.term > 0),
}

/** A leader has just counted its votes: whoever gave one loses power before much else can be written, and must still know of it. */
export const crashVoters: Fault = {
  about: 'a leader has just been elected: all others lose power, and it is cut off',
  lastsMs: waitMs,
  strike: powers => {
    let isSprung = false
    return powers.watch((target, now, before) => {
      if (isSprung || now.role !== 'leader' || before.role === 'leader') return
      isSprung = true
      const mend = isolate(powers, target)
      powers.after(powers.random.next() * 2, () => {
        const voters = powers.targets.filter(other => other !== target && other.isUp)
        for (const voter of voters) voter.crash('power')
        powers.after(spread(powers.random, 2, 100), () => {
          for (const voter of voters) voter.start()
        })
      })
      powers.after(spread(powers.random, 500, 4_000), () => mend?.())
    })
  },
}

/** A node whose log was just cut back and written anew loses power within that write. */
export const crashRewriting: Fault = {
  about: 'a node loses power just after its log was cut back',
  lastsMs: waitMs,
  strike: powers => ambush(powers, now => now.rewroteFrom > 0),
}

/** A gateway dies with a batch half said: the client may have all of it, some of it or nothing, and the log does not know which. */
export const crashHandingOut: Fault = {
  about: 'a gateway dies just as it hands messages out',
  lastsMs: waitMs,
  strike: powers => {
    const { random } = powers
    let isSprung = false
    return powers.onHandOut(target => {
      if (isSprung) return
      isSprung = true
      powers.after(random.next() * 5, () => {
        if (!target.isUp) return
        target.crash(random.chance(500_000) ? 'kill' : 'power')
        powers.after(spread(random, 2, 4_000), () => target.start())
      })
    })
  },
}

/** Lies in wait for a moment, then crashes that node within a few milliseconds, and has it back soon. */
function ambush(powers: FaultPowers, isMoment: (now: Glance, before: Glance) => boolean): () => void {
  let isSprung = false
  return powers.watch((target, now, before) => {
    if (isSprung || !isMoment(now, before)) return
    isSprung = true
    powers.after(powers.random.next() * 4 * powers.syncMs, () => {
      if (!target.isUp) return
      target.crash('power')
      powers.after(spread(powers.random, 2, 400), () => target.start())
    })
  })
}

export const stopNode: Fault = {
  about: 'orderly stop and start',
  lastsMs: downMs,
  strike: powers => {
    const up = upTargets(powers)
    if (up.length === 0) return undefined
    const target = powers.random.pick(up)
    target.stop()
    return () => target.start()
  },
}

export const transferLeader: Fault = {
  about: 'the leader hands over, to anybody, dead or alive',
  lastsMs: () => [1, 1],
  strike: powers => {
    const leader = powers.leader()
    if (leader === undefined) return undefined
    leader.handOverTo(powers.random.pick(powers.targets).id)
    return () => undefined
  },
}

function pauses(target: Target | undefined): (() => void) | undefined {
  if (target === undefined || !target.isUp || target.isPaused) return undefined
  target.pause()
  return () => target.resume()
}

export const pauseNode: Fault = {
  about: 'the process stands still, then goes on as if nothing had been',
  lastsMs: cutMs,
  strike: powers => {
    const up = upTargets(powers)
    return up.length === 0 ? undefined : pauses(powers.random.pick(up))
  },
}

export const pauseLeader: Fault = {
  about: 'the leader stands still',
  lastsMs: cutMs,
  strike: powers => pauses(powers.leader()),
}

export const slowDisk: Fault = {
  about: 'every sync takes long',
  lastsMs: () => [200, 6_000],
  strike: powers => {
    const target = powers.random.pick(powers.targets)
    target.slowDisk(powers.random.pick([5, 20, 60]))
    return () => target.slowDisk(1)
  },
}

export const leaderDiskSlow: Fault = {
  about: "the leader's disk takes a good part of a second for every sync, for long",
  lastsMs: () => [10_000, 30_000],
  everyMs: [12_000, 40_000],
  strike: powers => {
    const target = powers.leader()
    target?.slowDisk(powers.random.pick([500, 900]) / powers.syncMs)
    return target && (() => target.slowDisk(1))
  },
}

export const leaderDiskHangs: Fault = {
  about: "the leader's disk takes many seconds for the next sync, and says nothing",
  lastsMs: () => [20, 2_000],
  strike: powers => {
    const target = powers.leader()
    target?.slowDisk(powers.random.pick([3_000, 12_000]) / powers.syncMs)
    return target && (() => target.slowDisk(1))
  },
}

export const clientCut: Fault = {
  about: 'a gateway that clients can not reach',
  lastsMs: () => [200, 6_000],
  strike: powers => {
    const target = powers.random.pick(powers.targets)
    if (target.isCutOff) return undefined
    target.isCutOff = true
    return () => {
      target.isCutOff = false
    }
  },
}

const hourMs = 3_600_000
const yearMs = 365 * 24 * hourMs

export const clockHour: Fault = {
  about: 'a calendar clock jumps by an hour',
  lastsMs: () => [500, 15_000],
  strike: powers => jumps([powers.random.pick(powers.targets)], powers.random.pick([hourMs, -hourMs])),
}

export const clockYearLeader: Fault = {
  about: 'the calendar clock of the leader jumps by a year',
  lastsMs: () => [500, 15_000],
  strike: powers => {
    const leader = powers.leader()
    return leader === undefined ? undefined : jumps([leader], powers.random.pick([yearMs, -yearMs]))
  },
}

export const clockMajority: Fault = {
  about: 'the calendar clocks of two nodes jump by an hour, together',
  lastsMs: () => [500, 15_000],
  strike: powers => jumps(powers.random.shuffle(powers.targets).slice(0, 2), powers.random.pick([hourMs, -hourMs])),
}

function jumps(targets: readonly Target[], byMs: number): () => void {
  for (const target of targets) target.jumpWall(byMs)
  return () => {
    for (const target of targets) target.jumpWall(-byMs)
  }
}
