/**
 * A few cores in one thread with an in-memory disk and network: what a driver does, reduced to what the core can see of it. Deterministic: time,
 * delivery, syncs and crashes happen when the test says so. After each step of any core its own invariants and the ledger's are checked.
 */
import { checkCore } from '../core/invariants.ts'
import { RaftCore } from '../core/core.ts'
import { EntryKind } from '../core/entry.ts'
import type { RaftConfig } from '../core/config.ts'
import type { LogSlice } from '../core/entry.ts'
import type { Event, MembershipChange } from '../core/event.ts'
import type { Epoch, LogIndex, NodeId } from '../core/ids.ts'
import { memberOf } from '../core/membership.ts'
import type { Membership } from '../core/membership.ts'
import type { Message } from '../core/message.ts'
import type { Outgoing, OutgoingAppend, Persist, ProposalOutcome, ReadEnd, TransferEnd } from '../core/output.ts'
import type { RoleChange } from '../core/status.ts'
import { createDisk, loseUnsynced, membershipsOf, recover, runsOf, syncSome, write } from './disk-image.ts'
import type { DiskImage, TestEntry } from './disk-image.ts'
import { Ledger } from './ledger.ts'
import { groupOf } from './members.ts'

export const entryBytes = 100

export interface TestNode {
  readonly id: NodeId
  readonly disk: DiskImage
  /** undefined = crashed. */
  core: RaftCore | undefined
  durable: Epoch
  held: Outgoing[]
  /** Syncs only when told to. */
  isSlow: boolean
  isPaused: boolean
  wallOffsetMs: number
  jitter: number
  /** How far it has said, as a leader, that entries are committed. */
  countedIndex: number
  readonly peersUp: Set<NodeId>
  readonly values: Map<number, string[]>
}

export interface Flight {
  readonly from: NodeId
  readonly to: NodeId
  readonly message: Message
  /** The sender's log entries that a slice's ticket stands for. */
  readonly entries: readonly TestEntry[]
}

/** What a test can listen to. */
export interface Watcher {
  roleChange?(node: TestNode, change: RoleChange): void
  refusal?(node: TestNode, reason: string): void
  outcome?(node: TestNode, outcome: ProposalOutcome): void
  transfer?(node: TestNode, end: TransferEnd): void
  read?(node: TestNode, end: ReadEnd): void
  persist?(node: TestNode, persist: Persist): void
  commit?(node: TestNode, index: number): void
  sent?(flight: Flight): void
}

export const firstWallMs = 1_700_000_000_000

export class MiniCluster {
  readonly nodes: readonly TestNode[]
  readonly ledger: Ledger
  readonly inFlight: Flight[] = []
  nowMs = 0
  /** Outputs gather over several steps, until the test drains them. */
  isLazy = false
  /** What the group begins with; the nodes after these are spare. */
  readonly #first: Membership
  readonly #settings: Omit<RaftConfig, 'id' | 'first'>
  readonly #watcher: Watcher
  readonly #cut = new Set<string>()
  readonly #slices = new Map<number, readonly TestEntry[]>()
  #sliceCount = 0
  #proposalCount = 0
  #readCount = 0
  #depth = 0

  constructor(count: number, settings: Partial<RaftConfig>, watcher: Watcher = {}, areTearsAllowed = false, spares = 0) {
    this.#settings = { ...defaults, ...settings }
    this.#first = groupOf(...Array.from({ length: count }, (_, i) => i + 1))
    this.#watcher = watcher
    const ids = Array.from({ length: count + spares }, (_, i) => (i + 1) as NodeId)
    this.nodes = ids.map(id => ({
      id,
      disk: createDisk(),
      core: undefined,
      durable: 0 as Epoch,
      held: [],
      isSlow: false,
      isPaused: false,
      wallOffsetMs: 0,
      jitter: ((id - 1) / ids.length) * 0.9,
      countedIndex: 0,
      peersUp: new Set(),
      values: new Map(),
    }))
    this.ledger = new Ledger(areTearsAllowed)
    for (const node of this.nodes) this.start(node.id)
  }

  node(id: number): TestNode {
    const node = this.nodes[id - 1]
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }

  core(id: number): RaftCore {
    const { core } = this.node(id)
    if (core === undefined) throw new Error(`node ${id} is down`)
    return core
  }

