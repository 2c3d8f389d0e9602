import { expect, test } from 'vitest'
import { group, hash, message, offsets, receive, Replica, send, sound, withTopic } from './testing/replica.ts'

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

test('a pop that stops among messages that come again says that there are more', () => {
  const replica = withTopic()
  for (let i = 0; i < 6; i++) replica.run(send('orders', new Array<undefined>(100).fill(undefined)))
  for (let i = 0; i < 19; i++) replica.take('readers', 'orders')
  for (let i = 0; i < 3; i++) replica.pass(30_000)
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ retrying: 600, waiting: 0 })
  const filter = { kind: 'tags', hashes: [1] } as const
  const pop = { kind: 'pop', consumerGroup: 'readers', topic: 'orders', requests: [receive({ filter })] } as const
  expect(replica.run(pop)).toMatchObject({ deliveries: [[]], hasMore: true })
  expect(replica.run(pop)).toMatchObject({ deliveries: [[]], hasMore: false })
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ filtered: 600 })
})

test('over the bound of all groups nobody gets anything new, and who waited for room is woken, though another group is still full', () => {
  const replica = withTopic(1, { groupRowsMax: 3, rowsMax: 4 })
  replica.run(group('others', ['orders']))
  replica.run(send('orders', [1, 2, 3, 4, 5, 6]))
  const three = replica.take('readers', 'orders')
  expect(offsets(three)).toEqual([0, 1, 2])
  const one = replica.take('others', 'orders')
  expect(offsets(one)).toEqual([0])
  for (const name of ['readers', 'others']) expect(replica.pop(name, 'orders')).toEqual([])
  expect(replica.machine.isFull('others')).toBe(true)
  replica.machine.takeWakes()
  // There is room in the table, and the readers have none of their own.
  replica.ack(...one.map(({ ref }) => ref))
  expect(replica.machine.takeWakes()).toEqual([{ kind: 'place', consumerGroup: 'others', topic: 'orders' }])
  expect(offsets(replica.pop('others', 'orders'))).toEqual([1])
  sound(replica)
})

test('at the bound of places who has one goes on, and nobody gets a new one', () => {
  const replica = withTopic(1, { placesMax: 1 })
  replica.run(send('orders', [1]))
  const pop = (consumerGroup: string) => replica.run({ kind: 'pop', consumerGroup, topic: 'orders', requests: [receive()] })
  expect(pop('strangers')).toEqual({ kind: 'refused', reason: 'tooManyGroups' })
  expect(replica.machine.group('strangers')).toBeUndefined()
  expect(pop('readers')).toMatchObject({ kind: 'popped', deliveries: [[{ attempt: 1 }]] })
})
