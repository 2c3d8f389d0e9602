/**
 * What official clients of all languages rely on, said by hand to three real processes: the lines of docs/protocol-checklist.md that no smaller test
 * can show. Numbers in brackets are those lines.
 */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LocalCluster } from '../support/cluster.ts'
import {
  ackCode,
  createGroup,
  createTopic,
  encoded,
  framed,
  goodMessage,
  receive,
  receivedOf,
  receiveRequest,
  sendOne,
  v2,
  WireClient,
} from '../support/wire.ts'

let cluster: LocalCluster
let clients: readonly WireClient[]
const opened: WireClient[] = []
let names = 0

beforeAll(async () => {
  cluster = await LocalCluster.start()
  clients = cluster.nodes.map(each => open(each.name, `client-${each.name}`))
}, 60_000)

afterAll(async () => {
  for (const client of opened) client.close()
  await cluster.stop()
})

function open(nodeName: string, clientId: string, isTls = false): WireClient {
  const client = new WireClient(cluster.endpoint(nodeName), clientId, { isTls })
  opened.push(client)
  return client
}

function node(i: number): WireClient {
  const client = clients[i % clients.length]
  if (client === undefined) throw new Error('no client')
  return client
}

/** A topic of its own with a group that begins at its start. */
async function place(type: 'normal' | 'fifo' = 'normal', queueCount = 4): Promise<{ topic: string; group: string }> {
  const topic = `topic-${++names}`
  const group = `group-${names}`
  await createTopic(node(0), topic, type, queueCount)
  await createGroup(node(1), group, topic, type === 'fifo')
  return { topic, group }
}

const routeOf = (topic: string): Buffer => encoded(v2.QueryRouteRequest, { topic: { name: topic, resourceNamespace: 'space' } })
const handleOf = (message: { systemProperties?: { receiptHandle?: string | null } | null } | undefined): string =>
  message?.systemProperties?.receiptHandle ?? ''
const idOf = (message: { systemProperties?: { messageId?: string | null } | null } | undefined): string =>
  message?.systemProperties?.messageId ?? ''
const seconds = (n: number): object => ({ seconds: Math.floor(n), nanos: Math.round((n % 1) * 1e9) })
const noHeaders = { 'x-mq-client-id': undefined, 'x-mq-language': undefined, 'grpc-timeout': undefined }

describe('the transport', () => {
  it('takes TLS and plaintext on the same port [2, 3]', async () => {
    const { topic } = await place()
    const tls = open('n2', 'tls-client', true)
    expect((await sendOne(tls, goodMessage(topic, 'by-tls'))).status?.code).toBe(20_000)
    const route = await tls.unary('QueryRoute', routeOf(topic), v2.QueryRouteResponse)
    expect(route).toEqual(await node(1).unary('QueryRoute', routeOf(topic), v2.QueryRouteResponse))
  })

  it('cares neither for the authority nor for headers that are missing or strange [7, 9, 10, 12]', async () => {
    const { topic } = await place()
    const strange = [
      { ':authority': 'nobody.example:1' },
      { 'x-mq-language': 'KLINGON', 'x-mq-client-version': '99' },
      { 'x-mq-language': undefined, 'grpc-timeout': undefined },
      { authorization: 'MQv2-HMAC-SHA1 Credential=, SignedHeaders=x-mq-date-time, Signature=00' },
      { 'content-type': 'application/grpc+proto' },
    ]
    for (const headers of strange) {
      const { status } = await node(0).unary('QueryRoute', routeOf(topic), v2.QueryRouteResponse, headers)
      expect({ headers, code: status?.code }).toEqual({ headers, code: 20_000 })
    }
  })

  it('takes the first of headers that come doubled, as Go sends them on a retry [8]', async () => {
    const { topic } = await place()
    const request = encoded(v2.SendMessageRequest, { messages: [goodMessage(topic, 'doubled')] })
    const id = ['doubled-client', 'doubled-client']
    const first = await node(0).unary('SendMessage', request, v2.SendMessageResponse, {
      'x-mq-client-id': id,
      'x-mq-language': ['GO', 'GO'],
    })
    const again = await node(1).unary('SendMessage', request, v2.SendMessageResponse, { 'x-mq-client-id': 'doubled-client' })
    expect(first.status?.code).toBe(20_000)
    // The same client for deduplication: so it is the same message.
    expect(again.entries[0]?.offset).toBe(first.entries[0]?.offset)
  })

  it('answers an empty heartbeat without any header [13]', async () => {
    const { status } = await node(0).unary('Heartbeat', Buffer.alloc(0), v2.HeartbeatResponse, noHeaders)
    expect(status?.code).toBe(20_000)
  })

  it('takes pings without open calls [5]', async () => {
    const { session } = node(2)
    for (let i = 0; i < 20; i++) {
      await new Promise<void>((done, failed) => {
        session.ping(error => {
          if (error === null) done()
          else failed(error)
        })
      })
    }
    expect(session.closed).toBe(false)
  })
})

