/** A real RPC server on a free port in front of a stub broker, with a client that says bytes. Import it and every test of the file gets its own. */
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { afterEach, beforeEach } from 'vitest'
import '../../src/platform/protobuf.ts'
import { apache } from '#proto/rocketmq-v2.js'
import { realClock } from '../../src/platform/clock.ts'
import { startRpcServer, type RpcServer } from '../../src/rpc/server.ts'
import { stubDoor, type StubDoor } from './stub-door.ts'

const v2 = apache.rocketmq.v2

export let door: StubDoor
export let server: RpcServer
export let client: Client

beforeEach(async () => {
  door = stubDoor({ heartbeat: { kind: 'alive' } })
  server = await startRpcServer({
    broker: door,
    clock: realClock,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: { host: '127.0.0.1', port: 8081 },
    tls: undefined,
  })
  client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
})

afterEach(async () => {
  client.close()
  await server.close()
})

/** From now on the test speaks through this client. */
export function useClient(other: Client): void {
  client.close()
  client = other
}

export const asIs = (bytes: Buffer): Buffer => bytes

export interface Codec<T> {
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

export function headers(values: Record<string, string> = { 'x-mq-client-id': 'client-1' }): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(values)) metadata.add(name, value)
  return metadata
}

export function bytesOf(codec: { encode(message: never): { finish(): Uint8Array } }, message: object): Buffer {
  return Buffer.from(codec.encode(message as never).finish())
}

/** `method` of the messaging service, or a whole path. */
export function unaryBytes(method: string, request: Buffer, metadata = headers(), deadline = Date.now() + 3_000): Promise<Buffer> {
  const path = method.includes('/') ? method : `/apache.rocketmq.v2.MessagingService/${method}`
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, request, metadata, { deadline }, (error, reply) => {
      if (reply === undefined) reject(error ?? new Error('no reply'))
      else resolve(reply)
    })
  })
}

export async function unary<T>(method: string, response: Codec<T>, request: Buffer, metadata = headers()): Promise<T> {
  return response.decode(await unaryBytes(method, request, metadata))
}

/** A message that nothing is wrong with. */
export const goodMessage = {
  topic: { name: 'T' },
  systemProperties: { messageId: 'm-1', messageType: v2.MessageType.NORMAL, bodyEncoding: v2.Encoding.IDENTITY },
  body: Buffer.from('hello'),
}
