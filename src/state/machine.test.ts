import { expect, test } from 'vitest'
import { digestText } from './digest.ts'
import { StateHalt } from './machine.ts'
import { bodyOf, hash, MemoryCheckpoints, Replica, send, sound, withTopic } from './testing/replica.ts'

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
  const later = { node: 1, incarnation: 3, sequence: 1 }
  expect(replica.apply({ kind: 'barrier' }, { ...later, sentAtMs: replica.wallMs })).toEqual({ ...later, result: { kind: 'done' } })
})

test('a proposal forwarded more than 15 s before its entry is late, and its session goes on', () => {
  const replica = withTopic()
  const envelope = replica.envelope()
  replica.wallMs += 15_001
  expect(replica.apply(send('orders', [1]), envelope)?.result).toEqual({ kind: 'refused', reason: 'late' })
  expect(replica.apply(send('orders', [1]), envelope)).toBeUndefined()
  expect(replica.machine.topic('orders')?.appended).toBe(0)
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

test('the next deadline is told in calendar time, leaps and all', () => {
  const replica = withTopic()
  replica.run(send('orders', [1]))
  replica.take('readers', 'orders')
  replica.leap(3_600_000)
  expect(replica.machine.nextDeadlineMs).toBe(replica.wallMs + 30_000)
})

test('a client that went and came again between two checkpoints is in the next one', () => {
  const replica = withTopic()
  const checkpoints = new MemoryCheckpoints()
  replica.pop('readers', 'orders')
  checkpoints.save(replica.machine.takeCheckpoint())
  replica.run({ kind: 'clientsChanged', changes: [{ client: hash(1), change: 'terminated' }] })
  replica.pass(1_000)
  expect(replica.machine.sizes().clients).toBe(0)
  replica.pop('readers', 'orders')
  replica.restart(checkpoints)
  replica.restart(checkpoints)
  expect(replica.machine.client(hash(1))?.nodes).toEqual([1])
  sound(replica)
})