  leader(): TestNode | undefined {
    const leaders = this.nodes.filter(node => node.core?.inspect().role.kind === 'leader')
    return leaders.sort((a, b) => (b.core?.inspect().term ?? 0) - (a.core?.inspect().term ?? 0))[0]
  }

  /** Starts a node's process from what its disk holds, and connects it with those that are up. */
  start(id: number): void {
    const node = this.node(id)
    const config: RaftConfig = { ...this.#settings, id: node.id, first: memberOf(this.#first, node.id) && this.#first }
    node.core = new RaftCore(config, recover(node.disk), { nowMs: this.nowMs, wallMs: this.#wallMs(node), jitter: node.jitter })
    node.durable = 0 as Epoch
    node.held = []
    node.peersUp.clear()
    this.ledger.started(node)
    for (const other of this.nodes) {
      if (other === node || other.core === undefined || this.isCut(id, other.id)) continue
      this.connect(node, other)
      this.connect(other, node)
    }
  }

  connect(node: TestNode, peer: TestNode): void {
    if (node.core === undefined || peer.core === undefined) return
    if (node.peersUp.has(peer.id)) this.disconnect(node, peer.id)
    node.peersUp.add(peer.id)
    this.step(node, { kind: 'peerConnected', nowMs: this.nowMs, peer: peer.id, incarnation: peer.disk.incarnation })
  }

  disconnect(node: TestNode, peer: NodeId): void {
    if (!node.peersUp.delete(peer) || node.core === undefined) return
    this.step(node, { kind: 'peerDisconnected', nowMs: this.nowMs, peer })
  }

  /** kill -9: what is not on disk is gone, and what is on its way from it still arrives. */
  crash(id: number, torn = 0): void {
    const node = this.node(id)
    node.core = undefined
    node.held = []
    node.isPaused = false
    this.ledger.crashed(node)
    loseUnsynced(node.disk, torn)
    for (const other of this.nodes) this.disconnect(other, node.id)
  }

  isCut(a: number, b: number): boolean {
    return this.#cut.has(a < b ? `${a}-${b}` : `${b}-${a}`)
  }

  cut(a: number, b: number): void {
    this.#cut.add(a < b ? `${a}-${b}` : `${b}-${a}`)
    this.disconnect(this.node(a), b as NodeId)
    this.disconnect(this.node(b), a as NodeId)
    this.#forgetFlights(flight => (flight.from === a && flight.to === b) || (flight.from === b && flight.to === a))
  }

  heal(): void {
    this.#cut.clear()
    for (const a of this.nodes) for (const b of this.nodes) if (a !== b && !a.peersUp.has(b.id)) this.connect(a, b)
  }

  #forgetFlights(isGone: (flight: Flight) => boolean): void {
    for (let i = this.inFlight.length - 1; i >= 0; i--) {
      const flight = this.inFlight[i]
      if (flight !== undefined && isGone(flight)) this.inFlight.splice(i, 1)
    }
  }

  tick(id: number): void {
    const node = this.node(id)
    if (node.core === undefined || node.isPaused) return
    this.step(node, { kind: 'tick', nowMs: this.nowMs, wallMs: this.#wallMs(node), jitter: node.jitter })
  }

  /** As the driver does it after a stall: what the calendar shows comes before what waits in the sockets. */
  resume(id: number): void {
    const node = this.node(id)
    if (!node.isPaused) return
    node.isPaused = false
    if (node.core !== undefined) this.step(node, { kind: 'woke', nowMs: this.nowMs, wallMs: this.#wallMs(node) })
  }

  #wallMs(node: TestNode): number {
    return firstWallMs + Math.floor(this.nowMs) + node.wallOffsetMs
  }

  /** Returns the ticket. */
  propose(id: number, count: number, bytes = count * entryBytes): number {
    const node = this.node(id)
    const ticket = ++this.#proposalCount
    node.values.set(
      ticket,
      Array.from({ length: count }, (_, i) => `v${ticket}.${i + 1}`),
    )
    this.step(node, { kind: 'propose', nowMs: this.nowMs, ticket, entryKind: EntryKind.data, count, bytes })
    return ticket
  }

  /** A wish to read. Returns the ticket. */
  read(id: number, patienceMs: number): number {
    const ticket = ++this.#readCount
    this.ledger.readBegun(ticket)
    this.step(this.node(id), { kind: 'readIndex', nowMs: this.nowMs, ticket, giveUpMs: this.nowMs + patienceMs })
    return ticket
  }

  /** A wish to change the membership. Returns the ticket. */
  change(id: number, change: MembershipChange): number {
    const ticket = ++this.#proposalCount
    this.step(this.node(id), { kind: 'changeMembership', nowMs: this.nowMs, ticket, change })
    return ticket
  }

  /** One event for one core, and then the driver's duties. */
  step(node: TestNode, event: Event): void {
    const { core } = node
    if (core === undefined) return
    core.step(event)
    checkCore(core)
    const { role, commitIndex } = core.inspect()
    if (role.kind === 'leader') node.countedIndex = commitIndex
    if (!this.isLazy) this.drain(node)
  }

  /** The driver's duties towards one core's output. */
  drain(node: TestNode): void {
    if (node.core === undefined) return
    this.#drain(node, node.core)
    this.ledger.check(this.nodes)
  }

  /** Syncs up to `count` writes of a node and tells its core. */
  sync(id: number, count = Infinity): void {
    const node = this.node(id)
    if (node.core === undefined || node.disk.queue.length === 0) return
    const epoch = syncSome(node.disk, count)
    if (epoch === undefined) return
    node.durable = epoch
    const released = node.held.filter(message => message.after <= epoch)
    node.held = node.held.filter(message => message.after > epoch)
    for (const message of released) this.#launch(node, message.to, message.message, [])
    this.step(node, { kind: 'durable', nowMs: this.nowMs, epoch })
  }

  /** Delivers the message at this place of the queue; `keep` leaves a copy in flight. */
  deliver(at: number, keep = false): void {
    const flight = this.inFlight[at]
    if (flight === undefined) return
    if (!keep) this.inFlight.splice(at, 1)
    this.receive(flight)
  }

  receive(flight: Flight): void {
    const node = this.node(flight.to)
    if (node.core === undefined || node.isPaused || this.isCut(flight.from, flight.to)) return
    this.step(node, { kind: 'receive', nowMs: this.nowMs, from: flight.from, message: flight.message })
  }

  /** Delivers and syncs, in order, until nothing moves any more; no time passes. Paused nodes keep their mail. */
  settle(stepsMax = 20_000): void {
    for (let steps = 0; steps < stepsMax; steps++) {
      const unsynced = this.nodes.find(node => node.core !== undefined && !node.isSlow && node.disk.queue.length > 0)
      if (unsynced !== undefined) {
        this.sync(unsynced.id)
        continue
      }
      const at = this.inFlight.findIndex(flight => !this.node(flight.to).isPaused)
      if (at < 0) return
      this.deliver(at)
    }
    throw new Error('the cluster does not settle')
  }

  /** Time passes, in steps of a millisecond; cores are ticked when they want it, everything is delivered at once. */
  run(ms: number): void {
    const endMs = this.nowMs + ms
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(this.nowMs + 1, endMs)
      for (const node of this.nodes) {
        if (node.core !== undefined && !node.isPaused && node.core.output.deadlineMs <= this.nowMs) this.tick(node.id)
        this.settle()
      }
    }
  }

  #drain(node: TestNode, core: RaftCore): void {
    if (this.#depth > 0) throw new Error('a drain inside a drain')
    this.#depth++
    const { output } = core
    for (const persist of output.persists) this.#persist(node, persist)
    for (let i = 0; i < output.messages.length; i++) {
      const message = output.messages[i]
      if (message === undefined) continue
      if (message.kind === 'append') this.#sendAppend(node, core, message)
      else if (message.after <= node.durable) this.#launch(node, message.to, message.message, [])
      else node.held.push(message)
    }
    for (const change of output.roleChanges) {
      if (change.to === 'leader') this.ledger.elected(node, change.term)
      this.#watcher.roleChange?.(node, change)
    }
    for (const end of output.transfers) this.#watcher.transfer?.(node, end)
    for (const end of output.reads) {
      this.ledger.readEnded(node, end)
      this.#watcher.read?.(node, end)
    }
    for (const reason of output.refusals) this.#watcher.refusal?.(node, reason)
    for (const outcome of output.outcomes) {
      this.ledger.outcome(node, outcome)
      this.#watcher.outcome?.(node, outcome)
    }
    const { appliedIndex } = core.inspect()
    const { applyTo } = output
    core.clearOutput()
    checkCore(core)
    const before = this.ledger.commitOf(node)
    this.ledger.advanced(node, this.nodes)
    if (this.ledger.commitOf(node) > before) this.#watcher.commit?.(node, this.ledger.commitOf(node))
    if (applyTo > appliedIndex) {
      core.step({ kind: 'applied', index: applyTo })
      node.disk.appliedIndex = applyTo
    }
    // Storage forgets its doubts behind the writes that they rest on.
    if (node.disk.queue.length === 0 && core.inspect().voteWithheldAt === undefined) node.disk.isVoteWithheld = false
    if (node.disk.queue.length === 0 && core.inspect().logTrust === 'whole') node.disk.isTornUnverified = false
    this.#depth--
  }

  #persist(node: TestNode, persist: Persist): void {
    this.#watcher.persist?.(node, persist)
    write(node.disk, persist, () => {
      const entries = this.#entriesOf(node, persist)
      this.ledger.written(node, entries)
      return entries
    })
  }

  #entriesOf(node: TestNode, persist: Persist): readonly TestEntry[] {
    if (persist.kind === 'appendSlice') {
      const all = this.#slices.get(persist.slice.ticket) ?? []
      return all.filter(entry => entry.index >= persist.fromIndex)
    }
    if (persist.kind !== 'appendOwn') return []
    const { ticket, term, entryKind: kind, wallMs, firstIndex, membership } = persist
    const values =
      ticket === 0 || membership !== undefined
        ? [`${ticket === 0 ? 'own' : `v${ticket}.1 own`} ${term}.${node.disk.incarnation}.${firstIndex}`]
        : node.values.get(ticket)
    if (values?.length !== persist.count) throw new Error(`ticket ${ticket} has no ${persist.count} entries`)
    return values.map((value, i) => ({ index: firstIndex + i, term, kind, wallMs, value, ...(membership && { membership }) }))
  }

  #sendAppend(node: TestNode, core: RaftCore, append: OutgoingAppend): void {
    if (append.after > node.durable) throw new Error('a leader that waits for its own disk before it sends')
    if (!node.peersUp.has(append.to)) return
    const { sliceBytesMax } = core.inspect().config
    const countMax = Math.max(1, Math.floor(sliceBytesMax / entryBytes))
    const lastIndex = Math.min(append.lastIndex, append.prev.index + countMax) as LogIndex
    const entries = node.disk.written.slice(append.prev.index, lastIndex)
    const slice = this.makeSlice(append.prev, entries)
    const { term, session, commitIndex } = append
    this.#launch(node, append.to, { kind: 'append', term, session, slice, commitIndex }, entries)
    core.sentUpTo(append.to, lastIndex, slice.bytes)
    checkCore(core)
  }

  makeSlice(prev: LogSlice['prev'], entries: readonly TestEntry[]): LogSlice {
    const ticket = ++this.#sliceCount
    this.#slices.set(ticket, entries)
    const lastIndex = (prev.index + entries.length) as LogIndex
    const memberships = membershipsOf(entries)
    const lastWallMs = entries.at(-1)?.wallMs ?? 0
    return { prev, lastIndex, runs: runsOf(entries), memberships, bytes: entries.length * entryBytes, lastWallMs, ticket }
  }

  #launch(node: TestNode, to: NodeId, message: Message, entries: readonly TestEntry[]): void {
    const flight: Flight = { from: node.id, to, message, entries }
    this.ledger.sent(node, to, message)
    if (this.isCut(node.id, to)) return
    this.#watcher.sent?.(flight)
    this.inFlight.push(flight)
  }
}

export const defaults: Omit<RaftConfig, 'id' | 'first'> = {
  heartbeatIntervalMs: 50,
  electionTimeoutMs: 300,
  earlyElectionSpreadMs: 40,
  sliceBytesMax: 10 * entryBytes,
  inflightSlicesMax: 4,
  inflightBytesMax: 40 * entryBytes,
  unwrittenBytesMax: 1_000 * entryBytes,
  uncommittedBytesMax: 1_000 * entryBytes,
  unappliedBytesMax: 1_000 * entryBytes,
  snapshotLagEntries: Infinity,
  timeLeapMs: 5_000,
  farewellMs: 1_000,
}
