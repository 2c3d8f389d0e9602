/** What the leader gives up, round by round, on a real state: never what somebody still needs, and never for ever what nobody does. */
import { expect, test } from 'vitest'
import type { Command } from '../state/command.ts'
import type { QueueId, QueueOffset, TopicId } from '../state/ids.ts'
import { group, message, Replica, send, sound } from '../state/testing/replica.ts'
import type { DiskLevel, DiskWatch } from './disk-watch.ts'
import { Deadlines } from './deadlines.ts'
import type { Proposer } from './proposer.ts'
import type { BrokerRaft, FollowerHealth } from './raft-view.ts'
import { RetentionWatch, type RetentionSettings } from './retention-watch.ts'
import { FakeClock } from './testing/fake-clock.ts'
import { FakeWorld } from './testing/fake-world.ts'

const intervalMs = 1_000
const perSegment = 10
const queueId = 0 as QueueId

/** A leader with a log of segments of ten entries each, of a thousand bytes; what it proposes is applied at once. */
class Leader {
  readonly replica = new Replica()
  readonly #clock = new FakeClock()
  readonly #watch: RetentionWatch
  #proposed: Command[] = []
  /** The disk is looked at when a round begins, and only then. */
  #rounds = 0
  /** What becomes of proposals: applied at once; given up and applied after that; or nothing is ever heard of them. */
  fate: 'applied' | 'appliedLate' | 'lost' = 'applied'
  followers: FollowerHealth[] = []
  level: DiskLevel = 'ok'

  constructor(settings: Partial<RetentionSettings> = {}) {
    const { replica } = this
    const segments = () => this.segments()
    const followers = () => this.followers
    const level = (): DiskLevel => {
      this.#rounds++
      return this.level
    }
    const view = {
      get appliedIndex() {
        return replica.machine.appliedIndex
      },
      get wallMs() {
        return replica.wallMs
      },
      get retention() {
        return replica.machine.retention
      },
    }
    const raft = {
      isLeader: true,
      term: 1,
      get commitIndex() {
        return replica.machine.appliedIndex
      },
      followers,
      entryBody: (index: number) => this.#body(index),
    }
    const disk = {
      get state() {
        return { level: level() }
      },
    }
    const propose = (command: Command, _deadlineMs: number, done: () => void): boolean => {
      this.#proposed.push(command)
      if (this.fate === 'lost') return true
      if (this.fate === 'appliedLate') this.#clock.soon(done)
      this.#clock.soon(() => {
        replica.run(command, 1)
        done()
      })
      return true
    }
    this.#watch = new RetentionWatch({
      raft: raft as unknown as BrokerRaft,
      view,
      proposer: { propose } as unknown as Proposer,
      clock: this.#clock,
      deadlines: new Deadlines(this.#clock),
      disk: disk as unknown as DiskWatch,
      log: { segments, wallMsAt: index => replica.entries[index - 1]?.wallMs ?? 0 },
      settings: { ageMs: 0, sizeBytes: 0, intervalMs, followerGraceMs: 5_000, ...settings },
    })
    this.#watch.onLeadershipChanged()
  }

  /** What is deleted is gone for good. */
  #body(index: number): Uint8Array | undefined {
    if (index < (this.segments()[0]?.firstIndex ?? 0)) throw new Error(`entry ${index} is read after it was deleted`)
    return this.replica.entries[index - 1]?.body
  }

  segments(): { firstIndex: number; lastIndex: number; bytes: number }[] {
    const last = this.replica.machine.appliedIndex
    const all = Array.from({ length: Math.ceil(last / perSegment) }, (_, i) => i * perSegment + 1)
    return all
      .map(firstIndex => ({ firstIndex, lastIndex: Math.min(last, firstIndex + perSegment - 1), bytes: 1_000 }))
      .filter(({ lastIndex }) => lastIndex >= this.logFirst)
  }

  get logFirst(): number {
    return this.replica.machine.retention.logFirst
  }

  /** `meanwhile` runs in the first pause of the round. What it proposed, by kind. */
  round(meanwhile?: () => void): string[] {
    this.#proposed = []
    for (const before = this.#rounds; this.#rounds === before;) this.#clock.advance(1)
    meanwhile?.()
    this.#clock.advance(50)
    return this.#proposed.map(({ kind }) => kind)
  }

  /** How many rounds begin in the next so many milliseconds. */
  roundsWithin(ms: number): number {
    const before = this.#rounds
    this.#clock.advance(ms)
    return this.#rounds - before
  }

  rounds(count: number): void {
    for (let i = 0; i < count; i++) this.round()
  }

  topic(name: string): TopicId {
    this.replica.run({ kind: 'createTopic', topic: name, type: 'normal', queueCount: 1 })
    return this.replica.machine.topic(name)?.topicId as TopicId
  }

  /** Entries that mean nothing, a new segment at least. */
  fill(entries = 2 * perSegment): void {
    for (let i = 0; i < entries; i++) this.replica.run({ kind: 'barrier' }, 9)
  }

  trim(topicId: TopicId, offset: number): void {
    this.replica.run({ kind: 'trim', queues: [{ topicId, queueId, offset: offset as QueueOffset, forcedBelow: 0 }] })
  }

  standsAt(topicId: TopicId, offset: number): number {
    return this.replica.machine.retention.slot(topicId, queueId, offset as QueueOffset).logIndex
  }
}

