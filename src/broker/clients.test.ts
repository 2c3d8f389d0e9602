import { expect, test } from 'vitest'
import { clientSettings } from './client-settings.ts'
import { FakeWorld, batchOf, codeOf, textsOf, type Heard } from './testing/fake-world.ts'
import { hash64 } from './hash.ts'
import { heartbeat, notifyTermination } from './heartbeat.ts'
import type { ConsumerSettingsRequest, HeartbeatAnswer, SettingsAnswer } from './requests.ts'

const clientsChangedKind = 7
const ensureGroupKind = 6

function settings(world: FakeWorld, gateway: number, more: Partial<ConsumerSettingsRequest> = {}): Heard<SettingsAnswer> {
  const request: ConsumerSettingsRequest = {
    ...world.asked(),
    kind: 'consumer',
    clientType: 'pushConsumer',
    consumerGroup: 'group',
    topics: ['t'],
    fifo: undefined,
    ...more,
  }
  return world.ask(reply => clientSettings(world.broker(gateway), request, reply))
}

function beat(world: FakeWorld, gateway: number, clientId: string, consumerGroup?: string): Heard<HeartbeatAnswer> {
  const request = { ...world.asked(2_500, clientId), clientType: undefined, consumerGroup }
  return world.ask(reply => heartbeat(world.broker(gateway), request, reply))
}

test('a group comes into being with the first settings, on all nodes, and the second make no entry', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const first = settings(world, 2)
  world.clock.advance(20)
  expect(codeOf(first)).toBe('settings')
  for (const { machine } of world.gateways) expect(machine.hasPlace('group', 't')).toBe(true)
  const again = settings(world, 3)
  world.clock.advance(20)
  expect(again.answer).toEqual(first.answer)
  expect(world.entries(ensureGroupKind)).toBe(1)
})

test('what is sent after the settings is received, though the first receive comes later', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  settings(world, 2)
  world.clock.advance(20)
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const heard = world.receive(3, 't')
  world.clock.advance(20)
  expect(textsOf(heard)).toEqual(['x'])
})

test('a group is FIFO when all its topics are, or when its first client says so', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.createTopic('f', 'fifo')
  const groups = [
    settings(world, 1, { consumerGroup: 'g1', topics: ['f'] }),
    settings(world, 1, { consumerGroup: 'g2', topics: ['f', 't'] }),
    settings(world, 1, { consumerGroup: 'g3', topics: ['t'], fifo: true }),
    settings(world, 1, { consumerGroup: 'g4', topics: [] }),
  ]
  world.clock.advance(20)
  expect(groups.map(({ answer }) => answer?.kind === 'settings' && answer.group.isFifo)).toEqual([true, false, true, false])
})

test('a node that lags behind the making of a FIFO topic makes no other group of it', () => {
  const world = new FakeWorld()
  world.at(3).node.isHeld = true
  world.createTopic('f', 'fifo')
  const heard = settings(world, 3, { topics: ['f'] })
  world.clock.advance(100)
  expect(heard.answer).toBeUndefined()
  world.group.release(3)
  world.clock.advance(20)
  expect(heard.answer).toMatchObject({ kind: 'settings', group: { isFifo: true } })
})

test.each([
  ['known group', false],
  ['group whose kind is said', true],
])('a node that lags behind the making of a topic gives a %s its place there with the settings', (_what, isSaid) => {
  const world = new FakeWorld()
  world.createTopic('t')
  if (!isSaid) settings(world, 2)
  world.clock.advance(20)
  world.at(3).node.isHeld = true
  world.createTopic('late')
  const heard = settings(world, 3, { topics: ['t', 'late'], ...(isSaid ? { fifo: false } : {}) })
  world.clock.advance(100)
  expect(heard.answer).toBeUndefined()
  world.group.release(3)
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('settings')
  for (const { machine } of world.gateways) expect(machine.hasPlace('group', 'late')).toBe(true)
  world.send(1, 'late', 'x')
  world.clock.advance(20)
  const received = world.receive(3, 'late')
  world.clock.advance(20)
  expect(textsOf(received)).toEqual(['x'])
})

test('settings of a known group with an unknown topic are answered though there is no leader to ask', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  settings(world, 2)
  world.clock.advance(20)
  world.group.elect(undefined)
  const heard = settings(world, 3, { topics: ['t', 'nowhere'] })
  world.clock.advance(10_000)
  expect(codeOf(heard)).toBe('settings')
})

test('a subscribed topic that does not exist does not keep a client from starting', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const heard = settings(world, 2, { topics: ['t', 'nowhere'] })
  world.clock.advance(20)
  expect(codeOf(heard)).toBe('settings')
})

