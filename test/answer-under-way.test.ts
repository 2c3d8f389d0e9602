/** A log is deleted later than the state allows while an answer is being read from it, and never under it. */
import { expect, test } from 'vitest'
import type { ReceivedBatch } from '../src/broker/requests.ts'
import { mustExist } from '../src/platform/assert.ts'
import type { Command } from '../src/state/command.ts'
import type { QueueId, QueueOffset, TopicId } from '../src/state/ids.ts'
import { group, send } from '../src/state/testing/replica.ts'
import { Alone, barriers } from './support/alone.ts'

const giveUpAll: Command = {
  kind: 'trim',
  queues: [{ topicId: 1 as TopicId, queueId: 0 as QueueId, offset: 1 as QueueOffset, forcedBelow: 1 }],
}

test('a segment that an answer is read from stays, though nothing else needs it, until the answer is over', () => {
  const alone = new Alone()
  const node = alone.start()
  alone.propose(node, [
    { kind: 'createTopic', topic: 'orders', type: 'normal', queueCount: 1 },
    group('billing', ['orders'], { start: { kind: 'first' } }),
    send('orders', [1]),
  ])
  let batch: ReceivedBatch | undefined
  const asked = { deadlineMs: Infinity, clientId: 'a', consumerGroup: 'billing', topic: 'orders', filter: { kind: 'all' } } as const
  node.broker.receive({ ...asked, max: 1, invisibleMs: 60_000, autoRenew: false, attemptId: undefined, pollMs: 0 }, answer => {
    if (answer.kind === 'received') batch = answer
  })
  alone.scheduler.runFor(500)
  const answer = mustExist(batch, 'nothing received')
  const { logIndex } = node.machine.retention.slot(1 as TopicId, 0 as QueueId, 0 as QueueOffset)
  // The message's segment is not the last one any more, and nothing in it is needed.
  alone.propose(node, barriers(10_000))
  alone.propose(node, [giveUpAll, { kind: 'trimLog', index: node.machine.appliedIndex }])
  for (let i = 0; i < 4; i++) alone.propose(node, barriers(1))
  expect(node.machine.retention.logFirst).toBeGreaterThan(logIndex)
  expect(node.log.firstIndex).toBeLessThanOrEqual(logIndex)
  expect(answer.isReadable(0)).toBe(true)
  expect([...answer.read(0).bytes]).toEqual([1, 2, 3])
  answer.confirm()
  for (let i = 0; i < 4; i++) alone.propose(node, barriers(1))
  expect(node.log.firstIndex).toBeGreaterThan(logIndex)
  expect(alone.fatal).toEqual([])
})
