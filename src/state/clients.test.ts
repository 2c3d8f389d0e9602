import { expect, test } from 'vitest'
import { hash, offsets, send, sound, withTopic } from './testing/replica.ts'

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

test('a delivery that was never confirmed is no attempt of a client that is gone: it may never have reached it', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2]))
  replica.pop('readers', 'orders', { max: 1, invisibleMs: 60_000 })
  replica.take('readers', 'orders', { max: 1, invisibleMs: 60_000 })
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'disconnected' }] })
  replica.pass(10_000)
  replica.pass(0)
  const again = replica.pop('readers', 'orders', { client: hash(2) })
  expect(again.map(({ ref, attempt }) => [ref.offset, attempt])).toEqual([
    [0, 1],
    [1, 2],
  ])
  sound(replica)
})

test('a client that has left is the next thing that is due when nothing else is', () => {
  const replica = withTopic()
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'connected' }] })
  expect(replica.machine.nextDeadlineMs).toBeUndefined()
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'disconnected' }] })
  expect(replica.machine.nextDeadlineMs).toBe(replica.machine.wallMs + 10_000)
  replica.pass(10_000)
  replica.pass(0)
  expect([replica.machine.client(hash(1)), replica.machine.nextDeadlineMs]).toEqual([undefined, undefined])
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

test('a receive through a node that counts as down keeps no client alive', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.run({ kind: 'nodeChanged', node: 2, isUp: false })
  replica.take('readers', 'orders', { autoRenew: true }, 2)
  replica.pass(9_999)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.pass(1)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toHaveLength(1)
})

test('what a new incarnation delivers with its first proposal is not taken for what the old one left behind', () => {
  const replica = withTopic()
  replica.run(send('orders', [1, 2]))
  replica.pop('readers', 'orders', { max: 1 }, 2)
  replica.incarnations.set(2, 2)
  expect(replica.pop('readers', 'orders', { max: 1 }, 2)).toMatchObject([{ ref: { offset: 1 } }])
  replica.pass(0)
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ inFlight: 1, retrying: 1 })
  expect(replica.pop('readers', 'orders', { max: 1 })).toMatchObject([{ ref: { offset: 0 }, attempt: 1 }])
})

test('a client that pops and is never announced is connected to the node that proposed it', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders', { autoRenew: true }, 2)
  expect(replica.machine.client(hash(1))).toEqual({ nodes: [2], goneAtMs: undefined })
  expect(replica.machine.deliveriesOf(hash(1))).toMatchObject([
    { consumerGroup: 'readers', topic: 'orders', autoRenew: true, isConfirmed: true },
  ])
})

test('a repeated receive never shortens the time that its messages stay invisible', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.pop('readers', 'orders', { attempt: hash(5), invisibleMs: 60_000 })
  replica.take('readers', 'orders', { attempt: hash(5), invisibleMs: 10_000 })
  replica.pass(59_999)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.pass(1)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toHaveLength(1)
})

test('a client that said goodbye and came again has its ten seconds when its connection breaks', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  const tell = (change: 'connected' | 'disconnected' | 'terminated'): void => {
    replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change }] })
  }
  replica.take('readers', 'orders', { autoRenew: true })
  tell('terminated')
  tell('connected')
  tell('disconnected')
  replica.pass(9_999)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.pass(1)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toHaveLength(1)
})

test('a client of a node that went down and appears nowhere is gone after ten seconds', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders', { autoRenew: true }, 2)
  replica.run({ kind: 'nodeChanged', node: 2, isUp: false })
  replica.pass(9_999)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toEqual([])
  replica.pass(1)
  expect(replica.pop('readers', 'orders', { client: hash(2) })).toHaveLength(1)
})

test('what a lost gateway had not confirmed is free in bounded pieces without anything else going on, also when it is lost twice meanwhile', () => {
  const replica = withTopic()
  for (let i = 0; i < 20; i++) replica.run(send('orders', new Array<undefined>(32).fill(undefined)))
  for (let i = 0; i < 20; i++) replica.pop('readers', 'orders', { client: { low: 0, high: 0 } })
  replica.run({ kind: 'nodeChanged', node: 1, isUp: false }, 9)
  expect(replica.machine.nextDeadlineMs).toBe(replica.machine.wallMs)
  replica.incarnations.set(1, 2)
  replica.run({ kind: 'barrier' }, 1)
  const left: (number | undefined)[] = []
  while (replica.machine.nextDeadlineMs !== undefined && left.length < 5) {
    expect(replica.machine.nextDeadlineMs).toBe(replica.machine.wallMs)
    replica.pass(0)
    sound(replica)
    left.push(replica.machine.place('readers', 'orders')?.inFlight)
  }
  expect(left).toEqual([128, 0])
})

test('clients have a bound; whoever is over it is served, but not as long as it lives', () => {
  const replica = withTopic(1, { clientsMax: 2 })
  replica.run(send('orders', [1, 2, 3]))
  for (const client of [1, 2, 3])
    expect(replica.take('readers', 'orders', { client: hash(client), max: 1, autoRenew: true })).toHaveLength(1)
  expect(replica.machine.sizes().clients).toBe(2)
  replica.pass(30_000)
  expect(replica.machine.place('readers', 'orders')).toMatchObject({ inFlight: 2, retrying: 1 })
  sound(replica)
})

test('a client that said goodbye at one node and speaks again at another, where it never ceased to be, has its ten seconds there', () => {
  const replica = withTopic()
  const change = (how: 'connected' | 'disconnected' | 'terminated', node: number) =>
    replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: how }] }, node)
  change('connected', 1)
  change('connected', 2)
  change('terminated', 1)
  change('connected', 2)
  change('disconnected', 2)
  replica.pass(9_000)
  expect(replica.machine.client(hash(1))).toMatchObject({ nodes: [] })
  replica.pass(1_500)
  expect(replica.machine.client(hash(1))).toBeUndefined()
})
