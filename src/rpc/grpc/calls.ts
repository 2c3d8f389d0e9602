/**
 * One gRPC call on one HTTP/2 stream, for each kind of handler. What a handler throws is a fault of ours and is not caught: it ends the process.
 * Nothing here has a timer: handlers answer before the caller's deadline, and a caller that gives up resets the stream.
 */
import type { ServerHttp2Stream } from 'node:http2'
import type { Caller, DuplexHandler, DuplexStream, ItemStream, RpcContext, ServerStreamHandler, UnaryHandler } from '../handler.ts'
import { FrameParser, frameOf, framePrefix, type FrameProblem } from './frame.ts'
import { encodeStatusMessage, GrpcStatus } from './status.ts'

/** Messages from here on are handed to the socket without being copied behind their prefix. */
const separatePrefixBytes = 4_096

const contentType = 'application/grpc'
const responseHeaders = { ':status': 200, 'content-type': contentType }
const okTrailers = { 'grpc-status': '0' }
const responseOptions = { waitForTrailers: true }

export interface CallBounds {
  /** Of one message. */
  readonly messageBytesMax: number
  /** Shared by all calls of the server. */
  readonly budget: InboundBudget
}

/** Bytes of requests that are not whole yet, over all calls: the one thing a client could make us hoard. */
export class InboundBudget {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  tryHold(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false
    this.#bytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#bytes -= bytes
  }
}

export function serveUnary(
  handle: UnaryHandler,
  context: RpcContext,
  caller: Caller,
  stream: ServerHttp2Stream,
  bounds: CallBounds,
  left: () => void,
): void {
  readOne(stream, bounds, left, request =>
    handle(context, caller, request, reply => {
      if (isOpen(stream)) {
        respond(stream)
        stream.end(frameOf(reply))
      }
      left()
    }),
  )
}

export function serveStream(
  handle: ServerStreamHandler,
  context: RpcContext,
  caller: Caller,
  stream: ServerHttp2Stream,
  bounds: CallBounds,
): void {
  readOne(stream, bounds, nothing, request => {
    const whenGone = handle(context, caller, request, itemStream(stream))
    stream.once('close', whenGone)
  })
}

export function serveDuplex(
  handle: DuplexHandler,
  context: RpcContext,
  caller: Caller,
  stream: ServerHttp2Stream,
  bounds: CallBounds,
): void {
  // Rust waits for the headers before it says anything.
  respond(stream)
  const events = handle(context, caller, duplexStream(stream))
  const parser = new FrameParser(bounds.messageBytesMax)
  stream.on('data', (chunk: Buffer) => {
    parser.push(chunk)
    for (let message = parser.next(); message !== undefined; message = parser.next()) {
      if (typeof message === 'string') return failFrame(stream, message)
      events.onItem(message)
    }
  })
  stream.once('end', () => events.onHalfClose())
  stream.once('close', () => events.onGone())
}

/** Ends a call that has not begun to answer. */
export function fail(stream: ServerHttp2Stream, status: GrpcStatus, message: string): void {
  if (!isOpen(stream)) return
  const trailers = { 'grpc-status': String(status), 'grpc-message': encodeStatusMessage(message) }
  if (stream.headersSent) endWith(stream, trailers)
  else stream.respond({ ...responseHeaders, ...trailers }, { endStream: true })
  // What the caller still says is of no interest.
  stream.resume()
}

/** Begins the call when the one message of the request is whole; what follows it is not looked at. */
function readOne(stream: ServerHttp2Stream, bounds: CallBounds, left: () => void, begin: (request: Buffer) => void): void {
  const parser = new FrameParser(bounds.messageBytesMax)
  let heldBytes = 0
  let isOver = false
  const end = (): void => {
    isOver = true
    bounds.budget.release(heldBytes)
  }
  const endWithout = (problem: () => void): void => {
    if (isOver) return
    end()
    problem()
    left()
  }
  stream.on('data', (chunk: Buffer) => {
    if (isOver) return
    if (!bounds.budget.tryHold(chunk.length))
      return endWithout(() => fail(stream, GrpcStatus.resourceExhausted, 'too many requests are under way'))
    heldBytes += chunk.length
    parser.push(chunk)
    const message = parser.next()
    if (message === undefined) return
    if (typeof message === 'string') return endWithout(() => failFrame(stream, message))
    end()
    begin(message)
  })
  stream.once('end', () => endWithout(() => fail(stream, GrpcStatus.internal, 'the request ended before its message')))
  stream.once('close', () => endWithout(nothing))
}

function failFrame(stream: ServerHttp2Stream, problem: FrameProblem): void {
  if (problem === 'tooLarge') return fail(stream, GrpcStatus.resourceExhausted, 'the message is larger than this server takes')
  fail(stream, GrpcStatus.unimplemented, 'compressed messages are not taken')
}

function itemStream(stream: ServerHttp2Stream): ItemStream {
  return {
    write(item, flushed) {
      if (!isOpen(stream)) return
      if (!stream.headersSent) respond(stream)
      const done = (error?: Error | null): void => {
        if (error == null) flushed?.()
      }
      if (item.length < separatePrefixBytes) {
        stream.write(frameOf(item), done)
        return
      }
      stream.cork()
      stream.write(framePrefix(item.length))
      stream.write(item, done)
      stream.uncork()
    },
    end(finished) {
      if (!isOpen(stream)) return
      if (!stream.headersSent) respond(stream)
      if (finished !== undefined) stream.once('finish', finished)
      stream.end()
    },
  }
}

function duplexStream(stream: ServerHttp2Stream): DuplexStream {
  const items = itemStream(stream)
  return {
    write: (item, flushed) => items.write(item, flushed),
    end: finished => items.end(finished),
    fail: (code, message) => fail(stream, code === 'internal' ? GrpcStatus.internal : GrpcStatus.invalidArgument, message),
  }
}

function respond(stream: ServerHttp2Stream): void {
  stream.respond(responseHeaders, responseOptions)
  stream.once('wantTrailers', sendOkTrailers)
}

function sendOkTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(okTrailers)
}

function endWith(stream: ServerHttp2Stream, trailers: { 'grpc-status': string; 'grpc-message': string }): void {
  stream.removeListener('wantTrailers', sendOkTrailers)
  stream.once('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end()
}

/** May still be answered. */
function isOpen(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed && !stream.writableEnded
}

function nothing(): void {
  // A caller that went away before it had asked.
}
