import { expect, test } from 'vitest'
import { fifoSend, hash, MemoryCheckpoints, message, offsets, Replica, send, sound, withTopic } from './testing/replica.ts'

test('a message that comes again within the window is answered with its first place', () => {
  const replica = withTopic(4)
  const first = replica.run(send('orders', [1]))
  replica.pass(119_000)
  const again = replica.run(send('orders', [1, 2]))
  expect(first).toMatchObject({ messages: [{ queueId: 0, offset: 0, isDuplicate: false }] })
  expect(again).toMatchObject({
    messages: [
      { queueId: 0, offset: 0, isDuplicate: true },
      { queueId: 1, offset: 0, isDuplicate: false },
    ],
  })
  replica.pass(2_000)
  expect(replica.run(send('orders', [1]))).toMatchObject({ messages: [{ isDuplicate: false }] })
  sound(replica)
})

test('an equal message id with another fingerprint is another message, and counted', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const other = send('orders', [], { messages: [message(1, { fingerprint: hash(99) })] })
  expect(replica.run(other)).toMatchObject({ messages: [{ offset: 1, isDuplicate: false }] })
  expect(replica.run(other)).toMatchObject({ messages: [{ offset: 1, isDuplicate: true }] })
  expect(replica.run(send('orders', [1]))).toMatchObject({ messages: [{ offset: 0, isDuplicate: true }] })
  expect(replica.machine.sizes().idCollisions).toBe(1)
})

test('one id for all messages of a client: each is known until it is too old, and the next is counted against the youngest', () => {
  const replica = withTopic()
  const other = (fingerprint: number) => send('orders', [], { messages: [message(1, { fingerprint: hash(fingerprint) })] })
  for (const fingerprint of [10, 11, 12]) {
    replica.run(other(fingerprint))
    replica.pass(50_000)
  }
  // 10 has left the window of 120 s, 11 and 12 have not.
  expect(replica.run(other(11))).toMatchObject({ messages: [{ offset: 1, isDuplicate: true }] })
  expect(replica.run(other(12))).toMatchObject({ messages: [{ offset: 2, isDuplicate: true }] })
  expect(replica.run(other(10))).toMatchObject({ messages: [{ offset: 3, isDuplicate: false }] })
  expect(replica.machine.sizes().idCollisions).toBe(3)
  replica.pass(121_000)
  expect(replica.run(other(13))).toMatchObject({ messages: [{ offset: 4, isDuplicate: false }] })
  expect(replica.machine.sizes().idCollisions).toBe(3)
  sound(replica)
})

test('an id that stands twice in one request is appended once', () => {
  const replica = withTopic()
  expect(replica.run(send('orders', [1, 1]))).toMatchObject({
    messages: [
      { offset: 0, isDuplicate: false },
      { offset: 0, isDuplicate: true },
    ],
  })
})

test('a full deduplication table refuses a send whole while its oldest id is younger than 30 s, then evicts it', () => {
  const replica = withTopic(1, { dedupeRowsMax: 2 })
  replica.run(send('orders', [1]))
  expect(replica.run(send('orders', [2, 3]))).toEqual({ kind: 'refused', reason: 'dedupeTableFull' })
  expect(replica.machine.topic('orders')?.appended).toBe(1)
  replica.run(send('orders', [2]))
  replica.pass(29_999)
  expect(replica.run(send('orders', [3]))).toMatchObject({ kind: 'refused' })
  replica.pass(2)
  expect(replica.run(send('orders', [3]))).toMatchObject({ messages: [{ offset: 2 }] })
  expect(replica.run(send('orders', [2]))).toMatchObject({ messages: [{ isDuplicate: true }] })
  sound(replica)
})

test('a message whose own row would be evicted to make room is still known as sent', () => {
  const replica = withTopic(1, { dedupeRowsMax: 2 })
  replica.run(send('orders', [1, 2]))
  replica.pass(31_000)
  expect(replica.run(send('orders', [1, 3]))).toMatchObject({
    messages: [
      { isDuplicate: true, offset: 0 },
      { isDuplicate: false, offset: 2 },
    ],
  })
})

test('a send to a topic of another type is refused, as is one to no topic', () => {
  const replica = withTopic()
  expect(replica.run(fifoSend('orders', 1, [1]))).toEqual({ kind: 'refused', reason: 'messageTypeMismatch' })
  expect(replica.run(send('orders', [1], { messageType: 3 }))).toEqual({ kind: 'refused', reason: 'messageTypeMismatch' })
  expect(replica.run(send('none', [1]))).toEqual({ kind: 'refused', reason: 'topicNotFound' })
})

test('messages of one message group always land in the queue that its hash gives', () => {
  const replica = new Replica()
  replica.run({ kind: 'createTopic', topic: 'fifo', type: 'fifo', queueCount: 5 })
  for (let g = 1; g < 20; g++) {
    const { low, high } = hash(g)
    const expected = Number(((BigInt(high) << 32n) | BigInt(low)) % 5n)
    for (let i = 0; i < 3; i++) expect(replica.run(fifoSend('fifo', g, [undefined]))).toMatchObject({ messages: [{ queueId: expected }] })
  }
})

test('topics: the same again is found, another type or count is refused, too many are refused', () => {
  const replica = withTopic(2, { topicsMax: 2 })
  expect(replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 2 })).toMatchObject({ existed: true, topicId: 1 })
  expect(replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 3 })).toMatchObject({ reason: 'topicExists' })
  expect(replica.run({ kind: 'createTopic', topic: 'orders', type: 'fifo', queueCount: 2 })).toMatchObject({ reason: 'topicExists' })
  expect(replica.run({ kind: 'createTopic', topic: 'b', type: 'fifo', queueCount: 2 })).toMatchObject({
    kind: 'topicCreated',
    existed: false,
  })
  expect(replica.run({ kind: 'createTopic', topic: 'c', type: 'fifo', queueCount: 2 })).toMatchObject({ reason: 'tooManyTopics' })
})