test('settings of a known group are answered without a leader, those of an unknown one wait', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  settings(world, 2)
  world.clock.advance(20)
  world.group.elect(undefined)
  const known = settings(world, 3)
  const unknown = settings(world, 3, { consumerGroup: 'new' })
  world.clock.advance(1_000)
  expect(codeOf(known)).toBe('settings')
  expect(unknown.answer).toBeUndefined()
  world.group.elect(3)
  world.clock.advance(20)
  expect(codeOf(unknown)).toBe('settings')
})

test('a heartbeat is answered at once, from a client nobody has heard of, without a leader', () => {
  const world = new FakeWorld()
  world.group.elect(undefined)
  const heard = beat(world, 2, 'stranger', 'group')
  world.clock.advance(1)
  expect(codeOf(heard)).toBe('alive')
})

test('an idle client appends nothing', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('c')
  beat(world, 2, 'c', 'group')
  world.clock.advance(100)
  const before = world.group.log.length
  for (let i = 0; i < 30; i++) {
    beat(world, 2, 'c', 'group')
    world.clock.advance(10_000)
  }
  expect(world.group.log.length).toBe(before)
  expect(world.entries(clientsChangedKind)).toBe(1)
})

test('producers are not announced', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('p')
  beat(world, 2, 'p')
  world.send(2, 't', 'x', { clientId: 'p' })
  world.clock.advance(100)
  world.broker(2).clients.disconnected('p')
  world.clock.advance(100)
  expect(world.entries(clientsChangedKind)).toBe(0)
})

test('many clients that come in one turn are one entry', () => {
  const world = new FakeWorld()
  for (let i = 0; i < 500; i++) beat(world, 2, `c${i}`, 'group')
  world.clock.advance(20)
  expect(world.entries(clientsChangedKind)).toBe(1)
  expect(world.at(1).machine.client(hash64('c499'))?.nodes).toEqual([2])
})

test('messages of a client whose connections all closed go to another after 10 s', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  settings(world, 2)
  world.clock.advance(20)
  world.broker(2).clients.connected('c')
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const first = world.receive(2, 't', { clientId: 'c', autoRenew: true, invisibleMs: 60_000 })
  world.clock.advance(20)
  batchOf(first).confirm()
  world.clock.advance(100)
  const second = world.receive(3, 't', { pollMs: 25_000, deadlineMs: world.clock.nowMs() + 30_000 })
  world.clock.advance(5_000)
  world.broker(2).clients.disconnected('c')
  world.clock.advance(9_000)
  expect(second.answer).toBeUndefined()
  world.clock.advance(2_000)
  expect(textsOf(second)).toEqual(['x'])
})

test('a goodbye frees its messages soon', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  settings(world, 2)
  world.clock.advance(20)
  world.send(1, 't', 'x')
  world.clock.advance(20)
  const first = world.receive(2, 't', { clientId: 'c', autoRenew: true, invisibleMs: 60_000 })
  world.clock.advance(20)
  batchOf(first).confirm()
  world.clock.advance(100)
  const second = world.receive(3, 't')
  const goodbye = { ...world.asked(2_500, 'c'), consumerGroup: 'group' }
  world.ask(reply => notifyTermination(world.broker(2), goodbye, reply))
  world.clock.advance(1_500)
  expect(textsOf(second)).toEqual(['x'])
})

test('a client that is silent for two minutes behind an open connection counts as gone, until it speaks', () => {
  const world = new FakeWorld()
  world.broker(2).clients.connected('c')
  beat(world, 2, 'c', 'group')
  world.clock.advance(100)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
  world.clock.advance(131_000)
  expect(world.at(1).machine.client(hash64('c'))?.nodes ?? []).toEqual([])
  beat(world, 2, 'c', 'group')
  world.clock.advance(100)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
})

test('a change that a leader change swallowed is told again', () => {
  const world = new FakeWorld()
  world.group.isCommitHeld = true
  beat(world, 2, 'c', 'group')
  world.clock.advance(10)
  world.group.elect(3, 0)
  world.group.releaseCommit()
  world.clock.advance(100)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
})

test('a change that found no leader for longer than its patience is told when there is one', () => {
  const world = new FakeWorld()
  world.group.elect(undefined)
  beat(world, 2, 'c', 'group')
  world.clock.advance(12_000)
  world.group.elect(3)
  world.clock.advance(100)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
})

test('a change whose fate stayed unknown for longer than its patience, and which then came to nothing, is told again', () => {
  const world = new FakeWorld()
  world.group.isCommitHeld = true
  beat(world, 2, 'c', 'group')
  world.clock.advance(12_000)
  world.group.elect(3, 0)
  world.group.releaseCommit()
  world.clock.advance(100)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
})

