/** Retention as state: what a trim takes and leaves, where a carried message stands, and that all of it outlives a restart. */
import { describe, expect, it } from 'vitest'
import type { QueueId, QueueOffset, TopicId } from './ids.ts'
import { trimmedMax } from './limits.ts'
import { group, message, MemoryCheckpoints, offsets, type Replica, send, sound, withTopic } from './testing/replica.ts'

const topicId = 1 as TopicId
const queueId = 0 as QueueId
const at = (offset: number) => offset as QueueOffset

function withMessages(count: number): Replica {
  const replica = withTopic()
  for (let i = 1; i <= count; i++) replica.run(send('orders', [i]))
  return replica
}

function trim(replica: Replica, offset: number, forcedBelow = 0): void {
  replica.run({ kind: 'trim', queues: [{ topicId, queueId, offset: at(offset), forcedBelow }] })
}

function carry(replica: Replica, ...carried: number[]): void {
  replica.run({ kind: 'carry', items: carried.map(offset => ({ topicId, queueId, offset: at(offset), message: message(offset) })) })
}

describe('a trim', () => {
  it('moves who had not come so far to the first message left, and counts what was passed over', () => {
    const replica = withMessages(10)
    trim(replica, 6)
    expect(replica.machine.queues(topicId)).toEqual([{ firstOffset: 6, nextOffset: 10 }])
    expect(replica.machine.place('readers', 'orders')).toMatchObject({ appended: 10, trimmed: 6, waiting: 4 })
    expect(offsets(replica.take('readers', 'orders'))).toEqual([6, 7, 8, 9])
    sound(replica)
  })

  it('leaves what is in flight: it may still be acknowledged, or come again', () => {
    const replica = withMessages(10)
    const deliveries = replica.take('readers', 'orders', { max: 3 })
    trim(replica, 8)
    expect(replica.machine.place('readers', 'orders')).toMatchObject({ inFlight: 3, trimmed: 5, waiting: 2 })
    expect(replica.ack(...deliveries.slice(0, 1).map(({ ref }) => ref))).toEqual(['ok'])
    replica.pass(31_000)
    expect(offsets(replica.take('readers', 'orders'))).toEqual([1, 2, 8, 9])
    sound(replica)
  })

  it('takes that too when it is forced, and a late acknowledgement is still no error', () => {
    const replica = withMessages(10)
    const deliveries = replica.take('readers', 'orders', { max: 5 })
    trim(replica, 8, 3)
    expect(replica.machine.place('readers', 'orders')).toMatchObject({ inFlight: 2, trimmed: 3 + 3 })
    expect(replica.ack(...deliveries.map(({ ref }) => ref))).toEqual(['ok', 'ok', 'ok', 'ok', 'ok'])
    expect(replica.machine.place('readers', 'orders')).toMatchObject({ acked: 2, trimmed: 6 })
    sound(replica)
  })

  it('frees the message groups of what it takes: a FIFO group goes on with the next', () => {
    const replica = withMessages(8)
    replica.run(group('ordered', ['orders'], {}, true))
    expect(offsets(replica.take('ordered', 'orders', { max: 2 }))).toEqual([0, 1])
    trim(replica, 5, 5)
    expect(offsets(replica.take('ordered', 'orders', { max: 2 }))).toEqual([5, 6])
    sound(replica)
  })

  it('never goes back, never beyond the end, and means nobody by a topic that is gone', () => {
    const replica = withMessages(4)
    trim(replica, 3)
    trim(replica, 1)
    expect(replica.machine.queues(topicId)).toEqual([{ firstOffset: 3, nextOffset: 4 }])
    trim(replica, 99)
    expect(replica.machine.queues(topicId)).toEqual([{ firstOffset: 4, nextOffset: 4 }])
    replica.run({ kind: 'deleteTopic', topic: 'orders' })
    replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 1 })
    replica.run(send('orders', [77]))
    trim(replica, 1)
    expect(replica.machine.queues(2 as TopicId)).toEqual([{ firstOffset: 0, nextOffset: 1 }])
    sound(replica)
  })

  it('does a bounded piece of work; the queue begins further on when the last piece is done', () => {
    const replica = withTopic()
    const count = trimmedMax + 1_000
    for (let i = 0; i < count; i += 1_000) replica.run(send('orders', new Array<undefined>(1_000).fill(undefined)))
    for (let i = 0; i < count; i += 1_000) {
      const requests = Array.from({ length: 32 }, () => ({ ...popAll }))
      for (let k = 0; k < 3; k++) replica.run({ kind: 'pop', consumerGroup: 'readers', topic: 'orders', requests })
    }
    const before = replica.machine.place('readers', 'orders')?.inFlight ?? 0
    expect(before).toBeGreaterThan(trimmedMax)
    trim(replica, before, before)
    const between = replica.machine.place('readers', 'orders')
    expect(between?.inFlight).toBeGreaterThan(0)
    expect(replica.machine.queues(topicId)[0]?.firstOffset).toBe(0)
    trim(replica, before, before)
    expect(replica.machine.place('readers', 'orders')?.inFlight).toBe(0)
    expect(replica.machine.queues(topicId)[0]?.firstOffset).toBe(before)
    sound(replica)
  })

  it('is where new groups begin that want everything from the first message', () => {
    const replica = withMessages(5)
    trim(replica, 2)
    replica.run(group('later', ['orders']))
    expect(replica.machine.place('later', 'orders')).toMatchObject({ before: 2, waiting: 3, trimmed: 0 })
    expect(offsets(replica.take('later', 'orders'))).toEqual([2, 3, 4])
    sound(replica)
  })
})

