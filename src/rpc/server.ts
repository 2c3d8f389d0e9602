/**
 * The door for clients: messaging and administration over gRPC, on one port, with and without TLS. Opens and closes; what is said is said in
 * messaging/ and admin/.
 */
import { Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js'
import { Deadlines } from '../broker/deadlines.ts'
import type { Clock } from '../platform/clock.ts'
import type { Random } from '../platform/random.ts'
import { adminMethods, adminServiceName } from './admin/cluster-admin.ts'
import type { BrokerDoor } from './broker-door.ts'
import { CallGate } from './call-gate.ts'
import { Connections } from './connections.ts'
import { messagingMethods, messagingServiceName } from './messaging/methods.ts'
import { openOnePort, type Inject, type OnePort } from './one-port.ts'
import { rawService } from './raw-service.ts'
import { makeSelfSigned, type Certificate } from './self-signed.ts'

export interface RpcServerOptions {
  readonly broker: BrokerDoor
  readonly clock: Clock
  readonly random: Random
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

/** As the official proxy takes them; a request beyond the limits then gets its precise code instead of a broken stream. */
const messageBytesMax = 130 * 1024 * 1024

/** Longer than any use case may take (DESIGN rule 17). */
const closePatienceMs = 3_000

const lastAnswersMs = 50

const serverOptions: ServerOptions = {
  'grpc.max_receive_message_length': messageBytesMax,
  'grpc.max_send_message_length': messageBytesMax,
  // A stream may run ahead by this much: with HTTP/2's 64 KiB a large body would take many round trips.
  'grpc-node.flow_control_window': 1024 * 1024,
  'grpc.max_concurrent_streams': 8_192,
  // Finds dead peers behind half-open connections; clients' own pings are answered at any rate.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.enable_channelz': 0,
}

export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { broker, clock, listen, advertise } = options
  const deadlines = new Deadlines(clock)
  const connections = new Connections(broker)
  const gate: CallGate = new CallGate(clock, () => onePort.dropAll())
  const context = { broker, clock, deadlines, storeHost: `${advertise.host}:${advertise.port}` }
  const entrance = { context, connections, gate }
  const server = new Server(serverOptions)
  const services = [rawService(messagingServiceName, messagingMethods, entrance), rawService(adminServiceName, adminMethods(), entrance)]
  for (const { definition, implementation } of services) server.addService(definition, implementation)
  const injectors = [server.createConnectionInjector(ServerCredentials.createInsecure())]
  const injectorFor = (credentials: ServerCredentials): Inject => {
    const injector = server.createConnectionInjector(credentials)
    injectors.push(injector)
    return socket => injector.injectConnection(socket)
  }
  const onePort: OnePort = await openOnePort({
    ...listen,
    plaintext: socket => injectors[0]?.injectConnection(socket),
    tls: () => injectorFor(credentialsOf(options.tls ?? selfSigned(options))),
    admits: () => gate.admitsConnection(),
    onOpen: peer => connections.opened(peer),
    onClose: peer => connections.closed(peer),
  })
  let closing: Promise<void> | undefined
  const closeAll = async (): Promise<void> => {
    onePort.stopListening()
    // Clients are told to take their next calls elsewhere; answers under way still arrive. Long polls and telemetry streams just end.
    for (const injector of injectors) injector.drain(closePatienceMs)
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
    for (const injector of injectors) injector.destroy()
    server.forceShutdown()
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

function selfSigned({ clock, random, advertise }: RpcServerOptions): Certificate {
  const hosts = [...new Set([advertise.host, 'localhost', '127.0.0.1'])]
  return makeSelfSigned({ hosts, wallMs: clock.wallMs(), serial: random.bytes(16) })
}

function credentialsOf({ cert, key }: Certificate): ServerCredentials {
  return ServerCredentials.createSsl(null, [{ cert_chain: cert, private_key: key }], false)
}
