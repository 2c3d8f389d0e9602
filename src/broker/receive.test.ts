import { expect, test } from 'vitest'
import { ack } from './ack.ts'
import { FakeWorld, batchOf, codeOf, popKind, settleKind, textsOf, worldWithGroup } from './testing/fake-world.ts'
import { mustExist } from '../platform/assert.ts'
import { tagHashOf } from './hash.ts'
import { defaultLimits } from '../state/limits.ts'

test('a waiting receive gets a message as soon as it is there', () => {
  const world = worldWithGroup()
  const heard = world.receive(2, 't')
  world.clock.advance(1_000)
  world.send(3, 't', 'x')
  world.clock.advance(20)
  expect(textsOf(heard)).toEqual(['x'])
})

test('an idle receive makes no entry and ends as messageNotFound when its poll time is over', () => {
  const world = worldWithGroup()
  const before = world.group.log.length
  const startMs = world.clock.nowMs()
  const heard = world.receive(2, 't', { pollMs: 7_000 })
  world.clock.advance(6_999)
  expect(heard.answer).toBeUndefined()
  expect(world.entries(popKind)).toBe(1)
  world.clock.advance(2)
  expect(codeOf(heard)).toBe('messageNotFound')
  expect(heard.atMs - startMs).toBeLessThanOrEqual(7_000)
  // Only that the client is here was said.
  expect(world.group.log.length - before).toBeLessThanOrEqual(1)
})

test('a receive without poll time answers at once when there is nothing, and takes what there is', () => {
  const world = worldWithGroup()
  const empty = world.receive(2, 't', { pollMs: 0 })
  world.clock.advance(1)
  expect(codeOf(empty)).toBe('messageNotFound')
  world.send(3, 't', 'x')
  world.clock.advance(20)
  const full = world.receive(2, 't', { pollMs: 0 })
  world.clock.advance(20)
  expect(textsOf(full)).toEqual(['x'])
})

test('all that wait on one node share a pop, and the oldest is served first', () => {
  const world = worldWithGroup()
  const heard = [1, 2, 3, 4].map(() => world.receive(2, 't', { max: 1 }))
  world.clock.advance(100)
  const before = world.entries(popKind)
  world.send(3, 't', 'x')
  world.send(3, 't', 'y')
  world.clock.advance(20)
  expect(heard.map(textsOf)).toEqual([['x'], ['y'], [], []])
  expect(world.entries(popKind) - before).toBe(1)
})

test('many gateways that wait do not all pop for one message', () => {
  const world = worldWithGroup()
  // Everybody has popped once, so everybody knows who else waits.
  for (let i = 0; i < 9; i++) {
    for (const id of [1, 2, 3]) world.receive(id, 't', { max: 1 })
    world.clock.advance(5)
    world.send(1, 't', `warm-${i}`)
    world.send(2, 't', `warm-${i}b`)
    world.send(3, 't', `warm-${i}c`)
    world.clock.advance(50)
  }
  const heard = [1, 2, 3].flatMap(id => [world.receive(id, 't', { max: 1 }), world.receive(id, 't', { max: 1 })])
  world.clock.advance(100)
  const before = world.entries(popKind)
  for (let i = 0; i < 6; i++) {
    world.send(1, 't', `m${i}`)
    world.clock.advance(100)
  }
  expect(heard.flatMap(textsOf).sort()).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5'])
  expect(world.entries(popKind) - before).toBeLessThanOrEqual(7)
})

test('a message is not given to two receives', () => {
  const world = worldWithGroup()
  const heard = [1, 2, 3].map(id => world.receive(id, 't'))
  world.clock.advance(10)
  for (let i = 0; i < 10; i++) world.send(1 + (i % 3), 't', `m${i}`)
  world.clock.advance(100)
  const texts = heard.flatMap(textsOf)
  expect(texts.length).toBe(new Set(texts).size)
})

