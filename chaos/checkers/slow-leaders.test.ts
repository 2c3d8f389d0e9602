/** A leader with a slow disk has its time to hand over, and does it once. */
import { expect, it } from 'vitest'
import { Violation } from '../violation.ts'
import { Weather } from '../weather.ts'
import type { NodeView } from './checker.ts'
import { slowLeaders } from './slow-leaders.ts'

const slowSyncMs = 500
/** Fifteen seconds, and ten flushes. */
const boundMs = 15_000 + 10 * slowSyncMs

interface SlowWorld {
  readonly lead: (id: number) => void
  readonly wait: (ms: number) => void
  readonly trouble: () => void
  readonly look: () => void
}

function world(): SlowWorld {
  let nowMs = 100_000
  let leader = 1
  const weather = new Weather(() =>
    [1, 2, 3].map(
      id => ({ id, isUp: true, isPaused: false, isCutOff: false, isSlow: id === 1, diskSyncMs: id === 1 ? slowSyncMs : 1 }) as never,
    ),
  )
  const views = [1, 2, 3].map(id => ({
    id,
    get node() {
      return { raft: { role: id === leader ? 'leader' : 'follower' } }
    },
  })) as unknown as readonly NodeView[]
  const checker = slowLeaders(views, weather, 300, () => nowMs)
  return {
    lead: id => void (leader = id),
    wait: ms => void (nowMs += ms),
    trouble: () => weather.trouble(nowMs),
    look: () => checker.look(),
  }
}

it('who hands over in time is let pass, and who keeps the leadership is refused', () => {
  const kept = world()
  kept.look()
  kept.wait(boundMs)
  expect(() => kept.look()).not.toThrow()
  kept.wait(1)
  expect(() => kept.look()).toThrow(Violation)
  const handed = world()
  handed.look()
  handed.wait(8_000)
  handed.lead(2)
  handed.look()
  handed.wait(60_000)
  expect(() => handed.look()).not.toThrow()
})

it('a leadership that comes back, or goes on to a third, is refused, unless something else was wrong', () => {
  for (const next of [1, 3]) {
    const { lead, wait, look, trouble } = world()
    look()
    wait(8_000)
    lead(2)
    look()
    lead(next)
    expect(look).toThrow(Violation)
    trouble()
    expect(look).not.toThrow()
  }
})
