/**
 * The network seam: byte streams between nodes. The real one is TCP; the simulated one (chaos/sim/network.ts) delivers each `write` as one
 * chunk, or loses, repeats, delays and reorders it as a whole. So what is written in one call must be whole frames, and a reader must accept
 * any cutting of the stream. Framing and checksums are raft/codec/frame.ts; this file knows only bytes.
 * The contract suite is src/platform/network-contract.ts; it runs on this implementation and on the simulated one.
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
  /** The chunk is handed over: nobody writes to that memory again, and views of it may be kept. */
  onData(chunk: Uint8Array): void
  /** Exactly once, also when a dial fails and after our own close. Nothing comes after it. Never inside a call of `close`, `write` or `dial`. */
  onClose(reason: CloseReason): void
}

export interface Connection {
  /** Sends the buffers as one chunk. Owned by the network after this call: the caller must not change them. Ignored when closed or not open yet. */
  write(buffers: readonly Uint8Array[]): void
  /** Bytes accepted and not yet handed to the network; above a bound of its choice the caller stops writing. */
  readonly bufferedBytes: number
  /** Drops what is not sent yet. After this call no data comes any more, only onClose. */
  close(): void
}

export interface Listener {
  readonly port: number
  /** Closes the connections it has accepted, too. */
  close(): void
}

export interface Network {
  /** `accept` is called for each incoming connection and returns what is to be told about it. `ready` comes once, with an error when the port is taken. */
  listen(
    address: NetworkAddress,
    accept: (connection: Connection) => ConnectionHandlers,
    ready: (error: Error | undefined) => void,
  ): Listener
  /** Starts to connect; the outcome comes as onOpen or onClose, never before this call has returned. */
  dial(address: NetworkAddress, handlers: ConnectionHandlers): Connection
}

export interface NetworkAddress {
  readonly host: string
  readonly port: number
}

/** A dial that has not been answered after this long counts as unreachable. */
export const dialTimeoutMs = 1_000

/** A write of several buffers up to this size is copied into one: cheaper than a vector of small pieces. */
const joinBytesMax = 16 * 1024

class TcpConnection implements Connection {
  readonly #socket: net.Socket
  #isOpen: boolean
  #reason: CloseReason | undefined

  constructor(socket: net.Socket, isOpen: boolean) {
    this.#socket = socket
    this.#isOpen = isOpen
    socket.setNoDelay(true)
  }

  /** From now on the handlers hear of it. */
  attach(handlers: ConnectionHandlers): void {
    const socket = this.#socket
    if (!this.#isOpen) this.#awaitOpen(handlers)
    socket.on('data', chunk => {
      if (!socket.destroyed) handlers.onData(chunk)
    })
    socket.once('end', () => {
      this.#reason ??= 'ended'
      socket.destroy()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason ??= this.#isOpen ? 'reset' : error.code === 'ECONNREFUSED' ? 'refused' : 'unreachable'
    })
    socket.once('close', () => handlers.onClose(this.#reason ?? 'reset'))
  }

  #awaitOpen(handlers: ConnectionHandlers): void {
    const socket = this.#socket
    const timer = setTimeout(() => {
      this.#reason ??= 'unreachable'
      socket.destroy()
    }, dialTimeoutMs)
    socket.once('connect', () => {
      clearTimeout(timer)
      if (socket.destroyed) return
      this.#isOpen = true
      handlers.onOpen?.()
    })
    socket.once('close', () => clearTimeout(timer))
  }

  write(buffers: readonly Uint8Array[]): void {
    const socket = this.#socket
    if (!this.#isOpen || socket.destroyed || socket.writableEnded) return
    const only = buffers[0]
    if (only === undefined) return
    if (buffers.length === 1) {
      socket.write(only)
      return
    }
    let bytes = 0
    for (const buffer of buffers) bytes += buffer.length
    if (bytes <= joinBytesMax) {
      socket.write(Buffer.concat(buffers, bytes))
      return
    }
    socket.cork()
    for (const buffer of buffers) socket.write(buffer)
    socket.uncork()
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
    let isClosed = false
    const server = net.createServer(socket => {
      if (isClosed) return void socket.destroy()
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      const connection = new TcpConnection(socket, true)
      connection.attach(accept(connection))
    })
    server.once('error', error => ready(error))
    server.listen(address.port, address.host, () => ready(undefined))
    return {
      get port() {
        const bound = server.address()
        return typeof bound === 'object' && bound !== null ? bound.port : address.port
      },
      close() {
        if (isClosed) return
        isClosed = true
        server.close()
        for (const socket of sockets) socket.destroy()
      },
    }
  },
  dial(address, handlers) {
    const connection = new TcpConnection(net.connect({ host: address.host, port: address.port }), false)
    connection.attach(handlers)
    return connection
  },
}
