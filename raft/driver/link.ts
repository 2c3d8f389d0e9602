/**
 * One connection to a peer, from the first byte to the last: the greeting, the frames, the silence.
 *
 * States: opening (a dial under way) → greeting (open, no hello from the other side yet) → open → closed.
 * Before the greeting is over a link takes nothing but a hello of at most two kilobytes; who dialled sends first and sends nothing else until answered.
 * What it is told to send waits until `flush`: the frames of one turn leave in one write. It never keeps more than the caller's bound.
 * It does not know what it is for: transport.ts decides who may come in and what a closed link means.
 */
import type { CloseReason, Connection } from '../../src/platform/network.ts'
import { FrameReader } from '../codec/frame.ts'
import type { Channel, Hello } from '../codec/messages.ts'
import { FrameKind, decodeFrame, encodeHello, encodeHelloRefused, encodePing, encodePong } from '../codec/messages.ts'
import type { NodeId } from '../core/ids.ts'
import type { DriverMetrics } from './metrics.ts'

/** A hello is short, and a stranger gets no more room. */
const greetingBytesMax = 2_048

/** A sentence; and the membership by which the caller was removed, or is to have another data directory, when that is the reason. */
export interface Unwelcome {
  readonly reason: string
  readonly removedAt?: number
  readonly isOtherDirectory?: boolean
}

export interface LinkOwner {
  readonly metrics: DriverMetrics
  /** Longest frame taken from a peer. */
  readonly frameBytesMax: number
  nowMs(): number
  /** Something came from the network; nothing of it has been looked at. The owner may close the link here. */
  wake(): void
  /** Our own hello for this link. */
  helloFor(link: Link): Hello
  /** The other side said who it is. Why it is not welcome, if it is not. */
  greeted(link: Link, hello: Hello): Unwelcome | undefined
  /** The other side says that by its membership of this index we were removed from the group, or that our number has another data directory. */
  toldRemoved(index: number, isOtherDirectory: boolean): void
  /** The greeting is over: `link` is open both ways. */
  opened(link: Link): void
  frame(link: Link, kind: number, header: Uint8Array, payload: Uint8Array): void
  /** Something is waiting for `flush`. */
  wantsFlush(): void
  closed(link: Link, reason: string, wasOpen: boolean): void
}

/** Any frame may take so long… */
const frameMsMax = 3_000
/** … and a longer one as long as its bytes come this fast. */
const frameBytesPerSecondMin = 32 * 1024

export class Link {
  /** Known from the start of a link we dialled, from the hello of one we accepted. */
  peer: NodeId | undefined
  channel: Channel | undefined
  readonly isDialled: boolean
  readonly #owner: LinkOwner
  readonly #reader: FrameReader
  #state: 'opening' | 'greeting' | 'open' | 'closed'
  #wasOpen = false
  #reason: string | undefined
  #sinceMs: number
  #heardMs: number
  #pingedMs: number
  /** Since when the start of a frame has waited for its end. */
  #heldSinceMs: number | undefined
  #connection: Connection | undefined
  #out: Uint8Array[] = []
  #outBytes = 0

