import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'
import { refuse } from '../../broker/refusal.ts'
import { door, bytesOf, unary } from '../../../test/support/rpc-harness.ts'

const v2 = apache.rocketmq.v2

describe('AckMessage', () => {
  const entries = [
    { messageId: 'm-1', receiptHandle: 'h-1' },
    { messageId: 'm-2', receiptHandle: 'h-2' },
  ]
  const ack = (request: object) => unary('AckMessage', v2.AckMessageResponse, bytesOf(v2.AckMessageRequest, request))
  const named = { group: { name: 'G' }, topic: { name: 'T' } }

  test('echoes every entry with its status', async () => {
    door.answers = { ack: { kind: 'acked', refusals: [undefined, undefined] } }
    const reply = await ack({ ...named, entries })
    expect(reply.status?.code).toBe(20_000)
    expect(reply.entries).toMatchObject(entries.map(entry => ({ ...entry, status: { code: 20_000 } })))
  })

  test('with different results says so on top', async () => {
    door.answers = { ack: { kind: 'acked', refusals: [undefined, refuse('invalidReceiptHandle', 'expired')] } }
    const reply = await ack({ ...named, entries })
    expect(reply.status?.code).toBe(30_000)
    expect(reply.entries.map(entry => entry.status?.code)).toEqual([20_000, 40_013])
  })

  test('with one entry has its code on top', async () => {
    door.answers = { ack: { kind: 'acked', refusals: [refuse('invalidReceiptHandle', 'expired')] } }
    expect((await ack({ ...named, entries: entries.slice(0, 1) })).status?.code).toBe(40_013)
  })

  test('that is refused as a whole still has all its entries', async () => {
    door.answers = { ack: refuse('haNotAvailable', 'no leader') }
    const reply = await ack({ ...named, entries })
    expect(reply.status?.code).toBe(50_002)
    expect(reply.entries.map(entry => entry.status?.code)).toEqual([50_002, 50_002])
  })

  test('without an entry is a bad request', async () => {
    expect((await ack(named)).status?.code).toBe(40_000)
  })
})

describe('ChangeInvisibleDuration', () => {
  const request = {
    group: { name: 'G' },
    topic: { name: 'T' },
    receiptHandle: 'h',
    messageId: 'm',
    invisibleDuration: { seconds: 0, nanos: 5_000_000 },
  }
  const change = (asked: object) =>
    unary('ChangeInvisibleDuration', v2.ChangeInvisibleDurationResponse, bytesOf(v2.ChangeInvisibleDurationRequest, asked))

  test('gives the handle to use from now on', async () => {
    door.answers = { changeInvisible: { kind: 'changed', receiptHandle: 'h2' } }
    expect(await change(request)).toMatchObject({ status: { code: 20_000 }, receiptHandle: 'h2' })
    expect(door.lastRequest('changeInvisible')).toMatchObject({ invisibleMs: 5, suspend: false, receiptHandle: 'h' })
  })

  test('echoes the handle when it is refused', async () => {
    door.answers = { changeInvisible: refuse('invalidReceiptHandle', 'expired') }
    expect(await change(request)).toMatchObject({ status: { code: 40_013 }, receiptHandle: 'h' })
    expect(await change({ ...request, invisibleDuration: { seconds: 43_201, nanos: 0 } })).toMatchObject({
      status: { code: 40_011 },
      receiptHandle: 'h',
    })
    expect(await change({ ...request, invisibleDuration: { seconds: -1, nanos: 0 } })).toMatchObject({
      status: { code: 40_011 },
      receiptHandle: 'h',
    })
  })
})

describe('ForwardMessageToDeadLetterQueue', () => {
  test('passes on an empty handle with the message id', async () => {
    door.answers = { forwardToDeadLetterQueue: { kind: 'forwarded' } }
    const request = bytesOf(v2.ForwardMessageToDeadLetterQueueRequest, { group: { name: 'G' }, topic: { name: 'T' }, messageId: 'm' })
    expect((await unary('ForwardMessageToDeadLetterQueue', v2.ForwardMessageToDeadLetterQueueResponse, request)).status?.code).toBe(20_000)
    expect(door.lastRequest('forwardToDeadLetterQueue')).toMatchObject({ receiptHandle: '', messageId: 'm' })
  })
})
