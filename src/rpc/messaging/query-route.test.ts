import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'
import { door, headers, bytesOf, unary } from '../../../test/support/rpc-harness.ts'

const v2 = apache.rocketmq.v2

describe('QueryRoute', () => {
  const brokers = [
    { name: 'n1', host: '10.0.0.1', port: 8081 },
    { name: 'n2', host: 'n2.example', port: 8082 },
    { name: 'n3', host: '::1', port: 8083 },
  ]

  test('lists all queues under each broker, in order', async () => {
    door.answers = { queryRoute: { kind: 'route', topic: 'T', type: 'fifo', queueCount: 2, brokers } }
    const reply = await unary(
      'QueryRoute',
      v2.QueryRouteResponse,
      bytesOf(v2.QueryRouteRequest, { topic: { name: 'T', resourceNamespace: 'ns' } }),
    )
    expect(reply.status?.code).toBe(20_000)
    expect(reply.messageQueues.map(queue => `${queue.broker?.name ?? ''}/${queue.id}`)).toEqual([
      'n1/0',
      'n1/1',
      'n2/0',
      'n2/1',
      'n3/0',
      'n3/1',
    ])
    for (const queue of reply.messageQueues) {
      expect(queue).toMatchObject({
        topic: { name: 'T', resourceNamespace: 'ns' },
        permission: v2.Permission.READ_WRITE,
        broker: { id: 0 },
      })
      expect(queue.acceptMessageTypes).toEqual([v2.MessageType.FIFO])
    }
    const endpoints = reply.messageQueues.filter(queue => queue.id === 0).map(queue => queue.broker?.endpoints)
    expect(endpoints.map(endpoint => endpoint?.scheme)).toEqual([
      v2.AddressScheme.IPv4,
      v2.AddressScheme.DOMAIN_NAME,
      v2.AddressScheme.IPv6,
    ])
    expect(endpoints[1]?.addresses).toMatchObject([{ host: 'n2.example', port: 8082 }])
  })

  test('for assignments gives one queue of id -1 per broker', async () => {
    door.answers = { queryAssignment: { kind: 'assignment', topic: 'T', type: 'normal', brokers } }
    const reply = await unary(
      'QueryAssignment',
      v2.QueryAssignmentResponse,
      bytesOf(v2.QueryAssignmentRequest, { topic: { name: 'T' }, group: { name: 'G' } }),
    )
    expect(reply.assignments.map(({ messageQueue }) => `${messageQueue?.broker?.name ?? ''}/${messageQueue?.id ?? ''}`)).toEqual([
      'n1/-1',
      'n2/-1',
      'n3/-1',
    ])
  })

  test.each(['QueryRoute', 'QueryAssignment', 'Heartbeat', 'NotifyClientTermination'])('%s of garbage is a bad request', async method => {
    const reply = await unary(method, v2.HeartbeatResponse, Buffer.from('0affffffff0f', 'hex'))
    expect(reply.status?.code).toBe(40_000)
  })
})

describe('Heartbeat and termination', () => {
  test('an empty heartbeat without any header is OK', async () => {
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.alloc(0), headers({}))).status?.code).toBe(20_000)
  })

  test('a heartbeat says who lives, of which group', async () => {
    door.answers = { heartbeat: { kind: 'alive' } }
    const request = bytesOf(v2.HeartbeatRequest, { group: { name: 'G' }, clientType: v2.ClientType.PUSH_CONSUMER })
    expect((await unary('Heartbeat', v2.HeartbeatResponse, request)).status?.code).toBe(20_000)
    expect(door.lastRequest('heartbeat')).toMatchObject({ clientId: 'client-1', clientType: 'pushConsumer', consumerGroup: 'G' })
  })

  test('a client type that nobody knows is refused', async () => {
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.from('1063', 'hex'))).status?.code).toBe(40_015)
  })

  test('a client says goodbye', async () => {
    door.answers = { terminate: { kind: 'terminated' } }
    expect((await unary('NotifyClientTermination', v2.NotifyClientTerminationResponse, Buffer.from('0a00', 'hex'))).status?.code).toBe(
      20_000,
    )
    expect(door.lastRequest('terminate')).toMatchObject({ clientId: 'client-1', consumerGroup: undefined })
  })
})
