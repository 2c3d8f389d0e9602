/**
 * The connections of one node: two to each peer, both used both ways. `control` carries votes, heartbeats and their replies, so that no append stands in
 * their way; `data` carries appends, their replies and application frames.
 *
 * Who dials: the lower-numbered node of a pair dials `control`, the higher-numbered one `data`. So there are exactly two sockets for a pair (acks ride
 * on the answers, one write a turn), and yet each side has one that it dials itself. That is what tells a dead process from a broken wire (DESIGN §6):
 * both links closed, and the immediate redial of our own one refused (or a hello with another incarnation) = it died. Redialled, or unanswered = we know
 * nothing, the ordinary timeouts decide.
 *
 * Bounds: what waits for a peer stays under `dataBytesMax`; an append that finds no room closes the link (the peer does not read), an application frame is
 * refused to its sender. Strangers: at most a few, a kilobyte each, for two seconds. Redials: at once after a link that lived or when the peer has dialled us,
 * else after 20, 50, 100 … 500 ms.
 */
import type { Clock } from '../../src/platform/clock.ts'
import type { Connection, ConnectionHandlers, Listener, Network, NetworkAddress } from '../../src/platform/network.ts'
import { assert, mustExist } from '../../src/platform/assert.ts'
import { frameBytesMaxDefault } from '../codec/frame.ts'
import type { Channel, Hello } from '../codec/messages.ts'
import type { NodeId } from '../core/ids.ts'
import { membersMax } from '../core/membership.ts'
import type { Member } from '../core/membership.ts'
import { parseAddress } from './address.ts'
import { BulkLinks } from './bulk.ts'
import type { BulkLink } from './bulk.ts'
import { Link } from './link.ts'
import type { LinkOwner, Unwelcome } from './link.ts'
import type { DriverMetrics } from './metrics.ts'
import { isAlive, newSlot } from './peer-slots.ts'
import type { Peer, PeerLinks, Slot, SlotChannel } from './peer-slots.ts'

export interface TransportEvents {
  /** Before anything that came from the network is looked at: the moment to notice that the process was away. */
  wake(): void
  /** The views are the taker's to keep. */
  frame(peer: NodeId, channel: SlotChannel, kind: number, header: Uint8Array, payload: Uint8Array): void
  /** The data link is open. */
  peerUp(peer: NodeId, incarnation: number): void
  /** The data link closed: what was on it may be lost. */
  peerDown(peer: NodeId): void
  /** Its process died, or is another one now. */
  peerDied(peer: NodeId): void
  /** Something waits for `flush`. */
  wantsFlush(): void
  /** For the trace: a link opened or closed, and why. */
  bulkOpened(link: BulkLink): void
  bulkFrame(link: BulkLink, kind: number, header: Uint8Array, payload: Uint8Array): void
  bulkClosed(link: BulkLink): void
  linkChanged(peer: NodeId | undefined, channel: Channel | undefined, what: string): void
  listenFailed(error: Error): void
  /** Place of the newest committed membership that we know; told in our hello. */
  membershipIndex(): number
  /** By our committed membership the node was removed, and it can't know a newer one. */
  isKnownRemoved(node: NodeId, membershipIndex: number): boolean
  toldRemoved(index: number, isOtherDirectory: boolean): void
  /** Somebody came under a member's number with another data directory than the membership knows, and was not let in. Once for each. */
  otherDirectory(peer: NodeId): void
  /** Who was greeted, in its own words. */
  introduced(member: Member): void
}

export interface PeerAddress {
  readonly id: NodeId
  readonly address: NetworkAddress
  /** The only data directory that may speak under this number; undefined = any. */
  readonly directory?: string
}

export interface TransportOptions {
  readonly id: NodeId
  readonly clusterName: string
  readonly incarnation: number
  readonly featureLevel: number
  readonly listen: NetworkAddress
  /** How others are to find us. */
  readonly self: Pick<Member, 'name' | 'address' | 'clientAddress' | 'directory'>
  /** Whom to dial at first; `follow` changes it. */
  readonly peers: readonly PeerAddress[]
  readonly clock: Clock
  readonly network: Network
  readonly metrics: DriverMetrics
  readonly events: TransportEvents
  readonly frameBytesMax?: number
  /** Soft bound of what waits for one peer. */
  readonly dataBytesMax: number
}

