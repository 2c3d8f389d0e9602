import { expect, test } from 'vitest'
import { digestText } from './digest.ts'
import { StateHalt } from './machine.ts'
import { bodyOf, fifoSend, group, hash, MemoryCheckpoints, message, offsets, receive, Replica, send } from './testing/replica.ts'

function withTopic(queueCount = 1, limits = {}): Replica {
  const replica = new Replica(limits)
  replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount })
  replica.run(group('readers', ['orders']))
  return replica
}

function sound(replica: Replica): void {
  expect(replica.machine.conservation()).toEqual([])
  expect(digestText(replica.machine.digest())).toBe(digestText(replica.machine.recomputeDigest()))
}

test('a message is sent, delivered, acked, and nothing is left of it but the counters', () => {
  const replica = withTopic()
  expect(replica.run(send('orders', [1]))).toEqual({ kind: 'sent', topicId: 1, messages: [{ queueId: 0, offset: 0, isDuplicate: false }] })
  const [delivery] = replica.take('readers', 'orders')
  expect(delivery).toMatchObject({ attempt: 1, ordinal: 0, logIndex: 3, ref: { offset: 0, queueId: 0 } })
  if (delivery === undefined) throw new Error('nothing came')
  expect(replica.ack(delivery.ref)).toEqual(['ok'])
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ appended: 1, acked: 1, inFlight: 0, waiting: 0 })
  sound(replica)
})

test('a copy of a proposal changes nothing and gives undefined', () => {
  const replica = withTopic()
  const envelope = replica.envelope()
  replica.apply(send('orders', [undefined]), envelope)
  const before = digestText(replica.machine.digest())
  replica.wallMs += 60_000
  expect(replica.apply(send('orders', [undefined]), envelope)).toBeUndefined()
  expect(digestText(replica.machine.digest())).toBe(before)
})

test('a proposal of an earlier incarnation is a copy, one of a later incarnation begins a new session', () => {
  const replica = withTopic()
  replica.incarnations.set(1, 2)
  expect(replica.run({ kind: 'barrier' })).toEqual({ kind: 'done' })
  expect(replica.apply({ kind: 'barrier' }, { node: 1, incarnation: 1, sequence: 99, sentAtMs: replica.wallMs })).toBeUndefined()
  expect(replica.apply({ kind: 'barrier' }, { node: 1, incarnation: 3, sequence: 1, sentAtMs: replica.wallMs })).toBeDefined()
})

test('a proposal forwarded more than 15 s before its entry is late, and its session goes on', () => {
  const replica = withTopic()
  const envelope = replica.envelope()
  replica.wallMs += 15_001
  expect(replica.apply(send('orders', [1]), envelope)?.result).toEqual({ kind: 'refused', reason: 'late' })
  expect(replica.apply(send('orders', [1]), envelope)).toBeUndefined()
  expect(replica.machine.topic('orders')?.appended).toBe(0)
})

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

test('a leap of the clock ages no message id and ends no lease', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const [delivery] = replica.take('readers', 'orders')
  replica.leap(3_600_000)
  expect(replica.machine.wallMs).toBe(replica.wallMs)
  expect(replica.run(send('orders', [1]))).toMatchObject({ messages: [{ isDuplicate: true }] })
  expect(replica.take('readers', 'orders')).toEqual([])
  if (delivery === undefined) throw new Error('nothing came')
  expect(replica.ack(delivery.ref)).toEqual(['ok'])
  expect(replica.machine.nextDeadlineMs).toBeUndefined()
  sound(replica)
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

test('when a gateway goes down its unconfirmed deliveries are visible with the next entry, the confirmed ones stay', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2]))
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'connected' }] }, 1)
  replica.take('readers', 'orders', { max: 1 }, 2)
  replica.pop('readers', 'orders', { max: 1 }, 2)
  replica.run({ kind: 'nodeChanged', node: 2, isUp: false })
  replica.pass(0)
  expect(replica.machine.isNodeUp(2)).toBe(false)
  expect(replica.take('readers', 'orders')).toMatchObject([{ attempt: 1, ref: { offset: 1 } }])
  sound(replica)
})

