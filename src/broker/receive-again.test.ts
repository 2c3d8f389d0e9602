/** A receive that is made again, and one whose end could hide a batch: what an attempt has been given is what it gets. */
import { expect, test } from 'vitest'
import { FakeWorld, batchOf, codeOf, popKind, textsOf, worldWithGroup } from './testing/fake-world.ts'
import { hash64 } from './hash.ts'

/** Node 3 has delivered, and lags from then on: it has not heard of the message x. */
function worldWithLaggingNode(): FakeWorld {
  const world = worldWithGroup()
  const warm = world.receive(3, 't', { max: 1 })
  world.send(1, 't', 'warm')
  world.clock.advance(20)
  expect(textsOf(warm)).toEqual(['warm'])
  world.at(3).node.isHeld = true
  world.send(1, 't', 'x')
  world.clock.advance(20)
  return world
}

test('a repeated attempt gets the same messages, and the broken first stream does not take them away', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const asked = { attemptId: 'attempt', clientId: 'c' }
  const first = world.receive(3, 't', asked)
  world.clock.advance(20)
  const second = world.receive(3, 't', asked)
  world.clock.advance(20)
  expect(textsOf(second)).toEqual(['x'])
  batchOf(first).release()
  world.clock.advance(100)
  batchOf(second).confirm()
  const third = world.receive(2, 't', { pollMs: 1_000 })
  world.clock.advance(2_000)
  expect(codeOf(third)).toBe('messageNotFound')
})

test('an attempt that two pops served stays with the stream that has it', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  world.group.isCommitHeld = true
  const heard = world.receive(2, 't', { attemptId: 'attempt', clientId: 'c', pollMs: 10_000 })
  // The first pop's fate is open when patience ends, so a second one is made.
  world.clock.advance(2_600)
  world.group.releaseCommit()
  world.clock.advance(2)
  expect(textsOf(heard)).toEqual(['x'])
  batchOf(heard).confirm()
  world.clock.advance(100)
  expect(world.entries(popKind)).toBe(3)
  expect(world.at(1).machine.place('group', 't')).toMatchObject({ inFlight: 1, retrying: 0 })
  expect(world.at(1).machine.deliveriesOf(hash64('c'))).toMatchObject([{ isConfirmed: true, attempt: 1 }])
})

test('what a second pop brings for a receive that the first one has answered is for others', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.send(1, 't', 'y')
  world.clock.advance(20)
  world.group.isCommitHeld = true
  const heard = world.receive(2, 't', { max: 1, pollMs: 10_000 })
  world.clock.advance(2_600)
  world.group.releaseCommit()
  world.clock.advance(5)
  expect(textsOf(heard)).toEqual(['x'])
  expect(world.entries(popKind)).toBe(3)
  const other = world.receive(3, 't')
  world.clock.advance(50)
  expect(textsOf(other)).toEqual(['y'])
  expect(batchOf(other).read(0).attempt).toBe(1)
})

test('a receive repeated at a node that lags gets its messages when the node has caught up', () => {
  const world = worldWithLaggingNode()
  const asked = { attemptId: 'attempt', clientId: 'c' }
  const first = world.receive(2, 't', asked)
  world.clock.advance(20)
  expect(textsOf(first)).toEqual(['x'])
  const second = world.receive(3, 't', asked)
  world.clock.advance(20)
  world.group.release(3)
  world.clock.advance(20)
  expect(textsOf(second)).toEqual(['x'])
})

test('a repeated receive does not end with nothing while there is no leader, and gets its messages from the next one', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const asked = { attemptId: 'attempt', clientId: 'c', pollMs: 4_000 }
  const first = world.receive(2, 't', asked)
  world.clock.advance(20)
  expect(textsOf(first)).toEqual(['x'])
  world.group.elect(undefined)
  const hopeless = world.receive(2, 't', asked)
  // Longer than the patience of one pop.
  world.clock.advance(8_000)
  expect(codeOf(hopeless)).toBe('haNotAvailable')
  const second = world.receive(2, 't', asked)
  world.clock.advance(3_000)
  world.group.elect(3)
  world.clock.advance(50)
  expect(textsOf(second)).toEqual(['x'])
})

test('a receive that ends while there is no leader is not told that there is nothing: its batch may be in entries that have not come here', () => {
  const world = worldWithGroup()
  world.receive(2, 't', { attemptId: 'settled', clientId: 'c', pollMs: 10 })
  world.clock.advance(1_000)
  world.group.elect(undefined)
  const heard = world.receive(2, 't', { attemptId: 'attempt', clientId: 'c', pollMs: 4_000 })
  world.clock.advance(8_000)
  expect(codeOf(heard)).toBe('haNotAvailable')
  world.group.elect(3)
  const again = world.receive(2, 't', { attemptId: 'attempt', clientId: 'c', pollMs: 4_000 })
  world.clock.advance(8_000)
  expect(codeOf(again)).toBe('messageNotFound')
})

test('a receive that ends on a node that lags is not told that there is nothing before the node is up to date: it gets its batch', () => {
  const world = worldWithLaggingNode()
  const asked = { attemptId: 'attempt', clientId: 'c', pollMs: 5_000 }
  const first = world.receive(2, 't', asked)
  world.clock.advance(20)
  expect(textsOf(first)).toEqual(['x'])
  batchOf(first).confirm()
  world.clock.advance(100)
  // The answer is lost. Node 3 knows a leader, and has not applied the pop.
  const second = world.receive(3, 't', asked)
  world.clock.advance(5_200)
  expect(second.answer).toBeUndefined()
  world.group.release(3)
  world.clock.advance(20)
  expect(textsOf(second)).toEqual(['x'])
})

test('a receive that ends on a node that stays behind is told to ask elsewhere', () => {
  const world = worldWithLaggingNode()
  const heard = world.receive(3, 't', { attemptId: 'attempt', clientId: 'c', pollMs: 5_000 })
  world.clock.advance(10_000)
  expect(heard.answer?.kind).toBe('refused')
  expect(codeOf(heard)).not.toBe('messageNotFound')
})