test('an unknown topic is refused, after a barrier', () => {
  const world = new FakeWorld()
  const heard = world.receive(2, 'nowhere')
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('topicNotFound')
  expect(world.entries(popKind)).toBe(0)
})

test('a node that lags does not deny a topic to a receive, and delivers from its own log', () => {
  const world = new FakeWorld()
  world.at(3).node.isHeld = true
  world.createTopic('t')
  world.receive(1, 't', { pollMs: 0 })
  world.clock.advance(20)
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const heard = world.receive(3, 't')
  world.clock.advance(200)
  expect(heard.answer).toBeUndefined()
  world.group.release(3)
  world.clock.advance(20)
  expect(textsOf(heard)).toEqual(['x'])
})

test('a confirmed delivery stays when its gateway goes down, an unconfirmed one comes back at once', () => {
  for (const isConfirmed of [true, false]) {
    const world = worldWithGroup()
    world.send(1, 't', 'x')
    world.clock.advance(20)
    const first = world.receive(3, 't')
    world.clock.advance(20)
    expect(textsOf(first)).toEqual(['x'])
    if (isConfirmed) batchOf(first).confirm()
    world.clock.advance(50)
    const second = world.receive(2, 't', { pollMs: 5_000 })
    world.group.setSilent(3, true)
    world.clock.advance(3_000)
    expect(textsOf(second)).toEqual(isConfirmed ? [] : ['x'])
    if (!isConfirmed) expect(batchOf(second).read(0).attempt).toBe(1)
  }
})

test('a released delivery is visible at once and no attempt is counted', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const first = world.receive(3, 't')
  world.clock.advance(20)
  batchOf(first).release()
  const second = world.receive(2, 't')
  world.clock.advance(100)
  expect(textsOf(second)).toEqual(['x'])
  expect(batchOf(second).read(0).attempt).toBe(1)
})

test('a stream that broke in the middle keeps what it had sent', () => {
  const world = worldWithGroup()
  for (const text of ['a', 'b', 'c']) world.send(1, 't', text)
  world.clock.advance(20)
  const first = world.receive(3, 't')
  world.clock.advance(20)
  batchOf(first).release(1)
  const second = world.receive(2, 't')
  world.clock.advance(100)
  expect(textsOf(second)).toEqual(['b', 'c'])
})

test('what has rotted on the disk of this node is not handed out by it, nor held from others, and counts no attempt', () => {
  const world = worldWithGroup()
  for (const text of ['a', 'b', 'c']) world.send(1, 't', text)
  world.clock.advance(20)
  const rotten = world.group.log.find(({ body }) => Buffer.from(body).includes('id-b'))
  world.group.node(3).rotten.add(mustExist(rotten, 'entry').index)
  const here = world.receive(3, 't')
  world.clock.advance(20)
  expect(textsOf(here)).toEqual(['a', 'c'])
  batchOf(here).confirm()
  // It comes back soon, and not at once: else it would be popped here over and over.
  const again = world.receive(3, 't')
  const pops = world.entries(popKind)
  world.clock.advance(400)
  expect(world.entries(popKind) - pops).toBeLessThanOrEqual(1)
  again.handle.cancel()
  const elsewhere = world.receive(2, 't')
  world.clock.advance(1_500)
  expect(textsOf(elsewhere)).toEqual(['b'])
  expect(batchOf(elsewhere).read(0).attempt).toBe(1)
})

test('a message that is mended is handed out to the receive that waited for it', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const { rotten } = world.group.node(3)
  rotten.add(world.group.log.length)
  const heard = world.receive(3, 't')
  world.clock.advance(2_000)
  expect(heard.answer).toBeUndefined()
  rotten.clear()
  world.clock.advance(1_500)
  expect(textsOf(heard)).toEqual(['x'])
  expect(batchOf(heard).read(0).attempt).toBe(1)
})

