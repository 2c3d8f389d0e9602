import { expect, test } from 'vitest'
import { finalizeUpgrade } from './finalize-upgrade.ts'
import type { UpgradeFinalizedAnswer } from './admin-requests.ts'
import { codeOf, FakeWorld, type FakeWorldOptions } from './testing/fake-world.ts'

/** A group with a topic whose members have all been started as the next build. */
function upgraded(except: readonly number[] = [], options: FakeWorldOptions = {}): FakeWorld {
  const world = new FakeWorld(options)
  world.createTopic('t')
  for (const node of world.group.nodes) if (!except.includes(node.id)) node.featureLevelMax = 2
  return world
}

const finalize = (world: FakeWorld, node: number) =>
  world.ask<UpgradeFinalizedAnswer>(reply => finalizeUpgrade(world.broker(node), { deadlineMs: world.clock.nowMs() + 2_500 }, reply))

test('a new group takes the newest level by itself, as soon as every member is there', () => {
  const world = new FakeWorld()
  for (const node of [1, 2]) world.group.node(node).featureLevelMax = 2
  world.clock.advance(1_000)
  expect(world.at(1).machine.featureLevel).toBe(1)
  world.group.node(3).featureLevelMax = 2
  world.clock.advance(1_000)
  expect(world.gateways.map(({ machine }) => machine.featureLevel)).toEqual([2, 2, 2])
})

test('a group with topics waits for its operator', () => {
  const world = upgraded()
  world.clock.advance(30_000)
  expect(world.at(1).machine.featureLevel).toBe(1)
})

test('a group that is configured so goes up as soon as the last member supports it, and not before', () => {
  const world = upgraded([3], { finalizesUpgrades: true })
  world.clock.advance(30_000)
  expect(world.at(1).machine.featureLevel).toBe(1)
  world.group.node(3).featureLevelMax = 2
  world.clock.advance(1_000)
  expect(world.gateways.map(({ machine }) => machine.featureLevel)).toEqual([2, 2, 2])
})

test('any node finalises, once every member supports the next level; again is no harm', () => {
  const world = upgraded()
  const first = finalize(world, 3)
  world.clock.advance(20)
  expect(first.answer).toEqual({ kind: 'upgradeFinalized', before: 1, level: 2 })
  expect(world.at(3).machine.featureLevel).toBe(2)
  const again = finalize(world, 2)
  world.clock.advance(20)
  expect(again.answer).toEqual({ kind: 'upgradeFinalized', before: 2, level: 2 })
})

test('an upgrade that a member has not seen is not finalised, and the answer names it', () => {
  const world = upgraded([2])
  const answer = finalize(world, 1)
  world.clock.advance(20)
  expect(codeOf(answer)).toBe('preconditionFailed')
  expect(answer.answer).toMatchObject({ hint: expect.stringContaining('n2') as string })
  expect(world.at(1).machine.featureLevel).toBe(1)
})

test('an upgrade is not finalised while a member is away: it may come back as the build before', () => {
  const world = upgraded()
  world.group.cut(1, 3)
  const answer = finalize(world, 1)
  world.clock.advance(20)
  expect(codeOf(answer)).toBe('preconditionFailed')
  expect(world.at(1).machine.featureLevel).toBe(1)
})
