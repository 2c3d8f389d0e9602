/**
 * One member of a Raft group: the core, the log, the connections and the application, tied together. This file is the door; what happens in which order is
 * loop.ts. Everything is synchronous and calls back: no promise anywhere.
 */
import type { Clock } from '../../src/platform/clock.ts'
import type { Network, NetworkAddress } from '../../src/platform/network.ts'
import type { Random } from '../../src/platform/random.ts'
import { assert } from '../../src/platform/assert.ts'
import type { RaftConfig, RecoveredState } from '../core/config.ts'
import { RaftCore } from '../core/core.ts'
import type { EntryKind } from '../core/entry.ts'
import type { MembershipChange } from '../core/event.ts'
import type { SnapshotVerdict } from '../core/following.ts'
import { logIndex } from '../core/ids.ts'
import type { EntryId, LogIndex, NodeId, Term } from '../core/ids.ts'
import { memberOf, wasRemoved } from '../core/membership.ts'
import type { Member, Membership } from '../core/membership.ts'
import type { RejectReason } from '../core/output.ts'
import { peerStatuses } from '../core/make-status.ts'
import { isRemoved } from '../core/node-state.ts'
import type { PeerStatus, RaftStatus, Role } from '../core/status.ts'
import { isHandingOver } from '../core/transfer.ts'
import { decodeFrame, encodeApplication } from '../codec/messages.ts'
import { Admission } from './admission.ts'
import type { BulkLink } from './bulk.ts'
import type { RaftApp, RaftNodeStatus, RaftTrace } from './app.ts'
import type { EntryBody, HardStateStorage, LogStorage, RepairStorage, StoredEntry } from './log-storage.ts'
import { Loop } from './loop.ts'
import { createMetrics } from './metrics.ts'
import type { ReadDone } from './reads.ts'
import type { ProposeDone } from './submissions.ts'
import { committedMembership, dialled } from './membership-watch.ts'
import type { PeerAddress } from './transport.ts'
import { Transport } from './transport.ts'
import type { TransferDone } from './wishes.ts'

export interface RaftNodeOptions {
  readonly config: RaftConfig
  readonly recovered: RecoveredState
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  /** Our own peer port. */
  readonly listen: NetworkAddress
  /** We, as the others are to know us. */
  readonly self: Member
  /** Whom a node that belongs to no group yet dials. */
  readonly join?: readonly PeerAddress[]
  readonly clusterName: string
  /** What this build can do (the application's number; 1 unless told); goes out in the hello. */
  readonly featureLevel?: number
  readonly log: LogStorage
  /** Rot found in the log, and its repair from peers; without it a rotten read ends the node. */
  readonly repair?: RepairStorage
  readonly hardState: HardStateStorage
  readonly app: RaftApp
  readonly trace?: RaftTrace
  /** Longest frame taken from a peer. */
  readonly frameBytesMax?: number
}

/** The settings that a local network wants. `first`: undefined for a node that joins a group. */
export function defaultRaftConfig(id: NodeId, first: Membership | undefined): RaftConfig {
  return {
    id,
    first,
    heartbeatIntervalMs: 50,
    electionTimeoutMs: 300,
    earlyElectionSpreadMs: 40,
    sliceBytesMax: 1024 * 1024,
    inflightSlicesMax: 16,
    inflightBytesMax: 4 * 1024 * 1024,
    unwrittenBytesMax: 64 * 1024 * 1024,
    uncommittedBytesMax: 64 * 1024 * 1024,
    unappliedBytesMax: 64 * 1024 * 1024,
    snapshotLagEntries: Infinity,
    timeLeapMs: 5_000,
    farewellMs: 45_000,
  }
}

export class RaftNode {
  readonly id: NodeId
  readonly #options: RaftNodeOptions
  readonly #core: RaftCore
  readonly #transport: Transport
  readonly #loop: Loop
  readonly #admission: Admission
  readonly #metrics = createMetrics()

