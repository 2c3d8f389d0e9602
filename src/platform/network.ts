/**
 * The network seam: byte streams between nodes. The real one is TCP; the simulated one (chaos/sim/network.ts) delivers each `write` as one
 * chunk, or loses, repeats, delays and reorders it as a whole. So what is written in one call must be whole frames, and a reader must accept
 * any cutting of the stream. Framing and checksums are raft/codec/frame.ts; this file knows only bytes.
 */
import * as net from 'node:net'

export type CloseReason =
  | 'refused' // nobody listens there: the process is gone
  | 'unreachable' // no answer, no route, or the dial took too long
  | 'reset' // was open, then broke
  | 'ended' // the other side closed it in order
  | 'local' // we closed it

export interface ConnectionHandlers {
  /** Dialled connections only: it is open now. */
  onOpen?(): void
  /** A view: valid until the call returns. Copy what must live longer. */
  onData(chunk: Uint8Array): void
  /** Exactly once, also when a dial fails. Nothing comes after it. */
  onClose(reason: CloseReason): void
}

export interface Connection {
  /** Sends the buffers as one chunk. Owned by the network after this call: the caller must not change them. Ignored when closed. */
  write(buffers: readonly Uint8Array[]): void
  /** Bytes accepted and not yet handed to the network; above a bound of its choice the caller stops writing. */
  readonly bufferedBytes: number
  close(): void
}

export interface Listener {
  readonly port: number
  close(): void
}

export interface Network {
  /** `accept` is called for each incoming connection and returns what is to be told about it. Throws when the port is taken. */
  listen(address: NetworkAddress, accept: (connection: Connection) => ConnectionHandlers, ready: (error: Error | undefined) => void): Listener
  /** Starts to connect; the outcome comes as onOpen or onClose, never before this call has returned. */
  dial(address: NetworkAddress, handlers: ConnectionHandlers): Connection
}

export interface NetworkAddress {
  readonly host: string
  readonly port: number
}

/** A dial that has not been answered after this long counts as unreachable. */
const dialTimeoutMs = 1_000

class TcpConnection implements Connection {
  readonly #socket: net.Socket
  #reason: CloseReason | undefined

  constructor(socket: net.Socket, handlers: ConnectionHandlers, dialled: boolean) {
    this.#socket = socket
    let isOpen = !dialled
    socket.setNoDelay(true)
    if (dialled) {
      const timer = setTimeout(() => {
        this.#reason ??= 'unreachable'
        socket.destroy()
      }, dialTimeoutMs)
      socket.once('connect', () => {
        clearTimeout(timer)
        isOpen = true
        handlers.onOpen?.()
      })
      socket.once('close', () => clearTimeout(timer))
    }
    socket.on('data', chunk => handlers.onData(chunk))
    socket.once('end', () => {
      this.#reason ??= 'ended'
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason ??= isOpen ? 'reset' : error.code === 'ECONNREFUSED' ? 'refused' : 'unreachable'
    })
    socket.once('close', () => handlers.onClose(this.#reason ?? 'reset'))
  }

  write(buffers: readonly Uint8Array[]): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (buffers.length > 1) socket.cork()
    for (const buffer of buffers) socket.write(buffer)
    if (buffers.length > 1) socket.uncork()
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength
  }

  close(): void {
    this.#reason ??= 'local'
    this.#socket.destroy()
  }
}

/** TCP. */
export const realNetwork: Network = {
  listen(address, accept, ready) {
    const sockets = new Set<net.Socket>()
    const server = net.createServer(socket => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // The handlers need the connection and the connection needs the handlers: the socket does not speak before this turn is over.
      const late: { handlers?: ConnectionHandlers } = {}
      const connection = new TcpConnection(
        socket,
        { onData: chunk => late.handlers?.onData(chunk), onClose: reason => late.handlers?.onClose(reason) },
        false,
      )
      late.handlers = accept(connection)
    })
    server.once('error', error => ready(error))
    server.listen(address.port, address.host, () => ready(undefined))
    return {
      get port() {
        const bound = server.address()
        return typeof bound === 'object' && bound !== null ? bound.port : address.port
      },
      close() {
        server.close()
        for (const socket of sockets) socket.destroy()
      },
    }
  },
  dial(address, handlers) {
    return new TcpConnection(net.connect({ host: address.host, port: address.port }), handlers, true)
  },
}