test('a topic deleted and created again is another one: offsets from 0, no message, no place, and old handles are stale', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2]))
  const [delivery] = replica.take('readers', 'orders', { max: 1 })
  expect(replica.run({ kind: 'deleteTopic', topic: 'orders' })).toEqual({ kind: 'topicDeleted' })
  expect(replica.machine.topic('orders')).toBeUndefined()
  replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 1 })
  if (delivery === undefined) throw new Error('nothing came')
  expect(replica.ack(delivery.ref)).toEqual(['staleHandle'])
  expect(replica.pop('readers', 'orders')).toEqual([])
  // Its id is still in the table, but the message it names is gone.
  expect(replica.run(send('orders', [1]))).toMatchObject({ topicId: 2, messages: [{ offset: 0, isDuplicate: false }] })
  expect(offsets(replica.pop('readers', 'orders'))).toEqual([0])
  expect(replica.machine.sizes()).toMatchObject({ topics: 1, places: 1, rows: 1 })
  sound(replica)
})

test('dead-letter topics do not take the place of others', () => {
  const replica = withTopic(1, { topicsMax: 2 })
  replica.run(send('orders', [1]))
  for (const { ref } of replica.take('readers', 'orders')) replica.settle([{ kind: 'deadLetter', ref }])
  expect(replica.machine.topics().map(({ name }) => name)).toEqual(['%DLQ%readers', 'orders'])
  expect(replica.run({ kind: 'createTopic', topic: 'b', type: 'normal', queueCount: 1 })).toMatchObject({ kind: 'topicCreated' })
  expect(replica.run({ kind: 'createTopic', topic: 'c', type: 'normal', queueCount: 1 })).toMatchObject({ reason: 'tooManyTopics' })
})

test('a deleted topic with many rows is cleared away a bounded piece with each entry', () => {
  const replica = withTopic()
  for (let i = 0; i < 20; i++) {
    replica.run(
      send(
        'orders',
        Array.from({ length: 32 }, () => undefined),
      ),
    )
    replica.take('readers', 'orders')
  }
  expect(replica.machine.sizes().rows).toBe(640)
  replica.run({ kind: 'deleteTopic', topic: 'orders' })
  const left: number[] = []
  while (replica.machine.sizes().places > 0) {
    expect(replica.machine.nextDeadlineMs).toBe(replica.machine.wallMs)
    replica.pass(0)
    sound(replica)
    left.push(replica.machine.sizes().rows)
  }
  expect(left).toEqual([384, 128, 0])
  replica.pass(0)
  expect(replica.machine.nextDeadlineMs).toBeUndefined()
})

test('a handle of a deleted topic is stale at once, also while its rows are still being cleared away', () => {
  const replica = withTopic()
  replica.run(send('orders', new Array<undefined>(400).fill(undefined)))
  const taken = Array.from({ length: 12 }, () => replica.take('readers', 'orders', { max: 32 })).flat()
  replica.run({ kind: 'deleteTopic', topic: 'orders' })
  const last = taken.at(-1)
  if (last === undefined) throw new Error('nothing came')
  expect(replica.ack(last.ref)).toEqual(['staleHandle'])
  expect(replica.machine.sizes().rows).toBeGreaterThan(0)
})

test('ids that differ in their last bits alone are two messages', () => {
  const replica = withTopic()
  const key = (high: number) => ({ a: { low: 1, high: 2 }, b: { low: 3, high } })
  const told = [4, 5].map(high => replica.run(send('orders', [], { messages: [message(7, { dedupeKey: key(high) })] })))
  expect(told).toMatchObject([{ messages: [{ isDuplicate: false }] }, { messages: [{ isDuplicate: false }] }])
})

test('dead-letter topics are counted apart after a restart too, and no longer than they are there', () => {
  const replica = withTopic(1, { topicsMax: 2 })
  replica.run(send('orders', [1]))
  for (const { ref } of replica.take('readers', 'orders')) replica.settle([{ kind: 'deadLetter', ref }])
  replica.restart(new MemoryCheckpoints())
  sound(replica)
  expect(replica.run({ kind: 'createTopic', topic: 'b', type: 'normal', queueCount: 1 })).toMatchObject({ kind: 'topicCreated' })
  replica.run({ kind: 'deleteTopic', topic: '%DLQ%readers' })
  replica.pass(0)
  sound(replica)
  expect(replica.run({ kind: 'createTopic', topic: 'c', type: 'normal', queueCount: 1 })).toMatchObject({ reason: 'tooManyTopics' })
})

test('room is made of ids that are old enough, each of them, or the send is refused whole', () => {
  const replica = withTopic(1, { dedupeRowsMax: 2 })
  replica.run(send('orders', [1]))
  replica.pass(29_000)
  replica.run(send('orders', [2]))
  replica.pass(2_000)
  expect(replica.run(send('orders', [3, 4]))).toEqual({ kind: 'refused', reason: 'dedupeTableFull' })
  expect(replica.run(send('orders', [3]))).toMatchObject({ messages: [{ offset: 2, isDuplicate: false }] })
  expect(replica.run(send('orders', [2]))).toMatchObject({ messages: [{ offset: 1, isDuplicate: true }] })
  sound(replica)
})