/** Sent, given to a reader that does not answer, and given up by its queue; newer entries stand behind it. */
function withMessageInHands(leader: Leader): TopicId {
  const topicId = leader.topic('orders')
  leader.replica.run(group('readers', ['orders']))
  leader.replica.run(send('orders', [1]))
  leader.replica.take('readers', 'orders', { invisibleMs: 3_600_000 })
  leader.trim(topicId, 1)
  leader.fill()
  return topicId
}

test('a message in somebody’s hands is carried to the end of the log, and only then what it stood in goes', () => {
  const leader = new Leader()
  const topicId = withMessageInHands(leader)
  expect(leader.round()).toEqual(['carry'])
  expect(leader.standsAt(topicId, 0)).toBeGreaterThan(20)
  expect(leader.round()).toEqual(['trimLog'])
  expect(leader.logFirst).toBeGreaterThan(10)
  leader.rounds(5)
  expect(leader.round()).toEqual([])
  expect(leader.standsAt(topicId, 0)).toBeGreaterThanOrEqual(leader.logFirst)
  sound(leader.replica)
})

test('a dead letter is carried too: its message goes, it stays', () => {
  const leader = new Leader()
  const topicId = leader.topic('orders')
  leader.replica.run(group('readers', ['orders']))
  leader.replica.run(send('orders', [1]))
  const deliveries = leader.replica.take('readers', 'orders')
  leader.replica.settle(deliveries.map(({ ref }) => ({ kind: 'deadLetter', ref })))
  leader.trim(topicId, 1)
  leader.fill()
  expect(leader.round()).toEqual(['carry'])
  expect(leader.round()).toEqual(['trimLog'])
  const deadLetters = leader.replica.machine.topic('%DLQ%readers')?.topicId as TopicId
  expect(leader.standsAt(deadLetters, 0)).toBeGreaterThanOrEqual(leader.logFirst)
})

test('a dead letter that came while the round went on is not overlooked', () => {
  const leader = new Leader()
  const { replica } = leader
  const first = leader.topic('first')
  replica.run(group('readers', ['first']))
  const ids = Array.from({ length: 300 }, (_, i) => i + 1)
  replica.run(send('first', ids))
  for (let taken = replica.take('readers', 'first'); taken.length > 0; taken = replica.take('readers', 'first'))
    replica.settle(taken.map(({ ref }) => ({ kind: 'deadLetter', ref })))
  leader.trim(first, 300)
  leader.fill()
  leader.rounds(4)
  const second = leader.topic('second')
  replica.run(group('readers', ['second'], { replaceSettings: true }))
  replica.run(send('second', [1_000]))
  const sentAt = leader.standsAt(second, 0)
  const delivery = replica.take('readers', 'second')
  leader.trim(second, 1)
  leader.fill()
  // The walk is among the dead letters that there were when it came to them; to the second topic it comes later.
  leader.round(() => replica.settle(delivery.map(({ ref }) => ({ kind: 'deadLetter', ref }))))
  expect(leader.logFirst).toBeLessThanOrEqual(sentAt)
  leader.rounds(2)
  const deadLetters = replica.machine.topic('%DLQ%readers')?.topicId as TopicId
  expect(leader.standsAt(deadLetters, 300)).toBeGreaterThan(sentAt)
})