test('a client that went while nobody led stays gone, though its coming was overtaken only afterwards (seed 2000956)', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.group.isCommitHeld = true
  const { clients } = world.broker(2)
  clients.connected('c')
  clients.heardConsumer('c')
  world.clock.advance(10)
  // Its command is in the log of the leader that goes, and in no other.
  world.group.elect(undefined, world.group.commitIndex)
  world.clock.advance(1_000)
  clients.disconnected('c')
  world.clock.advance(5_000)
  world.group.elect(3)
  world.group.releaseCommit()
  world.clock.advance(100)
  expect(world.at(1).machine.client(hash64('c'))?.nodes ?? []).toEqual([])
})

test('a client that said goodbye while its receive waited is gone though its connection stays open: what comes afterwards is for others', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('c')
  const held = world.receive(2, 't', { clientId: 'c', autoRenew: true, invisibleMs: 60_000 })
  world.clock.advance(20)
  world.send(1, 't', 'x')
  world.clock.advance(20)
  batchOf(held).confirm()
  const waiting = world.receive(2, 't', { clientId: 'c', autoRenew: true })
  world.clock.advance(100)
  world.ask(reply => notifyTermination(world.broker(2), { ...world.asked(2_500, 'c'), consumerGroup: 'group' }, reply))
  world.clock.advance(20)
  world.send(1, 't', 'y')
  world.clock.advance(1_500)
  expect(codeOf(waiting)).toBe('messageNotFound')
  expect(world.at(1).machine.client(hash64('c'))).toBeUndefined()
  const other = world.receive(3, 't', { clientId: 'd', max: 2 })
  world.clock.advance(20)
  expect(textsOf(other).toSorted()).toEqual(['x', 'y'])
})

test('a client that said goodbye before its receive could begin to wait is not brought back by it', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  settings(world, 1)
  world.clock.advance(20)
  world.at(2).node.isHeld = true
  world.createTopic('late')
  const early = world.receive(2, 'late', { clientId: 'c', autoRenew: true })
  world.clock.advance(20)
  notifyTermination(world.broker(2), { ...world.asked(2_500, 'c'), consumerGroup: 'group' }, () => undefined)
  world.clock.advance(20)
  world.group.release(2)
  world.clock.advance(2_000)
  expect(codeOf(early)).toBe('messageNotFound')
  expect(world.at(1).machine.client(hash64('c'))).toBeUndefined()
})

test('a client whose connection closed a moment before its receive is cancelled is not brought back by a message that comes in that moment', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('c')
  const held = world.receive(2, 't', { clientId: 'c', autoRenew: true, invisibleMs: 60_000 })
  world.clock.advance(20)
  world.send(1, 't', 'x')
  world.clock.advance(20)
  batchOf(held).confirm()
  world.receive(2, 't', { clientId: 'c', autoRenew: true })
  world.clock.advance(100)
  world.broker(2).clients.disconnected('c')
  world.send(1, 't', 'y')
  world.clock.advance(11_000)
  expect(world.at(1).machine.client(hash64('c'))).toBeUndefined()
  const other = world.receive(3, 't', { clientId: 'd', max: 2 })
  world.clock.advance(20)
  expect(textsOf(other).toSorted()).toEqual(['x', 'y'])
})

test('a client that receives again after its goodbye is back', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('c')
  beat(world, 2, 'c', 'group')
  world.clock.advance(20)
  notifyTermination(world.broker(2), { ...world.asked(2_500, 'c'), consumerGroup: 'group' }, () => undefined)
  world.clock.advance(20)
  const again = world.receive(2, 't', { clientId: 'c' })
  world.clock.advance(20)
  world.send(1, 't', 'x')
  world.clock.advance(20)
  expect(textsOf(again)).toEqual(['x'])
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
})

test('a goodbye is not lost when the connection closes at the same moment', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('c')
  beat(world, 2, 'c', 'group')
  world.clock.advance(20)
  notifyTermination(world.broker(2), { ...world.asked(2_500, 'c'), consumerGroup: 'group' }, () => undefined)
  world.broker(2).clients.disconnected('c')
  world.clock.advance(1_000)
  expect(world.at(1).machine.client(hash64('c'))).toBeUndefined()
})

test('the end of a connection is told again when the clock leapt on its way into the log', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.broker(2).clients.connected('c')
  beat(world, 2, 'c', 'group')
  world.clock.advance(20)
  world.broker(2).clients.disconnected('c')
  world.clock.settle()
  world.clock.leap(20_000)
  world.clock.advance(20)
  expect(world.entries(clientsChangedKind)).toBe(3)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([])
})

test('a client that came while there was no room for a word on it is told of when there is', () => {
  const world = new FakeWorld()
  world.group.elect(undefined)
  const { clients, proposer } = world.broker(2)
  const deadlineMs = world.clock.nowMs() + 1_000
  while (proposer.propose({ kind: 'barrier' }, deadlineMs, () => undefined));
  clients.connected('c')
  clients.heardConsumer('c')
  world.clock.advance(2_000)
  world.group.elect(3)
  world.clock.advance(5_000)
  expect(world.at(1).machine.client(hash64('c'))?.nodes).toEqual([2])
})
