/** What a client may make us hoard, against the real server with handlers of the test's own and a clock that the test moves. */
import * as http2 from 'node:http2'
import { createServer, type AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Deadlines } from '../../broker/deadlines.ts'
import { FakeClock } from '../../broker/testing/fake-clock.ts'
import { stubDoor } from '../../../test/support/stub-door.ts'
import type { Method } from '../messaging/methods.ts'
import type { Caller, DuplexStream, RpcContext } from '../handler.ts'
import { CallGate } from '../call-gate.ts'
import { Connections } from '../connections.ts'
import { serveDuplex, serveUnary } from './calls.ts'
import { frameOf, framePrefix } from './frame.ts'
import { Inbound } from './inbound.ts'
import { createGrpcServer } from './server.ts'

const bytesMax = 100_000
const kib = 1024

let clock: FakeClock
let inbound: Inbound
let server: http2.Http2Server
let session: http2.ClientHttp2Session
/** How many unary calls have left, and what duplex handlers have heard. */
let left: number
let items: number[]
let gone: number
let duplex: DuplexStream
let serving: http2.ServerHttp2Stream

beforeEach(async () => {
  clock = new FakeClock()
  inbound = new Inbound(bytesMax)
  left = 0
  gone = 0
  items = []
  const context: RpcContext = { broker: stubDoor({}), clock, deadlines: new Deadlines(clock), storeHost: 'h:1' }
  const bounds = { messageBytesMax: 4 * kib * kib, inbound }
  server = http2.createServer()
  server.on('stream', (stream, headers) => {
    serving = stream
    stream.on('error', () => undefined)
    const caller: Caller = { clientId: 'c', isNodeClient: false, peer: 'p', leftMs: Number(headers['left-ms'] ?? Infinity) }
    if (headers[':path'] === '/unary')
      return serveUnary(
        (_context, _caller, request, reply) => reply(Buffer.from(request)),
        context,
        caller,
        stream,
        bounds,
        () => (left += 1),
      )
    serveDuplex(
      (_context, _caller, given) => {
        duplex = given
        return { onItem: item => items.push(item.length), onHalfClose: () => given.end(), onGone: () => (gone += 1) }
      },
      context,
      caller,
      stream,
      bounds,
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  session.on('error', () => undefined)
})

afterEach(() => {
  session.destroy()
  server.close()
})

function open(path: string, more: http2.OutgoingHttpHeaders = {}): http2.ClientHttp2Stream {
  const stream = session.request({ ':method': 'POST', ':path': path, ...more })
  stream.on('error', () => undefined)
  return stream
}

const closeOf = (stream: http2.Http2Stream): Promise<number | undefined> =>
  new Promise(resolve => stream.once('close', () => resolve(stream.rstCode)))

const trailersOf = (stream: http2.ClientHttp2Stream): Promise<http2.IncomingHttpHeaders> =>
  new Promise(resolve => {
    stream.once('trailers', resolve)
    stream.once('response', headers => {
      if (headers['grpc-status'] !== undefined) resolve(headers)
    })
    stream.resume()
  })

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(resolve => setImmediate(resolve))
}

describe('a stream in both directions', () => {
  test('holds what is not whole in the common budget, and gives it back with the item', async () => {
    const stream = open('/duplex')
    stream.write(framePrefix(50_000))
    stream.write(Buffer.alloc(40_000))
    await until(() => inbound.bytes >= 40_000)
    stream.write(Buffer.alloc(10_000))
    await until(() => items.length === 1)
    expect(inbound.bytes).toBe(0)
    stream.write(framePrefix(50_000))
    stream.write(Buffer.alloc(40_000))
    await until(() => inbound.bytes >= 40_000)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await until(() => gone === 1)
    expect(inbound.bytes).toBe(0)
  })

  test('for whose bytes there is no room ends with RESOURCE_EXHAUSTED and holds nothing', async () => {
    const stream = open('/duplex')
    const trailers = trailersOf(stream)
    stream.write(framePrefix(bytesMax * 2))
    stream.write(Buffer.alloc(bytesMax + 1))
    expect((await trailers)['grpc-status']).toBe('8')
    expect(inbound.bytes).toBe(0)
  })

  test('is not listened to after a frame that is none', async () => {
    const stream = open('/duplex')
    const trailers = trailersOf(stream)
    stream.write(frameOf(Buffer.alloc(3)))
    stream.write(Buffer.from([1, 0, 0, 0, 0]))
    expect((await trailers)['grpc-status']).toBe('12')
    for (let i = 0; i < 10; i++) stream.write(frameOf(Buffer.alloc(7)))
    stream.end()
    await closeOf(stream)
    expect(items).toEqual([3])
    expect(inbound.bytes).toBe(0)
  })

  test('hears nothing more once the handler has ended it', async () => {
    const stream = open('/duplex')
    const trailers = trailersOf(stream)
    stream.write(frameOf(Buffer.alloc(3)))
    await until(() => items.length === 1)
    duplex.fail('invalidArgument', 'no')
    expect((await trailers)['grpc-status']).toBe('3')
    stream.write(Buffer.concat([frameOf(Buffer.alloc(1)), frameOf(Buffer.alloc(1)), framePrefix(9)]))
    stream.end()
    await closeOf(stream)
    expect(items.length).toBeLessThanOrEqual(2)
    expect(inbound.bytes).toBe(0)
  })

  test('whose caller does not read is ended, and what waited for it is freed', async () => {
    const stream = open('/duplex')
    stream.pause()
    stream.write(frameOf(Buffer.alloc(1)))
    await until(() => items.length === 1)
    let waiting = 0
    for (let i = 0; i < 10_000 && !serving.destroyed; i++) {
      duplex.write(Buffer.alloc(16 * kib))
      waiting = Math.max(waiting, serving.writableLength)
      if (i % 10 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    expect(serving.destroyed).toBe(true)
    expect(waiting).toBeLessThan(300 * kib)
    await until(() => gone === 1)
    expect(serving.rstCode).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
  })

  test('is reset when an item does not become whole in 30 s, and lives on for ever between items', async () => {
    const idle = open('/duplex')
    idle.write(frameOf(Buffer.alloc(1)))
    await until(() => items.length === 1)
    const slow = open('/duplex')
    slow.write(framePrefix(100))
    await until(() => inbound.unfinishedCount === 1)
    const code = closeOf(slow)
    inbound.dropOverdue(clock.nowMs() + 29_999)
    expect(inbound.unfinishedCount).toBe(1)
    inbound.dropOverdue(clock.nowMs() + 30_000)
    expect(await code).toBe(http2.constants.NGHTTP2_CANCEL)
    expect(inbound).toMatchObject({ bytes: 0, unfinishedCount: 0 })
    inbound.dropOverdue(clock.nowMs() + 3_600_000)
    idle.write(frameOf(Buffer.alloc(2)))
    await until(() => items.length === 2)
  })
})

describe('a request', () => {
  test.each([
    ['30 s without a deadline', {}, 30_000],
    ['its deadline', { 'left-ms': '2000' }, 2_000],
    ['30 s with a later deadline', { 'left-ms': '90000' }, 30_000],
  ])('that is not whole after %s is reset and holds nothing', async (_what, headers, ms) => {
    const stream = open('/unary', headers)
    stream.write(framePrefix(50_000))
    stream.write(Buffer.alloc(40_000))
    await until(() => inbound.bytes >= 40_000)
    const code = closeOf(stream)
    inbound.dropOverdue(clock.nowMs() + ms - 1)
    expect(left).toBe(0)
    inbound.dropOverdue(clock.nowMs() + ms)
    expect(inbound).toMatchObject({ bytes: 0, unfinishedCount: 0 })
    expect(await code).toBe(http2.constants.NGHTTP2_CANCEL)
    expect(left).toBe(1)
  })

  test('that is whole is not given up', async () => {
    const stream = open('/unary')
    const trailers = trailersOf(stream)
    stream.end(frameOf(Buffer.alloc(9)))
    expect((await trailers)['grpc-status']).toBe('0')
    expect(inbound).toMatchObject({ bytes: 0, unfinishedCount: 0 })
  })

  test('that does not become whole is found by the server by itself', async () => {
    const methods = new Map<string, Method>([
      ['/unary', { kind: 'unary', handle: (_context, _caller, _request, reply) => reply(Buffer.alloc(0)) }],
    ])
    const context: RpcContext = { broker: stubDoor({}), clock, deadlines: new Deadlines(clock), storeHost: 'h:1' }
    const connections = new Connections({ clientConnected: () => undefined, clientDisconnected: () => undefined })
    const grpc = createGrpcServer({ methods, context, connections, gate: new CallGate(clock, () => undefined) })
    const port = createServer(socket => grpc.plaintext(socket))
    await new Promise<void>(resolve => port.listen(0, '127.0.0.1', resolve))
    const other = http2.connect(`http://127.0.0.1:${(port.address() as AddressInfo).port}`)
    other.on('error', () => undefined)
    const slow = other.request({ ':method': 'POST', ':path': '/unary', 'content-type': 'application/grpc' })
    slow.on('error', () => undefined)
    slow.write(framePrefix(100))
    // The answer to a later request says that the slow one has been heard.
    const quick = other.request({ ':method': 'POST', ':path': '/unary', 'content-type': 'application/grpc' })
    quick.end(frameOf(Buffer.alloc(0)))
    expect((await trailersOf(quick))['grpc-status']).toBe('0')
    const code = closeOf(slow)
    clock.advance(30_000)
    expect(await code).toBe(http2.constants.NGHTTP2_CANCEL)
    other.destroy()
    grpc.close()
    port.close()
  })
})
