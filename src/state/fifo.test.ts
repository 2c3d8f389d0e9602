import { expect, test } from 'vitest'
import { fifoSend, group, hash, offsets, Replica, send, sound } from './testing/replica.ts'

function aFifo(maxAttempts = 17, queueCount = 1): Replica {
  const replica = new Replica()
  replica.run({ kind: 'createTopic', topic: 'steps', type: 'fifo', queueCount })
  replica.run(group('walkers', ['steps'], {}, true, maxAttempts))
  return replica
}

test('one batch may have several messages of a message group, in order, and nobody else gets a later one meanwhile', () => {
  const replica = aFifo()
  replica.run(fifoSend('steps', 1, [1, 2, 3]))
  const batch = replica.take('walkers', 'steps', { max: 2 })
  expect(offsets(batch)).toEqual([0, 1])
  expect(replica.pop('walkers', 'steps', { client: hash(2) })).toEqual([])
  expect(replica.machine.place('walkers', 'steps')).toMatchObject({ blocked: 1, inFlight: 2 })
  expect(replica.machine.mayDeliver('walkers', 'steps')).toBe(false)
  for (const { ref } of batch) {
    expect(replica.pop('walkers', 'steps', { client: hash(2) })).toEqual([])
    replica.ack(ref)
  }
  expect(replica.machine.takeWakes()).toContainEqual({ kind: 'place', consumerGroup: 'walkers', topic: 'steps' })
  expect(offsets(replica.pop('walkers', 'steps', { client: hash(2) }))).toEqual([2])
  sound(replica)
})

test('other message groups of the same queue go on', () => {
  const replica = aFifo()
  for (const g of [1, 2, 1, 3]) replica.run(fifoSend('steps', g, [undefined]))
  expect(offsets(replica.pop('walkers', 'steps', { max: 1 }))).toEqual([0])
  expect(offsets(replica.pop('walkers', 'steps', { client: hash(2) }))).toEqual([1, 3])
})

test('hundreds of message groups in one queue hold none of each other up', () => {
  const replica = aFifo()
  const count = 400
  for (let g = 1; g <= count; g++) replica.run(fifoSend('steps', g, [undefined]))
  const taken: number[] = []
  for (let batch = offsets(replica.pop('walkers', 'steps')); batch.length > 0; batch = offsets(replica.pop('walkers', 'steps')))
    taken.push(...batch)
  expect(taken).toEqual(Array.from({ length: count }, (_, i) => i))
})

test('on expiry the same unfinished messages come again, in order, and no other before them', () => {
  const replica = aFifo()
  replica.run(fifoSend('steps', 1, [1, 2, 3, 4]))
  const batch = replica.take('walkers', 'steps', { max: 3 })
  const second = batch[1]
  if (second === undefined) throw new Error('nothing came')
  replica.ack(second.ref)
  replica.pass(30_000)
  const again = replica.take('walkers', 'steps', { max: 3 })
  expect(again.map(({ ref, attempt }) => [ref.offset, attempt])).toEqual([
    [0, 2],
    [2, 2],
    [3, 1],
  ])
  sound(replica)
})

test('while a later message of the batch is still held, an expired earlier one waits', () => {
  const replica = aFifo()
  replica.run(fifoSend('steps', 1, [1, 2]))
  const [, second] = replica.take('walkers', 'steps')
  if (second === undefined) throw new Error('nothing came')
  replica.settle([{ kind: 'changeInvisible', ref: second.ref, invisibleMs: 60_000, suspend: false }])
  replica.pass(30_000)
  expect(replica.pop('walkers', 'steps')).toEqual([])
  expect(replica.machine.place('walkers', 'steps')).toMatchObject({ inFlight: 1, blocked: 1 })
  replica.pass(30_000)
  expect(offsets(replica.pop('walkers', 'steps'))).toEqual([0, 1])
  sound(replica)
})

test('a dead letter lets the next message of its group go', () => {
  const replica = aFifo(1)
  replica.run(fifoSend('steps', 1, [1, 2]))
  expect(offsets(replica.take('walkers', 'steps', { max: 1 }))).toEqual([0])
  replica.pop('walkers', 'steps')
  replica.pass(30_000)
  expect(offsets(replica.pop('walkers', 'steps'))).toEqual([1])
  expect(replica.machine.place('walkers', 'steps')).toMatchObject({ dead: 1 })
  sound(replica)
})

test('the same attempt gets the same batch again though its message group is locked', () => {
  const replica = aFifo()
  replica.run(fifoSend('steps', 1, [1, 2, 3]))
  const first = replica.pop('walkers', 'steps', { max: 2, attempt: hash(5) })
  expect(replica.pop('walkers', 'steps', { max: 2, attempt: hash(5) })).toEqual(first)
})