test('behind many messages that were carried already one that was not keeps the log', () => {
  const leader = new Leader()
  const { replica } = leader
  const topicId = leader.topic('orders')
  replica.run(group('readers', ['orders']))
  const count = 300
  replica.run(send('orders', new Array<undefined>(count).fill(undefined)))
  for (let i = 0; i < count; i += 30) replica.take('readers', 'orders', { max: 30, invisibleMs: 3_600_000 })
  leader.trim(topicId, count)
  leader.fill()
  const items = Array.from({ length: 256 }, (_, i) => ({ topicId, queueId, offset: i as QueueOffset, message: message(i) }))
  replica.run({ kind: 'carry', items })
  leader.fill()
  expect(leader.round()).toEqual(['carry'])
  expect(leader.standsAt(topicId, count - 1)).toBeGreaterThan(leader.logFirst)
  leader.round()
  for (const offset of [0, 255, 256, count - 1]) expect(leader.standsAt(topicId, offset)).toBeGreaterThanOrEqual(leader.logFirst)
})

test('what a follower lacks is kept while it lives, a while longer, and then no more', () => {
  const leader = new Leader()
  leader.fill(40)
  const lagging = { node: 2, appliedIndex: 15, matchedIndex: 40 }
  leader.followers = [{ ...lagging, sinceContactMs: 10 }]
  leader.rounds(3)
  expect(leader.logFirst).toBe(11)
  for (let silentMs = 0; silentMs < 4_000; silentMs += intervalMs) {
    leader.followers = [{ ...lagging, sinceContactMs: silentMs }]
    leader.round()
  }
  expect(leader.logFirst).toBe(11)
  for (let silentMs = 4_000; silentMs < 9_000; silentMs += intervalMs) {
    leader.followers = [{ ...lagging, sinceContactMs: silentMs }]
    leader.round()
  }
  expect(leader.logFirst).toBeGreaterThan(30)
})

test('on a nearly full disk nobody that lags is waited for', () => {
  const leader = new Leader()
  leader.fill(40)
  leader.followers = [{ node: 2, appliedIndex: 15, matchedIndex: 40, sinceContactMs: 10 }]
  leader.level = 'force'
  leader.rounds(2)
  expect(leader.logFirst).toBeGreaterThan(30)
})

test('on a filling disk goes what every group is done with, and no more', () => {
  const leader = new Leader()
  const { replica } = leader
  const topicId = leader.topic('orders')
  replica.run(group('readers', ['orders']))
  for (let i = 1; i <= 40; i++) replica.run(send('orders', [i]))
  const taken = replica.take('readers', 'orders', { max: 3, invisibleMs: 3_600_000 })
  replica.ack(...taken.slice(0, 2).map(({ ref }) => ref))
  leader.level = 'clean'
  leader.rounds(5)
  expect(replica.machine.queues(topicId)).toEqual([{ firstOffset: 2, nextOffset: 40 }])
  leader.level = 'force'
  leader.rounds(5)
  expect(replica.machine.queues(topicId)[0]?.firstOffset).toBeGreaterThan(20)
  sound(replica)
})

test('on a filling disk a topic that nobody reads yet keeps its messages for their time', () => {
  const leader = new Leader()
  const { replica } = leader
  const topicId = leader.topic('orders')
  for (let i = 1; i <= 40; i++) replica.run(send('orders', [i]))
  leader.level = 'clean'
  leader.rounds(5)
  expect(replica.machine.queues(topicId)).toEqual([{ firstOffset: 0, nextOffset: 40 }])
})

test('more than one round remembers is carried all the same, and nothing of it is lost meanwhile', () => {
  const leader = new Leader()
  const { replica } = leader
  const topicId = leader.topic('orders')
  replica.run(group('readers', ['orders']))
  const count = 2_100
  for (let i = 0; i < count; i += 700) replica.run(send('orders', new Array<undefined>(700).fill(undefined)))
  for (let i = 0; i < count; i += 32) replica.take('readers', 'orders', { invisibleMs: 3_600_000 })
  leader.trim(topicId, count)
  leader.fill()
  for (const from of [0, 1_000]) {
    const items = Array.from({ length: 1_000 }, (_, i) => ({ topicId, queueId, offset: (from + i) as QueueOffset, message: message(i) }))
    replica.run({ kind: 'carry', items })
  }
  const carriedAt = replica.machine.appliedIndex
  leader.fill()
  leader.rounds(4)
  for (const offset of [0, 1_999, 2_000, count - 1]) expect(leader.standsAt(topicId, offset)).toBeGreaterThanOrEqual(leader.logFirst)
  // What was not carried yet pinned the log behind two thousand that were.
  expect(leader.standsAt(topicId, count - 1)).toBeGreaterThan(carriedAt)
  expect(leader.logFirst).toBeGreaterThan(50)
  sound(replica)
})