const strangersMax = 32
const greetingMsMax = 2_000
const pingAfterMs = 500
const silenceMsMax = 3_000
/** A link that broke earlier than this does not earn an immediate redial. */
const livedMsMin = 100
const redialDelaysMs = [20, 50, 100, 200, 500] as const
const controlBytesMax = 256 * 1024

export class Transport implements LinkOwner {
  readonly metrics: DriverMetrics
  readonly frameBytesMax: number
  readonly #options: TransportOptions
  readonly #events: TransportEvents
  #peers: readonly Peer[] = []
  readonly #byId = new Map<NodeId, Peer>()
  readonly #strangers = new Set<Link>()
  readonly #bulk = new BulkLinks()
  #listener: Listener | undefined
  #isStopped = false

  constructor(options: TransportOptions) {
    this.#options = options
    this.#events = options.events
    this.metrics = options.metrics
    this.frameBytesMax = options.frameBytesMax ?? frameBytesMaxDefault
    for (const { id, address, directory } of options.peers) this.#add(id, address, false).boundDirectory = directory
  }

  /** These are the other members now: who is new is dialled, who is gone is cut off, an address that changed is used for the next dial. */
  follow(peers: readonly PeerAddress[]): void {
    if (this.#isStopped) return
    for (const peer of this.#peers) if (!peer.isGuest && peers.every(({ id }) => id !== peer.id)) this.#remove(peer, 'no member any more')
    for (const { id, address, directory } of peers) {
      const known = this.#byId.get(id)
      const peer = known ?? this.#add(id, address, false)
      peer.isGuest = false
      peer.boundDirectory = directory
      if (this.#isStranger(peer, peer)) this.#dropStranger(peer)
      if (known === undefined) this.#dialOurs(peer)
      else this.#moveTo(peer, address)
    }
  }

  /** Ours is dialled again: who knows a newer membership, in which the directory is the right one, is let in. */
  #dropStranger(peer: Peer): void {
    for (const slot of [peer.control, peer.data]) {
      if (slot.link === undefined) continue
      this.#unseat(peer, slot, 'it has another data directory')
      if (slot.isOurs) this.#afterOurs(peer, slot, { wasOpen: false, wasRefused: false, livedMs: 0 })
    }
  }

  #add(id: NodeId, address: NetworkAddress, isGuest: boolean): Peer {
    assert(id !== this.#options.id, 'peer-is-self', id)
    const control = newSlot('control', this.#options.id < id)
    const data = newSlot('data', this.#options.id > id)
    const unknown = {
      incarnation: undefined,
      featureLevel: 0,
      boundDirectory: undefined,
      directory: '',
      membershipIndex: 0,
      strangeTold: undefined,
    }
    const peer: Peer = { id, address, isGuest, control, data, ...unknown, isUpTold: false, isDeathTold: false, lastProblem: undefined }
    this.#byId.set(id, peer)
    this.#peers = [...this.#byId.values()]
    return peer
  }

  #remove(peer: Peer, reason: string): void {
    this.#byId.delete(peer.id)
    this.#peers = [...this.#byId.values()]
    for (const slot of [peer.control, peer.data]) {
      slot.redial?.cancel()
      // What left already may still be read: the news of its own removal, for one.
      slot.link?.flush()
      this.#unseat(peer, slot, reason)
    }
  }

  /** Another address of the same node: a link that is open is one to it, wherever it is. */
  #moveTo(peer: Peer, address: NetworkAddress): void {
    if (peer.address.host === address.host && peer.address.port === address.port) return
    peer.address = address
    const ours = peer.control.isOurs ? peer.control : peer.data
    if (ours.link?.isOpen === true) return
    ours.attempts = 0
    this.#unseat(peer, ours, 'it has another address')
    this.#dial(peer, ours)
  }

  #dialOurs(peer: Peer): void {
    this.#dial(peer, peer.control.isOurs ? peer.control : peer.data)
  }

  /** Listens and dials. */
  start(): void {
    const { network, listen } = this.#options
    this.#listener = network.listen(
      listen,
      connection => this.#accept(connection),
      error => {
        if (error !== undefined && !this.#isStopped) this.#events.listenFailed(error)
      },
    )
    for (const peer of this.#peers) this.#dialOurs(peer)
  }

  /** Closes everything, for good. */
  stop(): void {
    this.#isStopped = true
    for (const { control, data } of this.#peers) for (const slot of [control, data]) slot.redial?.cancel()
    this.#listener?.close()
    this.dropAll('stopped')
  }

  /** The port that is really listened on. */
  get port(): number {
    return this.#listener?.port ?? this.#options.listen.port
  }

  /** Who is dialled, and who came by itself: our membership may be an old one, and theirs the one in force. */
  get neighbours(): readonly NodeId[] {
    return this.#peers.map(({ id }) => id)
  }

  isUp(peer: NodeId): boolean {
    return this.#byId.get(peer)?.data.link?.isOpen === true
  }

  /** A vote, heartbeat or reply. Lost when there is no link or no room: Raft asks again. */
  sendControl(to: NodeId, frame: Uint8Array): void {
    const link = this.#byId.get(to)?.control.link
    if (link?.isOpen !== true || link.waitingBytes > controlBytesMax) return
    link.send([frame], frame.length)
  }

  /** A part of replication. False: not handed over. A link that takes no more is closed: its peer has stopped reading. */
  sendData(to: NodeId, buffers: readonly Uint8Array[]): boolean {
    const link = this.#byId.get(to)?.data.link
    if (link?.isOpen !== true) return false
    if (link.waitingBytes > this.#options.dataBytesMax) {
      this.metrics.connectionsOverfull++
      link.close('it does not read what we send')
      return false
    }
    link.send(buffers, bytesOf(buffers))
    return true
  }

  /** The feature level that the peer's process told us; undefined while it is not connected. */
  featureLevelOf(peer: NodeId): number | undefined {
    return this.isUp(peer) ? this.#byId.get(peer)?.featureLevel : undefined
  }

  /** Application bytes. False: no link, or no room behind what waits already. */
  sendApplication(to: NodeId, buffers: readonly Uint8Array[]): boolean {
    const link = this.#byId.get(to)?.data.link
    if (link?.isOpen !== true) return false
    const bytes = bytesOf(buffers)
    if (link.waitingBytes + bytes > this.#options.dataBytesMax) return false
    link.send(buffers, bytes)
    return true
  }

  /** Dials a link for files. It closes by itself when nobody answers. */
  openBulk(id: NodeId): BulkLink | undefined {
    const peer = this.#byId.get(id)
    if (peer === undefined || this.#isStopped) return undefined
    const link = new Link(this, { peer: id, channel: 'bulk' })
    this.#bulk.add(link)
    link.attach(this.#options.network.dial(peer.address, link))
    return link
  }

  /** Leaves at once. False: the link is not open. The caller bounds what waits by `waitingBytes`. */
  sendBulk(link: BulkLink, buffers: readonly Uint8Array[]): boolean {
    return this.#bulk.send(link, buffers)
  }

  /** Everything gathered leaves: one write for each link. */
  flush(): void {
    for (const peer of this.#peers) {
      peer.control.link?.flush()
      peer.data.link?.flush()
    }
    this.#bulk.flush()
  }

  /** From time to time: strangers that say nothing, peers that have fallen silent. Not right after a stall, before the sockets were read. */
  check(): void {
    const nowMs = this.nowMs()
    for (const link of this.#strangers) if (nowMs - link.sinceMs > greetingMsMax) link.close('said nothing')
    for (const peer of this.#peers) {
      this.#checkLink(peer.control.link, nowMs)
      this.#checkLink(peer.data.link, nowMs)
    }
    for (const link of this.#bulk.all()) this.#checkLink(link, nowMs)
  }

  /** Closes all connections, unread. They are dialled again. */
  dropAll(reason: string): void {
    for (const link of [...this.#strangers, ...this.#bulk.all()]) link.close(reason)
    for (const peer of this.#peers) {
      peer.control.link?.close(reason)
      peer.data.link?.close(reason)
    }
  }

  /** Closes the link that a bad frame came over. */
  closeLink(peer: NodeId, channel: SlotChannel, reason: string): void {
    this.metrics.framesCorrupt++
    this.#byId.get(peer)?.[channel].link?.close(reason)
  }

  links(): readonly PeerLinks[] {
    return this.#peers.map(({ id, control, data, incarnation, lastProblem }) => ({
      peer: id,
      control: control.link?.isOpen === true ? 'open' : 'closed',
      data: data.link?.isOpen === true ? 'open' : 'closed',
      incarnation,
      waitingBytes: (control.link?.waitingBytes ?? 0) + (data.link?.waitingBytes ?? 0),
      lastProblem,
    }))
  }

  // What the links ask and tell.

  nowMs(): number {
    return this.#options.clock.nowMs()
  }

  wake(): void {
    this.#events.wake()
  }

  wantsFlush(): void {
    this.#events.wantsFlush()
  }

  helloFor(link: Link): Hello {
    const { id, clusterName, incarnation, featureLevel } = this.#options
    const channel = mustExist(link.channel, 'link-without-channel')
    const { name, address, clientAddress, directory = '' } = this.#options.self
    const membershipIndex = this.#events.membershipIndex()
    const targetNode = link.isDialled ? (link.peer ?? 0) : 0
    const where = { name, address, clientAddress, directory }
    return { clusterName, node: id, incarnation, featureLevel, channel, targetNode, ...where, membershipIndex }
  }

  greeted(link: Link, hello: Hello): Unwelcome | undefined {
    const { id, clusterName } = this.#options
    const from = hello.node as NodeId
    if (hello.clusterName !== clusterName) return { reason: `this is cluster ${clusterName}` }
    if (from === id) return { reason: `there is a node ${id} already: this one` }
    if (link.isDialled) {
      if (hello.node !== link.peer || hello.channel !== link.channel)
        return { reason: `node ${hello.node} answered in place of node ${link.peer ?? 0}` }
    } else {
      if (hello.targetNode !== id) return { reason: `this is node ${id}, not ${hello.targetNode}` }
      if (hello.channel !== 'bulk' && (hello.channel === 'control') === id < from) return { reason: `node ${id} dials this channel itself` }
    }
    if (this.#events.isKnownRemoved(from, hello.membershipIndex)) {
      const removedAt = this.#events.membershipIndex()
      return { reason: `node ${hello.node} was removed from the group: it is no member at entry ${removedAt}`, removedAt }
    }
    const address = parseAddress(hello.address)
    const peer = this.#byId.get(from) ?? (address === undefined ? undefined : this.#welcomeGuest(from, address))
    if (peer === undefined) return { reason: `node ${hello.node} is no peer of node ${id}` }
    const stranger = this.#whyOtherDirectory(peer, hello)
    if (stranger !== undefined) return stranger
    // It was on its way while its process died and the next one came: it must not take the place of the living.
    if (hello.incarnation < (peer.incarnation ?? 0) && isAlive(peer)) return { reason: `node ${from} has been started again since` }
    if (address !== undefined) this.#moveTo(peer, address)
    const { name, address: said, clientAddress, directory } = hello
    this.#events.introduced({ id: from, name, address: said, clientAddress, ...(directory === '' ? {} : { directory }) })
    this.#adoptIncarnation(peer, hello.incarnation, link)
    peer.featureLevel = hello.featureLevel
    peer.directory = directory
    peer.membershipIndex = hello.membershipIndex
    if (link.isDialled) return undefined
    if (hello.channel !== 'bulk') this.#seat(peer, link, hello.channel)
    else {
      this.#strangers.delete(link)
      link.peer = peer.id
      link.channel = 'bulk'
      this.#bulk.add(link)
    }
    return undefined
  }

  toldRemoved(index: number, isOtherDirectory: boolean): void {
    this.#events.toldRemoved(index, isOtherDirectory)
  }

  /**
   * A voter that lost its directory has forgotten its votes and what it acknowledged; its number alone must not vote again (rule 12). Who knows a newer
   * membership than ours may have been taken in anew by it: while we read an old log, our own leader.
   */
  #isStranger({ boundDirectory }: Peer, { directory, membershipIndex }: Pick<Hello, 'directory' | 'membershipIndex'>): boolean {
    const isOther = boundDirectory !== undefined && directory !== '' && directory !== boundDirectory
    return isOther && membershipIndex <= this.#events.membershipIndex()
  }

  #whyOtherDirectory(peer: Peer, hello: Hello): Unwelcome | undefined {
    if (!this.#isStranger(peer, hello)) return undefined
    const { directory } = hello
    const removedAt = this.#events.membershipIndex()
    if (peer.strangeTold !== directory) this.#events.otherDirectory(peer.id)
    peer.strangeTold = directory
    const reason = `node ${peer.id} has another data directory than the one that votes under this number: it must be taken in anew`
    return { reason, removedAt, isOtherDirectory: true }
  }

  /**
   * Nobody that we know of: a member of a newer membership than ours, perhaps our next leader, or one whose group takes us in. It is heard like any other,
   * for what it may say depends on terms and logs, not on our list.
   */
  #welcomeGuest(id: NodeId, address: NetworkAddress): Peer | undefined {
    if (this.#peers.length >= 2 * membersMax) return undefined
    const peer = this.#add(id, address, true)
    this.#dialOurs(peer)
    return peer
  }

  opened(link: Link): void {
    if (link.channel === 'bulk') return this.#events.bulkOpened(link)
    const peer = this.#peerOf(link)
    const slot = peer?.[link.channel ?? 'data']
    if (peer === undefined || slot?.link !== link) return
    slot.wasRefused = false
    this.#events.linkChanged(peer.id, slot.channel, 'open')
    if (!slot.isOurs) this.#dialWhatWaits(peer)
    if (slot.channel !== 'data') return
    peer.isUpTold = true
    this.#events.peerUp(peer.id, mustExist(peer.incarnation, 'open-without-hello'))
  }

  frame(link: Link, kind: number, header: Uint8Array, payload: Uint8Array): void {
    if (link.channel === 'bulk') this.#events.bulkFrame(link, kind, header, payload)
    else if (link.peer !== undefined && link.channel !== undefined) this.#events.frame(link.peer, link.channel, kind, header, payload)
  }

  closed(link: Link, reason: string, wasOpen: boolean): void {
    this.#strangers.delete(link)
    if (this.#bulk.remove(link) || link.channel === 'bulk') return this.#events.bulkClosed(link)
    const peer = this.#peerOf(link)
    const slot = peer?.[link.channel ?? 'data']
    this.#events.linkChanged(link.peer, link.channel, reason)
    if (peer === undefined || slot?.link !== link) return
    peer.lastProblem = reason
    slot.link = undefined
    if (slot.channel === 'data') this.#tellDown(peer)
    if (peer.isGuest && peer.control.link === undefined && peer.data.link === undefined) return this.#remove(peer, reason)
    if (slot.isOurs) this.#afterOurs(peer, slot, { wasOpen, wasRefused: reason === 'refused', livedMs: this.nowMs() - link.sinceMs })
    this.#maybeTellDeath(peer)
  }

  #accept(connection: Connection): ConnectionHandlers {
    const link = new Link(this, undefined)
    link.attach(connection)
    this.#strangers.add(link)
    if (this.#strangers.size > strangersMax || this.#isStopped) link.close('too many strangers')
    return link
  }

  /** A link that came in and is welcome takes its place; an older one in it is dead, even if we have not been told. */
  #seat(peer: Peer, link: Link, channel: SlotChannel): void {
    this.#strangers.delete(link)
    this.#unseat(peer, peer[channel], 'a newer connection took its place')
    link.peer = peer.id
    link.channel = channel
    peer[channel].link = link
  }

  #unseat(peer: Peer, slot: Slot, reason: string): void {
    const { link } = slot
    if (link === undefined) return
    slot.link = undefined
    link.close(reason)
    if (slot.channel === 'data') this.#tellDown(peer)
  }

  #tellDown(peer: Peer): void {
    if (!peer.isUpTold) return
    peer.isUpTold = false
    this.#events.peerDown(peer.id)
  }

  /** A hello of another incarnation than the one we knew: that process is dead, and so are its links. */
  #adoptIncarnation(peer: Peer, incarnation: number, via: Link): void {
    if (peer.incarnation !== undefined && peer.incarnation !== incarnation) {
      if (!peer.isDeathTold) this.#events.peerDied(peer.id)
      for (const slot of [peer.control, peer.data]) {
        if (slot.link === undefined || slot.link === via) continue
        this.#unseat(peer, slot, 'its process was another one')
        if (slot.isOurs) this.#dialAfter(peer, slot, 0)
      }
    }
    peer.incarnation = incarnation
    peer.isDeathTold = false
  }

  #maybeTellDeath(peer: Peer): void {
    const { control, data } = peer
    if (peer.isDeathTold || peer.incarnation === undefined || this.#isStopped) return
    if (isAlive(peer)) return
    if (!(control.isOurs ? control : data).wasRefused) return
    peer.isDeathTold = true
    this.#events.peerDied(peer.id)
  }

  #afterOurs(peer: Peer, slot: Slot, end: { wasOpen: boolean; wasRefused: boolean; livedMs: number }): void {
    slot.wasRefused = end.wasRefused
    if (end.wasOpen && end.livedMs >= livedMsMin) {
      slot.attempts = 0
      this.#dial(peer, slot)
      return
    }
    const delayMs = redialDelaysMs[Math.min(slot.attempts, redialDelaysMs.length - 1)] ?? 0
    slot.attempts++
    this.#dialAfter(peer, slot, delayMs)
  }

  #dialAfter(peer: Peer, slot: Slot, delayMs: number): void {
    slot.redial?.cancel()
    if (this.#isStopped) return
    slot.redial = this.#options.clock.setTimer(delayMs, () => {
      slot.redial = undefined
      if (slot.link === undefined) this.#dial(peer, slot)
    })
  }

