/**
 * How the command line talks to a cluster: gRPC to any node, plaintext, with the static classes as codecs. Knows several endpoints and goes on to the
 * next when one does not answer. It retries only what is safe to repeat; a call that may have happened and is not safe ends as "outcome unknown".
 */
import '../platform/protobuf.ts'
import { randomBytes, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { Client, Metadata, credentials, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { raftmq } from '#proto/raftmq-v1.js'
import { apache } from '#proto/rocketmq-v2.js'
import { CliError, ExitCode } from './exit.ts'

export const v1 = raftmq.v1
export const v2 = apache.rocketmq.v2

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array }
}
interface Decoder<T> {
  decode(bytes: Uint8Array): T
}

/** A method by its path and its codecs. */
export interface Method<Request, Response> {
  readonly path: string
  readonly request: Encoder<Request>
  readonly response: Decoder<Response>
}

function method<Request, Response>(path: string, request: Encoder<Request>, response: Decoder<Response>): Method<Request, Response> {
  return { path, request, response }
}

const admin = '/raftmq.v1.ClusterAdmin/'
const messaging = '/apache.rocketmq.v2.MessagingService/'

export const methods = {
  createTopic: method(`${admin}CreateTopic`, v1.CreateTopicRequest, v1.CreateTopicResponse),
  deleteTopic: method(`${admin}DeleteTopic`, v1.DeleteTopicRequest, v1.DeleteTopicResponse),
  listTopics: method(`${admin}ListTopics`, v1.ListTopicsRequest, v1.ListTopicsResponse),
  getTopic: method(`${admin}GetTopic`, v1.GetTopicRequest, v1.GetTopicResponse),
  ensureGroup: method(`${admin}EnsureGroup`, v1.EnsureGroupRequest, v1.EnsureGroupResponse),
  listGroups: method(`${admin}ListGroups`, v1.ListGroupsRequest, v1.ListGroupsResponse),
  getGroup: method(`${admin}GetGroup`, v1.GetGroupRequest, v1.GetGroupResponse),
  changeMembers: method(`${admin}ChangeMembers`, v1.ChangeMembersRequest, v1.ChangeMembersResponse),
  listMembers: method(`${admin}ListMembers`, v1.ListMembersRequest, v1.ListMembersResponse),
  transferLeader: method(`${admin}TransferLeader`, v1.TransferLeaderRequest, v1.TransferLeaderResponse),
  finalizeUpgrade: method(`${admin}FinalizeUpgrade`, v1.FinalizeUpgradeRequest, v1.FinalizeUpgradeResponse),
  clusterStatus: method(`${admin}ClusterStatus`, v1.ClusterStatusRequest, v1.ClusterStatusResponse),
  sendMessage: method(`${messaging}SendMessage`, v2.SendMessageRequest, v2.SendMessageResponse),
  receiveMessage: method(`${messaging}ReceiveMessage`, v2.ReceiveMessageRequest, v2.ReceiveMessageResponse),
  ackMessage: method(`${messaging}AckMessage`, v2.AckMessageRequest, v2.AckMessageResponse),
  notifyTermination: method(`${messaging}NotifyClientTermination`, v2.NotifyClientTerminationRequest, v2.NotifyClientTerminationResponse),
} as const

/** A call did not give an answer. `isUnsent`: it surely never reached a node that could have acted on it. */
export class CallFailed extends Error {
  readonly isUnsent: boolean

  constructor(message: string, isUnsent: boolean) {
    super(message)
    this.name = 'CallFailed'
    this.isUnsent = isUnsent
  }
}

