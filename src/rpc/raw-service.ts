/**
 * Puts handlers behind grpc-js with bytes in and bytes out: no message is built that a handler does not build itself. The only file that knows
 * grpc-js' calls.
 *
 * Application errors are replies; the gRPC status stays OK (protocol reference §2.1). What a handler throws is a fault of ours: grpc-js would
 * swallow it, so it is thrown again where nobody catches it, and the process ends.
 */
import {
  Metadata,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js'
import type { ServiceDefinition, UntypedHandleCall, UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Caller, DuplexEvents, DuplexStream, ItemStream, RpcContext } from './handler.ts'
import type { CallGate } from './call-gate.ts'
import type { Connections } from './connections.ts'
import { clientIdOf, isNodeClient, type Headers } from './metadata.ts'
import type { Method } from './messaging/methods.ts'

/** What of grpc-js' calls a caller is made from. */
interface IncomingCall {
  readonly metadata: Headers
  getPeer(): string
  getDeadline(): Date | number
}

export interface RawService {
  readonly definition: ServiceDefinition
  readonly implementation: UntypedServiceImplementation
}

/** What calls are put through before they reach a handler. */
export interface Entrance {
  readonly context: RpcContext
  readonly connections: Connections
  readonly gate: CallGate
}

export function rawService(name: string, methods: Readonly<Record<string, Method>>, entrance: Entrance): RawService {
  const definition: Record<string, ServiceDefinition[string]> = {}
  const implementation: Record<string, UntypedHandleCall> = {}
  for (const [method, { kind }] of Object.entries(methods)) {
    definition[method] = {
      path: `/${name}/${method}`,
      requestStream: kind === 'duplex',
      responseStream: kind === 'duplex' || kind === 'serverStream',
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    }
  }
  for (const [name, method] of Object.entries(methods)) implementation[name] = implement(method, entrance)
  return { definition, implementation }
}

function asIs(bytes: Buffer): Buffer {
  return bytes
}

function implement(method: Method, entrance: Entrance): UntypedHandleCall {
  const { context, gate } = entrance
  switch (method.kind) {
    case 'unary':
      return (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) =>
        guarded(() => {
          if (!gate.tryEnter()) return callback(stalled)
          method.handle(context, callerOf(call, entrance), call.request, bytes => {
            callback(null, bytes)
            gate.leave()
          })
        })
    case 'serverStream':
      return (call: ServerWritableStream<Buffer, Buffer>) =>
        guarded(() => {
          if (!gate.tryEnter()) return void call.emit('error', stalled)
          gate.leave()
          onGone(call, method.handle(context, callerOf(call, entrance), call.request, itemStream(call)))
        })
    case 'duplex':
      return (call: ServerDuplexStream<Buffer, Buffer>) =>
        guarded(() => {
          if (!gate.tryEnter()) return void call.emit('error', stalled)
          gate.leave()
          // Rust waits for the headers before it says anything more.
          call.sendMetadata(new Metadata())
          listen(call, method.handle(context, callerOf(call, entrance), duplexStream(call)))
        })
    case 'unimplemented':
      // As a unary method: a refusal without a message looks the same to the caller of a stream.
      return (_call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) =>
        callback({ code: status.UNIMPLEMENTED, details: 'not implemented yet' })
  }
}

/** Its connection is gone already; for the form. */
const stalled = { code: status.UNAVAILABLE, details: 'this node stood still' }

function callerOf(call: IncomingCall, { context, connections }: Entrance): Caller {
  const clientId = clientIdOf(call.metadata)
  const peer = call.getPeer()
  if (clientId !== undefined) connections.heard(peer, clientId)
  const deadline = call.getDeadline()
  // grpc-js counts on the calendar clock, from the arrival of the call.
  const leftMs = (typeof deadline === 'number' ? deadline : deadline.getTime()) - context.clock.wallMs()
  return { clientId, isNodeClient: isNodeClient(call.metadata), peer, leftMs }
}

type Call = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>

function itemStream(call: Call): ItemStream {
  return {
    write: (item, flushed) => writeTo(call, item, flushed),
    end: finished => endOf(call, finished),
  }
}

function duplexStream(call: ServerDuplexStream<Buffer, Buffer>): DuplexStream {
  return {
    write: (item, flushed) => writeTo(call, item, flushed),
    end: finished => endOf(call, finished),
    fail(code, message) {
      if (call.cancelled || call.writableEnded) return
      call.emit('error', { code: code === 'internal' ? status.INTERNAL : status.INVALID_ARGUMENT, details: message })
    },
  }
}

function writeTo(call: Call, item: Buffer, flushed: (() => void) | undefined): void {
  if (call.cancelled || call.writableEnded) return
  call.write(item, (error?: Error | null) => {
    if (error == null) flushed?.()
  })
}

function endOf(call: Call, finished: (() => void) | undefined): void {
  if (call.cancelled || call.writableEnded) return
  if (finished !== undefined) call.once('finish', finished)
  call.end()
}

/** grpc-js says `cancelled` also after an orderly end; handlers know which it was. */
function onGone(call: Call, whenGone: () => void): void {
  if (call.cancelled) whenGone()
  else call.once('cancelled', whenGone)
}

function listen(call: ServerDuplexStream<Buffer, Buffer>, events: DuplexEvents): void {
  call.on('data', (item: Buffer) => guarded(() => events.onItem(item)))
  call.once('end', () => guarded(() => events.onHalfClose()))
  onGone(call, () => events.onGone())
}

function guarded(run: () => void): void {
  try {
    run()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}
