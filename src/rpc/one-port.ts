/**
 * Plaintext HTTP/2 and TLS on one port (DESIGN §9), because the defaults of official clients differ: the first byte of a connection tells.
 * 0x16 is a TLS handshake; anything else goes to the plaintext side, whose HTTP/2 parser closes what is not HTTP/2. A connection that says
 * nothing is closed after a while.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Takes over a socket. */
export type Inject = (socket: Duplex) => void

export interface OnePortOptions {
  readonly host: string
  /** 0 = any free one. */
  readonly port: number
  readonly plaintext: Inject
  /** Called for the first TLS connection, and again only after it has failed: a certificate may have to be made. Sockets wait for it. */
  readonly tls: () => Promise<Inject>
  /** False = the connection is closed at once. */
  readonly admits: () => boolean
  readonly onOpen: (peer: string) => void
  readonly onClose: (peer: string) => void
}

export interface OnePort {
  readonly port: number
  /** Listens no more; what is open stays. */
  stopListening(): void
  dropAll(): void
  /** Listens no more, drops every connection, and is done when the last is gone. */
  close(): Promise<void>
}

const tlsHandshake = 0x16
/** For the first byte. Clients connect ahead of need and then may be silent for long, so this is generous. */
const firstByteMs = 120_000
const connectionsMax = 16_384

export function openOnePort(options: OnePortOptions): Promise<OnePort> {
  const sockets = new Set<Socket>()
  let tls: Promise<Inject> | undefined
  const server = createServer({ noDelay: true, pauseOnConnect: false }, socket => {
    if (!options.admits()) return void socket.destroy()
    const peer = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`
    sockets.add(socket)
    options.onOpen(peer)
    socket.once('close', () => {
      sockets.delete(socket)
      options.onClose(peer)
    })
    // Until somebody takes over; resets at any time are the client's right.
    socket.on('error', ignore)
    socket.setTimeout(firstByteMs, () => socket.destroy())
    socket.once('data', first => {
      socket.pause()
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      // HTTP/2 and TLS take over the handle below the stream, and first what the stream still holds.
      socket.unshift(first)
      if (first[0] !== tlsHandshake) return options.plaintext(socket)
      tls ??= options.tls()
      tls.then(
        inject => {
          if (!socket.destroyed) inject(socket)
        },
        () => {
          tls = undefined
          socket.destroy()
        },
      )
    })
  })
  const dropAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  server.maxConnections = connectionsMax
  return listening(server, options).then(port => ({
    port,
    stopListening: () => void server.close(),
    dropAll,
    close() {
      const closings = [...sockets].map(socket => new Promise<void>(resolve => socket.once('close', () => resolve())))
      if (server.listening) server.close()
      dropAll()
      return Promise.all(closings).then(ignore)
    },
  }))
}

function listening(server: NetServer, options: OnePortOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      // Accept errors (out of descriptors) pass; the connection that failed is the client's to repeat.
      server.on('error', ignore)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : options.port)
    })
  })
}

function ignore(): void {
  // An error is followed by a close, which says all there is to know.
}