test('a gateway that comes back in a new incarnation has forgotten its unconfirmed deliveries', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.pop('readers', 'orders', {}, 2)
  replica.incarnations.set(2, 2)
  replica.run({ kind: 'barrier' }, 2)
  replica.pass(0)
  expect(replica.pop('readers', 'orders')).toMatchObject([{ attempt: 1 }])
})

test('a repeated attempt gets the same batch with the same handles and no attempt more, at another gateway too', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2, 3]))
  const first = replica.pop('readers', 'orders', { max: 2, attempt: hash(5) })
  const again = replica.pop('readers', 'orders', { max: 2, attempt: hash(5) }, 2)
  expect(again).toEqual(first)
  const [one] = first
  if (one === undefined) throw new Error('nothing came')
  // The first gateway finds out late that its stream broke: the delivery is the other's by now.
  expect(replica.settle([{ kind: 'release', ref: one.ref }], 1)).toEqual(['staleHandle'])
  expect(replica.settle([{ kind: 'confirm', ref: one.ref }], 2)).toEqual(['ok'])
  replica.ack(one.ref)
  expect(offsets(replica.pop('readers', 'orders', { attempt: hash(5) }))).toEqual([1])
  expect(offsets(replica.pop('readers', 'orders', { attempt: hash(6) }))).toEqual([2])
  expect(replica.pop('readers', 'orders', { attempt: hash(5), client: hash(2) })).toEqual([])
  sound(replica)
})

test('an auto-renewed delivery stays invisible while its client lives, and not much longer', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders', { autoRenew: true })
  replica.pass(3_600_000)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'disconnected' }] })
  replica.pass(9_999)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.pass(1)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toMatchObject([{ attempt: 2 }])
  replica.pass(0)
  expect(replica.machine.client(hash(1))).toBeUndefined()
  sound(replica)
})

test('an auto-renewed delivery ends after three hours whatever its client does', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders', { autoRenew: true })
  replica.pass(3 * 3_600_000)
  expect(replica.pop('readers', 'orders')).toMatchObject([{ attempt: 2 }])
})

test('an auto-renewed delivery that is never confirmed ends with its invisible time', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.pop('readers', 'orders', { autoRenew: true, invisibleMs: 60_000 })
  replica.pass(60_000)
  expect(replica.pop('readers', 'orders')).toHaveLength(1)
})

test('a goodbye at one node ends nothing while the client is connected to another', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders', { autoRenew: true }, 1)
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'connected' }] }, 2)
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'terminated' }] }, 1)
  replica.pass(60_000)
  expect(replica.pop('readers', 'orders', { client: hash(2) }, 2)).toEqual([])
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'terminated' }] }, 2)
  replica.pass(1_000)
  expect(replica.pop('readers', 'orders', { client: hash(2) }, 2)).toHaveLength(1)
})

test('a client of a node that went down has ten seconds to appear elsewhere', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders', { autoRenew: true }, 2)
  replica.run({ kind: 'nodeChanged', node: 2, isUp: false })
  replica.pass(9_000)
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'connected' }] }, 1)
  replica.pass(60_000)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
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

test('what the filter does not want is settled for the group and no other', () => {
  const replica = withTopic()
  replica.run(group('all', ['orders']))
  replica.run({ ...send('orders', []), messages: [message(1, { tagHash: 7 }), message(2, { tagHash: -3 }), message(3)] })
  const filter = { kind: 'tags', hashes: [-3, 9] } as const
  expect(offsets(replica.pop('readers', 'orders', { filter }))).toEqual([1])
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ filtered: 2, inFlight: 1, waiting: 0 })
  expect(offsets(replica.pop('all', 'orders'))).toEqual([0, 1, 2])
  sound(replica)
})