test('what a pop brings for a client that is gone is released', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  world.group.isCommitHeld = true
  const first = world.receive(3, 't')
  world.clock.advance(20)
  first.handle.cancel()
  world.group.releaseCommit()
  world.clock.advance(50)
  expect(first.answer).toBeUndefined()
  const second = world.receive(2, 't')
  world.clock.advance(100)
  expect(textsOf(second)).toEqual(['x'])
})

test('thousands of idle receives that end together make one read, and no entry', () => {
  const world = worldWithGroup()
  const settled = world.receive(2, 't', { attemptId: 'settled', clientId: 'c', pollMs: 10 })
  world.clock.advance(1_000)
  expect(codeOf(settled)).toBe('messageNotFound')
  const before = { entries: world.group.log.length, reads: world.at(2).node.readsAsked }
  const heard = Array.from({ length: 1_000 }, (_, i) =>
    world.receive(2, 't', { attemptId: `attempt-${i}`, clientId: `c${i}`, pollMs: 5_000 }),
  )
  world.clock.advance(6_000)
  expect(new Set(heard.map(codeOf))).toEqual(new Set(['messageNotFound']))
  expect(world.at(2).node.readsAsked - before.reads).toBe(1)
  // The clients that came are told of, once for all.
  expect(world.entries(popKind)).toBe(1)
  expect(world.group.log.length - before.entries).toBeLessThanOrEqual(2)
})

test('only the wanted tags are delivered', () => {
  const world = worldWithGroup()
  for (const tag of ['a', 'b', undefined, 'a']) world.send(1, 't', `m-${tag ?? 'none'}-${Math.random()}`, tag === undefined ? {} : { tag })
  world.clock.advance(20)
  const heard = world.receive(2, 't', { filter: { kind: 'tags', tags: ['a'] } })
  world.clock.advance(20)
  expect(textsOf(heard).map(text => text.slice(0, 3))).toEqual(['m-a', 'm-a'])
})

test('a tag that only hashes alike is acked silently, and the receive waits on', () => {
  const [one, other] = collidingTags()
  const world = worldWithGroup()
  world.send(1, 't', 'wrong', { tag: other })
  world.clock.advance(20)
  const heard = world.receive(2, 't', { filter: { kind: 'tags', tags: [one] } })
  world.clock.advance(50)
  expect(heard.answer).toBeUndefined()
  expect(world.at(1).machine.place('group', 't')).toMatchObject({ acked: 1, inFlight: 0 })
  world.send(1, 't', 'right', { tag: one })
  world.clock.advance(50)
  expect(textsOf(heard)).toEqual(['right'])
})

test('a group that comes into being by reading a FIFO topic is FIFO, and keeps the order of a message group', () => {
  const world = worldWithGroup('fifo')
  expect(world.at(2).machine.group('group')?.settings.isFifo).toBe(true)
  for (const text of ['a', 'b', 'c']) world.send(1, 't', text, { messageGroup: 'g' })
  world.clock.advance(20)
  const first = world.receive(2, 't', { max: 1 })
  world.clock.advance(20)
  const second = world.receive(3, 't', { max: 1 })
  world.clock.advance(200)
  expect(textsOf(first)).toEqual(['a'])
  expect(second.answer).toBeUndefined()
  const batch = batchOf(first)
  batch.confirm()
  const entries = [{ messageId: 'id-a', receiptHandle: batch.read(0).receiptHandle }]
  world.ask(reply => ack(world.broker(1), { ...world.asked(), consumerGroup: 'group', topic: 't', entries }, reply))
  world.clock.advance(50)
  expect(textsOf(second)).toEqual(['b'])
})

test('during an election a receive waits, and a leader brings its messages', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  world.group.elect(undefined)
  const heard = world.receive(2, 't')
  world.clock.advance(1_500)
  expect(heard.answer).toBeUndefined()
  world.group.elect(3)
  world.clock.advance(50)
  expect(textsOf(heard)).toEqual(['x'])
})