test('a log over its size keeps a young dead letter of an old message: it is carried', () => {
  const leader = new Leader({ sizeBytes: 3_000 })
  const { replica } = leader
  leader.topic('orders')
  replica.run(group('readers', ['orders']))
  replica.run(send('orders', [1]))
  const deliveries = replica.take('readers', 'orders', { invisibleMs: 3_600_000 })
  for (let i = 0; i < 6; i++) {
    leader.fill(perSegment)
    replica.wallMs += 10_000
  }
  replica.settle(deliveries.map(({ ref }) => ({ kind: 'deadLetter', ref })))
  const deadLetters = replica.machine.topic('%DLQ%readers')?.topicId as TopicId
  leader.rounds(4)
  expect(replica.machine.queues(deadLetters)).toEqual([{ firstOffset: 0, nextOffset: 1 }])
  expect(leader.logFirst).toBeGreaterThan(20)
  expect(leader.standsAt(deadLetters, 0)).toBeGreaterThanOrEqual(leader.logFirst)
})

test('a topic goes by its own age; an unfinished message has twice that', () => {
  const leader = new Leader({ ageMs: 1_000_000 })
  const { replica } = leader
  const own = leader.topic('own')
  const others = leader.topic('others')
  replica.run({ kind: 'setRetention', topic: 'own', retention: { ageMs: 10_000, sizeBytes: 0 } })
  replica.run(group('readers', ['own']))
  replica.run(send('own', [1]))
  replica.run(send('others', [2]))
  replica.take('readers', 'own', { invisibleMs: 3_600_000 })
  replica.pass(11_000)
  leader.rounds(2)
  expect(replica.machine.queues(own)).toEqual([{ firstOffset: 1, nextOffset: 1 }])
  expect(replica.machine.queues(others)).toEqual([{ firstOffset: 0, nextOffset: 1 }])
  expect(replica.machine.place('readers', 'own')).toMatchObject({ inFlight: 1, trimmed: 0 })
  replica.pass(10_000)
  leader.rounds(2)
  expect(replica.machine.place('readers', 'own')).toMatchObject({ inFlight: 0, trimmed: 1 })
})

test('over its size a topic gives up its oldest messages, as many as it must', () => {
  const leader = new Leader()
  const { replica } = leader
  const topicId = leader.topic('orders')
  replica.run({ kind: 'setRetention', topic: 'orders', retention: { ageMs: 0, sizeBytes: 10 * 1_024 } })
  for (let i = 1; i <= 20; i++) {
    replica.wallMs += 1_000
    replica.run(send('orders', [], { messages: [message(i, { bytes: new Uint8Array(1_024) })] }))
  }
  leader.rounds(2)
  const [queue] = replica.machine.queues(topicId)
  expect(queue?.firstOffset).toBeGreaterThan(9)
  expect(queue?.firstOffset).toBeLessThan(13)
  expect(leader.round()).toEqual([])
})

test('no round begins while a proposal of the last one is open, though an earlier one was heard of twice', () => {
  const leader = new Leader()
  leader.fill()
  leader.fate = 'appliedLate'
  expect(leader.round()).toEqual(['trimLog'])
  leader.fill()
  leader.fate = 'lost'
  expect(leader.round()).toEqual(['trimLog'])
  expect(leader.roundsWithin(5 * intervalMs)).toBe(0)
})

test('whoever leads gives up what nobody needs any more, and the next leader goes on with it', () => {
  const world = new FakeWorld({
    retention: machine => ({
      view: machine,
      disk: { state: { level: 'ok' } } as unknown as DiskWatch,
      log: {
        segments: () =>
          Array.from({ length: Math.ceil(machine.appliedIndex / perSegment) }, (_, i) => ({
            firstIndex: i * perSegment + 1,
            lastIndex: (i + 1) * perSegment,
            bytes: 1_000,
          })),
        wallMsAt: () => 0,
      },
      settings: { ageMs: 0, sizeBytes: 0, intervalMs, followerGraceMs: 5_000 },
    }),
  })
  const firstAt = (node: number): number => world.at(node).machine.retention.logFirst
  for (const leader of [1, 2]) {
    world.group.elect(leader)
    const before = firstAt(3)
    for (let i = 0; i < 3 * perSegment; i++)
      world.broker(3).proposer.propose({ kind: 'barrier' }, world.clock.nowMs() + 1_000, () => undefined)
    world.clock.advance(2 * intervalMs)
    expect(firstAt(3)).toBeGreaterThan(before)
  }
})
