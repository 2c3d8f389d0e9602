/** Faults of the network between nodes. */
import { spread } from '../chance.ts'
import type { Fault, FaultPowers, Target } from './fault.ts'
import { cutMs, waitMs } from './times.ts'

/** Cuts the directed links, and gives back how they are mended. */
function cut(powers: FaultPowers, links: readonly (readonly [number, number])[]): () => void {
  for (const [from, to] of links) powers.disconnect(from, to)
  return () => {
    for (const [from, to] of links) powers.connect(from, to)
  }
}

export function isolate(powers: FaultPowers, target: Target | undefined): (() => void) | undefined {
  if (target === undefined) return undefined
  const others = powers.targets.filter(other => other !== target)
  return cut(
    powers,
    others.flatMap(other => [[target.id, other.id] as const, [other.id, target.id] as const]),
  )
}

export const isolateLeader: Fault = {
  about: 'nothing gets to the leader or from it',
  lastsMs: cutMs,
  strike: powers => isolate(powers, powers.leader()),
}

/** Lies in wait for the next leader, and cuts it off before anything of its term gets out. */
export const isolateNewLeader: Fault = {
  about: 'a leader is cut off at the moment it wins its election',
  lastsMs: waitMs,
  strike: powers => {
    let isSprung = false
    return powers.watch((target, now, before) => {
      if (isSprung || now.role !== 'leader' || before.role === 'leader') return
      isSprung = true
      const mend = isolate(powers, target)
      powers.after(spread(powers.random, 300, 5_000), () => mend?.())
    })
  },
}

export const isolateNode: Fault = {
  about: 'nothing gets to a node or from it',
  lastsMs: cutMs,
  strike: powers => isolate(powers, powers.random.pick(powers.targets)),
}

export const oneWay: Fault = {
  about: 'a node hears nothing, but is heard; or the other way round',
  lastsMs: cutMs,
  strike: powers => {
    const deaf = powers.random.pick(powers.targets)
    const others = powers.targets.filter(other => other !== deaf)
    const isMute = powers.random.chance(500_000)
    return cut(
      powers,
      others.map(other => (isMute ? ([deaf.id, other.id] as const) : ([other.id, deaf.id] as const))),
    )
  },
}

export const bridge: Fault = {
  about: 'two nodes see each other only through the third',
  lastsMs: cutMs,
  strike: powers => {
    const [left, right] = powers.random.shuffle(powers.targets)
    if (left === undefined || right === undefined) return undefined
    return cut(powers, [
      [left.id, right.id],
      [right.id, left.id],
    ])
  },
}

function pair(powers: FaultPowers): readonly [number, number] {
  const [left, right] = powers.random.shuffle(powers.targets)
  if (left === undefined || right === undefined) throw new Error('a group of one has no links')
  return [left.id, right.id]
}

export const reset: Fault = {
  about: 'all connections of two nodes break',
  lastsMs: () => [1, 1],
  strike: powers => {
    const [left, right] = pair(powers)
    powers.reset(left, right)
    return () => undefined
  },
}

export const resetStorm: Fault = {
  about: 'the connections of two nodes break every 200 ms',
  lastsMs: () => [1_000, 6_000],
  strike: powers => {
    let isOver = false
    const [left, right] = pair(powers)
    const again = (): void => {
      if (isOver) return
      powers.reset(left, right)
      powers.after(200, again)
    }
    again()
    return () => {
      isOver = true
    }
  },
}

export const lossyLink: Fault = {
  about: 'a third of the chunks is lost for a while',
  lastsMs: () => [200, 6_000],
  strike: powers => {
    const [left, right] = pair(powers)
    powers.weather(left, right, { lossShare: 0.3, extraDelayMs: 0 })
    return () => powers.weather(left, right, undefined)
  },
}

/** What TCP's own checksum lets through now and then. */
export const damagedLink: Fault = {
  about: 'bits are turned over on a link for a while',
  lastsMs: () => [200, 4_000],
  everyMs: [15_000, 40_000],
  strike: powers => {
    const [left, right] = pair(powers)
    powers.weather(left, right, { lossShare: 0, extraDelayMs: 0, flipShare: 0.02 })
    return () => powers.weather(left, right, undefined)
  },
}

export const slowLink: Fault = {
  about: 'a link is far away for a while',
  lastsMs: () => [200, 6_000],
  strike: powers => {
    const [left, right] = pair(powers)
    powers.weather(left, right, { lossShare: 0, extraDelayMs: powers.random.pick([20, 100, 400]) })
    return () => powers.weather(left, right, undefined)
  },
}