test('a filter that wants none of a message group leaves no lock', () => {
  const replica = aFifo()
  replica.run(fifoSend('steps', 1, [1, 2, 3]))
  replica.take('walkers', 'steps', { max: 1 })
  replica.pop('walkers', 'steps')
  replica.pass(30_000)
  expect(replica.pop('walkers', 'steps', { filter: { kind: 'tags', hashes: [5] } })).toEqual([])
  expect(replica.machine.place('walkers', 'steps')).toMatchObject({ filtered: 3, blocked: 0, retrying: 0, inFlight: 0 })
  replica.run(fifoSend('steps', 1, [4]))
  expect(offsets(replica.pop('walkers', 'steps'))).toEqual([3])
  sound(replica)
})

test('messages without a message group are locked by queue', () => {
  const replica = new Replica()
  replica.run({ kind: 'createTopic', topic: 'plain', type: 'normal', queueCount: 2 })
  replica.run(group('walkers', ['plain'], {}, true))
  for (let i = 0; i < 4; i++) replica.run(send('plain', [undefined]))
  const first = replica.pop('walkers', 'plain', { max: 1 })
  expect(first.map(({ ref }) => [ref.queueId, ref.offset])).toEqual([[0, 0]])
  const second = replica.pop('walkers', 'plain', { client: hash(2) })
  expect(second.map(({ ref }) => [ref.queueId, ref.offset])).toEqual([
    [1, 0],
    [1, 1],
  ])
  sound(replica)
})

test('a cursor runs at most 1024 past the first unfinished message', () => {
  const replica = aFifo()
  for (let i = 0; i < 3; i++)
    replica.run(
      fifoSend(
        'steps',
        1,
        Array.from({ length: 1000 }, () => undefined),
      ),
    )
  replica.run(fifoSend('steps', 2, [undefined]))
  const [first] = replica.take('walkers', 'steps', { max: 1 })
  for (let i = 0; i < 5; i++) replica.pop('walkers', 'steps', { client: hash(2) })
  expect(replica.machine.place('walkers', 'steps')).toMatchObject({ blocked: 1023, inFlight: 1 })
  expect(replica.machine.mayDeliver('walkers', 'steps')).toBe(false)
  replica.machine.takeWakes()
  if (first === undefined) throw new Error('nothing came')
  replica.ack(first.ref)
  expect(replica.machine.takeWakes()).toHaveLength(1)
  expect(replica.machine.mayDeliver('walkers', 'steps')).toBe(true)
  sound(replica)
})

test('a group that becomes FIFO locks what it has, and gives it back in order when it becomes unordered again', () => {
  const replica = aFifo()
  replica.run(group('loose', ['steps'], {}, false))
  replica.run(fifoSend('steps', 1, [1, 2, 3, 4]))
  const batch = replica.take('loose', 'steps', { max: 2 })
  const [first] = batch
  if (first === undefined) throw new Error('nothing came')
  replica.settle([{ kind: 'changeInvisible', ref: first.ref, invisibleMs: 0, suspend: false }])
  replica.run(group('loose', [], { replaceSettings: true }, true))
  expect(replica.pop('loose', 'steps')).toEqual([])
  sound(replica)
  replica.run(group('loose', [], { replaceSettings: true }, false))
  expect(offsets(replica.pop('loose', 'steps'))).toEqual([0, 2, 3])
  sound(replica)
})

test('a group that was held at its bound is woken when its first unfinished message is done, though no message group is freed by that', () => {
  const replica = aFifo()
  replica.run(fifoSend('steps', 1, [undefined]))
  replica.run(fifoSend('steps', 2, new Array<undefined>(1_023).fill(undefined)))
  replica.run(fifoSend('steps', 3, [undefined]))
  const [first] = replica.take('walkers', 'steps', { max: 1 })
  for (let i = 0; i < 4; i++) replica.pop('walkers', 'steps', { client: hash(2), max: 1 })
  expect(replica.machine.place('walkers', 'steps')).toMatchObject({ inFlight: 2, blocked: 1_022, waiting: 1 })
  expect(replica.machine.mayDeliver('walkers', 'steps')).toBe(false)
  replica.machine.takeWakes()
  if (first === undefined) throw new Error('nothing came')
  replica.ack(first.ref)
  expect(replica.machine.takeWakes()).toEqual([{ kind: 'place', consumerGroup: 'walkers', topic: 'steps' }])
  expect(offsets(replica.pop('walkers', 'steps', { client: hash(3) }))).toEqual([1_024])
  sound(replica)
})
