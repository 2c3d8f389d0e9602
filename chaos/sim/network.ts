/**
 * The network of a simulated world. It implements the Network seam for every process and takes orders from the world: delays, losses, partitions of
 * one or both directions, resets, half-open connections, dead processes and lost hosts.
 *
 * Two modes. `stream`: what TCP does; a connection is FIFO each way, a lost packet only comes late, a partition holds bytes back until it heals, a reset
 * loses an unknown suffix. `datagram`: worse than any real network; each chunk (one write call) is lost, repeated, delayed and reordered by itself.
 * Raft must be safe in both; what it promises of speed is checked in the first.
 *
 * Every chunk is copied when written, so no two nodes ever share memory. Chance comes from one stream per directed link. Events that call a process belong
 * to it: a paused one hears later, a dead one never. What happens to one connection is sim/wire.ts; this file knows hosts, links and listeners.
 */
import type { CloseReason, Connection, ConnectionHandlers, Listener, Network, NetworkAddress } from '../../src/platform/network.ts'
import { dialTimeoutMs } from '../../src/platform/network.ts'
import type { SimRandom } from './random.ts'
import type { Scheduler, SimProcess } from './scheduler.ts'
import type { Link, LinkProfile, WireWorld } from './wire.ts'
import { WireEnd, retransmissionMs } from './wire.ts'

export type { LinkProfile, LinkState } from './wire.ts'
import type { LinkState } from './wire.ts'

export interface SimNetworkOptions {
  readonly mode: 'stream' | 'datagram'
  /** Of every link that was given none of its own. */
  readonly profile: LinkProfile
}

/** A good local network. */
export const calmProfile: LinkProfile = {
  delayMs: 0.1,
  jitterMs: 0.1,
  lossPpm: 0,
  duplicatePpm: 0,
  latePpm: 0,
  lateMs: 0,
  cutPpm: 0,
}

interface SimListener {
  readonly process: SimProcess
  readonly host: string
  readonly port: number
  readonly accept: (connection: Connection) => ConnectionHandlers
  isOpen: boolean
}

const firstFreePort = 40_000

export class SimNetwork {
  readonly #scheduler: Scheduler
  readonly #random: SimRandom
  readonly #options: SimNetworkOptions
  readonly #links = new Map<string, Link>()
  readonly #listeners = new Map<string, SimListener>()
  /** Ends that are open or opening, in order of birth. */
  readonly #ends = new Set<WireEnd>()
  readonly #lostHosts = new Set<string>()
  readonly #world: WireWorld
  #nextPort = firstFreePort

