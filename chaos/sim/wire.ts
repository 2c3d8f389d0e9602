/**
 * One end of a simulated connection, and what a directed link does to the chunks that pass it.
 * An end is told `onClose` exactly once; nothing comes after it; none of its handlers runs inside a call of its own.
 */
import type { CloseReason, Connection, ConnectionHandlers } from '../../src/platform/network.ts'
import { assert } from '../../src/platform/assert.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler, SimProcess } from './scheduler.ts'

export type LinkState = 'up' | 'drop' | 'hold'

export interface LinkProfile {
  readonly delayMs: number
  /** Added evenly from 0 to this. Reorders datagrams. */
  readonly jitterMs: number
  /** Parts of a million of the chunks. Datagram: gone. Stream: comes a retransmission (200 ms) later, and all behind it. */
  readonly lossPpm: number
  /** Datagram only. */
  readonly duplicatePpm: number
  /** Chunks that come up to `lateMs` later than they should. */
  readonly latePpm: number
  readonly lateMs: number
  /** Stream only: chunks that arrive in two pieces. */
  readonly cutPpm: number
  /** Chunks that arrive with one bit turned over: what TCP's own checksum lets through. */
  readonly flipPpm?: number
}

export interface Link {
  readonly from: string
  readonly to: string
  state: LinkState
  profile: LinkProfile
  readonly random: SimRandom
  /** Arrivals that found the link shut, and whose they are. */
  readonly held: { readonly run: () => void; readonly process: SimProcess }[]
}

/** What an end needs of its network. */
export interface WireWorld {
  readonly scheduler: Scheduler
  readonly isStream: boolean
  link(from: string, to: string): Link
  isHostLost(host: string): boolean
  forget(end: WireEnd): void
}

/** How late a lost packet of a stream comes. */
export const retransmissionMs = 200
/** What kernel buffers on both sides swallow before the writer notices that nobody reads. */
const windowBytes = 1024 * 1024

export class WireEnd implements Connection {
  readonly process: SimProcess
  readonly host: string
  /** The listener that accepted it. */
  readonly listener: object | undefined
  handlers: ConnectionHandlers | undefined
  readonly #world: WireWorld
  #other: WireEnd | undefined
  /** From here to there, once it was asked for: a network keeps its links. */
  #outLink: Link | undefined
  #isOpen = false
  /** Decided; the handlers may not have heard yet. */
  #closing: CloseReason | undefined
  #hasVanished = false
  /** Written here and not yet heard by the other side. */
  #bytesUnderway = 0
  /** Stream: what is on its way to here. Whichever arrival comes next delivers the oldest, so that nothing overtakes. */
  readonly #incoming: (Uint8Array | 'ended')[] = []
  /** Stream: nothing may arrive here before this. */
  #lastArrivalUs = 0

  constructor(world: WireWorld, process: SimProcess, host: string, listener: object | undefined) {
    this.#world = world
    this.process = process
    this.host = host
    this.listener = listener
  }

  get other(): WireEnd | undefined {
    return this.#other
  }

  /** Open or opening, and nobody has decided to close it. */
  get isAlive(): boolean {
    return this.#closing === undefined && !this.#hasVanished
  }