describe('telemetry', () => {
  const producer = encoded(v2.TelemetryCommand, {
    settings: { clientType: v2.ClientType.PRODUCER, publishing: { topics: [{ name: 'any', resourceNamespace: 'space' }] } },
  })

  it('answers Settings within 100 ms, each time, also after results that nobody asked for [18, 19, 20, 23, 24, 30]', async () => {
    const call = node(0).open('Telemetry', { 'grpc-timeout': undefined })
    const odd = encoded(v2.TelemetryCommand, { threadStackTrace: { nonce: 'unasked' } })
    const tookMs: number[] = []
    for (let i = 0; i < 5; i++) {
      const startedMs = performance.now()
      call.stream.write(framed(odd))
      call.stream.write(framed(producer))
      const reply = v2.TelemetryCommand.decode((await call.next()) ?? Buffer.alloc(0))
      tookMs.push(performance.now() - startedMs)
      expect(reply.status?.code).toBe(20_000)
      expect(reply.settings?.publishing).toMatchObject({ maxBodySize: 4_194_304, validateMessageType: true })
      expect(reply.settings?.publishing?.topics?.[0]).toMatchObject({ name: 'any', resourceNamespace: 'space' })
      expect(reply.settings?.backoffPolicy).toMatchObject({
        maxAttempts: 3,
        exponentialBackoff: { initial: { seconds: 0, nanos: 10_000_000 }, max: { seconds: 1, nanos: 0 }, multiplier: 2 },
      })
    }
    // The machine that runs this may be busy with other tests.
    expect(Math.min(...tookMs)).toBeLessThan(100)
    call.stream.close()
    await call.done
  })

  it('ends a half-closed stream, with the last answer on it [28]', async () => {
    const call = node(1).open('Telemetry', { 'grpc-timeout': undefined })
    call.stream.end(framed(producer))
    const { grpcStatus, messages } = await call.done
    expect({ grpcStatus, answers: messages.length }).toEqual({ grpcStatus: 0, answers: 1 })
  })

  it('takes a goodbye, also of somebody unknown, and gives what a known client held to others soon [32]', async () => {
    const { topic, group } = await place()
    const goodbye = encoded(v2.NotifyClientTerminationRequest, { group: { name: group } })
    const unknown = await node(0).unary('NotifyClientTermination', goodbye, v2.NotifyClientTerminationResponse, {
      'x-mq-client-id': 'nobody',
    })
    expect(unknown.status?.code).toBe(20_000)
    const leaving = open('n1', 'leaving')
    await sendOne(node(0), goodMessage(topic, 'left-behind'))
    const held = await receive(leaving, receiveRequest(group, topic, { autoRenew: true, invisibleDuration: undefined }))
    expect(held.messages.map(idOf)).toEqual(['left-behind'])
    const said = performance.now()
    await leaving.unary('NotifyClientTermination', goodbye, v2.NotifyClientTerminationResponse)
    leaving.close()
    const again = await receive(node(2), receiveRequest(group, topic, { longPollingTimeout: seconds(5) }), { 'grpc-timeout': '8S' })
    expect(again.messages.map(idOf)).toEqual(['left-behind'])
    expect(performance.now() - said).toBeLessThan(2_000)
  })
})