/** `host:port,host:port`; a scheme in front is taken off. */
export function parseEndpoints(text: string): string[] {
  const endpoints = text.split(/[,;]/).map(part => part.trim().replace(/^[a-z]+:\/\//, ''))
  for (const endpoint of endpoints) {
    if (!/^(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):\d{1,5}$/.test(endpoint))
      throw new CliError(ExitCode.usage, `--endpoint: ${JSON.stringify(endpoint)} is not an address; write host:port, several with commas`)
    const port = Number(endpoint.slice(endpoint.lastIndexOf(':') + 1))
    if (port < 1 || port > 65_535)
      throw new CliError(ExitCode.usage, `--endpoint: ${JSON.stringify(endpoint)}: a port is a number from 1 to 65535`)
  }
  return endpoints
}

/** How long a command waits for an answer that is worth having … */
const patienceMs = 10_000
/** … and how long where every endpoint refuses the connection. */
const refusedPatienceMs = 2_000
const retryPauseMs = 200
const callTimeoutMs = 5_000
const messageBytesMax = 130 * 1024 * 1024

export class ClusterClient {
  readonly clientId = `${hostname()}@${process.pid}@0@${randomBytes(5).toString('hex')}`
  readonly #endpoints: string[]
  readonly #clients = new Map<string, Client>()
  #current = 0

  constructor(endpoints: readonly string[]) {
    this.#endpoints = [...endpoints]
  }

  /** The node that the next call goes to. */
  get endpoint(): string {
    return this.#endpoints[this.#current % this.#endpoints.length] ?? ''
  }

  /** Another node that may be asked when the ones known do not answer. */
  learn(endpoint: string): void {
    if (endpoint !== '' && !this.#endpoints.includes(endpoint)) this.#endpoints.push(endpoint)
  }

  /** One attempt at one node. After a failure the next call goes to another. */
  unary<Request, Response>(method: Method<Request, Response>, request: Request, timeoutMs = callTimeoutMs): Promise<Response> {
    const endpoint = this.endpoint
    return new Promise((resolve, reject) => {
      this.#client(endpoint).makeUnaryRequest(
        method.path,
        (message: Request) => asBuffer(method.request.encode(message).finish()),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        this.#metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null && response !== undefined) return resolve(response)
          this.#rotate(endpoint)
          reject(callFailed(error, endpoint))
        },
      )
    })
  }

  /** A call whose answers come as a stream; each is handed over as it comes. Resolves at the end of the stream. */
  stream<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    timeoutMs: number,
    onItem: (item: Response) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const endpoint = this.endpoint
    return new Promise((resolve, reject) => {
      const call = this.#client(endpoint).makeServerStreamRequest(
        method.path,
        (message: Request) => asBuffer(method.request.encode(message).finish()),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        this.#metadata(),
        { deadline: Date.now() + timeoutMs },
      )
      const abort = (): void => call.cancel()
      signal?.addEventListener('abort', abort, { once: true })
      call.on('data', (item: Response) => onItem(item))
      call.on('error', (error: ServiceError) => {
        signal?.removeEventListener('abort', abort)
        if (signal?.aborted === true) return resolve()
        this.#rotate(endpoint)
        reject(callFailed(error, endpoint))
      })
      call.on('end', () => {
        signal?.removeEventListener('abort', abort)
        resolve()
      })
    })
  }

  /**
   * Asks until a node answers on purpose, at most `patienceMs` long. For calls that may safely happen twice. `mayHaveMore` says of an answer that
   * asking again may give a better one (no leader just now).
   */
  async ask<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    mayHaveMore: (answer: Response) => boolean,
  ): Promise<Response> {
    let endMs = Date.now() + refusedPatienceMs
    const longEndMs = Date.now() + patienceMs
    for (;;) {
      let failure: CallFailed | undefined
      try {
        const answer = await this.unary(method, request, Math.max(500, Math.min(callTimeoutMs, longEndMs - Date.now())))
        if (!mayHaveMore(answer) || Date.now() >= longEndMs) return answer
        endMs = longEndMs
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error
        failure = error
        if (!error.isUnsent) endMs = longEndMs
      }
      if (failure !== undefined && Date.now() + retryPauseMs >= endMs) throw new CliError(ExitCode.unavailable, failure.message)
      await new Promise(resolve => setTimeout(resolve, retryPauseMs))
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
    this.#clients.clear()
  }

  #client(endpoint: string): Client {
    let client = this.#clients.get(endpoint)
    if (client === undefined) {
      client = new Client(endpoint, credentials.createInsecure(), {
        'grpc.max_receive_message_length': messageBytesMax,
        'grpc.max_send_message_length': messageBytesMax,
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 1_000,
        'grpc.enable_retries': 0,
      })
      this.#clients.set(endpoint, client)
    }
    return client
  }

  #rotate(failed: string): void {
    if (this.endpoint === failed) this.#current = (this.#current + 1) % this.#endpoints.length
  }

  #metadata(): Metadata {
    const metadata = new Metadata()
    metadata.set('x-mq-client-id', this.clientId)
    metadata.set('x-mq-protocol', 'v2')
    metadata.set('x-mq-language', 'HTTP')
    metadata.set('x-mq-client-version', 'raftmq-cli')
    metadata.set('x-mq-request-id', randomUUID())
    return metadata
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function callFailed(error: ServiceError | null, endpoint: string): Error {
  if (error === null) return new CallFailed(`${endpoint} gave an empty answer`, false)
  switch (error.code) {
    case status.UNAVAILABLE:
      return unavailable(error.details, endpoint)
    case status.DEADLINE_EXCEEDED:
    case status.CANCELLED:
      return new CallFailed(`${endpoint} did not answer in time`, false)
    case status.UNIMPLEMENTED:
      return new CliError(ExitCode.failed, `${endpoint} does not know this call: is it a raftmq node of this version?`)
    default:
      return new CallFailed(`${endpoint}: ${error.details}`, false)
  }
}

function unavailable(details: string, endpoint: string): CallFailed {
  const cause = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH/.exec(details)?.[0]
  const why = cause === 'ECONNREFUSED' ? 'nobody listens there' : (cause ?? details)
  // The connection stands, and then nobody there speaks HTTP/2: the words are grpc-js's.
  if (/Last error: (Failed to connect|Protocol error)/.test(details))
    return new CallFailed(`something answers at ${endpoint} that is not the client port of a node`, true)
  return new CallFailed(`no node answers at ${endpoint}: ${why}`, cause !== undefined || details.includes('No connection established'))
}
