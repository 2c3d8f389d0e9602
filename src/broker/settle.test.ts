import { expect, test } from 'vitest'
import { ack } from './ack.ts'
import { changeInvisible } from './change-invisible.ts'
import { FakeWorld, batchOf, codeOf, textsOf, type Heard } from './testing/fake-world.ts'
import { forwardToDeadLetterQueue } from './forward-to-dlq.ts'
import type { AckAnswer, ChangeInvisibleAnswer, ForwardToDeadLetterQueueAnswer, ReceiveRequest } from './requests.ts'

const settleKind = 3

/** A world in which `count` messages m0, m1 … were received at node 2. */
function received(count: number, more: Partial<ReceiveRequest> = {}): { world: FakeWorld; handles: string[] } {
  const world = new FakeWorld()
  world.createTopic('t')
  world.receive(1, 't', { pollMs: 0 })
  world.clock.advance(50)
  for (let i = 0; i < count; i++) world.send(1, 't', `m${i}`)
  world.clock.advance(20)
  const heard = world.receive(2, 't', more)
  world.clock.advance(20)
  const batch = batchOf(heard)
  batch.confirm()
  world.clock.advance(20)
  return { world, handles: Array.from({ length: batch.count }, (_, i) => batch.read(i).receiptHandle) }
}

function ackAt(world: FakeWorld, gateway: number, handles: readonly string[]): Heard<AckAnswer> {
  const entries = handles.map((receiptHandle, i) => ({ messageId: `id-m${i}`, receiptHandle }))
  return world.ask(reply => ack(world.broker(gateway), { ...world.asked(), consumerGroup: 'group', topic: 't', entries }, reply))
}

function refusalsOf({ answer }: Heard<AckAnswer>): (string | undefined)[] {
  return answer?.kind === 'acked' ? answer.refusals.map(refusal => refusal?.code) : ['no answer']
}

function change(world: FakeWorld, receiptHandle: string, invisibleMs: number): Heard<ChangeInvisibleAnswer> {
  const request = { ...world.asked(), consumerGroup: 'group', topic: 't', receiptHandle, messageId: 'm', invisibleMs, suspend: false }
  return world.ask(reply => changeInvisible(world.broker(3), request, reply))
}

function forward(
  world: FakeWorld,
  receiptHandle: string,
  messageId: string,
  clientId = 'consumer-2',
): Heard<ForwardToDeadLetterQueueAnswer> {
  const request = { ...world.asked(2_500, clientId), consumerGroup: 'group', topic: 't', receiptHandle, messageId }
  return world.ask(reply => forwardToDeadLetterQueue(world.broker(3), request, reply))
}

test('any node takes an ack, twice is fine, and the message never comes back', () => {
  const { world, handles } = received(1)
  const first = ackAt(world, 3, handles)
  world.clock.advance(20)
  const again = ackAt(world, 1, handles)
  world.clock.advance(20)
  expect(refusalsOf(first)).toEqual([undefined])
  expect(refusalsOf(again)).toEqual([undefined])
  const later = world.receive(1, 't', { pollMs: 60_000, deadlineMs: world.clock.nowMs() + 60_000 })
  world.clock.advance(60_000)
  expect(codeOf(later)).toBe('messageNotFound')
})

test('garbage and foreign handles are refused each for itself', () => {
  const { world, handles } = received(2)
  const heard = ackAt(world, 1, ['garbage', handles[0] ?? '', ''])
  world.clock.advance(20)
  expect(refusalsOf(heard)).toEqual(['invalidReceiptHandle', undefined, 'invalidReceiptHandle'])
})

test('the handle of a delivery that expired is stale', () => {
  const { world, handles } = received(1, { invisibleMs: 10_000 })
  world.clock.advance(11_000)
  const heard = ackAt(world, 1, handles)
  world.clock.advance(20)
  expect(refusalsOf(heard)).toEqual(['invalidReceiptHandle'])
})

test('a stale handle refuses itself alone, whatever stands beside it', () => {
  const { world, handles } = received(3)
  change(world, handles[1] ?? '', 0)
  world.clock.advance(20)
  const heard = ackAt(world, 1, handles)
  world.clock.advance(20)
  expect(refusalsOf(heard)).toEqual([undefined, 'invalidReceiptHandle', undefined])
})