describe('a route', () => {
  it('is the same from every node and in every answer, with all that clients need in it [34, 35, 36, 37, 41]', async () => {
    const { topic, group } = await place('fifo', 3)
    const assignment = encoded(v2.QueryAssignmentRequest, { topic: { name: topic }, group: { name: group } })
    const routes = [await routeFrom(0), await routeFrom(1), await routeFrom(2), await routeFrom(0)]
    for (const route of routes) expect(route).toEqual(routes[0])
    const { status, messageQueues } = routes[0] ?? v2.QueryRouteResponse.decode(Buffer.alloc(0))
    expect(status?.code).toBe(20_000)
    expect(messageQueues.map(queue => `${queue.broker?.name ?? ''} ${queue.id ?? ''}`)).toEqual(
      ['n1', 'n2', 'n3'].flatMap(name => [0, 1, 2].map(id => `${name} ${id}`)),
    )
    for (const queue of messageQueues) {
      expect(queue.topic).toMatchObject({ name: topic, resourceNamespace: 'space' })
      expect(queue.permission).toBe(v2.Permission.READ_WRITE)
      expect(queue.broker?.id).toBe(0)
      expect(queue.broker?.endpoints?.addresses?.length).toBe(1)
      expect(queue.acceptMessageTypes).toEqual([v2.MessageType.FIFO])
    }
    for (const i of [0, 1, 2]) {
      const { assignments } = await node(i).unary('QueryAssignment', assignment, v2.QueryAssignmentResponse)
      expect(assignments.map(({ messageQueue }) => `${messageQueue?.broker?.name ?? ''} ${messageQueue?.id ?? ''}`)).toEqual([
        'n1 -1',
        'n2 -1',
        'n3 -1',
      ])
    }

    function routeFrom(i: number) {
      return node(i).unary('QueryRoute', routeOf(topic), v2.QueryRouteResponse)
    }
  })
})

describe('a send', () => {
  it('of several messages has an entry for each, with its id and nothing that was not asked for [15, 45, 46, 47]', async () => {
    const { topic } = await place()
    const ids = ['one', 'ünique', '3'.repeat(500)]
    const request = encoded(v2.SendMessageRequest, { messages: ids.map(id => goodMessage(topic, id)) })
    const reply = await node(0).unary('SendMessage', request, v2.SendMessageResponse)
    expect(reply.status?.code).toBe(20_000)
    expect(reply.entries.map(entry => entry.messageId)).toEqual(ids)
    expect(reply.entries.map(entry => [entry.status?.code, entry.transactionId, entry.recallHandle])).toEqual(
      ids.map(() => [20_000, '', '']),
    )
  })

  it('lands in the queue of its message group, whichever node took it [43, 48]', async () => {
    const { topic, group } = await place('fifo', 8)
    const fifo = { messageType: v2.MessageType.FIFO, messageGroup: 'one-of-many', queueId: 5 }
    for (const i of [0, 1, 2]) expect((await sendOne(node(i), goodMessage(topic, `m${i}`, fifo))).status?.code).toBe(20_000)
    const { messages } = await receive(node(0), receiveRequest(group, topic))
    expect(messages.map(idOf)).toEqual(['m0', 'm1', 'm2'])
    expect(new Set(messages.map(message => message.systemProperties?.queueId)).size).toBe(1)
  })

  it('of 4 MiB with 16 KiB of properties comes back as it was [4, 51, 52]', async () => {
    const { topic, group } = await place()
    const body = Buffer.alloc(4 * 1024 * 1024, 'raftmq ')
    const userProperties = { name: 'v'.repeat(16 * 1024 - 4) }
    expect((await sendOne(node(1), goodMessage(topic, 'large', {}, { body, userProperties }))).status?.code).toBe(20_000)
    const { messages } = await receive(node(2), receiveRequest(group, topic))
    expect(Buffer.from(messages[0]?.body ?? []).equals(body)).toBe(true)
    expect(messages[0]?.userProperties).toEqual(userProperties)
    expect(messages[0]?.systemProperties?.bodyDigest?.checksum).toBe(createHash('md5').update(body).digest('hex').toUpperCase())
  })
})

