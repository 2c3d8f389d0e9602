import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'
import { refuse } from '../../broker/refusal.ts'
import { defaultSettings } from '../../state/groups.ts'
import { door, client, asIs, headers, bytesOf } from '../../../test/support/rpc-harness.ts'

const v2 = apache.rocketmq.v2

describe('Telemetry', () => {
  function open(metadata = headers()) {
    const call = client.makeBidiStreamRequest('/apache.rocketmq.v2.MessagingService/Telemetry', asIs, asIs, metadata)
    const next = () =>
      new Promise<apache.rocketmq.v2.TelemetryCommand>((resolve, reject) => {
        call.once('data', (item: Buffer) => resolve(v2.TelemetryCommand.decode(item)))
        call.once('error', reject)
      })
    const say = (settings: apache.rocketmq.v2.Settings.$Properties) => void call.write(bytesOf(v2.TelemetryCommand, { settings }))
    return { call, next, say }
  }
  const producer = {
    clientType: v2.ClientType.PRODUCER,
    publishing: { topics: [{ name: 'T', resourceNamespace: 'ns' }] },
    userAgent: { language: v2.Language.JAVA },
  }
  const consumer = {
    clientType: v2.ClientType.PUSH_CONSUMER,
    subscription: {
      group: { name: 'G' },
      subscriptions: [{ topic: { name: 'T', resourceNamespace: 'ns' }, expression: { type: v2.FilterType.TAG, expression: 'a' } }],
    },
  }
  const group = { ...defaultSettings, isFifo: true }

  test('sends its headers before anybody asked anything', async () => {
    const { call } = open()
    await new Promise(resolve => call.once('metadata', resolve))
    call.end()
    await new Promise(resolve => call.once('status', resolve).resume())
  })

  test('answers a producer with what every language needs', async () => {
    door.answers = { settings: { kind: 'settings', group: defaultSettings } }
    const { call, next, say } = open()
    say(producer)
    const answer = await next()
    expect(answer.status?.code).toBe(20_000)
    expect(answer.settings).toMatchObject({
      clientType: v2.ClientType.PRODUCER,
      backoffPolicy: { maxAttempts: 3, exponentialBackoff: { initial: { nanos: 10_000_000 }, max: { seconds: 1 }, multiplier: 2 } },
      publishing: { topics: [{ name: 'T', resourceNamespace: 'ns' }], maxBodySize: 4_194_304, validateMessageType: true },
      metric: { on: false },
    })
    call.cancel()
  })

  test('takes settings without topics or subscriptions, and with properties of newer clients', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say({ ...producer, publishing: { topics: [] } })
    expect((await next()).status?.code).toBe(20_000)
    say({ ...consumer, subscription: { group: { name: 'G' } }, clientProperties: { colour: 'blue' } })
    expect((await next()).status?.code).toBe(20_000)
    expect(door.lastRequest('settings')).toMatchObject({ kind: 'consumer', topics: [] })
    call.cancel()
  })

  test('answers a consumer with its group, its own subscriptions echoed', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say(consumer)
    const { settings } = await next()
    expect(door.lastRequest('settings')).toMatchObject({
      kind: 'consumer',
      clientType: 'pushConsumer',
      consumerGroup: 'G',
      topics: ['T'],
      fifo: undefined,
    })
    expect(settings?.subscription).toMatchObject({
      ...consumer.subscription,
      fifo: true,
      receiveBatchSize: 32,
      longPollingTimeout: { seconds: 20 },
    })
    expect(settings?.backoffPolicy?.maxAttempts).toBe(defaultSettings.maxAttempts)
    expect(settings?.backoffPolicy?.customizedBackoff?.next?.length).toBeGreaterThan(0)
    call.cancel()
  })

  test.each([{ 'x-mq-client-id': 'c', 'x-mq-language': 'HTTP' }, { 'x-mq-client-id': 'c' }])(
    'gives Node an exponential policy in whole seconds (%j)',
    async values => {
      door.answers = { settings: { kind: 'settings', group: { ...group, retry: { kind: 'customized', stepsMs: [1_500, 700_000] } } } }
      const { call, next, say } = open(headers(values))
      say({ ...consumer, userAgent: { language: v2.Language.NODE_JS } })
      const { settings } = await next()
      expect(settings?.backoffPolicy?.exponentialBackoff).toMatchObject({ initial: { seconds: 2 }, max: { seconds: 700 }, multiplier: 2 })
      call.cancel()
    },
  )

  test('answers every Settings on the stream, and ends when the client has half-closed', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say(consumer)
    await next()
    say(consumer)
    await next()
    const ended = new Promise(resolve => call.once('status', resolve))
    call.end()
    call.resume()
    expect(await ended).toMatchObject({ code: status.OK })
  })

  test.each(['haNotAvailable', 'proxyTimeout', 'tooManyRequests'] as const)(
    'answers from defaults while the group can not (%s)',
    async code => {
      door.answers = { settings: refuse(code, 'not now') }
      const { call, next, say } = open()
      say(consumer)
      expect((await next()).settings?.subscription?.receiveBatchSize).toBe(32)
      call.cancel()
    },
  )

  test('ignores results that nobody asked for', async () => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    call.write(bytesOf(v2.TelemetryCommand, { status: { code: 20_000 }, verifyMessageResult: { nonce: 'x' } }))
    say(consumer)
    expect((await next()).status?.code).toBe(20_000)
    call.cancel()
  })

  test.each([
    ['a bad topic', { ...producer, publishing: { topics: [{ name: '' }] } }],
    ['a bad group', { ...consumer, subscription: { group: { name: '' } } }],
    ['neither kind', { clientType: v2.ClientType.PRODUCER }],
  ])('ends with INVALID_ARGUMENT on %s', async (_what, settings) => {
    const { next, say } = open()
    say(settings)
    await expect(next()).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  })

  test('refuses Node with a bad status and no command', async () => {
    const { call, next, say } = open(headers({ 'x-mq-client-id': 'c', 'x-mq-language': 'HTTP' }))
    say({ ...producer, publishing: { topics: [{ name: '' }] } })
    const answer = await next()
    expect(answer.status?.code).toBe(40_002)
    expect(answer.command).toBeUndefined()
    call.cancel()
  })

  test.each([{ topics: [] }, {}])('takes a producer without topics (%j)', async publishing => {
    door.answers = { settings: { kind: 'settings', group } }
    const { call, next, say } = open()
    say({ ...producer, publishing })
    expect((await next()).status?.code).toBe(20_000)
    call.cancel()
  })
})
