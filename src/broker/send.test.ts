import { expect, test } from 'vitest'
import { FakeWorld, codeOf, messageOf } from './testing/fake-world.ts'
import { MessageType } from '../state/command.ts'
import { largeBodyBytes, requestBytesMax, send } from './send.ts'

const sendKind = 1

test('any node accepts a send, and all see it at the same place', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const heard = [1, 2, 3].map(id => world.send(id, 't', `m${id}`))
  world.clock.advance(20)
  const offsets = heard.map(({ answer }) => (answer?.kind === 'sent' ? answer.entries[0]?.offset : undefined))
  expect([...offsets].sort()).toEqual([0, 1, 2])
  for (const { machine } of world.gateways) expect(machine.topic('t')?.appended).toBe(3)
})

test('a retry with the same id through another node is the first message', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.send(2, 't', 'x')
  world.clock.advance(20)
  const again = world.send(3, 't', 'x')
  world.clock.advance(20)
  expect(again.answer).toMatchObject({ kind: 'sent', entries: [{ messageId: 'id-x', offset: 0, isDuplicate: true }] })
  expect(world.at(1).machine.topic('t')?.appended).toBe(1)
})

test('equal ids of one client for different messages are different messages (M66, rule 5)', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const heard = ['x', 'y', 'z'].map(text => world.send(2, 't', text, { messageId: text === 'z' ? 'other' : 'same' }))
  world.clock.advance(20)
  for (const { answer } of heard) expect(answer).toMatchObject({ kind: 'sent', entries: [{ isDuplicate: false }] })
  expect(world.at(1).machine.topic('t')?.appended).toBe(3)
})

test('without a client id nothing is taken for a repeat', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.send(2, 't', 'x', { clientId: undefined })
  world.send(2, 't', 'x', { clientId: undefined })
  world.clock.advance(20)
  expect(world.at(1).machine.topic('t')?.appended).toBe(2)
})

test('a node that lags answers from its own apply only, though the leader has it long since', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.at(2).node.isHeld = true
  const heard = world.send(2, 't', 'x')
  world.clock.advance(500)
  expect(world.at(1).machine.topic('t')?.appended).toBe(1)
  expect(heard.answer).toBeUndefined()
  world.group.release(2)
  expect(codeOf(heard)).toBe('sent')
})

test('a node that lags does not deny a topic that exists', () => {
  const world = new FakeWorld()
  world.at(3).node.isHeld = true
  world.createTopic('t')
  const heard = world.send(3, 't', 'x')
  world.clock.advance(100)
  expect(heard.answer).toBeUndefined()
  world.group.release(3)
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('sent')
})

test('an unknown topic is refused without its body in the log', () => {
  const world = new FakeWorld()
  const heard = world.send(2, 'nowhere', 'x')
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('topicNotFound')
  expect(world.entries(sendKind)).toBe(0)
})

test('a type that the topic does not take is refused', () => {
  const world = new FakeWorld()
  world.createTopic('plain')
  world.createTopic('ordered', 'fifo', 4)
  const toPlain = world.send(2, 'plain', 'x', { messageGroup: 'g' })
  const toOrdered = world.send(2, 'ordered', 'x')
  world.clock.advance(20)
  expect(codeOf(toPlain)).toBe('messagePropertyConflictWithType')
  expect(codeOf(toOrdered)).toBe('messagePropertyConflictWithType')
})

test('messages of one group share a queue, whichever node takes them', () => {
  const world = new FakeWorld()
  world.createTopic('ordered', 'fifo', 16)
  const heard = [1, 2, 3, 1].map((id, i) => world.send(id, 'ordered', `m${i}`, { messageGroup: 'g' }))
  world.clock.advance(20)
  const queues = heard.map(({ answer }) => (answer?.kind === 'sent' ? answer.entries[0]?.queueId : undefined))
  expect(queues).toEqual([6, 6, 6, 6])
})

test('several messages of one request are one entry, with a result for each', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const messages = ['a', 'b', 'c'].map(body => messageOf({ topic: 't', messageId: body, body }))
  const request = { ...world.asked(), topic: 't', messageType: MessageType.normal, messageGroup: undefined, messages }
  const heard = world.ask(reply => send(world.broker(2), request, reply))
  world.clock.advance(20)
  expect(heard.answer).toMatchObject({
    entries: [
      { messageId: 'a', offset: 0 },
      { messageId: 'b', offset: 1 },
      { messageId: 'c', offset: 2 },
    ],
  })
  expect(world.entries(sendKind)).toBe(1)
})

test('during an election a send waits, then succeeds', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.elect(undefined)
  const heard = [1, 2, 3].map(id => world.send(id, 't', `m${id}`))
  world.clock.advance(1_000)
  expect(heard.map(codeOf)).toEqual([undefined, undefined, undefined])
  world.group.elect(2)
  world.clock.advance(20)
  expect(heard.map(codeOf)).toEqual(['sent', 'sent', 'sent'])
})

test('with no leader a send is refused as haNotAvailable at its deadline', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.elect(undefined)
  const heard = world.send(2, 't', 'x')
  const deadlineMs = world.clock.nowMs() + 2_500
  world.clock.advance(5_000)
  expect(codeOf(heard)).toBe('haNotAvailable')
  expect(heard.atMs).toBeLessThanOrEqual(deadlineMs)
})

test('with a leader that can commit nothing it is proxyTimeout, and the retry finds the message', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.isCommitHeld = true
  const heard = world.send(2, 't', 'x')
  world.clock.advance(3_000)
  expect(codeOf(heard)).toBe('proxyTimeout')
  world.group.releaseCommit()
  world.clock.advance(10)
  const again = world.send(3, 't', 'x')
  world.clock.advance(20)
  expect(again.answer).toMatchObject({ kind: 'sent', entries: [{ isDuplicate: true }] })
})

test('a large body is hashed elsewhere, and the send waits for it', () => {
  let finish: (() => void) | undefined
  const world = new FakeWorld({ digestLarge: (_, done) => (finish = () => done(new Uint8Array(16))) })
  world.createTopic('t')
  const heard = world.send(2, 't', 'x'.repeat(largeBodyBytes), { messageId: 'm' })
  world.clock.advance(20)
  expect(heard.answer).toBeUndefined()
  finish?.()
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('sent')
})

test('a request that does not fit an entry is refused', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const heard = world.send(2, 't', 'x'.repeat(requestBytesMax), { messageId: 'm' })
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('payloadTooLarge')
  expect(world.broker(2).admission.bytes).toBe(0)
})

test('more bytes than the node may have on their way are refused as tooManyRequests', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.elect(undefined)
  const body = 'x'.repeat(requestBytesMax - 1_000)
  const heard = Array.from({ length: 12 }, (_, i) => world.send(2, 't', body, { messageId: `m${i}` }))
  world.clock.advance(50)
  expect(heard.map(codeOf)).toContain('tooManyRequests')
  world.clock.advance(5_000)
  expect(world.broker(2).admission.bytes).toBe(0)
})

test('a send that comes to nothing gives back the room that it took', () => {
  const world = new FakeWorld()
  const unknown = world.send(2, 'nowhere', 'x')
  expect(world.broker(2).admission.bytes).toBeGreaterThan(0)
  world.clock.advance(20)
  expect(codeOf(unknown)).toBe('topicNotFound')
  expect(world.broker(2).admission.bytes).toBe(0)
  world.group.elect(undefined)
  const hopeless = world.send(2, 'nowhere', 'x')
  world.clock.advance(3_000)
  expect(codeOf(hopeless)).toBe('haNotAvailable')
  expect(world.broker(2).admission.bytes).toBe(0)
})