  constructor(scheduler: Scheduler, random: SimRandom, options: SimNetworkOptions) {
    this.#scheduler = scheduler
    this.#random = random
    this.#options = options
    this.#world = {
      scheduler,
      isStream: options.mode === 'stream',
      link: (from, to) => this.#link(from, to),
      isHostLost: host => this.#lostHosts.has(host),
      forget: end => this.#ends.delete(end),
    }
  }

  /** The network as a process on this host sees it. */
  forProcess(process: SimProcess, host: string): Network {
    return {
      listen: (address, accept, ready) => this.#listen(process, host, address, accept, ready),
      dial: (address, handlers) => this.#dial(process, host, address, handlers),
    }
  }

  /** Sets how a directed link behaves from now on. */
  setProfile(from: string, to: string, profile: LinkProfile): void {
    this.#link(from, to).profile = profile
  }

  /** Opens or shuts a directed link. `drop`: nothing passes (a stream comes late, after the healing). `hold`: everything waits and then passes at once. */
  setLink(from: string, to: string, state: LinkState): void {
    const link = this.#link(from, to)
    if (link.state === state) return
    const wasDropping = link.state === 'drop'
    link.state = state
    if (state !== 'up') return
    for (const { run, process } of link.held.splice(0)) {
      this.#scheduler.schedule(wasDropping ? link.random.next() * retransmissionMs : 0, run, process)
    }
  }

  linkState(from: string, to: string): LinkState {
    return this.#link(from, to).state
  }

  /** Cuts both directions between every host of one side and every host of the other. */
  partition(side: readonly string[], otherSide: readonly string[], state: LinkState = 'drop'): void {
    for (const a of side) {
      for (const b of otherSide) {
        this.setLink(a, b, state)
        this.setLink(b, a, state)
      }
    }
  }

  /** Every link is up again; profiles stay. */
  heal(): void {
    for (const link of this.#links.values()) this.setLink(link.from, link.to, 'up')
  }

  /** Resets all connections between two hosts, in whichever direction they were dialled. What was on its way is lost. How many there were. */
  resetConnections(a: string, b: string): number {
    let count = 0
    for (const end of [...this.#ends]) {
      if (end.host !== a || end.other?.host !== b) continue
      count++
      end.breakOff('reset')
      end.other.breakOff('reset')
    }
    return count
  }

  /** The process is gone and its host is not: the kernel closes what was open. Its peers learn of it as soon as the links let them. */
  processDied(process: SimProcess): void {
    for (const [key, listener] of this.#listeners) if (listener.process === process) this.#listeners.delete(key)
    for (const end of [...this.#ends])
      if (end.process === process) end.dieWithProcess(this.#random.stream('death', process.name).chance(500_000))
  }

  /** The host lost power: nobody is told anything; its connections are half-open until somebody writes to them after it is back. */
  hostLost(process: SimProcess, host: string): void {
    this.#lostHosts.add(host)
    for (const [key, listener] of this.#listeners) if (listener.process === process) this.#listeners.delete(key)
    for (const end of [...this.#ends]) if (end.process === process) end.vanish()
  }

  /** The host has power again. */
  hostBack(host: string): void {
    this.#lostHosts.delete(host)
  }

  /** Connections that are open or opening now, both ends counted. */
  get openEnds(): number {
    return this.#ends.size
  }

  #link(from: string, to: string): Link {
    const key = `${from}>${to}`
    let link = this.#links.get(key)
    if (link === undefined) {
      link = { from, to, state: 'up', profile: this.#options.profile, random: this.#random.stream('link', from, to), held: [] }
      this.#links.set(key, link)
    }
    return link
  }

  #listen(
    process: SimProcess,
    host: string,
    address: NetworkAddress,
    accept: (connection: Connection) => ConnectionHandlers,
    ready: (error: Error | undefined) => void,
  ): Listener {
    const port = address.port === 0 ? this.#nextPort++ : address.port
    const key = `${host}:${port}`
    const isTaken = this.#listeners.has(key)
    const listener: SimListener = { process, host, port, accept, isOpen: !isTaken }
    if (!isTaken) this.#listeners.set(key, listener)
    this.#scheduler.schedule(0, () => ready(isTaken ? new Error(`${key} is taken`) : undefined), process)
    return {
      port,
      close: () => {
        if (!listener.isOpen) return
        listener.isOpen = false
        this.#listeners.delete(key)
        for (const end of [...this.#ends]) if (end.listener === listener) end.close()
      },
    }
  }

  #dial(process: SimProcess, host: string, address: NetworkAddress, handlers: ConnectionHandlers): Connection {
    const end = new WireEnd(this.#world, process, host, undefined)
    end.handlers = handlers
    this.#ends.add(end)
    const there = this.#link(host, address.host)
    const back = this.#link(address.host, host)
    const fail = (delayMs: number, reason: CloseReason): void => {
      this.#scheduler.schedule(delayMs, () => end.breakOff(reason, 0))
    }
    const isCut = (): boolean => there.state !== 'up' || back.state !== 'up' || this.#lostHosts.has(address.host)
    if (isCut()) {
      fail(dialTimeoutMs, 'unreachable')
      return end
    }
    // Arrival at the other host: the kernel answers, whether or not its process runs just then.
    this.#scheduler.schedule(delayOf(there), () => {
      if (!end.isAlive) return
      if (isCut()) return fail(dialTimeoutMs, 'unreachable')
      const listener = this.#listeners.get(`${address.host}:${address.port}`)
      if (listener?.process.isAlive !== true) return fail(delayOf(back), 'refused')
      const far = new WireEnd(this.#world, listener.process, listener.host, listener)
      this.#ends.add(far)
      far.pairWith(end)
      this.#scheduler.schedule(0, () => far.acceptBy(listener.accept), listener.process)
      this.#scheduler.schedule(delayOf(back), () => end.becomeOpen(), process)
    })
    return end
  }
}

function delayOf(link: Link): number {
  return link.profile.delayMs + link.random.next() * link.profile.jitterMs
}
