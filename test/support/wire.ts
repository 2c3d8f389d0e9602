/**
 * A client that says what it is told to say: gRPC over node:http2 (or TLS), one call at a time, with any bytes and any headers. For tests of what
 * a node does with calls that no library would make. What comes back is given as it came: HTTP status, gRPC status, messages, times.
 */
import '../../src/platform/protobuf.ts'
import * as http2 from 'node:http2'
import { raftmq } from '#proto/raftmq-v1.js'
import { apache } from '#proto/rocketmq-v2.js'

export const v2 = apache.rocketmq.v2
const v1 = raftmq.v1

export interface Codec<T> {
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

export function encoded(codec: { encode(message: never): { finish(): Uint8Array } }, message: object): Buffer {
  return Buffer.from(codec.encode(message as never).finish())
}

/** The gRPC prefix and the message; `claimedBytes` for prefixes that lie. */
export function framed(message: Uint8Array, flags = 0, claimedBytes = message.length): Buffer {
  const out = Buffer.alloc(5 + message.length)
  out[0] = flags
  out.writeUInt32BE(claimedBytes, 1)
  out.set(message, 5)
  return out
}

export interface CallResult {
  /** Undefined: the stream or connection closed without an answer. */
  readonly httpStatus: number | undefined
  /** -1 = none came. */
  readonly grpcStatus: number
  readonly messages: readonly Buffer[]
  /** Of the stream or connection, if there was one. */
  readonly error: string | undefined
  /** Until the end of the call. */
  readonly tookMs: number
}

export interface OpenCall {
  readonly stream: http2.ClientHttp2Stream
  readonly messages: Buffer[]
  readonly done: Promise<CallResult>
  /** Resolves with the next message that has not been taken; undefined = the call ended first. */
  next(): Promise<Buffer | undefined>
}

/** A header set to undefined is left out; an array is sent as that many headers. */
export type CallHeaders = Readonly<Record<string, string | string[] | undefined>>

/** A call that has no answer by then gets none. */
const unansweredMs = 20_000
const servicePath = '/apache.rocketmq.v2.MessagingService/'

export class WireClient {
  readonly #connect: () => http2.ClientHttp2Session
  readonly #clientId: string
  #session: http2.ClientHttp2Session

  constructor(target: string, clientId: string, options: { readonly isTls?: boolean } = {}) {
    this.#clientId = clientId
    this.#connect = () => {
      const session = http2.connect(`${options.isTls === true ? 'https' : 'http'}://${target}`, {
        rejectUnauthorized: false,
        // Megabytes; what waits to be sent counts, too.
        maxSessionMemory: 256,
      })
      // Each open call sees its own error.
      session.on('error', () => undefined)
      return session
    }
    this.#session = this.#connect()
  }

  /** A new one when the last has ended: a node that stood still for long drops its connections. */
  get session(): http2.ClientHttp2Session {
    if (this.#session.destroyed || this.#session.closed) this.#session = this.#connect()
    return this.#session
  }

  /** Opens a call and leaves its request open. `method` of the messaging service, or a whole path. */
  open(method: string, headers: CallHeaders = {}): OpenCall {
    const startedMs = performance.now()
    const all: CallHeaders = {
      ':method': 'POST',
      ':path': method.startsWith('/') ? method : servicePath + method,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '3S',
      'x-mq-client-id': this.#clientId,
      'x-mq-language': 'HTTP',
      ...headers,
    }
    const stream = this.session.request(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    const messages: Buffer[] = []
    const waiters: (() => void)[] = []
    let held: Buffer = Buffer.alloc(0)
    let httpStatus: number | undefined
    let grpcStatus = -1
    let taken = 0
    let isOver = false
    const wake = (): void => {
      for (const waiter of waiters.splice(0)) waiter()
    }
    const take = (seen: http2.IncomingHttpHeaders): void => {
      if (seen['grpc-status'] !== undefined) grpcStatus = Number(seen['grpc-status'])
    }
    stream.on('response', seen => {
      httpStatus = seen[':status']
      take(seen)
    })
    stream.on('trailers', take)
    stream.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
        const end = 5 + held.readUInt32BE(1)
        messages.push(held.subarray(5, end))
        held = held.subarray(end)
      }
      wake()
    })
    let error: string | undefined
    stream.on('error', failure => (error = String(failure)))
    const unanswered = setTimeout(() => stream.destroy(new Error('no answer')), unansweredMs)
    const done = new Promise<CallResult>(resolve => {
      stream.once('close', () => {
        clearTimeout(unanswered)
        isOver = true
        wake()
        resolve({ httpStatus, grpcStatus, messages, error, tookMs: performance.now() - startedMs })
      })
    })
    const next = async (): Promise<Buffer | undefined> => {
      while (messages.length <= taken && !isOver) await new Promise<void>(resolve => waiters.push(resolve))
      return messages[taken++]
    }
    return { stream, messages, done, next }
  }

  /** One call with these bytes as its framed request. */
  raw(method: string, bytes: Uint8Array, headers: CallHeaders = {}): Promise<CallResult> {
    const call = this.open(method, headers)
    call.stream.end(bytes)
    return call.done
  }

  /** One call with a well-framed request; all its reply messages, decoded. */
  async call<T>(method: string, request: Uint8Array, response: Codec<T>, headers: CallHeaders = {}): Promise<T[]> {
    const result = await this.raw(method, framed(request), headers)
    if (result.grpcStatus !== 0) throw new Error(`${method} ended with gRPC status ${result.grpcStatus} ${result.error ?? ''}`)
    return result.messages.map(message => response.decode(message))
  }

  async unary<T>(method: string, request: Uint8Array, response: Codec<T>, headers: CallHeaders = {}): Promise<T> {
    const [reply] = await this.call(method, request, response, headers)
    if (reply === undefined) throw new Error(`${method} gave no reply`)
    return reply
  }

  close(): void {
    this.#session.destroy()
  }
}