  private constructor(options: RaftNodeOptions) {
    const { config, recovered, clock, random, log, hardState, app } = options
    this.id = config.id
    this.#options = options
    assert(log.lastId.index === recovered.last.index, 'log-not-as-recovered', log.lastId.index, recovered.last.index)
    this.#core = new RaftCore(config, recovered, { nowMs: clock.nowMs(), wallMs: clock.wallMs(), jitter: random.next() })
    this.#transport = this.#makeTransport()
    this.#loop = new Loop({
      config,
      core: this.#core,
      clock,
      random,
      log,
      hardState,
      app,
      metrics: this.#metrics,
      transport: this.#transport,
      repair: options.repair,
      trace: options.trace,
      self: options.self,
      join: options.join ?? [],
    })
    const waitingBytes = (): number => this.#loop.submissions.waitingBytes
    this.#admission = new Admission({ config, log, node: () => this.#core.inspect(), waitingBytes })
  }

  /** For checkers, which look and do nothing (raft/core/invariants.ts). Only the loop steps it. */
  get core(): RaftCore {
    return this.#core
  }

  /** Listens, dials, and takes part. The application is called from the next turn on, never inside this call. */
  static start(options: RaftNodeOptions): RaftNode {
    const node = new RaftNode(options)
    node.#transport.start()
    node.#loop.arm()
    node.#loop.requestTurn()
    return node
  }

  /**
   * As leader: appends one entry for each body, one behind the other. The bodies are the node's until `done`, or until their entries are applied.
   * A reason, and no `done`, when it is refused at once (`busy`: a pool is full, `status().pools`); otherwise `done` runs exactly once, later.
   */
  propose(kind: EntryKind, bodies: readonly EntryBody[], done?: ProposeDone): undefined | RejectReason {
    const loop = this.#loop
    if (loop.isStopped) return this.#loop.isFailed ? 'storageFailed' : 'notLeader'
    const node = this.#core.inspect()
    if (node.role.kind !== 'leader') return 'notLeader'
    if (isHandingOver(node.role)) {
      loop.refuse('R-40-transferring')
      return 'transferring'
    }
    const { log } = this.#options
    let bytes = 0
    for (const body of bodies) bytes += log.recordBytes(body.bytes)
    const pool = this.#admission.refuse(bytes)
    if (pool !== undefined) {
      this.#options.trace?.({ kind: 'full', pool, bytes })
      return 'busy'
    }
    loop.submissions.add(kind, bodies, bytes, done)
    loop.requestTurn()
    return undefined
  }

  /**
   * As leader: hands the leadership to a voter, which is caught up first if need be, at most `patienceMs` long; then no proposal is taken until it leads, or
   * for an election timeout. `done` runs once, later. False: another hand-over is under way, or the node is stopped.
   */
  transferLeadership(to: NodeId, patienceMs: number, done: TransferDone): boolean {
    if (this.#loop.isStopped || !this.#loop.wishes.add(to, patienceMs, done)) return false
    this.#loop.requestTurn()
    return true
  }

  /**
   * `done` runs once, later: `ready` when this node has applied all that was acknowledged anywhere before this call, which takes a round trip to the leader
   * and one of the leader's to a majority, and makes no entry. Or it ends with a reason, after `patienceMs` at the latest. Any node may ask; who asks while
   * a question is open shares the next one. A reason at once, and no `done`: stopped, or too many wait.
   */
  readIndex(patienceMs: number, done: ReadDone): undefined | 'busy' | 'stopped' | 'storageFailed' {
    const loop = this.#loop
    if (loop.isStopped) return loop.isFailed ? 'storageFailed' : 'stopped'
    if (!loop.reads.add(this.#options.clock.nowMs() + patienceMs, done)) return 'busy'
    loop.requestTurn()
    return undefined
  }

  /** As leader: the group is to be another one. Ends like a proposal; what follows the first entry goes by itself. */
  changeMembership(change: MembershipChange, done: ProposeDone): undefined | RejectReason {
    const loop = this.#loop
    if (loop.isStopped) return this.#loop.isFailed ? 'storageFailed' : 'notLeader'
    if (this.#core.inspect().role.kind !== 'leader') return 'notLeader'
    loop.submissions.addChange(change, done)
    loop.requestTurn()
    return undefined
  }

  /** Sends a frame to a peer's application over the data connection. The buffers are the network's from now on. False: not connected, or no room. */
  sendToPeer(peer: NodeId, buffers: readonly Uint8Array[]): boolean {
    if (this.#loop.isStopped || !this.#transport.isUp(peer)) return false
    return this.#transport.sendApplication(peer, [encodeApplication(buffers), ...buffers])
  }

  /** Opens a connection of its own for files; the application hears `bulkOpened` or `bulkClosed`. Undefined: stopped, or no such peer. */
  openBulk(peer: NodeId): BulkLink | undefined {
    return this.#loop.isStopped ? undefined : this.#transport.openBulk(peer)
  }

  /** Sends a frame over a bulk link, at once. The buffers are the network's from now on. False: it is not open. */
  sendBulk(link: BulkLink, buffers: readonly Uint8Array[]): boolean {
    return !this.#loop.isStopped && this.#transport.sendBulk(link, buffers)
  }

  /** What is to be done with a snapshot that ends with `last`: ask at the moment of installing, and `stop` in the same turn if it is `install`. */
  judgeSnapshot(last: EntryId): SnapshotVerdict {
    return this.#core.judgeSnapshot(last)
  }

  /** A snapshot that was offered is not taken, for it is `held`: the leader hears from where it can feed us. */
  snapshotHeld(last: EntryId): void {
    if (!this.#loop.isStopped) this.#note({ kind: 'snapshotHeld', last })
  }

  /** An entry of our log, applied or not. The body is lent until the caller returns to the event loop. */
  entry(index: LogIndex): StoredEntry {
    return this.#options.log.entry(index)
  }

  /** Entries below `index`, all applied, may be deleted: storage drops what whole segments hold of them. Returns where the log begins now. */
  compactTo(index: LogIndex): LogIndex {
    const { log } = this.#options
    if (this.#loop.isStopped) return log.firstIndex
    assert(index <= this.appliedIndex + 1, 'compact-unapplied', index, this.appliedIndex)
    log.trimTo(index)
    if (log.firstIndex > this.#core.inspect().log.firstIndex) this.#core.step({ kind: 'compacted', firstIndex: log.firstIndex })
    return log.firstIndex
  }

  get role(): Role {
    return this.#core.inspect().role.kind
  }

  get term(): Term {
    return this.#core.inspect().term
  }

  get leaderId(): NodeId | undefined {
    return this.#core.inspect().role.leaderId
  }

  get commitIndex(): LogIndex {
    return this.#core.inspect().commitIndex
  }

  get appliedIndex(): LogIndex {
    return this.#loop.applier.appliedIndex
  }

  get isStopped(): boolean {
    return this.#loop.isStopped
  }

  /** The peer port that is really listened on. */
  get port(): number {
    return this.#transport.port
  }

  /** What the present process of each member supports, ourselves included; undefined for who is not connected. */
  supportedLevels(): readonly { readonly node: NodeId; readonly level: number | undefined }[] {
    const { featureLevel = 1 } = this.#options
    const { members, leaving } = this.#core.inspect().members.current.membership
    return members
      .filter(({ id }) => !leaving.includes(id))
      .map(({ id }) => ({ node: id, level: id === this.id ? featureLevel : this.#transport.featureLevelOf(id) }))
  }

  /** The others that are dialled, and those that came by themselves and are no members by what we know. */
  get neighbours(): readonly NodeId[] {
    return this.#transport.neighbours
  }

  isConnectedTo(peer: NodeId): boolean {
    return this.#transport.isUp(peer)
  }

  /** The group as our log has it, without the rest of `status`: cheap enough for every request. */
  membership(): Pick<RaftStatus, 'membership' | 'isMembershipCommitted' | 'isRemoved'> {
    const node = this.#core.inspect()
    const { current } = node.members
    return { membership: current, isMembershipCommitted: current.index <= node.commitIndex, isRemoved: isRemoved(node) }
  }

  /** On the leader: all its peers, without the rest of `status`. Elsewhere empty. */
  peers(): readonly PeerStatus[] {
    return peerStatuses(this.#core.inspect(), this.#options.clock.nowMs())
  }

  /** The cluster's time here and now: the leader's own, or our estimate from its last word and our own monotonic clock (rule 7). */
  clusterTimeMs(): number {
    return this.#core.clusterTimeMs(this.#options.clock.nowMs())
  }

  /** Everything at once, for people and metrics: cheap enough to be asked every second, too dear for every message. */
  status(): RaftNodeStatus {
    const { persistence, sender } = this.#loop
    const { p50Ms, p99Ms } = persistence.flushDurations.quantiles()
    const { flushes, entriesFlushed } = this.#metrics
    const { clock, log, recovered, repair } = this.#options
    const core = this.#core.status(clock.nowMs())
    return {
      ...core,
      peers: core.peers.map(peer => ({ ...peer, lagBytes: log.bytesBehind(peer.durableIndex) })),
      incarnation: recovered.incarnation,
      isFailed: this.#loop.isFailed,
      failure: this.#loop.failure,
      damage: repair?.wanted,
      refusals: this.#loop.refusals(),
      links: this.#transport.links(),
      syncP50Ms: p50Ms,
      syncP99Ms: p99Ms,
      syncLatelyMs: persistence.flushLatelyMs(this.#options.clock.nowMs()),
      entriesPerFlush: flushes === 0 ? 0 : entriesFlushed / flushes,
      messagesHeld: sender.heldCount,
      readsOpen: this.#loop.reads.count,
      pools: this.#admission.status(),
      metrics: { ...this.#metrics },
    }
  }

  /** Silence: closes the connections, starts no write, calls the application no more. Proposals that wait end as rejected or unknown. Idempotent. */
  stop(): void {
    this.#loop.stop('stopped')
  }

  #makeTransport(): Transport {
    const { config, recovered, clusterName, listen, self, clock, network, frameBytesMax, featureLevel, trace } = this.#options
    return new Transport({
      id: config.id,
      clusterName,
      incarnation: recovered.incarnation,
      featureLevel: featureLevel ?? 1,
      listen,
      self,
      peers: dialled(this.#core.inspect().members.current.membership, this.#options),
      clock,
      network,
      metrics: this.#metrics,
      ...(frameBytesMax === undefined ? {} : { frameBytesMax }),
      dataBytesMax: 4 * config.inflightBytesMax,
      events: {
        wake: () => this.#loop.wake(),
        frame: (peer, channel, type, header, payload) => {
          const { inbox } = this.#loop
          const item = { kind: 'frame', peer, channel, type, header, payload } as const
          if (channel === 'control') inbox.addControl(item)
          else inbox.addData(item)
          this.#loop.requestTurn()
        },
        peerUp: (peer, incarnation) => this.#note({ kind: 'up', peer, incarnation }),
        peerDown: peer => this.#note({ kind: 'down', peer }),
        peerDied: peer => this.#note({ kind: 'died', peer }),
        bulkOpened: link => this.#options.app.bulk?.bulkOpened(link),
        bulkFrame: (link, kind, header, payload) => {
          const frame = decodeFrame(kind, header, payload)
          const { bulk } = this.#options.app
          if (frame.kind === 'application' && bulk !== undefined) bulk.bulkFrame(link, frame.bytes)
          else link.close('no frame of files')
        },
        bulkClosed: link => this.#options.app.bulk?.bulkClosed(link),
        wantsFlush: () => this.#loop.wantsFlush(),
        linkChanged: (peer, channel, what) => trace?.({ kind: 'link', peer, channel, what }),
        listenFailed: error => this.#loop.fail(error),
        membershipIndex: () => committedMembership(this.#core).index,
        isKnownRemoved: (node, membershipIndex) => {
          const { index, membership } = committedMembership(this.#core)
          return index > membershipIndex && wasRemoved(membership, node) && memberOf(membership, node) === undefined
        },
        toldRemoved: (index, isOtherDirectory) => {
          this.#loop.toldOut(index, isOtherDirectory)
          this.#note({ kind: 'removed', index: logIndex(index) })
        },
        otherDirectory: peer => trace?.({ kind: 'otherDirectory', peer }),
        introduced: member => this.#loop.introduced(member),
      },
    })
  }

  #note(item: Parameters<Loop['inbox']['addData']>[0]): void {
    this.#loop.inbox.addData(item)
    this.#loop.requestTurn()
  }
}