  constructor(owner: LinkOwner, target: { readonly peer: NodeId; readonly channel: Channel } | undefined) {
    this.#owner = owner
    this.isDialled = target !== undefined
    this.peer = target?.peer
    this.channel = target?.channel
    this.#state = this.isDialled ? 'opening' : 'greeting'
    this.#reader = new FrameReader(greetingBytesMax, (kind, header, payload) => this.#take(kind, header, payload))
    this.#sinceMs = this.#heardMs = this.#pingedMs = owner.nowMs()
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** When the present state began. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  get heardMs(): number {
    return this.#heardMs
  }

  /** Bytes that have not left: gathered here, or waiting in the connection. */
  get waitingBytes(): number {
    return this.#outBytes + (this.#connection?.bufferedBytes ?? 0)
  }

  /** The connection under the link; given once, right after the dial or the accept. */
  attach(connection: Connection): void {
    this.#connection = connection
  }

  onOpen(): void {
    this.#owner.wake()
    if (this.#state !== 'opening') return
    this.#become('greeting')
    this.#connection?.write([encodeHello(this.#owner.helloFor(this))])
  }

  onData(chunk: Uint8Array): void {
    this.#owner.wake()
    if (this.#state === 'closed') return
    this.#heardMs = this.#owner.nowMs()
    this.#owner.metrics.bytesIn += chunk.length
    const { framesIn } = this.#owner.metrics
    const fault = this.#reader.push(chunk)
    if (this.#reader.heldBytes === 0) this.#heldSinceMs = undefined
    else if (this.#heldSinceMs === undefined || this.#owner.metrics.framesIn !== framesIn) this.#heldSinceMs = this.#heardMs
    if (fault === undefined) return
    if (fault !== 'stopped') this.#owner.metrics.framesCorrupt++
    this.close(`unreadable: ${fault}`)
  }

  onClose(reason: CloseReason): void {
    this.#owner.wake()
    this.#reason ??= reason
    this.#state = 'closed'
    this.#dropOut()
    this.#owner.closed(this, this.#reason, this.#wasOpen)
  }

  /** Gathers a frame (its head, then its payload) for the next flush. Nothing when not open. */
  send(buffers: readonly Uint8Array[], bytes: number): void {
    if (this.#state !== 'open') return
    if (this.#out.length === 0) this.#owner.wantsFlush()
    for (const buffer of buffers) this.#out.push(buffer)
    this.#outBytes += bytes
    this.#owner.metrics.framesOut++
  }

  flush(): void {
    if (this.#out.length === 0) return
    const out = this.#out
    this.#owner.metrics.bytesOut += this.#outBytes
    this.#dropOut()
    this.#connection?.write(out)
  }

  /**
   * A frame whose end comes too slowly: its length was damaged on the way, so that it swallows one frame after the other, and what is said over this link
   * reaches nobody before megabytes of it have come.
   */
  isStuck(nowMs: number): boolean {
    if (this.#heldSinceMs === undefined) return false
    const heldForMs = nowMs - this.#heldSinceMs
    return heldForMs > frameMsMax && this.#reader.heldBytes < (heldForMs * frameBytesPerSecondMin) / 1_000
  }

  /** Asks whether anybody is there, after this long without a word and not more often than that. */
  maybePing(nowMs: number, afterMs: number): void {
    if (this.#state !== 'open' || nowMs - this.#heardMs < afterMs || nowMs - this.#pingedMs < afterMs) return
    this.#pingedMs = nowMs
    const ping = encodePing()
    this.send([ping], ping.length)
  }

  /** Closes with a sentence of our own. `closed` follows. */
  close(reason: string): void {
    if (this.#state === 'closed') return
    this.#reason = reason
    this.#state = 'closed'
    this.#dropOut()
    this.#connection?.close()
  }

  #become(state: 'greeting' | 'open'): void {
    this.#state = state
    this.#sinceMs = this.#owner.nowMs()
    if (state === 'open') this.#wasOpen = true
  }

  #dropOut(): void {
    this.#out = []
    this.#outBytes = 0
  }

  #take(kind: number, header: Uint8Array, payload: Uint8Array): boolean {
    this.#owner.metrics.framesIn++
    if (this.#state === 'greeting') return this.#greet(kind, header, payload)
    if (this.#state !== 'open') return false
    switch (kind) {
      case FrameKind.ping: {
        const pong = encodePong()
        this.send([pong], pong.length)
        return true
      }
      case FrameKind.pong:
      case FrameKind.hello: // a datagram that came twice
        return true
      default:
        this.#owner.frame(this, kind, header, payload)
        return !this.isClosed
    }
  }

  #greet(kind: number, header: Uint8Array, payload: Uint8Array): boolean {
    const frame = decodeFrame(kind, header, payload)
    if (frame.kind === 'helloRefused') {
      if (frame.removedAt > 0) this.#owner.toldRemoved(frame.removedAt, frame.isOtherDirectory)
      this.close(`refused by the peer: ${frame.reason}`)
      return false
    }
    if (frame.kind !== 'hello') {
      // Whom we dialled may be ahead of its own hello where the network reorders; whom we accepted must say first who it is.
      if (this.isDialled && frame.kind !== 'malformed') return true
      this.#owner.metrics.framesCorrupt++
      this.close('no hello')
      return false
    }
    const problem = this.#owner.greeted(this, frame.hello)
    if (problem !== undefined) {
      this.#owner.metrics.hellosRefused++
      if (!this.isDialled) this.#connection?.write([encodeHelloRefused(problem.reason, problem)])
      this.close(`not welcome: ${problem.reason}`)
      return false
    }
    this.#reader.bytesMax = this.#owner.frameBytesMax
    this.#become('open')
    if (!this.isDialled) this.#connection?.write([encodeHello(this.#owner.helloFor(this))])
    this.#owner.opened(this)
    return true
  }
}