describe('a receive', () => {
  it('streams status, messages, delivery timestamp; a message as it was sent and what the broker knows [49 to 58]', async () => {
    const { topic, group } = await place()
    const body = gzipSync('pressed')
    const system = {
      tag: 'red',
      keys: ['k1', 'k2'],
      bodyEncoding: v2.Encoding.GZIP,
      deliveryAttempt: 77,
      bornTimestamp: { seconds: 1_700_000_000, nanos: 0 },
    }
    await sendOne(node(0), goodMessage(topic, 'full', system, { body, userProperties: { colour: 'blue' } }))
    const request = receiveRequest(group, topic, { messageQueue: { topic: { name: topic, resourceNamespace: 'mine' }, id: 3 } })
    const { code, kinds, messages } = await receive(node(1), request)
    expect(code).toBe(20_000)
    expect(kinds).toEqual(['status', 'message', 'deliveryTimestamp'])
    const [message] = messages
    expect(message?.topic).toMatchObject({ name: topic, resourceNamespace: 'mine' })
    expect(Buffer.from(message?.body ?? []).equals(body)).toBe(true)
    expect(message?.userProperties).toEqual({ colour: 'blue' })
    expect(message?.systemProperties).toMatchObject({
      ...{ messageId: 'full', tag: 'red', keys: ['k1', 'k2'], bodyEncoding: v2.Encoding.GZIP, deliveryAttempt: 1 },
      bornTimestamp: { seconds: 1_700_000_000 },
    })
    expect(message?.systemProperties?.messageGroup ?? '').toBe('')
    expect(message?.systemProperties?.deliveryTimestamp ?? undefined).toBeUndefined()
  })

  it('that finds nothing ends before its deadline, without polling time, attempt id or duration [59, 60]', async () => {
    const { topic, group } = await place()
    const bare = { longPollingTimeout: undefined, attemptId: undefined, invisibleDuration: undefined, autoRenew: true }
    const startedMs = performance.now()
    const { code, kinds } = await receive(node(0), receiveRequest(group, topic, bare), { 'grpc-timeout': '1500m' })
    expect(code).toBe(40_401)
    expect(kinds).toEqual(['status', 'deliveryTimestamp'])
    expect(performance.now() - startedMs).toBeLessThan(1_400)
  })

  it('takes at most 32 messages of all queues, whatever was asked [61, 62]', async () => {
    const { topic, group } = await place()
    const messages = Array.from({ length: 50 }, (_, i) => goodMessage(topic, `m${i}`))
    for (let i = 0; i < 50; i += 10)
      await node(0).unary('SendMessage', encoded(v2.SendMessageRequest, { messages: messages.slice(i, i + 10) }), v2.SendMessageResponse)
    const first = await receive(node(1), receiveRequest(group, topic, { batchSize: 100_000 }))
    expect(first.messages.length).toBe(32)
    const rest = await receive(node(2), receiveRequest(group, topic, { batchSize: 0 }))
    expect(rest.messages.length).toBe(18)
    expect(new Set([...first.messages, ...rest.messages].map(idOf)).size).toBe(50)
  })

  it('is served beside others of the same client, on one queue [64]', async () => {
    const { topic, group } = await place('normal', 1)
    const polls = [0, 1, 2].map(() => receive(node(0), receiveRequest(group, topic, { batchSize: 1, longPollingTimeout: seconds(2.5) })))
    for (const i of [0, 1, 2]) await sendOne(node(i), goodMessage(topic, `m${i}`))
    const got = (await Promise.all(polls)).flatMap(each => each.messages.map(idOf))
    expect(got.sort()).toEqual(['m0', 'm1', 'm2'])
  })

  it('that is cancelled while it waits takes no message with it [65]', async () => {
    const { topic, group } = await place()
    const waiting = node(0).open('ReceiveMessage', { 'grpc-timeout': '20S' })
    waiting.stream.end(framed(receiveRequest(group, topic, { longPollingTimeout: seconds(15) })))
    await node(0).unary('Heartbeat', Buffer.alloc(0), v2.HeartbeatResponse)
    waiting.stream.close()
    await waiting.done
    await sendOne(node(1), goodMessage(topic, 'not-lost'))
    const { messages } = await receive(node(2), receiveRequest(group, topic))
    expect(messages.map(message => [idOf(message), message.systemProperties?.deliveryAttempt])).toEqual([['not-lost', 1]])
  })

  it('whose client goes away in the middle of a message gives it to others soon, and no attempt is counted [65]', async () => {
    const { topic, group } = await place()
    await sendOne(node(1), goodMessage(topic, 'half-told', {}, { body: Buffer.alloc(4 * 1024 * 1024, 1) }))
    const slow = open('n3', 'slow')
    const call = slow.open('ReceiveMessage')
    call.stream.end(framed(receiveRequest(group, topic)))
    await call.next()
    call.stream.pause()
    slow.close()
    await call.done
    const { messages } = await receive(node(0), receiveRequest(group, topic, { longPollingTimeout: seconds(2.5) }))
    expect(messages.map(message => [idOf(message), message.systemProperties?.deliveryAttempt])).toEqual([['half-told', 1]])
  })

  it('repeated with its attempt id gets the same batch, and nobody else a later message of the group [75]', async () => {
    const { topic, group } = await place('fifo', 2)
    for (const id of ['first', 'second'])
      await sendOne(node(0), goodMessage(topic, id, { messageType: v2.MessageType.FIFO, messageGroup: 'g' }))
    const ask = (i: number, attemptId: string) => receive(node(i), receiveRequest(group, topic, { batchSize: 1, attemptId }))
    const [a, b] = [await ask(0, 'same'), await ask(0, 'same')]
    expect([a, b].map(each => each.messages.map(message => [idOf(message), message.systemProperties?.deliveryAttempt]))).toEqual([
      [['first', 1]],
      [['first', 1]],
    ])
    expect((await ask(1, 'another')).code).toBe(40_401)
  })

  it('that is refused is held back, so that a client without manners does no harm [67]', async () => {
    const result = await node(0).raw('ReceiveMessage', framed(receiveRequest('g', 'no-such-topic')))
    expect(receivedOf(result.messages.map(bytes => v2.ReceiveMessageResponse.decode(bytes))).code).toBe(40_402)
    expect(result.tookMs).toBeGreaterThan(800)
  })
})

