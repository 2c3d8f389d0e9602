/**
 * gRPC on node:http2, for handlers that take and give bytes. Written here because grpc-js spends more on a call than everything else on its way
 * through a gateway: interceptors, metadata objects and a promise per message (docs/decisions/0012). What it leaves out: compression, and
 * server-side deadline timers (calls.ts).
 *
 * Sockets are handed in (one-port.ts), plaintext and TLS alike. Every session is pinged; one that does not answer is dropped, and so is
 * a request that does not become whole.
 */
import * as http2 from 'node:http2'
import type { Clock, Timer } from '../../platform/clock.ts'
import type { CallGate } from '../call-gate.ts'
import type { Connections } from '../connections.ts'
import type { Caller, RpcContext } from '../handler.ts'
import { clientIdOf, isNodeClient, singleValue } from '../metadata.ts'
import type { Method } from '../messaging/methods.ts'
import type { Inject } from '../one-port.ts'
import type { Certificate } from '../self-signed.ts'
import { fail, serveDuplex, serveStream, serveUnary, type CallBounds } from './calls.ts'
import { Inbound } from './inbound.ts'
import { GrpcStatus, parseTimeout } from './status.ts'

export interface GrpcServerOptions {
  /** By path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, Method>
  readonly context: RpcContext
  readonly connections: Connections
  readonly gate: CallGate
}

export interface GrpcServer {
  readonly plaintext: Inject
  tls(certificate: Certificate): Inject
  /** Tells every client to take its next calls elsewhere. */
  drain(): void
  /** Drops every session. */
  close(): void
}

/** As the official proxy takes them: a send beyond its limits then gets its precise code instead of a broken stream. */
const sendBytesMax = 130 * 1024 * 1024
/** Every other request is small. */
const otherBytesMax = 4 * 1024 * 1024
const unfinishedBytesMax = 512 * 1024 * 1024
/** How far a stream, and a connection, may run ahead: with HTTP/2's 64 KiB a large body would take many round trips. */
const streamWindowBytes = 1024 * 1024
const connectionWindowBytes = 16 * 1024 * 1024
/** What is buffered for one connection, in MB. Below it a burst of large messages would end the connection. */
const sessionMemoryMb = 1_024
const streamsMax = 8_192
/** A dead peer behind a half-open connection is found within twice this. */
const pingEveryMs = 30_000
/** Requests that have run out of time are looked for so often. */
const sweepEveryMs = 5_000

const serverOptions: http2.ServerOptions = {
  settings: { initialWindowSize: streamWindowBytes, maxConcurrentStreams: streamsMax, enablePush: false },
  maxSessionMemory: sessionMemoryMb,
}

export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const sessions = new Set<http2.ServerHttp2Session>()
  const servers: (http2.Http2Server | http2.Http2SecureServer)[] = []
  const inbound = new Inbound(unfinishedBytesMax)
  const bounds = { send: { messageBytesMax: sendBytesMax, inbound }, other: { messageBytesMax: otherBytesMax, inbound } }
  const pings = startSweeps(options.context.clock, sessions, inbound)
  const adopt = (server: http2.Http2Server | http2.Http2SecureServer): Inject => {
    servers.push(server)
    server.on('session', session => adoptSession(session, sessions, options, bounds))
    server.on('sessionError', ignore)
    server.on('tlsClientError', ignore)
    return socket => server.emit('connection', socket)
  }
  return {
    plaintext: adopt(http2.createServer(serverOptions)),
    tls: ({ cert, key }) => adopt(http2.createSecureServer({ ...serverOptions, cert, key, allowHTTP1: false })),
    drain() {
      for (const session of sessions) session.close()
    },
    close() {
      pings.cancel()
      for (const session of sessions) session.destroy()
      for (const server of servers) server.close()
    },
  }
}

interface Bounds {
  readonly send: CallBounds
  readonly other: CallBounds
}

function adoptSession(
  session: http2.ServerHttp2Session,
  sessions: Set<http2.ServerHttp2Session>,
  options: GrpcServerOptions,
  bounds: Bounds,
): void {
  const peer = `${session.socket.remoteAddress ?? 'unknown'}:${session.socket.remotePort ?? 0}`
  sessions.add(session)
  session.setLocalWindowSize(connectionWindowBytes)
  session.on('error', ignore)
  session.once('close', () => sessions.delete(session))
  session.on('stream', (stream, headers) => serve(stream, headers, peer, options, bounds))
}

function serve(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  peer: string,
  options: GrpcServerOptions,
  all: Bounds,
): void {
  const { context, gate } = options
  // The close that follows says it to whoever waits.
  stream.on('error', ignore)
  if (headers['content-type']?.startsWith('application/grpc') !== true) return refuseHttp(stream, 415)
  if (headers[':method'] !== 'POST') return refuseHttp(stream, 405)
  const method = options.methods.get(headers[':path'] ?? '')
  if (method === undefined || method.kind === 'unimplemented') return fail(stream, GrpcStatus.unimplemented, 'there is no such method here')
  const leftMs = parseTimeout(singleValue(headers['grpc-timeout']))
  if (leftMs === undefined) return fail(stream, GrpcStatus.internal, 'the header grpc-timeout is malformed')
  if (!gate.tryEnter()) return fail(stream, GrpcStatus.unavailable, 'this node stood still')
  const bounds = headers[':path']?.endsWith('/SendMessage') === true ? all.send : all.other
  const caller = callerOf(headers, peer, leftMs, options)
  switch (method.kind) {
    case 'unary':
      return serveUnary(method.handle, context, caller, stream, bounds, () => gate.leave())
    case 'serverStream':
      gate.leave()
      return serveStream(method.handle, context, caller, stream, bounds)
    case 'duplex':
      gate.leave()
      return serveDuplex(method.handle, context, caller, stream, bounds)
  }
}

function callerOf(headers: http2.IncomingHttpHeaders, peer: string, leftMs: number, { connections }: GrpcServerOptions): Caller {
  const clientId = clientIdOf(headers)
  if (clientId !== undefined) connections.heard(peer, clientId)
  return { clientId, isNodeClient: isNodeClient(headers), peer, leftMs }
}

function refuseHttp(stream: http2.ServerHttp2Stream, status: number): void {
  stream.respond({ ':status': status }, { endStream: true })
  stream.resume()
}

/** One timer for all: drops requests that do not become whole and, less often, sessions that have not answered the last ping. */
function startSweeps(clock: Clock, sessions: ReadonlySet<http2.ServerHttp2Session>, inbound: Inbound): Timer {
  const unanswered = new Set<http2.ServerHttp2Session>()
  let pingAtMs = clock.nowMs() + pingEveryMs
  let timer = clock.setTimer(sweepEveryMs, tick)
  function tick(): void {
    timer = clock.setTimer(sweepEveryMs, tick)
    inbound.dropOverdue(clock.nowMs())
    if (clock.nowMs() < pingAtMs) return
    pingAtMs = clock.nowMs() + pingEveryMs
    pingAll()
  }
  function pingAll(): void {
    for (const session of unanswered) session.destroy()
    unanswered.clear()
    for (const session of sessions) {
      if (session.destroyed || session.closed) continue
      unanswered.add(session)
      session.ping(() => unanswered.delete(session))
    }
  }
  return { cancel: () => timer.cancel() }
}

function ignore(): void {
  // An error of a connection or stream is followed by its close.
}
