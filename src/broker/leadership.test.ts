import { expect, test } from 'vitest'
import { mustExist } from '../platform/assert.ts'
import type { Refusal } from './refusal.ts'
import type { LeaderTransferredAnswer } from './admin-requests.ts'
import { FakeWorld, type FakeWorldOptions } from './testing/fake-world.ts'

type Heard = { answer: LeaderTransferredAnswer | Refusal | undefined }

function transfer(world: FakeWorld, at: number, to: number | undefined, patienceMs = 1_000): Heard {
  const { leadership } = world.broker(at)
  return world.ask<LeaderTransferredAnswer>(reply => leadership.transfer({ to, deadlineMs: world.clock.nowMs() + patienceMs }, reply))
}

test('a hand-over can be asked for at any node, the leader or not', () => {
  const world = new FakeWorld()
  const first = transfer(world, 3, 2)
  world.clock.advance(10)
  expect(first.answer).toMatchObject({ kind: 'leaderTransferred', from: 1, to: 2 })
  const second = transfer(world, 2, 1)
  world.clock.advance(10)
  expect(second.answer).toMatchObject({ kind: 'leaderTransferred', from: 2, to: 1 })
})

test('without a name the best of the others gets it, and when that fails the next', () => {
  const world = new FakeWorld()
  world.group.setSilent(2, true)
  world.clock.advance(2_000)
  const heard = transfer(world, 1, undefined)
  world.clock.advance(10)
  expect(heard.answer).toMatchObject({ to: 3 })
})

test('a node that leads already, does not exist, or has nobody to hand over to says so', () => {
  const world = new FakeWorld()
  const own = transfer(world, 2, 1)
  const strange = transfer(world, 2, 9)
  world.clock.advance(5)
  expect(own.answer).toMatchObject({ from: 1, to: 1 })
  expect(strange.answer).toMatchObject({ code: 'badRequest' })
  for (const id of [2, 3]) world.group.setSilent(id, true)
  world.clock.advance(2_000)
  const alone = transfer(world, 1, undefined)
  world.clock.advance(5)
  expect(alone.answer).toMatchObject({ code: 'preconditionFailed' })
  world.group.elect(undefined)
  const headless = transfer(world, 1, 2)
  world.clock.advance(5)
  expect(headless.answer).toMatchObject({ code: 'haNotAvailable' })
})

test('a hand-over that another node won is not told to have come true', () => {
  const world = new FakeWorld()
  const heard = transfer(world, 1, 2)
  world.group.elect(3)
  world.clock.advance(10)
  expect(heard.answer).toMatchObject({ code: 'preconditionFailed', hint: 'node 3 leads now, not node 2' })
})

test('nobody that lags far behind is handed the leadership', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.setSilent(3, true)
  world.group.node(2).isHeld = true
  for (let i = 0; i < 1_010; i++) {
    world.send(1, 't', `m${i}`)
    world.clock.advance(2)
  }
  const heard = transfer(world, 1, undefined)
  world.clock.advance(10)
  expect(heard.answer).toMatchObject({ code: 'preconditionFailed', hint: 'no other node is reachable and caught up' })
})

test('a hand-over that fails is told with its reason, at the node that was asked, and the leader stays', () => {
  const world = new FakeWorld()
  world.group.node(1).transferFailure = 'deadline'
  const heard = transfer(world, 3, 2)
  world.clock.advance(10)
  expect(heard.answer).toMatchObject({ code: 'preconditionFailed', hint: 'node 2 did not take over: deadline' })
  expect(world.group.leader).toBe(1)
})

test('a wish that nobody answers ends at its deadline, with an open outcome', () => {
  const world = new FakeWorld()
  world.group.losesFrame = () => true
  const heard = transfer(world, 3, 2, 500)
  world.clock.advance(499)
  expect(heard.answer).toBeUndefined()
  world.clock.advance(2)
  expect(heard.answer).toMatchObject({ code: 'proxyTimeout' })
})

test('before a stop the leader hands over; others have nothing to do; with nobody to take it the stop goes on', () => {
  const world = new FakeWorld()
  const ends: string[] = []
  world.broker(2).leadership.handOver(1_000, () => ends.push('follower'))
  world.broker(1).leadership.handOver(1_000, () => ends.push('leader'))
  world.clock.advance(20)
  expect(ends).toEqual(['follower', 'leader'])
  expect(world.group.leader).not.toBe(1)
  const leader = mustExist(world.group.leader, 'leader')
  for (const { id } of world.group.nodes) if (id !== leader) world.group.cut(leader, id)
  world.broker(leader).leadership.handOver(1_000, () => ends.push('alone'))
  world.clock.advance(20)
  expect(ends).toEqual(['follower', 'leader', 'alone'])
})

test('a member of higher priority leads after it was well for the whole stable while, and only then', () => {
  const world = new FakeWorld(preferring({ 3: 10 }))
  world.clock.advance(4_000)
  expect(world.group.leader).toBe(1)
  // It falters once: the while begins anew.
  world.group.setSilent(3, true)
  world.clock.advance(2_000)
  world.group.setSilent(3, false)
  world.clock.advance(4_000)
  expect(world.group.leader).toBe(1)
  world.clock.advance(4_000)
  expect(world.group.leader).toBe(3)
  world.clock.advance(60_000)
  expect(world.group.leader).toBe(3)
})

test('equal priorities move nothing, and a target that fails is asked less and less often', () => {
  const calm = new FakeWorld(preferring({ 1: 5, 2: 5, 3: 5 }))
  calm.clock.advance(60_000)
  expect(calm.group.node(1).transfersAsked).toEqual([])
  const world = new FakeWorld(preferring({ 2: 1 }))
  world.group.node(1).transferFailure = 'deadline'
  world.clock.advance(30_000)
  const early = world.group.node(1).transfersAsked.length
  world.clock.advance(300_000)
  expect(early).toBeGreaterThanOrEqual(2)
  expect(world.group.node(1).transfersAsked.length).toBeLessThanOrEqual(early + 6)
})

test('a leader whose disk has become slow hands over to a member whose disk is well, and does not get it back while it is', () => {
  const world = new FakeWorld(preferring({ 1: 10 }))
  world.syncMs.set(1, 400)
  world.syncMs.set(2, 350)
  world.clock.advance(8_000)
  expect(world.group.leader).toBe(3)
  world.clock.advance(60_000)
  expect(world.group.leader).toBe(3)
  world.syncMs.set(1, 1)
  world.clock.advance(60_000)
  expect(world.group.leader).toBe(1)
})

test('one long sync moves nothing, nor does a disk that is no slower than the others', () => {
  const world = new FakeWorld()
  world.syncMs.set(1, 400)
  world.clock.advance(1_500)
  world.syncMs.set(1, 1)
  world.clock.advance(20_000)
  for (const id of [1, 2, 3]) world.syncMs.set(id, 400)
  world.clock.advance(20_000)
  world.syncMs.set(2, 5_000)
  world.clock.advance(20_000)
  expect(world.group.node(1).transfersAsked).toEqual([])
})

function preferring(priorities: Readonly<Record<number, number>>): FakeWorldOptions {
  return { priorities, preferLeaderAfterMs: 5_000 }
}
