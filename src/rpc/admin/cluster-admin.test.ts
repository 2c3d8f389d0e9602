import { describe, expect, test } from 'vitest'
import { raftmq } from '#proto/raftmq-v1.js'
import { refuse } from '../../broker/refusal.ts'
import { defaultSettings } from '../../state/groups.ts'
import { door, type Codec, headers, bytesOf, unary } from '../../../test/support/rpc-harness.ts'

const v1 = raftmq.v1

describe('ClusterAdmin', () => {
  const admin = <T>(method: string, request: Codec<unknown>, response: Codec<T>, message: object) =>
    unary(`/raftmq.v1.ClusterAdmin/${method}`, response, bytesOf(request, message), headers({}))
  const topic = {
    topic: 'T',
    type: 'fifo',
    queueCount: 2,
    retention: { ageMs: 60_000, sizeBytes: 0 },
    queues: [
      { firstOffset: 1, nextOffset: 4 },
      { firstOffset: 0, nextOffset: 2 },
    ],
  }

  test('creates a topic with eight queues unless told otherwise', async () => {
    door.answers = { createTopic: { kind: 'topicCreated', topic, existed: true } }
    const reply = await admin('CreateTopic', v1.CreateTopicRequest, v1.CreateTopicResponse, {
      name: 'T',
      type: v1.TopicType.TOPIC_TYPE_FIFO,
    })
    expect(reply).toMatchObject({
      status: { code: v1.AdminStatus.Code.OK },
      existed: true,
      topic: { name: 'T', queueCount: 2, messages: 6, retentionMs: 60_000 },
    })
    expect(door.lastRequest('createTopic')).toMatchObject({ topic: 'T', type: 'fifo', queueCount: 8 })
    expect(door.lastRequest('createTopic')).not.toHaveProperty('retention')
    await admin('CreateTopic', v1.CreateTopicRequest, v1.CreateTopicResponse, { name: 'T', retentionMs: 3_600_000 })
    expect(door.lastRequest('createTopic')).toMatchObject({ retention: { ageMs: 3_600_000, sizeBytes: 0 } })
  })

  test.each([
    [refuse('topicNotFound', 'no'), v1.AdminStatus.Code.NOT_FOUND],
    [refuse('preconditionFailed', 'no'), v1.AdminStatus.Code.CONFLICT],
    [refuse('haNotAvailable', 'no'), v1.AdminStatus.Code.UNAVAILABLE],
    [refuse('proxyTimeout', 'no'), v1.AdminStatus.Code.UNKNOWN_OUTCOME],
    [refuse('tooManyRequests', 'no'), v1.AdminStatus.Code.EXHAUSTED],
  ])('turns %o into admin status %d', async (refusal, code) => {
    door.answers = { deleteTopic: refusal }
    const reply = await admin('DeleteTopic', v1.DeleteTopicRequest, v1.DeleteTopicResponse, { name: 'T' })
    expect(reply.status).toMatchObject({ code, message: 'no' })
  })

  test.each([
    ['CreateTopic', v1.CreateTopicRequest, { name: 'a.b' }],
    ['CreateTopic', v1.CreateTopicRequest, { name: 'T', queueCount: 1_025 }],
    ['GetTopic', v1.GetTopicRequest, {}],
    ['EnsureGroup', v1.EnsureGroupRequest, { name: 'G', topics: ['ok', 'a.b'] }],
    ['EnsureGroup', v1.EnsureGroupRequest, { name: 'G', settings: { maxAttempts: 1_001 } }],
    [
      'EnsureGroup',
      v1.EnsureGroupRequest,
      { name: 'G', settings: { backoff: { exponential: { initialMs: 5, maxMs: 1, multiplier: 2 } } } },
    ],
    ['EnsureGroup', v1.EnsureGroupRequest, { name: 'G', settings: { backoff: { steps: { stepMs: [] } } } }],
    ['GetGroup', v1.GetGroupRequest, { name: '' }],
  ])('refuses a bad %s', async (method, request, asked) => {
    const reply = await admin(method, request, v1.DeleteTopicResponse, asked)
    expect(reply.status?.code).toBe(v1.AdminStatus.Code.INVALID)
    expect(door.asked).toEqual([])
  })

  test('makes a group with its settings and start', async () => {
    const summary = {
      consumerGroup: 'G',
      settings: defaultSettings,
      topics: [{ topic: 'T', waiting: 3, retrying: 1, blocked: 2, inFlight: 1, dead: 4, queues: [{ cursor: 2, nextOffset: 6 }] }],
    }
    door.answers = { ensureGroup: { kind: 'groupEnsured', group: summary } }
    const asked = {
      name: 'G',
      settings: { isFifo: true, maxAttempts: 5, backoff: { steps: { stepMs: [10, 20] } } },
      start: { first: true },
      topics: ['T'],
    }
    const reply = await admin('EnsureGroup', v1.EnsureGroupRequest, v1.EnsureGroupResponse, asked)
    expect(reply.group).toMatchObject({
      name: 'G',
      topics: [
        { topic: 'T', waiting: 3, retrying: 1, blocked: 2, inFlight: 1, dead: 4, queues: [{ queueId: 0, cursor: 2, nextOffset: 6 }] },
      ],
    })
    expect(door.lastRequest('ensureGroup')).toMatchObject({
      consumerGroup: 'G',
      settings: { isFifo: true, maxAttempts: 5, retry: { kind: 'customized', stepsMs: [10, 20] } },
      start: { kind: 'first' },
      topics: ['T'],
      replaceSettings: false,
    })
  })

  test('tells of the dead letters of a group', async () => {
    door.answers = {
      getGroup: { kind: 'group', group: { consumerGroup: 'G', settings: defaultSettings, topics: [] } },
      getTopic: { kind: 'topic', topic },
    }
    const reply = await admin('GetGroup', v1.GetGroupRequest, v1.GetGroupResponse, { name: 'G' })
    expect(reply.group?.dead).toBe(5)
    expect(door.lastRequest('getTopic')['topic']).toBe('%DLQ%G')
  })

  test('tells how the cluster is', async () => {
    const reply = await admin('ClusterStatus', v1.ClusterStatusRequest, v1.ClusterStatusResponse, {})
    expect(reply).toMatchObject({ status: { code: v1.AdminStatus.Code.OK }, clusterName: 'stub', leader: 2, answeredBy: 1 })
  })
})