test('a receive never ends after its deadline', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  world.group.isCommitHeld = true
  const deadlineMs = world.clock.nowMs() + 900
  const heard = world.receive(2, 't', { deadlineMs })
  world.clock.advance(5_000)
  expect(heard.atMs).toBeLessThanOrEqual(deadlineMs)
  expect(codeOf(heard)).toBe('proxyTimeout')
  world.group.releaseCommit()
  const later = world.receive(3, 't', { pollMs: 1_000 })
  world.clock.advance(500)
  expect(textsOf(later)).toEqual(['x'])
})

test('a place has room for so many waiters, the next is told to come again', () => {
  const world = worldWithGroup()
  const heard = Array.from({ length: 1_025 }, () => world.receive(2, 't'))
  world.clock.advance(1)
  expect(heard.filter(each => codeOf(each) === 'tooManyRequests').length).toBe(1)
})

test('an expired delivery comes back to a receive that waits, by a tick when nothing else goes on', () => {
  const world = worldWithGroup()
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const first = world.receive(2, 't', { invisibleMs: 10_000 })
  world.clock.advance(20)
  batchOf(first).confirm()
  const second = world.receive(3, 't', { pollMs: 15_000 })
  world.clock.advance(9_000)
  expect(second.answer).toBeUndefined()
  world.clock.advance(1_500)
  expect(textsOf(second)).toEqual(['x'])
  expect(batchOf(second).read(0).attempt).toBe(2)
})

test('confirmations of many streams go as few entries', () => {
  const world = worldWithGroup()
  for (let i = 0; i < 20; i++) world.send(1, 't', `m${i}`)
  world.clock.advance(20)
  const heard = Array.from({ length: 20 }, () => world.receive(2, 't', { max: 1 }))
  world.clock.advance(50)
  const before = world.entries(settleKind)
  for (const each of heard) batchOf(each).confirm()
  world.clock.advance(50)
  expect(world.entries(settleKind) - before).toBe(1)
  expect(world.broker(2).owners.count).toBe(0)
})

/** Two tags with one hash, found by trying. */
function collidingTags(): [string, string] {
  const seen = new Map<number, string>()
  for (let i = 0; ; i++) {
    const tag = `tag${i}`
    const other = seen.get(tagHashOf(tag))
    if (other !== undefined) return [other, tag]
    seen.set(tagHashOf(tag), tag)
  }
}

test('a receive that waits because its group is full elsewhere is woken when there is room', () => {
  const world = new FakeWorld({ limits: { ...defaultLimits, groupRowsMax: 1 } })
  world.createTopic('t')
  world.createTopic('u')
  for (const topic of ['t', 'u']) world.receive(1, topic, { pollMs: 0 })
  world.clock.advance(20)
  world.send(1, 't', 'x')
  const first = world.receive(1, 't')
  const second = world.receive(2, 'u')
  world.clock.advance(20)
  world.send(1, 'u', 'y')
  world.clock.advance(1_000)
  expect(second.answer).toBeUndefined()
  const { receiptHandle } = batchOf(first).read(0)
  const entries = [{ messageId: 'id-x', receiptHandle }]
  world.ask(reply => ack(world.broker(3), { ...world.asked(), consumerGroup: 'group', topic: 't', entries }, reply))
  world.clock.advance(20)
  expect(textsOf(second)).toEqual(['y'])
})

test('consumers that wait by turns, so that somebody always does, are woken after minutes as at first', () => {
  const world = worldWithGroup()
  const heard = [world.receive(2, 't', { max: 1, invisibleMs: 3_600_000 }), world.receive(2, 't', { max: 1, invisibleMs: 3_600_000 })]
  for (let i = 0; i < 30; i++) {
    heard.push(world.receive(2, 't', { max: 1, invisibleMs: 3_600_000 }))
    world.clock.advance(5_000)
    world.send(3, 't', `m${i}`)
    world.clock.advance(50)
    const oldest = heard[i]
    expect(oldest === undefined ? undefined : textsOf(oldest)).toEqual([`m${i}`])
  }
})