test('a node that lags does not call a good handle stale', () => {
  const { world, handles } = received(1)
  world.at(3).node.isHeld = true
  const heard = ackAt(world, 3, handles)
  world.clock.advance(200)
  expect(heard.answer).toBeUndefined()
  world.group.release(3)
  expect(refusalsOf(heard)).toEqual([undefined])
})

test('acks of one turn are one entry, and those that come meanwhile the next', () => {
  const { world, handles } = received(32)
  const before = world.entries(settleKind)
  const heard = handles.slice(0, 16).map(handle => ackAt(world, 3, [handle]))
  world.clock.advance(1)
  heard.push(...handles.slice(16).map(handle => ackAt(world, 3, [handle])))
  world.clock.advance(20)
  expect(heard.every(each => refusalsOf(each)[0] === undefined)).toBe(true)
  expect(world.entries(settleKind) - before).toBe(2)
})

test('an ack outlives a change of leader', () => {
  const { world, handles } = received(1)
  world.group.isCommitHeld = true
  const heard = ackAt(world, 2, handles)
  world.clock.advance(10)
  world.group.elect(3, 0)
  world.group.releaseCommit()
  world.clock.advance(20)
  expect(refusalsOf(heard)).toEqual([undefined])
})

test('without a leader an ack is refused at its deadline with a code that clients repeat', () => {
  const { world, handles } = received(1)
  world.group.elect(undefined)
  const heard = ackAt(world, 2, handles)
  world.clock.advance(2_600)
  expect(refusalsOf(heard)).toEqual(['haNotAvailable'])
  world.group.elect(1)
  world.clock.advance(50)
  const again = ackAt(world, 2, handles)
  world.clock.advance(20)
  expect(refusalsOf(again)).toEqual([undefined])
})

test('a nack with 0 is visible at once, as the next attempt, and the answer echoes the handle', () => {
  const { world, handles } = received(1)
  const [handle = ''] = handles
  const heard = change(world, handle, 0)
  world.clock.advance(20)
  expect(heard.answer).toEqual({ kind: 'changed', receiptHandle: handle })
  const second = world.receive(1, 't')
  world.clock.advance(20)
  expect(textsOf(second)).toEqual(['m0'])
  expect(batchOf(second).read(0).attempt).toBe(2)
})

test('a message forwarded to the dead letters is there, and only there', () => {
  const { world, handles } = received(1)
  const heard = forward(world, handles[0] ?? '', 'id-m0')
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('forwarded')
  expect(world.at(1).machine.topic('%DLQ%group')?.appended).toBe(1)
  const again = forward(world, handles[0] ?? '', 'id-m0')
  world.clock.advance(20)
  expect(codeOf(again)).toBe('forwarded')
  expect(world.at(1).machine.topic('%DLQ%group')?.appended).toBe(1)
})

test('without a handle the message is found by client and id; an unknown one is fine too', () => {
  const { world } = received(3)
  const heard = forward(world, '', 'id-m1')
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('forwarded')
  expect(world.at(1).machine.place('group', 't')).toMatchObject({ dead: 1, inFlight: 2 })
  const unknown = forward(world, '', 'never-sent')
  const stranger = forward(world, '', 'id-m2', 'somebody-else')
  world.clock.advance(20)
  expect(codeOf(unknown)).toBe('forwarded')
  expect(codeOf(stranger)).toBe('forwarded')
  expect(world.at(1).machine.place('group', 't')).toMatchObject({ dead: 1, inFlight: 2 })
})

test('without a handle a node that lags looks again when it is as new as the question', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.receive(1, 't', { pollMs: 0 })
  world.clock.advance(50)
  world.at(3).node.isHeld = true
  world.send(1, 't', 'm0')
  world.clock.advance(20)
  batchOf(settled(world, world.receive(2, 't'))).confirm()
  world.clock.advance(20)
  const heard = forward(world, '', 'id-m0')
  world.clock.advance(50)
  expect(heard.answer).toBeUndefined()
  world.group.release(3)
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('forwarded')
  expect(world.at(1).machine.topic('%DLQ%group')?.appended).toBe(1)
})

function settled<Answer>(world: FakeWorld, heard: Answer): Answer {
  world.clock.advance(20)
  return heard
}

test('an expired handle is fine for the dead letters: clients would repeat it for ever', () => {
  const { world, handles } = received(1, { invisibleMs: 10_000 })
  world.clock.advance(11_000)
  const heard = forward(world, handles[0] ?? '', 'id-m0')
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('forwarded')
  expect(world.at(1).machine.topic('%DLQ%group')).toBeUndefined()
})