test('a group starts at the last message unless it was created to start elsewhere', () => {
  const replica = new Replica()
  replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 1 })
  const times: number[] = []
  for (let i = 0; i < 10; i++) {
    times.push(replica.wallMs)
    replica.run(send('orders', [undefined]))
    replica.pass(1_000)
  }
  expect(replica.machine.mayDeliver('new', 'orders')).toBe(true)
  expect(replica.pop('new', 'orders')).toEqual([])
  expect(replica.machine.mayDeliver('new', 'orders')).toBe(false)
  replica.run(group('old', ['orders'], { start: { kind: 'first' } }))
  expect(replica.pop('old', 'orders')).toHaveLength(10)
  replica.run(group('middle', ['orders'], { start: { kind: 'time', wallMs: times[4] ?? 0 } }))
  expect(offsets(replica.pop('middle', 'orders'))).toEqual([4, 5, 6, 7, 8, 9])
  sound(replica)
})

test('a group is created once: its settings stay unless an operator replaces them', () => {
  const replica = withTopic()
  replica.run(group('readers', ['orders'], {}, true, 3))
  expect(replica.machine.group('readers')?.settings).toMatchObject({ isFifo: false, maxAttempts: 17 })
  replica.run(group('readers', ['orders'], { replaceSettings: true }, false, 3))
  expect(replica.machine.group('readers')?.settings).toMatchObject({ maxAttempts: 3 })
})

test('a pop visits at most 512 slots and the next one goes on where it stopped', () => {
  const replica = withTopic(2)
  for (let i = 0; i < 6; i++) {
    replica.run(
      send(
        'orders',
        Array.from({ length: 100 }, () => undefined),
      ),
    )
    replica.run(
      send(
        'orders',
        Array.from({ length: 100 }, () => undefined),
      ),
    )
  }
  const filter = { kind: 'tags', hashes: [1] } as const
  const pop = { kind: 'pop', consumerGroup: 'readers', topic: 'orders', requests: [receive({ filter })] } as const
  const visited: number[] = []
  for (const hasMore of [true, true, false]) {
    expect(replica.run(pop)).toMatchObject({ deliveries: [[]], hasMore })
    visited.push(replica.machine.place('readers', 'orders')?.filtered ?? 0)
  }
  expect(visited).toEqual([512, 1024, 1200])
  sound(replica)
})

test('queues are read in turn', () => {
  const replica = withTopic(3)
  for (let i = 0; i < 9; i++) replica.run(send('orders', [undefined]))
  const seen = Array.from({ length: 9 }, () => replica.pop('readers', 'orders', { max: 1 })[0]?.ref.queueId)
  expect(seen).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2])
})

test('several receives are served in order by one pop', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2, 3]))
  const requests = [receive({ max: 2 }), receive({ max: 2, client: hash(2) }), receive({ client: hash(3) })]
  const result = replica.run({ kind: 'pop', consumerGroup: 'readers', topic: 'orders', requests })
  if (result.kind !== 'popped') throw new Error('no pop')
  expect(result.deliveries.map(offsets)).toEqual([[0, 1], [2], []])
})

test('at most 256 deadlines fire with one entry, and what has not fired can still be acked', () => {
  const replica = withTopic()
  for (let i = 0; i < 10; i++)
    replica.run(
      send(
        'orders',
        Array.from({ length: 32 }, () => undefined),
      ),
    )
  const deliveries = Array.from({ length: 10 }, () => replica.take('readers', 'orders')).flat()
  replica.wallMs += 30_000
  const last = deliveries[319]
  const first = deliveries[0]
  if (last === undefined || first === undefined) throw new Error('nothing came')
  expect(
    replica.settle([
      { kind: 'ack', ref: last.ref },
      { kind: 'ack', ref: first.ref },
    ]),
  ).toEqual(['ok', 'staleHandle'])
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ retrying: 256, inFlight: 63 })
  expect(replica.machine.nextDeadlineMs).toBeLessThanOrEqual(replica.machine.wallMs)
  replica.pass(0)
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ retrying: 319, inFlight: 0 })
})

