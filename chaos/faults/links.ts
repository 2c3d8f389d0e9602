/** Faults of the network between nodes. */
import { spread } from '../chance.ts'
import type { FaultPowers, Strike, Target } from './fault.ts'

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

export const isolateLeader: Strike = powers => isolate(powers, powers.leader())

/** Lies in wait for the next leader, and cuts it off before anything of its term gets out. */
export const isolateNewLeader: Strike = powers => {
  let isSprung = false
  return powers.watch((target, now, before) => {
    if (isSprung || now.role !== 'leader' || before.role === 'leader') return
    isSprung = true
    const mend = isolate(powers, target)
    powers.after(spread(powers.random, 300, 5_000), () => mend?.())
  })
}

export const isolateNode: Strike = powers => isolate(powers, powers.random.pick(powers.targets))

export const oneWay: Strike = powers => {
  const deaf = powers.random.pick(powers.targets)
  const others = powers.targets.filter(other => other !== deaf)
  const isMute = powers.random.chance(500_000)
  return cut(
    powers,
    others.map(other => (isMute ? ([deaf.id, other.id] as const) : ([other.id, deaf.id] as const))),
  )
}

export const bridge: Strike = powers => {
  const [left, right] = powers.random.shuffle(powers.targets)
  if (left === undefined || right === undefined) return undefined
  return cut(powers, [
    [left.id, right.id],
    [right.id, left.id],
  ])
}

function pair(powers: FaultPowers): readonly [number, number] {
  const [left, right] = powers.random.shuffle(powers.targets)
  if (left === undefined || right === undefined) throw new Error('a group of one has no links')
  return [left.id, right.id]
}

export const reset: Strike = powers => {
  const [left, right] = pair(powers)
  powers.reset(left, right)
  return () => undefined
}

export const resetStorm: Strike = powers => {
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
}

export const lossyLink: Strike = powers => {
  const [left, right] = pair(powers)
  powers.weather(left, right, { lossShare: 0.3, extraDelayMs: 0 })
  return () => powers.weather(left, right, undefined)
}

export const slowLink: Strike = powers => {
  const [left, right] = pair(powers)
  powers.weather(left, right, { lossShare: 0, extraDelayMs: powers.random.pick([20, 100, 400]) })
  return () => powers.weather(left, right, undefined)
}
