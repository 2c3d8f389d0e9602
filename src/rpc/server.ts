/**
 * The door for clients: messaging and administration over gRPC, on one port, with and without TLS. Opens and closes; what is said is said in
 * messaging/ and admin/.
 */
import { Deadlines } from '../broker/deadlines.ts'
import type { Clock } from '../platform/clock.ts'
import { adminMethods, adminServiceName } from './admin/cluster-admin.ts'
import type { BrokerDoor } from './broker-door.ts'
import { CallGate } from './call-gate.ts'
import { Connections } from './connections.ts'
import { createGrpcServer } from './grpc/server.ts'
import { messagingMethods, messagingServiceName, type Method } from './messaging/methods.ts'
import { openOnePort, type OnePort } from './one-port.ts'
import { makeSelfSigned, type Certificate } from './self-signed.ts'

export interface RpcServerOptions {
  readonly broker: BrokerDoor
  readonly clock: Clock
  /** Where to listen; port 0 = any free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** The address that clients are told. */
  readonly advertise: { readonly host: string; readonly port: number }
  /** undefined = a self-signed certificate, made when the first TLS client comes. */
  readonly tls: Certificate | undefined
}

export interface RpcServer {
  readonly port: number
  readonly clientCount: number
  readonly connectionCount: number
  /** Takes no more calls, lets unary ones under way finish (within 3 s), and drops every connection. Idempotent. */
  close(): Promise<void>
}

/** How long a close waits for answers: longer than any use case may take (DESIGN rule 17). */
const closePatienceMs = 3_000
const lastAnswersMs = 50

export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { broker, clock, listen, advertise } = options
  const deadlines = new Deadlines(clock)
  const connections = new Connections(broker)
  const gate: CallGate = new CallGate(clock, () => onePort.dropAll())
  const context = { broker, clock, deadlines, storeHost: `${advertise.host}:${advertise.port}` }
  const methods = new Map([...pathsOf(messagingServiceName, messagingMethods), ...pathsOf(adminServiceName, adminMethods())])
  const server = createGrpcServer({ methods, context, connections, gate })
  const onePort: OnePort = await openOnePort({
    ...listen,
    plaintext: server.plaintext,
    tls: async () => server.tls(options.tls ?? (await selfSigned(options))),
    admits: () => gate.admitsConnection(),
    onOpen: peer => connections.opened(peer),
    onClose: peer => connections.closed(peer),
  })
  let closing: Promise<void> | undefined
  const closeAll = async (): Promise<void> => {
    onePort.stopListening()
    // Clients are told to take their next calls elsewhere; answers under way still arrive. Long polls and telemetry streams just end.
    server.drain()
    await new Promise<void>(resolve => {
      const patience = clock.setTimer(closePatienceMs, resolve)
      gate.onIdle(() => {
        patience.cancel()
        // The last answers are on their way to their sockets.
        clock.setTimer(lastAnswersMs, resolve)
      })
    })
    gate.close()
    deadlines.close()
    server.close()
    await onePort.close()
  }
  return {
    port: onePort.port,
    get clientCount() {
      return connections.clientCount
    },
    get connectionCount() {
      return connections.connectionCount
    },
    close() {
      closing ??= closeAll()
      return closing
    },
  }
}

function selfSigned({ clock, advertise }: RpcServerOptions): Promise<Certificate> {
  return makeSelfSigned({ hosts: [...new Set([advertise.host, 'localhost', '127.0.0.1'])], wallMs: clock.wallMs() })
}

function pathsOf(service: string, methods: Readonly<Record<string, Method>>): [string, Method][] {
  return Object.entries(methods).map(([name, method]) => [`/${service}/${name}`, method])
}
