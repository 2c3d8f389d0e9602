import { expect, test } from 'vitest'
import { createTopic, deleteTopic, describeGroup, describeTopic, ensureGroup, listGroups, listTopics } from './admin.ts'
import { changeInvisible } from './change-invisible.ts'
import { clusterStatus } from './cluster-status.ts'
import { forwardToDeadLetterQueue } from './forward-to-dlq.ts'
import { FakeWorld, batchOf, codeOf } from './testing/fake-world.ts'
import type { GroupSettings } from '../state/command.ts'
import type {
  EnsureGroupRequest,
  GroupAnswer,
  GroupEnsuredAnswer,
  GroupsAnswer,
  TopicAnswer,
  TopicCreatedAnswer,
  TopicDeletedAnswer,
  TopicsAnswer,
} from './admin-requests.ts'

test('a topic that one node creates another shows at once', () => {
  const world = new FakeWorld()
  const made = world.ask<TopicCreatedAnswer>(reply =>
    createTopic(world.broker(2), { ...world.asked(), topic: 't', type: 'fifo', queueCount: 4 }, reply),
  )
  world.clock.advance(20)
  expect(made.answer).toMatchObject({ kind: 'topicCreated', existed: false, topic: { topic: 't', type: 'fifo', queueCount: 4 } })
  world.at(3).node.isHeld = true
  const again = world.ask<TopicCreatedAnswer>(reply =>
    createTopic(world.broker(2), { ...world.asked(), topic: 'u', type: 'normal', queueCount: 2 }, reply),
  )
  world.clock.advance(20)
  expect(codeOf(again)).toBe('topicCreated')
  const listed = world.ask<TopicsAnswer>(reply => listTopics(world.broker(3), { ...world.asked(), prefix: '' }, reply))
  world.clock.advance(20)
  expect(listed.answer).toBeUndefined()
  world.group.release(3)
  expect(listed.answer).toMatchObject({ topics: [{ topic: 't' }, { topic: 'u' }] })
})

test('creating a topic twice is fine when it is the same, and refused when it is not', () => {
  const world = new FakeWorld()
  world.createTopic('t', 'normal', 4)
  const same = world.ask<TopicCreatedAnswer>(reply =>
    createTopic(world.broker(3), { ...world.asked(), topic: 't', type: 'normal', queueCount: 4 }, reply),
  )
  const other = world.ask<TopicCreatedAnswer>(reply =>
    createTopic(world.broker(3), { ...world.asked(), topic: 't', type: 'fifo', queueCount: 4 }, reply),
  )
  world.clock.advance(20)
  expect(same.answer).toMatchObject({ existed: true })
  expect(codeOf(other)).toBe('preconditionFailed')
})

test('a deleted topic is gone, and deleting it again is refused', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  const first = world.ask<TopicDeletedAnswer>(reply => deleteTopic(world.broker(2), { ...world.asked(), topic: 't' }, reply))
  world.clock.advance(20)
  const second = world.ask<TopicDeletedAnswer>(reply => deleteTopic(world.broker(3), { ...world.asked(), topic: 't' }, reply))
  const described = world.ask<TopicAnswer>(reply => describeTopic(world.broker(3), { ...world.asked(), topic: 't' }, reply))
  world.clock.advance(20)
  expect([first, second, described].map(codeOf)).toEqual(['topicDeleted', 'topicNotFound', 'topicNotFound'])
})

test('a group shows where it stands', () => {
  const world = new FakeWorld()
  world.createTopic('t', 'normal', 2)
  const request = {
    ...world.asked(),
    consumerGroup: 'g',
    settings: undefined,
    start: { kind: 'first' },
    topics: ['t'],
    replaceSettings: false,
  } as const
  const made = world.ask<GroupEnsuredAnswer>(reply => ensureGroup(world.broker(2), request, reply))
  world.clock.advance(20)
  for (let i = 0; i < 5; i++) world.send(1, 't', `m${i}`)
  world.clock.advance(20)
  world.receive(2, 't', { consumerGroup: 'g', max: 2 })
  world.clock.advance(20)
  const described = world.ask<GroupAnswer>(reply => describeGroup(world.broker(3), { ...world.asked(), consumerGroup: 'g' }, reply))
  const listed = world.ask<GroupsAnswer>(reply => listGroups(world.broker(1), { ...world.asked(), prefix: 'g' }, reply))
  const none = world.ask<GroupAnswer>(reply => describeGroup(world.broker(3), { ...world.asked(), consumerGroup: 'h' }, reply))
  world.clock.advance(20)
  expect(codeOf(made)).toBe('groupEnsured')
  expect(described.answer).toMatchObject({ group: { topics: [{ topic: 't', waiting: 3, inFlight: 2 }] } })
  expect(listed.answer).toMatchObject({ groups: [{ consumerGroup: 'g' }] })
  expect(codeOf(none)).toBe('consumerGroupNotFound')
})

