/**
 * What a handler is: a function from request bytes to reply bytes that knows nothing of gRPC. grpc/calls.ts puts handlers on HTTP/2 streams.
 * Handlers never throw on bad input; whatever they throw is a fault of ours and ends the process (src/platform/assert.ts).
 */
import type { Clock } from '../platform/clock.ts'
import type { Deadlines } from '../broker/deadlines.ts'
import type { BrokerDoor } from './broker-door.ts'

/** What all handlers of one node share. */
export interface RpcContext {
  readonly broker: BrokerDoor
  readonly clock: Clock
  /** For refused receives that are held back; one timer for all. */
  readonly deadlines: Deadlines
  /** `host:port` at which clients reach this node, ASCII. */
  readonly storeHost: string
}

/** Who calls, and for how long. */
export interface Caller {
  readonly clientId: string | undefined
  readonly isNodeClient: boolean
  /** `address:port` of the connection. */
  readonly peer: string
  /** Milliseconds until the caller gives up; Infinity when it set no deadline. */
  readonly leftMs: number
}

/** `reply` is called exactly once. The request's bytes stay unchanged until then. */
export type UnaryHandler = (context: RpcContext, caller: Caller, request: Uint8Array, reply: (bytes: Buffer) => void) => void

/** The items of a reply stream, in order. */
export interface ItemStream {
  /** `flushed` runs when the bytes are with the socket; never, when the caller is gone. */
  write(item: Buffer, flushed?: () => void): void
  /** No more items; `finished` runs when all are with the socket; never, when the caller is gone. */
  end(finished?: () => void): void
}

/** Returns what is to be done when the caller is gone before the stream has finished. */
export type ServerStreamHandler = (context: RpcContext, caller: Caller, request: Uint8Array, stream: ItemStream) => () => void

/** A stream in both directions, from our side. */
export interface DuplexStream extends ItemStream {
  /** Ends the stream with a gRPC status: the one place where that says anything but OK. */
  fail(code: 'invalidArgument' | 'internal', message: string): void
}

export interface DuplexEvents {
  onItem(item: Uint8Array): void
  /** The caller will say no more. */
  onHalfClose(): void
  /** Nothing can be said or heard any more. */
  onGone(): void
}

export type DuplexHandler = (context: RpcContext, caller: Caller, stream: DuplexStream) => DuplexEvents