  /** It is there, and takes us for a member: that our last dials came to nothing says nothing of the next one. */
  #dialWhatWaits(peer: Peer): void {
    for (const slot of [peer.control, peer.data]) if (slot.redial !== undefined && slot.link === undefined) this.#dial(peer, slot)
  }

  #dial(peer: Peer, slot: Slot): void {
    if (this.#isStopped) return
    slot.redial?.cancel()
    slot.redial = undefined
    const link = new Link(this, { peer: peer.id, channel: slot.channel })
    slot.link = link
    this.metrics.dials++
    link.attach(this.#options.network.dial(peer.address, link))
  }

  #checkLink(link: Link | undefined, nowMs: number): void {
    if (link === undefined || link.isClosed) return
    if (link.isOpen) {
      if (nowMs - link.heardMs > silenceMsMax) link.close('silent')
      else if (link.isStuck(nowMs)) link.close('a frame that does not end')
      else link.maybePing(nowMs, pingAfterMs)
    } else if (nowMs - link.sinceMs > greetingMsMax) link.close('no answer to our hello')
  }

  #peerOf(link: Link): Peer | undefined {
    return link.peer === undefined ? undefined : this.#byId.get(link.peer)
  }
}

function bytesOf(buffers: readonly Uint8Array[]): number {
  let bytes = 0
  for (const buffer of buffers) bytes += buffer.length
  return bytes
}
