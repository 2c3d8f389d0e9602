/** Which state a node fetches from others, and until when. */
import { beforeEach, expect, test } from 'vitest'
import { MachineClock } from '../chaos/sim/clock.ts'
import { Scheduler } from '../chaos/sim/scheduler.ts'
import { nodeId, type NodeId } from '../raft/index.ts'
import { StateRescue } from '../src/node/state-rescue.ts'

let scheduler = new Scheduler()
let asked: NodeId[] = []
let appliedIndex = 190
let isLogWhole = true
let draw = 0
let rescue = aRescue()

function aRescue(wasSnapshotRefused = false): StateRescue {
  const machine = new MachineClock(scheduler, { wallStartMs: 1_000_000, monotonicStartMs: 0, driftPpm: 0 })
  return new StateRescue({
    clock: machine.forProcess(scheduler.newProcess('n1')),
    random: { next: () => draw },
    peers: () => [nodeId(2), nodeId(3), nodeId(4)],
    isConnectedTo: peer => peer !== nodeId(3),
    fetchFrom: peer => asked.push(peer),
    isLogWhole: () => isLogWhole,
    appliedIndex: () => appliedIndex,
    writtenIndex: () => 1_194,
    wasSnapshotRefused,
  })
}

beforeEach(() => {
  scheduler = new Scheduler()
  asked = []
  appliedIndex = 190
  isLogWhole = true
  draw = 0
  rescue = aRescue()
})

test('as long as the log gives the state nobody is asked, and no state of another node is wanted', () => {
  scheduler.runFor(2_000)
  expect(asked).toEqual([])
  expect(rescue.wants(900)).toBe(false)
})

test('a state from behind the place that the log can not pass is wanted, as far as the log reaches, from whoever is connected', () => {
  expect(rescue.begin(215)).toBe(true)
  expect(rescue.begin(215)).toBe(false)
  scheduler.runFor(900)
  expect(asked).toEqual([2, 4, 2, 4])
  expect([190, 215, 216, 1_194, 1_195].filter(index => rescue.wants(index))).toEqual([216, 1_194])
})

test('a place found later moves what is wanted', () => {
  rescue.begin(215)
  expect(rescue.begin(400)).toBe(true)
  expect(rescue.wants(300)).toBe(false)
  expect(rescue.wants(401)).toBe(true)
})

test('when the entries have come after all, nobody is asked any more', () => {
  rescue.begin(215)
  appliedIndex = 215
  scheduler.runFor(2_000)
  expect(asked).toEqual([])
  expect(rescue.wants(900)).toBe(false)
})

test('a log with a hole that nobody can fill is replaced, by a snapshot that is as far as it was itself and by no earlier one (seed 164)', () => {
  isLogWhole = false
  expect(rescue.replacesFrom).toBeUndefined()
  rescue.beginAnew(90)

  scheduler.runFor(900)
  expect(asked).toEqual([2, 4, 2, 4])
  expect(rescue.replacesFrom).toBe(90)
  expect(rescue.atLeast).toBe(90)
  expect(rescue.wants(100)).toBe(false)
})

test('a log that somebody has mended after all goes on, and nobody is asked any more', () => {
  isLogWhole = false
  rescue.beginAnew(90)
  isLogWhole = true
  expect(rescue.replacesFrom).toBeUndefined()
  scheduler.runFor(2_000)
  expect(asked).toEqual([])
  expect(rescue.atLeast).toBe(0)
})

test('whoever needs a state says from where on it helps', () => {
  expect(rescue.atLeast).toBe(0)
  rescue.begin(215)
  expect(rescue.atLeast).toBe(216)
})

test('a process begins with another one than the last did: who is asked first may have given what was of no use', () => {
  const first = [0, 0.34, 0.67].map(drawn => {
    draw = drawn
    asked = []
    rescue = aRescue()
    rescue.begin(215)
    scheduler.runFor(500)
    rescue.stop()
    return asked
  })
  expect(first).toEqual([
    [2, 4],
    [4, 2],
    [2, 4],
  ])
})

test('a snapshot is fetched from who offers it, and from any that is connected when the last one could not be installed', () => {
  const givers = (): NodeId[] => [0, 0.5, 0.99].map(drawn => ((draw = drawn), rescue.giverFor(nodeId(4))))
  expect(givers()).toEqual([4, 4, 4])
  rescue = aRescue(true)
  expect(givers()).toEqual([2, 4, 4])
})