describe('a handle', () => {
  it('is good at every node, and a second ack does no harm [68, 69, 70]', async () => {
    const { topic, group } = await place()
    for (const i of [0, 1, 2]) await sendOne(node(i), goodMessage(topic, `m${i}`))
    const handles: string[] = []
    while (handles.length < 3) handles.push(...(await receive(node(0), receiveRequest(group, topic))).messages.map(handleOf))
    for (const [i, handle] of handles.entries()) {
      const request = encoded(v2.AckMessageRequest, {
        group: { name: group },
        topic: { name: topic },
        entries: [{ messageId: 'said', receiptHandle: handle }],
      })
      const { status, entries } = await node(i).unary('AckMessage', request, v2.AckMessageResponse)
      expect(status?.code).toBe(20_000)
      expect(entries.map(entry => [entry.messageId, entry.receiptHandle, entry.status?.code])).toEqual([['said', handle, 20_000]])
      expect(await ackCode(node(i + 1), group, topic, handle)).toBe(20_000)
    }
  })

  it('can be given any invisible time, and the one that comes back is good; the old delivery’s is stale [69, 71, 72]', async () => {
    const { topic, group } = await place()
    await sendOne(node(0), goodMessage(topic, 'again'))
    let { messages } = await receive(node(0), receiveRequest(group, topic))
    const first = handleOf(messages[0])
    expect(await change(1, first, 30.25)).toEqual([20_000, first])
    expect(await change(2, first, 0)).toEqual([20_000, first])
    messages = (await receive(node(1), receiveRequest(group, topic))).messages
    expect(messages.map(message => [idOf(message), message.systemProperties?.deliveryAttempt])).toEqual([['again', 2]])
    expect(await ackCode(node(2), group, topic, first)).toBe(40_013)
    expect(await change(2, first, 20)).toEqual([40_013, first])
    const second = handleOf(messages[0])
    expect(await change(0, second, 0.005)).toEqual([20_000, second])
    messages = (await receive(node(0), receiveRequest(group, topic))).messages
    expect(messages.map(message => message.systemProperties?.deliveryAttempt)).toEqual([3])
    expect(await ackCode(node(1), group, topic, handleOf(messages[0]))).toBe(20_000)

    async function change(i: number, receiptHandle: string, duration: number): Promise<[number | null | undefined, string]> {
      const asked = { group: { name: group }, topic: { name: topic }, receiptHandle, invisibleDuration: seconds(duration) }
      const request = encoded(v2.ChangeInvisibleDurationRequest, asked)
      const reply = await node(i).unary('ChangeInvisibleDuration', request, v2.ChangeInvisibleDurationResponse)
      return [reply.status?.code, reply.receiptHandle]
    }
  })
})
