/**
 * A network that can be cut off from everything, as by a pulled cable: connections stay open and silent, dials are not answered, nothing is refused.
 * For nodes that a demo or a test runs as its children; nobody else can cut one. When the cable is back, what was open during the cut is reset,
 * for bytes of it are missing.
 */
import type { Clock } from './clock.ts'
import { dialTimeoutMs } from './network.ts'
import type { CloseReason, Connection, ConnectionHandlers, Network } from './network.ts'

export interface CuttableNetwork extends Network {
  setCut(isCut: boolean): void
}

/** One connection as the node sees it. */
interface Wire {
  inner: Connection | undefined
  handlers: ConnectionHandlers
  /** The node has closed it: it wants to hear no more than that it is over. */
  isClosing: boolean
  isOver: boolean
}

const silent: ConnectionHandlers = { onData: () => undefined, onClose: () => undefined }

export function cuttable(network: Network, clock: Clock): CuttableNetwork {
  const wires = new Set<Wire>()
  /** Came in while we were cut off: the node never heard of them. */
  const strangers = new Set<Connection>()
  let isCut = false

  const end = (wire: Wire, reason: CloseReason): void => {
    if (wire.isOver) return
    wire.isOver = true
    wire.isClosing = true
    wires.delete(wire)
    wire.handlers.onClose(reason)
  }

  const heard = (wire: Wire): ConnectionHandlers => ({
    onOpen() {
      if (!isCut && !wire.isClosing) wire.handlers.onOpen?.()
    },
    onData(chunk) {
      if (!isCut && !wire.isClosing) wire.handlers.onData(chunk)
    },
    onClose(reason) {
      // Through a cut cable nobody hears that.
      if (!isCut && !wire.isClosing) end(wire, reason)
    },
  })

  const connectionOf = (wire: Wire): Connection => ({
    write(buffers) {
      if (!isCut && !wire.isClosing) wire.inner?.write(buffers)
    },
    get bufferedBytes() {
      return wire.inner?.bufferedBytes ?? 0
    },
    close() {
      wire.isClosing = true
      wire.inner?.close()
      clock.soon(() => end(wire, 'local'))
    },
  })

  return {
    listen(address, accept, ready) {
      return network.listen(
        address,
        inner => {
          if (isCut) {
            strangers.add(inner)
            return silent
          }
          const wire: Wire = { inner, handlers: silent, isClosing: false, isOver: false }
          wires.add(wire)
          wire.handlers = accept(connectionOf(wire))
          return heard(wire)
        },
        ready,
      )
    },
    dial(address, handlers) {
      const wire: Wire = { inner: undefined, handlers, isClosing: false, isOver: false }
      wires.add(wire)
      if (isCut) clock.setTimer(dialTimeoutMs, () => end(wire, 'unreachable'))
      else wire.inner = network.dial(address, heard(wire))
      return connectionOf(wire)
    },
    setCut(wanted) {
      if (wanted === isCut) return
      isCut = wanted
      if (isCut) return
      for (const stranger of strangers) stranger.close()
      strangers.clear()
      for (const wire of wires) {
        wire.isClosing = true
        wire.inner?.close()
        clock.soon(() => end(wire, 'reset'))
      }
    },
  }
}
