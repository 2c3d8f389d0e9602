import { expect, test } from 'vitest'
import { digestText } from './digest.ts'
import { newestLevel, oldestLevel } from './feature-level.ts'
import { StateHalt } from './machine.ts'
import { hash, MemoryCheckpoints, Replica, send, sound, withTopic } from './testing/replica.ts'

/** A client gets a message, says goodbye, and `afterMs` later another one asks. */
function comesBackAfter(replica: Replica, afterMs: number): boolean {
  replica.run(send('orders', [undefined]))
  replica.take('readers', 'orders', { autoRenew: true })
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'terminated' }] })
  replica.pass(afterMs)
  const [delivery] = replica.take('readers', 'orders', { client: hash(2) })
  if (delivery !== undefined) replica.ack(delivery.ref)
  replica.pass(60_000)
  for (const { ref } of replica.take('readers', 'orders', { client: hash(2) })) replica.ack(ref)
  return delivery !== undefined
}

test('a group begins at the oldest level and apply goes by its constants, whatever the build supports', () => {
  const replica = withTopic()
  expect(replica.machine.featureLevel).toBe(oldestLevel)
  expect(comesBackAfter(replica, 300)).toBe(false)
  expect(comesBackAfter(replica, 500)).toBe(true)
})

test('from the raise on apply goes by the constants of the new level', () => {
  const replica = withTopic()
  replica.run({ kind: 'raiseLevel', level: 2 })
  expect(replica.machine.featureLevel).toBe(2)
  expect(comesBackAfter(replica, 300)).toBe(true)
  expect(comesBackAfter(replica, 199)).toBe(false)
  sound(replica)
})

test('a raise to a level that the group has, or had, changes nothing', () => {
  const replica = withTopic()
  replica.run({ kind: 'raiseLevel', level: 2 })
  replica.run({ kind: 'raiseLevel', level: 1 })
  expect(replica.machine.featureLevel).toBe(2)
  expect(comesBackAfter(replica, 300)).toBe(true)
  replica.run({ kind: 'raiseLevel', level: 2 })
  expect(replica.machine.featureLevel).toBe(2)
})

test('a node that is capped below the newest level applies the same entries to the same state, up to the raise', () => {
  const [capped, newest] = [new Replica({}, newestLevel - 1), new Replica()]
  for (const replica of [capped, newest]) {
    replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 1 })
    comesBackAfter(replica, 300)
    comesBackAfter(replica, 600)
  }
  expect(digestText(capped.machine.digest())).toBe(digestText(newest.machine.digest()))
  expect(() => capped.run({ kind: 'raiseLevel', level: newestLevel })).toThrow(
    new StateHalt(
      'levelTooHigh',
      'this group is at feature level 2, this node supports level 1: start it with a build that supports level 2',
    ),
  )
})

test('a restart comes back at the level of its checkpoint, and a node that is capped below it does not start from it', () => {
  const replica = withTopic()
  const checkpoints = new MemoryCheckpoints()
  replica.run({ kind: 'raiseLevel', level: 2 })
  replica.restart(checkpoints)
  expect(replica.machine.featureLevel).toBe(2)
  expect(comesBackAfter(replica, 300)).toBe(true)
  const capped = new Replica({}, 1)
  checkpoints.save(replica.machine.takeCheckpoint())
  expect(() => capped.machine.restore(checkpoints.load())).toThrow(StateHalt)
})
