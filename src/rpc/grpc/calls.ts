/**
 * One gRPC call on one HTTP/2 stream, for each kind of handler. What a handler throws is a fault of ours and is not caught: it ends the process.
 * Nothing here has a timer: handlers answer before the caller's deadline, and a caller that gives up resets the stream. Only a message that does
 * not become whole is given up by us (inbound.ts).
 */
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Caller, DuplexHandler, DuplexStream, ItemStream, RpcContext, ServerStreamHandler, UnaryHandler } from '../handler.ts'
import { FrameParser, frameOf, framePrefix, type FrameProblem } from './frame.ts'
import type { Inbound, Unfinished } from './inbound.ts'
import { encodeStatusMessage, GrpcStatus } from './status.ts'

/** Messages from here on are handed to the socket without being copied behind their prefix. */
const separatePrefixBytes = 4_096
/** How long a message may take to become whole, where the caller's deadline does not end it sooner. */
const unfinishedMsMax = 30_000
/** A caller on a stream in both directions that has so much still to read is told no more. */
const unreadBytesMax = 256 * 1024

const contentType = 'application/grpc'
const responseHeaders = { ':status': 200, 'content-type': contentType }
const okTrailers = { 'grpc-status': '0' }
const responseOptions = { waitForTrailers: true }

export interface CallBounds {
  /** Of one message. */
  readonly messageBytesMax: number
  /** Shared by all calls of the server. */
  readonly inbound: Inbound
}

export function serveUnary(
  handle: UnaryHandler,
  context: RpcContext,
  caller: Caller,
  stream: ServerHttp2Stream,
  bounds: CallBounds,
  left: () => void,
): void {
  readOne(stream, bounds, untilMs(context, caller), left, request =>
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
  readOne(stream, bounds, untilMs(context, caller), nothing, request => {
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
  readMany(context, stream, bounds, item => events.onItem(item))
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

function untilMs({ clock }: RpcContext, { leftMs }: Caller): number {
  return clock.nowMs() + Math.min(leftMs, unfinishedMsMax)
}

/** Begins the call when the one message of the request is whole; what follows it is not looked at. */
function readOne(
  stream: ServerHttp2Stream,
  { messageBytesMax, inbound }: CallBounds,
  untilMs: number,
  left: () => void,
  begin: (request: Buffer) => void,
): void {
  const parser = new FrameParser(messageBytesMax)
  let heldBytes = 0
  let isOver = false
  const unfinished: Unfinished = { untilMs, drop: () => endWithout(() => stream.close(constants.NGHTTP2_CANCEL)) }
  const end = (): void => {
    isOver = true
    inbound.release(heldBytes)
    inbound.ended(unfinished)
    parser.clear()
  }
  const endWithout = (problem: () => void): void => {
    if (isOver) return
    end()
    problem()
    left()
  }
  inbound.began(unfinished)
  stream.on('data', (chunk: Buffer) => {
    if (isOver) return
    if (!inbound.tryHold(chunk.length)) return endWithout(() => failBudget(stream))
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

/** Gives item after item, until the first fault or until we have ended the stream; what comes then is thrown away. */
function readMany(
  { clock }: RpcContext,
  stream: ServerHttp2Stream,
  { messageBytesMax, inbound }: CallBounds,
  onItem: (item: Buffer) => void,
): void {
  const parser = new FrameParser(messageBytesMax)
  let heldBytes = 0
  let isOver = false
  /** The item that is not whole yet. */
  let unfinished: Unfinished | undefined
  const keep = (bytes: number): void => {
    inbound.release(heldBytes - bytes)
    heldBytes = bytes
    if (unfinished !== undefined) inbound.ended(unfinished)
    unfinished = undefined
  }
  const end = (): void => {
    if (isOver) return
    isOver = true
    keep(0)
    parser.clear()
  }
  const drop = (): void => {
    end()
    stream.close(constants.NGHTTP2_CANCEL)
  }
  stream.on('data', (chunk: Buffer) => {
    if (isOver) return
    if (!inbound.tryHold(chunk.length)) {
      end()
      return failBudget(stream)
    }
    heldBytes += chunk.length
    parser.push(chunk)
    for (let item = parser.next(); item !== undefined; item = parser.next()) {
      // What follows the item begins anew, with a patience of its own.
      keep(parser.bytes)
      if (typeof item === 'string') {
        end()
        return failFrame(stream, item)
      }
      onItem(item)
      if (!isOpen(stream)) return end()
    }
    if (unfinished !== undefined || parser.isBetweenMessages) return
    unfinished = { untilMs: clock.nowMs() + unfinishedMsMax, drop }
    inbound.began(unfinished)
  })
  stream.once('close', end)
}

function failBudget(stream: ServerHttp2Stream): void {
  fail(stream, GrpcStatus.resourceExhausted, 'too many requests are under way')
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
    write(item, flushed) {
      if (stream.writableLength > unreadBytesMax) {
        // It would not read a status either.
        stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
        stream.destroy()
      } else items.write(item, flushed)
    },
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
