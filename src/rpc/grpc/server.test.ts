/** What a gRPC client library does not do, said by hand over HTTP/2. */
import * as http2 from 'node:http2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { door, server } from '../../../test/support/rpc-harness.ts'
import { frameOf, framePrefix } from './frame.ts'

const heartbeat = '/apache.rocketmq.v2.MessagingService/Heartbeat'
const telemetry = '/apache.rocketmq.v2.MessagingService/Telemetry'

let session: http2.ClientHttp2Session

beforeEach(() => {
  session = http2.connect(`http://127.0.0.1:${server.port}`)
  session.on('error', () => undefined)
})

afterEach(() => {
  session.destroy()
})

interface Answer {
  readonly headers: http2.IncomingHttpHeaders
  readonly trailers: http2.IncomingHttpHeaders
  readonly body: Buffer
}

function ask(asked: http2.OutgoingHttpHeaders, body: readonly Buffer[] | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': heartbeat,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...asked,
    })
    let headers: http2.IncomingHttpHeaders = {}
    let trailers: http2.IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    stream.on('response', (got: http2.IncomingHttpHeaders) => (headers = got))
    stream.on('trailers', (got: http2.IncomingHttpHeaders) => (trailers = got))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('close', () => resolve({ headers, trailers, body: Buffer.concat(chunks) }))
    if (body === undefined) return
    for (const chunk of body) stream.write(chunk)
    stream.end()
  })
}

describe('a call', () => {
  test('ends with trailers that say OK', async () => {
    const answer = await ask({}, [frameOf(Buffer.alloc(0))])
    expect(answer.headers).toMatchObject({ ':status': 200, 'content-type': 'application/grpc' })
    expect(answer.trailers['grpc-status']).toBe('0')
    expect(answer.body.subarray(0, 5)).toEqual(framePrefix(answer.body.length - 5))
  })

  test('may come in pieces', async () => {
    const answer = await ask(
      {},
      [...frameOf(Buffer.from('1002', 'hex'))].map(byte => Buffer.from([byte])),
    )
    expect(answer.trailers['grpc-status']).toBe('0')
  })

  test('takes any content type of gRPC', async () => {
    expect((await ask({ 'content-type': 'application/grpc+proto' }, [frameOf(Buffer.alloc(0))])).trailers['grpc-status']).toBe('0')
  })

  test.each([
    ['an unknown method', { ':path': '/x.Y/Z' }, frameOf(Buffer.alloc(0)), '12'],
    ['a compressed message', { 'grpc-encoding': 'gzip' }, Buffer.from([1, 0, 0, 0, 0]), '12'],
    ['a message of 4 MiB and a byte', {}, framePrefix(4 * 1024 * 1024 + 1), '8'],
    ['no message', {}, Buffer.alloc(0), '13'],
    ['half a message', {}, Buffer.from([0, 0, 0, 0, 5, 1]), '13'],
    ['a timeout that is none', { 'grpc-timeout': 'soon' }, frameOf(Buffer.alloc(0)), '13'],
  ])('with %s ends without an answer', async (_what, headers, body, status) => {
    const answer = await ask(headers, [body])
    expect(answer.headers).toMatchObject({ ':status': 200, 'grpc-status': status })
    expect(answer.body).toHaveLength(0)
    expect(door.asked).toEqual([])
  })

  test.each([
    [{ 'content-type': 'application/json' }, 415],
    [{ 'content-type': '' }, 415],
  ])('that is no gRPC (%j) is answered in HTTP', async (headers, status) => {
    expect((await ask(headers, [Buffer.alloc(1)])).headers[':status']).toBe(status)
  })

  test('with a method other than POST is answered in HTTP', async () => {
    expect((await ask({ ':method': 'PUT' }, [Buffer.alloc(1)])).headers[':status']).toBe(405)
  })

  test('that the client resets is forgotten', async () => {
    const stream = session.request({ ':method': 'POST', ':path': heartbeat, 'content-type': 'application/grpc' })
    stream.on('error', () => undefined)
    stream.write(framePrefix(100))
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await new Promise(resolve => stream.once('close', resolve))
    expect((await ask({}, [frameOf(Buffer.alloc(0))])).trailers['grpc-status']).toBe('0')
  })
})

describe('a stream', () => {
  test('begins with its headers, and ends with OK when the client has said all', async () => {
    const stream = session.request({ ':method': 'POST', ':path': telemetry, 'content-type': 'application/grpc', 'x-mq-client-id': 'c' })
    const headers = await new Promise<http2.IncomingHttpHeaders>(resolve => stream.once('response', resolve))
    expect(headers[':status']).toBe(200)
    const trailers = new Promise<http2.IncomingHttpHeaders>(resolve => stream.once('trailers', resolve))
    stream.end()
    stream.resume()
    expect((await trailers)['grpc-status']).toBe('0')
  })

  test('that is refused ends with its reason in the trailers', async () => {
    const stream = session.request({ ':method': 'POST', ':path': telemetry, 'content-type': 'application/grpc', 'x-mq-client-id': 'c' })
    const trailers = new Promise<http2.IncomingHttpHeaders>(resolve => stream.once('trailers', resolve))
    stream.write(frameOf(Buffer.from('1200', 'hex'))) // settings of nobody
    stream.resume()
    expect(await trailers).toMatchObject({ 'grpc-status': '3', 'grpc-message': 'the settings are neither of a producer nor of a consumer' })
  })

  test('of garbage ends with INVALID_ARGUMENT', async () => {
    const stream = session.request({ ':method': 'POST', ':path': telemetry, 'content-type': 'application/grpc', 'x-mq-client-id': 'c' })
    const trailers = new Promise<http2.IncomingHttpHeaders>(resolve => stream.once('trailers', resolve))
    stream.write(frameOf(Buffer.from('12ff', 'hex')))
    stream.resume()
    expect((await trailers)['grpc-status']).toBe('3')
  })
})

describe('a connection', () => {
  test('may ping as often as it likes', async () => {
    await new Promise(resolve => session.once('remoteSettings', resolve))
    let isAway = false
    session.on('goaway', () => (isAway = true))
    for (let i = 0; i < 100; i++)
      await new Promise<void>((resolve, reject) => session.ping(error => (error === null ? resolve() : reject(error))))
    expect(isAway).toBe(false)
  })

  test('carries several hundred calls at once', async () => {
    const answers = await Promise.all(Array.from({ length: 600 }, () => ask({}, [frameOf(Buffer.alloc(0))])))
    expect(answers.every(answer => answer.trailers['grpc-status'] === '0')).toBe(true)
  })
})