  get bufferedBytes(): number {
    return this.isAlive ? Math.max(0, this.#bytesUnderway - windowBytes) : 0
  }

  pairWith(dialler: WireEnd): void {
    assert(dialler.#other === undefined, 'wire-paired-twice')
    this.#other = dialler
    dialler.#other = this
    this.#isOpen = true
  }

  acceptBy(accept: (connection: Connection) => ConnectionHandlers): void {
    if (this.isAlive) this.handlers = accept(this)
  }

  becomeOpen(): void {
    if (!this.isAlive) return
    this.#isOpen = true
    this.handlers?.onOpen?.()
  }

  write(buffers: readonly Uint8Array[]): void {
    const other = this.#other
    if (!this.#isOpen || !this.isAlive || other === undefined) return
    const chunk = Buffer.concat(buffers)
    if (chunk.length === 0) return
    this.#world.scheduler.note(crc32c(chunk))
    this.#bytesUnderway += chunk.length
    const link = (this.#outLink ??= this.#world.link(this.host, other.host))
    const { flipPpm = 0 } = link.profile
    if (flipPpm > 0 && link.random.chance(flipPpm)) flipOneBit(chunk, link.random)
    if (this.#world.isStream) this.#writeStream(link, chunk, other)
    else this.#writeDatagram(link, chunk, other)
  }

  close(): void {
    if (!this.isAlive) return
    this.#decideClose('local', 0)
    this.#tellOther('ended')
  }

  /** The connection breaks for this side, now or `delayMs` later; the other side is not told by this call. */
  breakOff(reason: CloseReason, delayMs?: number): void {
    if (!this.isAlive) return
    const link = this.#other === undefined ? undefined : this.#world.link(this.#other.host, this.host)
    this.#decideClose(reason, delayMs ?? link?.profile.delayMs ?? 0)
  }

  /** The process died: in order (all that was written still arrives) or by a reset (what is under way is lost). */
  dieWithProcess(inOrder: boolean): void {
    if (!this.isAlive) return
    this.#closing = 'local'
    this.#world.forget(this)
    this.#tellOther(inOrder ? 'ended' : 'reset')
  }

  /** The host lost power: nobody is told. */
  vanish(): void {
    this.#hasVanished = true
    this.#world.forget(this)
  }

  #decideClose(reason: CloseReason, delayMs: number): void {
    this.#incoming.length = 0
    this.#closing = reason
    this.#world.forget(this)
    this.#world.scheduler.schedule(delayMs, () => this.handlers?.onClose(reason), this.process)
  }

  #tellOther(reason: 'ended' | 'reset'): void {
    const other = this.#other
    if (other === undefined) return
    const link = this.#world.link(this.host, other.host)
    // An orderly close stands behind the data of a stream; a reset overtakes it.
    if (reason === 'ended' && this.#world.isStream) this.#sendStream(link, 'ended', other)
    else this.#arriveLater(link, this.#delayMs(link), other, () => other.breakOff(reason, 0))
  }

  #writeStream(link: Link, chunk: Uint8Array, other: WireEnd): void {
    const { profile, random } = link
    if (profile.cutPpm > 0 && chunk.length > 1 && random.chance(profile.cutPpm)) {
      const place = random.integer(1, chunk.length - 1)
      this.#sendStream(link, chunk.subarray(0, place), other)
      this.#sendStream(link, chunk.subarray(place), other)
    } else this.#sendStream(link, chunk, other)
  }

  #sendStream(link: Link, piece: Uint8Array | 'ended', other: WireEnd): void {
    const { scheduler } = this.#world
    let delayMs = this.#delayMs(link)
    if (link.profile.lossPpm > 0 && link.random.chance(link.profile.lossPpm)) delayMs += retransmissionMs
    const arrivalUs = Math.max(scheduler.nowUs + Math.ceil(delayMs * 1_000), other.#lastArrivalUs)
    other.#lastArrivalUs = arrivalUs
    other.#incoming.push(piece)
    this.#arriveLater(link, (arrivalUs - scheduler.nowUs) / 1_000, other, () => {
      const oldest = other.#incoming.shift()
      if (oldest === 'ended') other.breakOff('ended', 0)
      else if (oldest !== undefined) this.#arrived(other, oldest)
    })
  }

  #writeDatagram(link: Link, chunk: Uint8Array, other: WireEnd): void {
    const { profile, random } = link
    const deliver = (copy: Uint8Array): void => this.#arriveLater(link, this.#delayMs(link), other, () => this.#arrived(other, copy))
    if (link.state === 'drop' || (profile.lossPpm > 0 && random.chance(profile.lossPpm))) this.#bytesUnderway -= chunk.length
    else deliver(chunk)
    if (link.state === 'drop' || profile.duplicatePpm === 0 || !random.chance(profile.duplicatePpm)) return
    // A copy of its own: a reader may keep views of what it was given.
    this.#bytesUnderway += chunk.length
    deliver(Buffer.from(chunk))
  }

  /** An arrival at the other end. It waits at a shut link; a datagram that finds it dropping is gone. */
  #arriveLater(link: Link, delayMs: number, other: WireEnd, run: () => void): void {
    const arrive = (): void => {
      if (link.state === 'up') run()
      else if (link.state === 'hold' || this.#world.isStream) link.held.push({ run: arrive, process: other.process })
    }
    // A dead process hears nothing, but its host's kernel may still answer.
    this.#world.scheduler.schedule(delayMs, arrive, other.process.isAlive ? other.process : undefined)
  }

  #arrived(other: WireEnd, chunk: Uint8Array): void {
    this.#bytesUnderway -= chunk.length
    if (other.isAlive) {
      other.handlers?.onData(chunk)
      return
    }
    // Nobody there any more: the other kernel answers with a reset, if there is one and its answer gets through.
    if (this.isAlive && !this.#world.isHostLost(other.host) && this.#world.link(other.host, this.host).state === 'up')
      this.breakOff('reset')
  }

  #delayMs(link: Link): number {
    const { profile, random } = link
    let delayMs = profile.delayMs + random.next() * profile.jitterMs
    if (profile.latePpm > 0 && random.chance(profile.latePpm)) delayMs += random.next() * profile.lateMs
    return delayMs
  }
}

function flipOneBit(chunk: Uint8Array, random: SimRandom): void {
  const at = random.integer(0, chunk.length - 1)
  chunk[at] = (chunk[at] ?? 0) ^ (1 << random.integer(0, 7))
}