const popAll = {
  max: 32,
  invisibleMs: 600_000,
  autoRenew: false,
  client: { low: 0, high: 0 },
  attempt: undefined,
  filter: { kind: 'all' },
} as const

describe('a carried message', () => {
  it('is delivered from where it stands now, with the offset and time that it had', () => {
    const replica = withMessages(3)
    const [first] = replica.take('readers', 'orders', { max: 1 })
    replica.wallMs += 5_000
    trim(replica, 3)
    carry(replica, 0)
    const index = replica.machine.appliedIndex
    replica.pass(31_000)
    const [again] = replica.take('readers', 'orders')
    expect(again).toMatchObject({ logIndex: index, ordinal: 0, attempt: 2, storedAtMs: first?.storedAtMs })
    expect(again?.ref.offset).toBe(0)
    sound(replica)
  })

  it('is forgotten with the last group that needed it', () => {
    const replica = withMessages(2)
    replica.run(group('others', ['orders']))
    const mine = replica.take('readers', 'orders', { max: 1 })
    const theirs = replica.take('others', 'orders', { max: 1 })
    trim(replica, 2)
    carry(replica, 0)
    const kept = () => replica.machine.retention.unfinishedBelowFirst(topicId, queueId, 10).map(({ logIndex }) => logIndex)
    expect(kept()).toEqual([replica.machine.appliedIndex])
    replica.ack(...mine.map(({ ref }) => ref))
    expect(kept()).toHaveLength(1)
    replica.ack(...theirs.map(({ ref }) => ref))
    expect(kept()).toEqual([])
    sound(replica)
  })

  it('that is carried once more stands where it was carried to last', () => {
    const replica = withMessages(2)
    replica.take('readers', 'orders', { max: 1 })
    trim(replica, 2)
    carry(replica, 0)
    carry(replica, 0)
    expect(replica.machine.retention.slot(topicId, queueId, at(0)).logIndex).toBe(replica.machine.appliedIndex)
    sound(replica)
  })

  it('comes to each group that has not finished it, from where it stands now, whatever the queue gives up later', () => {
    const replica = withMessages(3)
    replica.run(group('others', ['orders']))
    const mine = replica.take('readers', 'orders', { max: 2 })
    replica.take('others', 'orders', { max: 2 })
    trim(replica, 2)
    carry(replica, 0, 1)
    const index = replica.machine.appliedIndex
    trim(replica, 3)
    replica.ack(...mine.map(({ ref }) => ref))
    replica.pass(31_000)
    const again = replica.take('others', 'orders')
    expect(again.map(({ logIndex, ordinal }) => ({ logIndex, ordinal }))).toEqual([
      { logIndex: index, ordinal: 0 },
      { logIndex: index, ordinal: 1 },
    ])
    sound(replica)
  })

  it('is remembered no longer than somebody needs it, also when it was settled on its way', () => {
    const replica = withMessages(2)
    const mine = replica.take('readers', 'orders', { max: 1 })
    trim(replica, 2)
    replica.ack(...mine.map(({ ref }) => ref))
    const checkpoints = new MemoryCheckpoints()
    const rows = (): number => {
      checkpoints.save(replica.machine.takeCheckpoint())
      return checkpoints.size
    }
    const before = rows()
    carry(replica, 0, 1)
    expect(rows()).toBe(before)
  })

  it('is left where it was when it was settled meanwhile', () => {
    const replica = withMessages(2)
    const mine = replica.take('readers', 'orders', { max: 1 })
    trim(replica, 2)
    replica.ack(...mine.map(({ ref }) => ref))
    const digest = replica.machine.retention.unfinishedBelowFirst(topicId, queueId, 10)
    carry(replica, 0, 1)
    expect(replica.machine.retention.unfinishedBelowFirst(topicId, queueId, 10)).toEqual(digest)
    sound(replica)
  })

  it('goes to the dead letters from where it stands now', () => {
    const replica = withMessages(1)
    const [delivery] = replica.take('readers', 'orders')
    trim(replica, 1)
    carry(replica, 0)
    const index = replica.machine.appliedIndex
    replica.settle(delivery === undefined ? [] : [{ kind: 'deadLetter', ref: delivery.ref }])
    const dead = replica.machine.topic('%DLQ%readers')
    expect(replica.machine.retention.slot(dead?.topicId as TopicId, queueId, at(0))).toMatchObject({ logIndex: index, ordinal: 0 })
    sound(replica)
  })

  it('goes with its topic: nothing of it is left in a checkpoint', () => {
    const replica = withMessages(2)
    const [first] = replica.take('readers', 'orders', { max: 2 })
    replica.settle(first === undefined ? [] : [{ kind: 'deadLetter', ref: first.ref }])
    const deadLetters = replica.machine.topic('%DLQ%readers')?.topicId as TopicId
    trim(replica, 2)
    carry(replica, 1)
    replica.run({ kind: 'carry', items: [{ topicId: deadLetters, queueId, offset: at(0), message: message(1) }] })
    const checkpoints = new MemoryCheckpoints()
    checkpoints.save(replica.machine.takeCheckpoint())
    for (const topic of ['orders', '%DLQ%readers']) replica.run({ kind: 'deleteTopic', topic })
    sound(replica)
    replica.pass(0)
    replica.pass(0)
    expect(replica.machine.sizes()).toMatchObject({ topics: 0, places: 0, rows: 0 })
    replica.restart(checkpoints)
    sound(replica)
  })

  it('is where it was after a restart, and so is everything else that retention decided', () => {
    const replica = withMessages(6)
    replica.take('readers', 'orders', { max: 2 })
    replica.run({ kind: 'setRetention', topic: 'orders', retention: { ageMs: 3_600_000, sizeBytes: 1 << 20 } })
    trim(replica, 4)
    carry(replica, 0, 1)
    replica.run({ kind: 'trimLog', index: 7 })
    const before = replica.machine.retention
    const seen = [before.logFirst, before.topic(topicId), before.unfinishedBelowFirst(topicId, queueId, 10)]
    replica.restart(new MemoryCheckpoints())
    const after = replica.machine.retention
    expect([after.logFirst, after.topic(topicId), after.unfinishedBelowFirst(topicId, queueId, 10)]).toEqual(seen)
    sound(replica)
  })
})

describe('the log', () => {
  it('is given up to an index that only rises, and never beyond the entry that says so', () => {
    const replica = withMessages(5)
    replica.run({ kind: 'trimLog', index: 4 })
    replica.run({ kind: 'trimLog', index: 3 })
    expect(replica.machine.retention.logFirst).toBe(4)
    replica.run({ kind: 'trimLog', index: 1_000 })
    expect(replica.machine.retention.logFirst).toBe(replica.machine.appliedIndex)
    sound(replica)
  })

  it('has so many bytes of a queue: what was sent, less what lies before', () => {
    const replica = withTopic()
    const bytes = new Uint8Array(10 * 1024)
    for (let i = 0; i < 5; i++) replica.run({ ...send('orders', []), messages: [message(i, { bytes })] })
    const view = replica.machine.retention
    expect(view.bytesFrom(topicId, queueId, at(0))).toBeGreaterThanOrEqual(50 * 1024)
    expect(view.bytesFrom(topicId, queueId, at(0))).toBeLessThan(52 * 1024)
    expect(view.bytesFrom(topicId, queueId, at(4))).toBeGreaterThanOrEqual(10 * 1024)
    expect(view.bytesFrom(topicId, queueId, at(5))).toBe(0)
  })
})