test('a group shows its dead letters, and what is to be tried again, topic by topic', () => {
  const world = new FakeWorld()
  for (const topic of ['t', 'u']) {
    world.createTopic(topic)
    world.receive(1, topic, { pollMs: 0 })
    world.clock.advance(20)
  }
  for (const text of ['x', 'y']) world.send(1, 't', text)
  const batch = batchOf(settled(world, world.receive(1, 't')))
  const [x, y] = [batch.read(0), batch.read(1)].map(({ receiptHandle }) => receiptHandle)
  batch.confirm()
  const named = { consumerGroup: 'group', topic: 't', messageId: '' }
  settled(
    world,
    world.ask(reply => forwardToDeadLetterQueue(world.broker(2), { ...world.asked(), ...named, receiptHandle: x ?? '' }, reply)),
  )
  const nack = { ...world.asked(), ...named, receiptHandle: y ?? '', invisibleMs: 0, suspend: false }
  settled(
    world,
    world.ask(reply => changeInvisible(world.broker(2), nack, reply)),
  )
  const described = world.ask<GroupAnswer>(reply => describeGroup(world.broker(3), { ...world.asked(), consumerGroup: 'group' }, reply))
  settled(world, described)
  expect(described.answer).toMatchObject({
    group: {
      topics: [
        { topic: 't', waiting: 1, retrying: 1, blocked: 0, inFlight: 0, dead: 1 },
        { topic: 'u', waiting: 0, dead: 0 },
      ],
    },
  })
})

function settled<Answer>(world: FakeWorld, heard: Answer): Answer {
  world.clock.advance(20)
  return heard
}

test('a group that an operator makes is FIFO when it has topics and all are, and what it was made with stays unless settings are given', () => {
  const world = new FakeWorld()
  world.createTopic('f', 'fifo')
  const own = { isFifo: false, maxAttempts: 3, retry: { kind: 'customized', stepsMs: [1_000] } } as const
  const ensure = (consumerGroup: string, topics: readonly string[], more: Partial<EnsureGroupRequest> = {}): GroupSettings | undefined => {
    const request = {
      ...world.asked(),
      consumerGroup,
      settings: undefined,
      start: { kind: 'last' },
      topics,
      replaceSettings: false,
      ...more,
    } as const
    const heard = settled(
      world,
      world.ask<GroupEnsuredAnswer>(reply => ensureGroup(world.broker(2), request, reply)),
    )
    return heard.answer?.kind === 'groupEnsured' ? heard.answer.group.settings : undefined
  }
  expect(ensure('ordered', ['f'])?.isFifo).toBe(true)
  expect(ensure('empty', [])?.isFifo).toBe(false)
  expect(ensure('own', ['f'], { settings: own })).toEqual(own)
  expect(ensure('own', ['f'], { replaceSettings: true })).toEqual(own)
  expect(ensure('own', ['f'], { settings: { ...own, maxAttempts: 5 }, replaceSettings: true })?.maxAttempts).toBe(5)
})

test('the cluster’s status comes without a leader, with what the nodes said of themselves', () => {
  const world = new FakeWorld()
  world.createTopic('t')
  world.clock.advance(1_500)
  world.group.elect(undefined)
  world.group.cut(1, 2)
  const status = clusterStatus(world.broker(2))
  expect(status).toMatchObject({ answeredBy: 2, leader: undefined, topicCount: 1, groupCount: 0 })
  expect(status.nodes.map(({ isConnected, report }) => [isConnected, report?.node])).toEqual([[false, 1], [true, 2], [true, 3]]) // prettier-ignore
})
