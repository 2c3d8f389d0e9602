import { expect, test } from 'vitest'
import { retryDelayMs } from './groups.ts'
import { group, hash, Replica, send, sound, withTopic } from './testing/replica.ts'

test('an expired delivery comes again with the next attempt and another handle; the old handle is stale', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [first] = replica.take('readers', 'orders')
  replica.pass(29_999)
  expect(replica.pop('readers', 'orders')).toEqual([])
  replica.pass(1)
  const [second] = replica.take('readers', 'orders')
  if (first === undefined || second === undefined) throw new Error('nothing came')
  expect(second).toMatchObject({ attempt: 2, ref: { offset: 0 } })
  expect(second.ref.deliverySequence).toBeGreaterThan(first.ref.deliverySequence)
  expect(replica.ack(first.ref)).toEqual(['staleHandle'])
  expect(replica.ack(second.ref)).toEqual(['ok'])
  expect(replica.ack(second.ref)).toEqual(['ok'])
  sound(replica)
})

test('a handle that was never made is stale', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2]))
  const [first] = replica.take('readers', 'orders', { max: 1 })
  if (first === undefined) throw new Error('nothing came')
  expect(replica.ack({ ...first.ref, offset: 1 as never })).toEqual(['staleHandle'])
  expect(replica.ack({ ...first.ref, deliverySequence: 50 })).toEqual(['staleHandle'])
  expect(replica.ack({ ...first.ref, consumerGroupId: 5 as never })).toEqual(['staleHandle'])
  replica.ack(first.ref)
  expect(replica.ack({ ...first.ref, deliverySequence: 50 })).toEqual(['staleHandle'])
})

test('an ack of one group touches no other group', () => {
  const replica = withTopic()
  replica.run(group('others', ['orders']))
  replica.run(send('orders', [1]))
  const [mine] = replica.take('readers', 'orders')
  const [theirs] = replica.take('others', 'orders')
  if (mine === undefined || theirs === undefined) throw new Error('nothing came')
  replica.ack(mine.ref)
  expect(replica.machine.delivery(theirs.ref)).toMatchObject({ isConfirmed: true })
  expect(replica.machine.place('others', 'orders')).toMatchObject({ inFlight: 1, acked: 0 })
})

test('after its last attempt a message goes to the dead letters and never comes from its topic again', () => {
  const replica = new Replica()
  replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 1 })
  replica.run(group('readers', ['orders'], {}, false, 2))
  replica.run(send('orders', [1]))
  for (const attempt of [1, 2]) {
    expect(replica.take('readers', 'orders')).toMatchObject([{ attempt }])
    replica.pass(30_000)
  }
  expect(replica.pop('readers', 'orders')).toEqual([])
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ dead: 1, inFlight: 0 })
  expect(replica.machine.topic('%DLQ%readers')).toMatchObject({ queueCount: 1, type: 'normal', appended: 1 })
  replica.run(group('sweepers', ['%DLQ%readers']))
  expect(replica.pop('sweepers', '%DLQ%readers')).toMatchObject([{ logIndex: 3, ordinal: 0, attempt: 1 }])
  sound(replica)
})

test('a client may send a message to the dead letters itself, and repeat that', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [delivery] = replica.take('readers', 'orders')
  if (delivery === undefined) throw new Error('nothing came')
  expect(replica.settle([{ kind: 'deadLetter', ref: delivery.ref }])).toEqual(['ok'])
  expect(replica.settle([{ kind: 'deadLetter', ref: delivery.ref }])).toEqual(['ok'])
  expect(replica.machine.topic('%DLQ%readers')?.appended).toBe(1)
})

test('a release makes a message visible at once and its attempt does not count', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [delivery] = replica.pop('readers', 'orders')
  if (delivery === undefined) throw new Error('nothing came')
  expect(replica.settle([{ kind: 'release', ref: delivery.ref }], 2)).toEqual(['staleHandle'])
  expect(replica.settle([{ kind: 'release', ref: delivery.ref }])).toEqual(['ok'])
  expect(replica.machine.takeWakes()).toContainEqual({ kind: 'place', consumerGroup: 'readers', topic: 'orders' })
  expect(replica.pop('readers', 'orders')).toMatchObject([{ attempt: 1 }])
})

