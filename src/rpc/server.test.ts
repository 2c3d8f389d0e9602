import * as net from 'node:net'
import { Client, credentials, status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'
import { door, server, client, useClient, headers, unaryBytes, unary } from '../../test/support/rpc-harness.ts'

const v2 = apache.rocketmq.v2

describe('the service', () => {
  test.each(['PullMessage', 'UpdateOffset', 'GetOffset', 'QueryOffset', 'EndTransaction', 'RecallMessage', 'SyncLiteSubscription'])(
    'answers %s with UNIMPLEMENTED at once',
    async method => {
      await expect(unaryBytes(method, Buffer.alloc(0))).rejects.toMatchObject({ code: status.UNIMPLEMENTED })
    },
  )

  test('answers a method that nobody knows with UNIMPLEMENTED', async () => {
    await expect(unaryBytes('/apache.rocketmq.v2.Admin/ChangeLogLevel', Buffer.alloc(0))).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    })
  })

  test('tells the broker when a client comes and when its last connection is gone', async () => {
    await unaryBytes('Heartbeat', Buffer.alloc(0))
    await unaryBytes('Heartbeat', Buffer.alloc(0))
    expect(door.presence).toEqual(['+client-1'])
    client.close()
    while (door.presence.length < 2) await new Promise(resolve => setImmediate(resolve))
    expect(door.presence).toEqual(['+client-1', '-client-1'])
  })

  test('speaks TLS on the same port, with a certificate of its own', async () => {
    const insecure = credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })
    const secure = new Client(`127.0.0.1:${server.port}`, insecure)
    useClient(secure)
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.alloc(0))).status?.code).toBe(20_000)
    expect(door.presence).toEqual(['+client-1'])
  })

  test.each([
    ['plain text', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['garbage', Buffer.alloc(64, 0xab)],
    ['garbage that begins like TLS', Buffer.alloc(64, 0x16)],
    ['zeros', Buffer.alloc(4_096)],
  ])('closes a connection that brings %s, and lives on', async (_what, garbage) => {
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(garbage))
    socket.on('error', () => undefined)
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
    expect((await unary('Heartbeat', v2.HeartbeatResponse, Buffer.alloc(0))).status?.code).toBe(20_000)
  })

  test('closes what is open and can be closed twice', async () => {
    await unaryBytes('Heartbeat', Buffer.alloc(0))
    await server.close()
    await server.close()
    expect(server.connectionCount).toBe(0)
    await expect(unaryBytes('Heartbeat', Buffer.alloc(0), headers(), Date.now() + 500)).rejects.toMatchObject({ name: 'Error' })
  })
})