/** A message that nothing is wrong with. */
export function goodMessage(topic: string, messageId: string, system: object = {}, rest: object = {}): object {
  return {
    topic: { name: topic },
    systemProperties: { messageId, messageType: v2.MessageType.NORMAL, bodyEncoding: v2.Encoding.IDENTITY, ...system },
    body: Buffer.from('hello'),
    ...rest,
  }
}

export async function sendOne(client: WireClient, message: object): Promise<apache.rocketmq.v2.SendMessageResponse> {
  return client.unary('SendMessage', encoded(v2.SendMessageRequest, { messages: [message] }), v2.SendMessageResponse)
}

export interface Received {
  readonly code: number
  readonly messages: readonly apache.rocketmq.v2.Message.$Properties[]
  readonly kinds: readonly string[]
}

export function receiveRequest(group: string, topic: string, more: object = {}): Buffer {
  return encoded(v2.ReceiveMessageRequest, {
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: 0 },
    filterExpression: { type: v2.FilterType.TAG, expression: '*' },
    batchSize: 32,
    invisibleDuration: { seconds: 30, nanos: 0 },
    longPollingTimeout: { seconds: 1, nanos: 0 },
    ...more,
  })
}

export async function receive(client: WireClient, request: Buffer, headers: CallHeaders = {}): Promise<Received> {
  return receivedOf(await client.call('ReceiveMessage', request, v2.ReceiveMessageResponse, headers))
}

export function receivedOf(items: readonly apache.rocketmq.v2.ReceiveMessageResponse[]): Received {
  return {
    code: items[0]?.status?.code ?? 0,
    messages: items.flatMap(item => (item.message == null ? [] : [item.message])),
    kinds: items.map(item => item.content ?? ''),
  }
}

export function ackRequest(group: string, topic: string, receiptHandle: string, messageId = ''): Buffer {
  return encoded(v2.AckMessageRequest, { group: { name: group }, topic: { name: topic }, entries: [{ messageId, receiptHandle }] })
}

export async function ackCode(client: WireClient, group: string, topic: string, receiptHandle: string, messageId = ''): Promise<number> {
  const reply = await client.unary('AckMessage', ackRequest(group, topic, receiptHandle, messageId), v2.AckMessageResponse)
  return reply.status?.code ?? 0
}

export async function createTopic(client: WireClient, name: string, type: 'normal' | 'fifo', queueCount = 4): Promise<void> {
  const types = { normal: v1.TopicType.TOPIC_TYPE_NORMAL, fifo: v1.TopicType.TOPIC_TYPE_FIFO }
  const request = encoded(v1.CreateTopicRequest, { name, type: types[type], queueCount })
  const { status } = await client.unary('/raftmq.v1.ClusterAdmin/CreateTopic', request, v1.CreateTopicResponse)
  if (status?.code !== v1.AdminStatus.Code.OK) throw new Error(`topic ${name}: ${status?.message ?? 'no status'}`)
}

/** A consumer group that begins at the first message of the topic. */
export async function createGroup(client: WireClient, name: string, topic: string, isFifo = false): Promise<void> {
  const request = encoded(v1.EnsureGroupRequest, { name, topics: [topic], start: { first: true }, settings: { isFifo } })
  const { status } = await client.unary('/raftmq.v1.ClusterAdmin/EnsureGroup', request, v1.EnsureGroupResponse)
  if (status?.code !== v1.AdminStatus.Code.OK) throw new Error(`group ${name}: ${status?.message ?? 'no status'}`)
}