test('a confirmed delivery cannot be released', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [delivery] = replica.take('readers', 'orders')
  if (delivery === undefined) throw new Error('nothing came')
  expect(replica.settle([{ kind: 'release', ref: delivery.ref }])).toEqual(['staleHandle'])
  expect(replica.machine.delivery(delivery.ref)).toMatchObject({ isConfirmed: true })
})

test('a nack of an auto-renewed delivery waits at least for the back-off of its group, a suspended one does not and does not count', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [first] = replica.take('readers', 'orders', { autoRenew: true })
  if (first === undefined) throw new Error('nothing came')
  replica.settle([{ kind: 'changeInvisible', ref: first.ref, invisibleMs: 5, suspend: false }])
  // The client's end does not cut the wait short.
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'terminated' }] })
  replica.pass(9_999)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.pass(1)
  const [second] = replica.take('readers', 'orders', { autoRenew: true, client: hash(2) })
  if (second === undefined) throw new Error('nothing came')
  expect(second.attempt).toBe(2)
  replica.settle([{ kind: 'changeInvisible', ref: second.ref, invisibleMs: 5, suspend: true }])
  replica.pass(5)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toMatchObject([{ attempt: 2 }])
  sound(replica)
})

test('a changed invisible time keeps the handle, and 0 makes the message visible at once', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [first] = replica.take('readers', 'orders')
  if (first === undefined) throw new Error('nothing came')
  replica.settle([{ kind: 'changeInvisible', ref: first.ref, invisibleMs: 600_000, suspend: false }])
  replica.pass(500_000)
  expect(replica.settle([{ kind: 'changeInvisible', ref: first.ref, invisibleMs: 0, suspend: false }])).toEqual(['ok'])
  expect(replica.pop('readers', 'orders')).toMatchObject([{ attempt: 2 }])
  expect(replica.ack(first.ref)).toEqual(['staleHandle'])
})

test('each attempt waits as long as its group says, after the last step as long as that', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  for (const delayMs of [10_000, 30_000, 30_000]) {
    const [delivery] = replica.take('readers', 'orders', { autoRenew: true })
    if (delivery === undefined) throw new Error('nothing came')
    replica.settle([{ kind: 'changeInvisible', ref: delivery.ref, invisibleMs: 5, suspend: false }])
    replica.pass(delayMs - 1)
    expect(replica.pop('readers', 'orders')).toEqual([])
    replica.pass(1)
  }
  expect(replica.pop('readers', 'orders')).toMatchObject([{ attempt: 4 }])
})

test('an exponential back-off ends at its maximum', () => {
  const retry = { kind: 'exponential', initialMs: 1_000, maxMs: 5_000, multiplier: 3 } as const
  expect([1, 2, 3, 4, 100].map(attempt => retryDelayMs(retry, attempt))).toEqual([1_000, 3_000, 5_000, 5_000, 5_000])
})

test('of several words on one delivery the last one says whether it counts', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [delivery] = replica.take('readers', 'orders')
  if (delivery === undefined) throw new Error('nothing came')
  for (const suspend of [true, false]) replica.settle([{ kind: 'changeInvisible', ref: delivery.ref, invisibleMs: 10, suspend }])
  replica.pass(10)
  expect(replica.pop('readers', 'orders')).toMatchObject([{ attempt: 2 }])
})

test('only the gateway that has a delivery in hands confirms or releases it', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [delivery] = replica.pop('readers', 'orders', {}, 2)
  if (delivery === undefined) throw new Error('nothing came')
  const { ref } = delivery
  expect(replica.settle([{ kind: 'release', ref }], 1)).toEqual(['staleHandle'])
  expect(replica.settle([{ kind: 'confirm', ref }], 1)).toEqual(['staleHandle'])
  expect(replica.settle([{ kind: 'release', ref }], 2)).toEqual(['ok'])
  expect(replica.pop('readers', 'orders')).toHaveLength(1)
})

test('the time of a dead letter is that of its death', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.wallMs += 3_600_000
  const deliveries = replica.take('readers', 'orders')
  replica.settle(deliveries.map(({ ref }) => ({ kind: 'deadLetter', ref })))
  const topicId = replica.machine.topic('%DLQ%readers')?.topicId
  if (topicId === undefined) throw new Error('no dead letters')
  expect(replica.machine.retention.slot(topicId, 0 as never, 0 as never).storedAtMs).toBe(replica.wallMs)
})