test('a group over its bound gets nothing new, still gets what is visible again, and is woken when there is room', () => {
  const replica = withTopic(1, { groupRowsMax: 4 })
  replica.run(send('orders', [1, 2, 3, 4, 5, 6]))
  const four = replica.take('readers', 'orders')
  expect(four).toHaveLength(4)
  expect(replica.pop('readers', 'orders')).toEqual([])
  expect(replica.machine.mayDeliver('readers', 'orders')).toBe(false)
  replica.machine.takeWakes()
  const [first] = four
  if (first === undefined) throw new Error('nothing came')
  replica.ack(first.ref)
  expect(replica.machine.takeWakes()).toEqual([{ kind: 'place', consumerGroup: 'readers', topic: 'orders' }])
  expect(offsets(replica.pop('readers', 'orders'))).toEqual([4])
  sound(replica)
})

test('a digest check that agrees does nothing, one that differs halts', () => {
  const replica = withTopic()
  while (replica.entries.length < 1_000) replica.run({ kind: 'barrier' })
  const milestone = replica.machine.lastMilestone
  if (milestone === undefined) throw new Error('no milestone')
  expect(milestone.index).toBe(1_000)
  replica.run({ kind: 'digestCheck', atIndex: 1_000, digest: milestone.digest })
  const wrong = { ...milestone.digest, a: { low: 1, high: 1 } }
  expect(() => replica.run({ kind: 'digestCheck', atIndex: 1_000, digest: wrong })).toThrow(StateHalt)
  expect(() => replica.run({ kind: 'digestCheck', atIndex: 77, digest: wrong })).not.toThrow(StateHalt)
})

test('an entry that does not decode halts the node with a sentence', () => {
  const replica = withTopic()
  const body = bodyOf(replica.envelope(), { kind: 'tick' })
  body[0] = 77
  expect(() => replica.feed(1, body)).toThrow('entry 3 cannot be applied: a command is refused: its kind is unknown')
  const other = withTopic()
  expect(() => other.feed(9, new Uint8Array(0))).toThrow(StateHalt)
})

test('a checkpoint has what changed, and nothing of what came and went in between', () => {
  const replica = withTopic()
  const checkpoints = new MemoryCheckpoints()
  checkpoints.save(replica.machine.takeCheckpoint())
  const sizeBefore = checkpoints.size
  replica.run(send('orders', [undefined]))
  for (const { ref } of replica.take('readers', 'orders')) replica.ack(ref)
  const batch = replica.machine.takeCheckpoint()
  checkpoints.save(batch)
  expect(batch.number).toBe(2)
  expect(batch.puts.map(({ key }) => key[0])).toEqual([1, 2, 3, 5, 6, 10, 9])
  expect(batch.deletes).toEqual([])
  expect(checkpoints.size).toBe(sizeBefore + 1)
  expect(replica.machine.takeCheckpoint().puts).toEqual([])
})

test('a checkpoint whose rows were tampered with is refused with a sentence', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const checkpoints = new MemoryCheckpoints()
  checkpoints.save(replica.machine.takeCheckpoint())
  const loaded = checkpoints.load()
  for (let i = 0; i < loaded.rows.length; i++) {
    const rows = loaded.rows.map(({ key, value }) => ({ key, value: value.slice() }))
    const last = rows[i]?.value
    if (last === undefined) continue
    last[last.length - 4] = (last[last.length - 4] ?? 0) ^ 1
    const fresh = new Replica()
    expect(fresh.machine.restore({ ...loaded, rows })).toMatch(/^checkpoint 1: /)
    expect(new Replica().machine.restore({ ...loaded, rows: loaded.rows.filter((_, j) => j !== i) })).toMatch(/^checkpoint 1: /)
  }
  const fresh = new Replica()
  expect(fresh.machine.restore(loaded)).toBeUndefined()
  expect(fresh.machine.appliedIndex).toBe(replica.machine.appliedIndex)
  expect(digestText(fresh.machine.digest())).toBe(digestText(replica.machine.digest()))
})
