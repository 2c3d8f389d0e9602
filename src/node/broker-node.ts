/**
 * One broker node: disk → log, hard state → queue index, state machine → Raft → proposer → use cases. Composition, start order and stop order;
 * nothing else. The whole node is synchronous on its seams: production starts it on the real ones (serve.ts adds the sockets for clients), the
 * simulated world on its own, three times in one thread.
 *
 * Order of a start: the data directory proves to be ours, hard state and log are recovered, the state is restored from the checkpoint (or begins
 * empty and is rebuilt by applying the log), then Raft takes part. A stop goes backwards and leaves a checkpoint and a durable mark behind.
 */
import {
  defaultRaftConfig,
  EntryKind,
  firstMembership,
  logIndex,
  nodeId,
  RaftNode,
  type MembershipView,
  type RaftApp,
  type RaftConfig,
  type RaftTrace,
  type StoredEntry,
} from '../../raft/index.ts'
import { createBroker, type BrokerHooks } from '../broker/create-broker.ts'
import type { BrokerNodeInfo, DigestLarge } from '../broker/broker.ts'
import type { Leadership } from '../broker/leadership.ts'
import { DiskWatch, type DiskLimits } from '../broker/disk-watch.ts'
import type { ProposalTrace } from '../broker/outcome.ts'
import type { NodeReport, RecoveredReport } from '../broker/requests.ts'
import type { RetainedLog, RetentionSettings } from '../broker/retention-watch.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import type { Network, NetworkAddress } from '../platform/network.ts'
import type { Random } from '../platform/random.ts'
import type { BrokerDoor } from '../rpc/broker-door.ts'
import { newestLevel } from '../state/feature-level.ts'
import { StateHalt, type StateMachine } from '../state/machine.ts'
import { digestText } from '../state/digest.ts'
import type { CheckpointStore, LoadedCheckpoint } from '../state/store.ts'
import { logLimits } from '../storage/log-limits.ts'
import { logDirectoryName, openLog, type OpenedLog } from '../storage/open-log.ts'
import { readRecoveryRecords } from '../storage/recovery-record.ts'
import type { Staging } from '../storage/snapshot/staging.ts'
import { IndexRot } from '../storage/storage-error.ts'
import { CatchUp, defaultCatchUp, type CatchUpSettings } from './catch-up.ts'
import { Checkpointer } from './checkpointer.ts'
import { Scrubber } from '../storage/scrubber.ts'
import { forgetParted, noteParted, readParted } from '../storage/parted.ts'
import { openDoor } from './door.ts'
import { memberFrom, membershipsOf, nodesOf } from './members.ts'
import { openState, type OpenedState } from './open-state.ts'
import { raftReport } from './raft-report.ts'
import { raftView } from './raft-view.ts'
import { SnapshotSource } from './snapshot-source.ts'
import { repairBefore, StateRescue } from './state-rescue.ts'

/** A member of the group, as every node is configured with it. */
export interface MemberSettings extends BrokerNodeInfo {
  /** Where the other members dial it. */
  readonly peerAddress: NetworkAddress
  /** Not among those that the group begins with: it waits until it is taken in. */
  readonly isJoining?: boolean
}

/** Plain values; src/node/config.ts makes them from a file, a simulated world from its seed. */
export interface NodeSettings {
  /** Our number among the members. */
  readonly number: number
  readonly clusterName: string
  readonly members: readonly MemberSettings[]
  /** Where our own peer port is opened. */
  readonly peerListen: NetworkAddress
  readonly dataDirectory: string
  readonly segmentBytes: number
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  /** Requests on their way through this node, in bytes. */
  readonly inflightBytesMax: number
  /** A member of higher priority leads after being well for so long; undefined = the default. */
  readonly preferLeaderAfterMs?: number
  /** What is kept, and what a full disk is; undefined = everything is kept for ever. */
  readonly retention?: RetentionSettings & { readonly disk: DiskLimits }
  /** Log bytes of a chunk of the queue index; undefined = the default. */
  readonly chunkLogBytes?: number
  readonly upgrade?: UpgradeSettings
  /** How far behind a member gets files, and how; undefined = the defaults. Simulated worlds take tiny pieces. */
  readonly catchUp?: Partial<CatchUpSettings>
  /** How fast the log is read again in search of rot; undefined = never. */
  readonly scrubBytesPerSecond?: number
  /** How Raft cuts and pipelines what it sends, and how much a leader takes on; undefined = the defaults. Simulated worlds take tiny slices and pools. */
  readonly replication?: Partial<
    Pick<
      RaftConfig,
      'sliceBytesMax' | 'inflightSlicesMax' | 'inflightBytesMax' | 'unwrittenBytesMax' | 'uncommittedBytesMax' | 'unappliedBytesMax'
    >
  >
}

export interface UpgradeSettings {
  /** Goes along with no feature level above this: the node stands in for an older build. */
  readonly levelMax?: number
  /** Who ends an upgrade: an operator, or the leader as soon as every member supports the new level. Undefined = manual. */
  readonly finalize?: 'manual' | 'auto'
}

export interface Seams {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
}

/** Who leads, by number. */
export interface LeadershipNews {
  readonly term: number
  readonly leader: number | undefined
  readonly isLeader: boolean
}

export interface BrokerNodeOptions {
  readonly config: NodeSettings
  readonly seams: Seams
  readonly checkpoint: { readonly store: CheckpointStore; readonly loaded: LoadedCheckpoint | undefined }
  readonly digestLarge: DigestLarge
  /** What only the process knows of itself, for status. */
  readonly processReport?: () => ProcessReport
  readonly trace?: RaftTrace
  /** Hears how each proposal of this node ends. */
  readonly proposalTrace?: ProposalTrace
  /** Sentences for the operator about what the start found and did. */
  readonly note?: (sentence: string) => void
  readonly onLeadership?: (view: LeadershipNews) => void
  /** The node has stopped to be started again, `installSnapshot` first: a snapshot is complete, or what it has made of its log is to be made anew. */
  readonly onInstall: () => void
  /** The node can't go on: it is silent from now on, and the process ends with this sentence. At most once. */
  readonly onFatal: (error: Error) => void
}

export interface ProcessReport {
  readonly version: string
  readonly processId: number
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly loopStallMsMax: number
  readonly clients: number
}

const noProcess: ProcessReport = { version: '', processId: 0, uptimeMs: 0, rssBytes: 0, loopStallMsMax: 0, clients: 0 }

export class BrokerNode {
  readonly #options: BrokerNodeOptions
  readonly #opened: OpenedLog
  readonly #state: OpenedState
  readonly #raft: RaftNode
  readonly #hooks: BrokerHooks
  readonly #handOvers: Leadership
  readonly #checkpointer: Checkpointer
  readonly #scrubber: Scrubber | undefined
  readonly #diskWatch: DiskWatch | undefined
  readonly #source: SnapshotSource
  readonly #catchUp: CatchUp
  readonly #rescue: StateRescue | undefined
  /** The members by the applied membership: the same on every node that has applied as far (rule 16). */
  #nodes: readonly BrokerNodeInfo[] = []
  /** What the leader's sync numbers are measured against. */
  #rates = { atMs: 0, flushes: 0, entries: 0, syncsPerSecond: 0, entriesPerSync: 0 }
  #logBytesApplied = 0
  readonly #levelMax: number
  #leadership: LeadershipNews = { term: 0, leader: undefined, isLeader: false }
  readonly #recovered: RecoveredReport | undefined
  #isStopped = false
  #isToStartAgain = false
  #isRemoved = false
  /** Where this node's state was found to differ from the others', until the rebuilt one has passed there. */
  #partedAt: number | undefined
  /** The use cases, for the RPC floor and for simulated clients. */
  readonly broker: BrokerDoor

  private constructor(options: BrokerNodeOptions) {
    this.#options = options
    const { config, seams, checkpoint } = options
    const self = mustFindSelf(config)
    this.#partedAt = readParted(seams.disk, config.dataDirectory)
    const loaded = this.#partedAt === undefined ? checkpoint.loaded : undefined
    this.#opened = openLog({
      ...seams,
      dataDirectory: config.dataDirectory,
      identity: { clusterName: config.clusterName, nodeName: self.name, nodeId: config.number },
      limits: logLimits(config.segmentBytes),
      hasPeers: config.members.length > 1,
      ...(options.note === undefined ? {} : { note: options.note }),
      ...(loaded === undefined ? {} : { appliedIndex: loaded.appliedIndex }),
    })
    this.#recovered = lastRecovery(seams.disk, config.dataDirectory)
    this.#levelMax = Math.min(config.upgrade?.levelMax ?? newestLevel, newestLevel)
    this.#state = openState({
      levelMax: this.#levelMax,
      disk: seams.disk,
      directory: `${config.dataDirectory}/queue-index`,
      hasPeers: config.members.length > 1,
      rotFound: error => this.#indexHasRotted(error),
      loaded,
      whyNotLoaded: this.#partedAt === undefined ? undefined : `this node's state has parted from the others' by entry ${this.#partedAt}`,
      firstIndex: this.#opened.log.firstIndex,
      // A log that is not whole yet will reach at least to the checkpoint.
      lastIndex: this.#opened.recovered.isRecovering ? Infinity : this.#opened.log.lastId.index,
      ...(config.chunkLogBytes === undefined ? {} : { chunkLogBytes: config.chunkLogBytes }),
    })
    const machine = this.#state.machine
    if (machine.membership !== undefined) this.#opened.log.knowMembership(machine.membership)
    const diskWatch = makeDiskWatch(config, seams)
    this.#diskWatch = diskWatch
    const nodes = (): readonly BrokerNodeInfo[] => this.#nodes
    this.#nodes = nodesOf(machine, config)
    const { broker, hooks } = createBroker({
      node: config.number,
      incarnation: this.#opened.recovered.incarnation,
      clusterName: config.clusterName,
      get nodes() {
        return nodes()
      },
      clock: seams.clock,
      raft: raftView(() => this.#raft, seams.clock),
      view: machine,
      digestLarge: options.digestLarge,
      limits: { requestBytesMax: config.inflightBytesMax },
      finalizesUpgrades: config.upgrade?.finalize === 'auto',
      ...(options.proposalTrace === undefined ? {} : { proposalTrace: options.proposalTrace }),
      ownReport: () => this.report(),
      ...(config.preferLeaderAfterMs === undefined ? {} : { preferLeaderAfterMs: config.preferLeaderAfterMs }),
      ...(config.retention === undefined || diskWatch === undefined
        ? {}
        : { retention: { view: machine, disk: diskWatch, settings: config.retention, log: this.#retainedLog() } }),
    })
    this.#hooks = hooks
    this.#handOvers = broker.leadership
    this.broker = openDoor(broker)
    this.#checkpointer = new Checkpointer({
      clock: seams.clock,
      machine,
      index: this.#state.index,
      store: checkpoint.store,
      savedIndex: machine.appliedIndex,
      logBytesApplied: () => this.#logBytesApplied,
      logFirst: () => machine.retention.logFirst,
      mayDelete: below => this.#mayDelete(below),
      saved: appliedIndex => this.#checkpointSaved(appliedIndex),
      fatal: error => this.#fatal(error),
    })
    const settings = { ...defaultCatchUp, ...config.catchUp }
    this.#source = this.#makeSource(settings)
    this.#catchUp = this.#makeCatchUp(settings)
    this.#state.index.whenFailed(error => seams.clock.soon(() => this.#fatal(error)))
    this.#raft = this.#startRaft(machine, settings)
    this.#rescue = this.#startRescue()
    this.#scrubber = this.#startScrubber()
    for (const note of [...this.#opened.notes, ...this.#state.notes]) options.note?.(note)
  }

  /** Opens what the disks hold and takes part in the group. Throws StorageError with one sentence when the data can't be used. */
  static start(options: BrokerNodeOptions): BrokerNode {
    return new BrokerNode(options)
  }

  get machine(): StateMachine {
    return this.#state.machine
  }

  get raft(): RaftNode {
    return this.#raft
  }

  get log(): OpenedLog['log'] {
    return this.#opened.log
  }

  /** Before a stop: hands the leadership over, if we have it and somebody can take it. `done` runs once, later. */
  handOver(patienceMs: number, done: () => void): void {
    if (this.#isStopped) return this.#options.seams.clock.soon(done)
    this.#handOvers.handOver(patienceMs, done)
  }

  /** Lets go of the group, saves what is not saved yet, and closes the files. `done` runs later. Idempotent. */
  stop(done: () => void): void {
    if (this.#isStopped) return this.#options.seams.clock.soon(done)
    this.#isStopped = true
    this.#hooks.close()
    this.#raft.stop()
    this.#rescue?.stop()
    this.#catchUp.stop()
    this.#source.stop()
    this.#scrubber?.stop()
    this.#checkpointer.stop(() => {
      this.#opened.log.close(() => {
        this.#opened.hardState.close(() => {
          this.#state.index.close()
          done()
        })
      })
    })
  }

  /** What this node says of itself, for status. */
  report(): NodeReport {
    const raft = this.#raft.status()
    const { clock } = this.#options.seams
    const nowMs = clock.nowMs()
    this.#updateRates(nowMs, raft.metrics.flushes, raft.metrics.entriesFlushed)
    const machine = this.#state.machine
    const own = this.#options.processReport?.() ?? noProcess
    return {
      node: raft.id,
      role: raft.isRemoved ? 'removed' : raft.role,
      term: raft.term,
      leader: raft.leaderId,
      firstIndex: raft.firstIndex,
      appliedIndex: machine.appliedIndex,
      commitIndex: raft.commitIndex,
      durableIndex: raft.durableIndex,
      lastIndex: raft.last.index,
      uncommittedBytes: raft.uncommittedBytes,
      incarnation: raft.incarnation,
      featureLevelMax: this.#levelMax,
      ...own,
      dataDirectory: this.#options.config.dataDirectory,
      ...(this.#recovered === undefined ? {} : { recovered: this.#recovered }),
      logBytes: this.#logBytesApplied,
      disk: this.#diskReport(),
      raft: raftReport(raft, { snapshotIndex: this.#checkpointer.savedIndex, fetch: this.#catchUp.progress }),
      digest: digestText(machine.digest()),
      digestIndex: machine.appliedIndex,
      sync: {
        p50Ms: raft.syncP50Ms,
        p99Ms: raft.syncP99Ms,
        latelyMs: raft.syncLatelyMs,
        perSecond: this.#rates.syncsPerSecond,
        messagesPerSync: this.#rates.entriesPerSync,
      },
      roleChanges: raft.roleChanges
        .map(change => ({ ...change, ageMs: nowMs - change.atMs, leader: change.leaderId }))
        .map(({ ageMs, from, to, term, leader, reason }) => ({ ageMs, from, to, term, leader, reason }))
        .reverse(),
    }
  }

  #diskReport(): NodeReport['disk'] {
    const state = this.#diskWatch?.state
    if (state === undefined) return undefined
    const segments = this.#opened.log.segmentSpans()
    return { ...state, retainedBytes: segments.reduce((sum, { bytes }) => sum + bytes, 0), segments: segments.length }
  }

  #makeSource({ lagEntries }: CatchUpSettings): SnapshotSource {
    const { config, seams, checkpoint } = this.#options
    const { incarnation } = this.#opened.recovered
    return new SnapshotSource({
      disk: seams.disk,
      dataDirectory: config.dataDirectory,
      log: this.#opened.log,
      index: this.#state.index,
      store: checkpoint.store,
      checkpointer: this.#checkpointer,
      appliedIndex: () => this.#state.machine.appliedIndex,
      origin: `${config.number}-${incarnation}`,
      staleEntries: Math.floor(lagEntries / 2),
      note: sentence => this.#options.note?.(sentence),
      fatal: error => this.#fatal(error),
    })
  }

  #makeCatchUp({ bytesPerSecond, pieceBytes, syncBytes }: CatchUpSettings): CatchUp {
    const { config, seams } = this.#options
    return new CatchUp({
      clock: seams.clock,
      disk: seams.disk,
      dataDirectory: config.dataDirectory,
      source: this.#source,
      raft: {
        openBulk: peer => this.#raft.openBulk(peer),
        sendBulk: (link, buffers) => this.#raft.sendBulk(link, buffers),
        judgeSnapshot: last => this.#raft.judgeSnapshot(last),
      },
      isStateLost: this.#state.isLost,
      bytesPerSecond,
      pieceBytes,
      syncBytes,
      install: staging => this.#install(staging),
      note: sentence => this.#options.note?.(sentence),
      fatal: error => this.#fatal(error),
    })
  }

  /** From the judgement on nothing is acknowledged any more; what was on its way to the disk ends, then the snapshot is declared complete. */
  #install(staging: Staging): void {
    this.stop(() => {
      staging.complete()
      this.#options.onInstall()
    })
  }

  /** The log is whole, and says nothing of the state that it once led to. */
  #startRescue(): StateRescue | undefined {
    if (!this.#state.isLost || this.#opened.recovered.isRecovering) return undefined
    const { members } = this.#raft.core.inspect()
    return new StateRescue({
      clock: this.#options.seams.clock,
      peers: () => members.peers.map(({ id }) => id),
      isConnectedTo: peer => this.#raft.isConnectedTo(peer),
      fetchFrom: peer => this.#catchUp.snapshotOffered(peer),
    })
  }

  #startRaft(machine: StateMachine, { lagEntries }: CatchUpSettings): RaftNode {
    const { config, seams, trace } = this.#options
    const id = nodeId(config.number)
    const app: RaftApp = {
      apply: entry => this.#apply(entry),
      appliedBatch: () => {
        this.#hooks.appliedBatch()
        this.#checkpointer.onApplied()
      },
      leadershipChanged: view => {
        this.#hooks.leadershipChanged()
        this.#tellLeadership({ term: view.term, leader: view.leaderId, isLeader: view.isLeader })
      },
      membershipChanged: view => this.#tellMembership(view),
      peerFrame: (from, bytes) => this.#hooks.peerFrame(from, bytes),
      peerConnected: peer => this.#hooks.peerConnected(peer),
      peerDisconnected: peer => this.#hooks.peerDisconnected(peer),
      fatal: error => this.#fatal(error),
      bulk: this.#catchUp,
    }
    const founders = config.members.filter(member => member.isJoining !== true)
    const self = mustFindSelf(config)
    const first = self.isJoining === true ? undefined : firstMembership(founders.map(memberFrom))
    const { recovered, repair, log } = this.#opened
    // Nothing of the log may be applied to a state that is lost.
    const applied = this.#state.isLost ? log.firstIndex - 1 : machine.appliedIndex
    return RaftNode.start({
      config: {
        ...defaultRaftConfig(id, first),
        ...config.replication,
        snapshotLagEntries: lagEntries,
        heartbeatIntervalMs: config.heartbeatMs,
        electionTimeoutMs: config.electionTimeoutMs,
      },
      recovered: {
        ...recovered,
        memberships: membershipsOf(machine, recovered.memberships),
        appliedIndex: logIndex(applied),
        isRecovering: recovered.isRecovering || this.#state.isLost,
      },
      clock: seams.clock,
      random: seams.random,
      network: seams.network,
      listen: config.peerListen,
      self: { ...memberFrom(self), directory: Buffer.from(this.#opened.directoryId).toString('hex') },
      join: founders.filter(member => member.id !== self.id).map(({ id, peerAddress }) => ({ id: nodeId(id), address: peerAddress })),
      clusterName: config.clusterName,
      featureLevel: this.#levelMax,
      log,
      repair: this.#state.isLost
        ? repairBefore(repair, () => this.#startAgain('the log is whole: starting again to get the state'))
        : repair,
      hardState: this.#opened.hardState,
      app,
      ...(trace === undefined ? {} : { trace }),
    })
  }

  #tellMembership(view: MembershipView): void {
    if (view.isRemoved === this.#isRemoved) return
    this.#isRemoved = view.isRemoved
    const { note, config } = this.#options
    if (view.isOtherDirectory)
      note?.(
        `${config.dataDirectory} is not the data directory that votes as node ${config.number}: taking no part; with that directory lost, let this one in: raftmq cluster member replace ${mustFindSelf(config).name}`,
      )
    else if (view.isRemoved)
      note?.('this node was removed from the group: it starts no election and may be stopped; to come back it is added as a member again')
    else note?.('this node belongs to the group again')
  }

  #retainedLog(): RetainedLog {
    const { log } = this.#opened
    return { segments: () => log.segmentSpans(), wallMsAt: index => log.entry(logIndex(index)).wallMs }
  }

  /** Deletes, later than the state allows and never earlier: an answer under way may still be read from there. */
  #mayDelete(belowIndex: number): void {
    if (belowIndex <= this.#opened.log.firstIndex) return
    const index = Math.min(belowIndex, this.#hooks.oldestLogIndexInUse())
    this.#raft.compactTo(logIndex(index))
    this.#state.index.trimTo(index)
  }

  #startScrubber(): Scrubber | undefined {
    const { config, seams, note = ignore } = this.#options
    const { scrubBytesPerSecond: bytesPerSecond, dataDirectory } = config
    if (bytesPerSecond === undefined) return undefined
    const { log, directoryId, holes } = this.#opened
    const directory = `${dataDirectory}/${logDirectoryName}`
    return new Scrubber({
      ...seams,
      directory,
      directoryId,
      log,
      rotFound: holes.rotFound,
      bytesPerSecond,
      note,
      failed: error => this.#fatal(error),
    })
  }

  /** Only what is new: Raft also tells when a leader is ready. */
  #tellLeadership(view: LeadershipNews): void {
    const { term, leader, isLeader } = this.#leadership
    if (view.term === term && view.leader === leader && view.isLeader === isLeader) return
    this.#leadership = view
    this.#options.onLeadership?.(view)
  }

  #apply(entry: StoredEntry): void {
    // Halted earlier in this turn: what comes behind an entry that was not applied must not be either.
    if (this.#isStopped || this.#isToStartAgain) return
    this.#logBytesApplied += this.#opened.log.recordBytes(entry.body.length)
    try {
      const applied = this.#state.machine.apply(entry)
      if (entry.kind === EntryKind.config) this.#nodes = nodesOf(this.#state.machine, this.#options.config)
      this.#hooks.applied(entry, applied)
    } catch (error) {
      // Applied in half, and the node is about to start again.
      if (error instanceof IndexRot) return
      if (!(error instanceof StateHalt)) throw error
      // Before anything else: a start that did not know of it would take the last checkpoint, and pass the entry that has just found it.
      if (error.reason === 'digestMismatch') noteParted(this.#options.seams.disk, this.#options.config.dataDirectory, entry.index)
      this.#fatal(error)
    }
  }

  /** The next start makes index and state anew. Now we are in the middle of something: what is half applied goes into no checkpoint. */
  #indexHasRotted(error: IndexRot): void {
    this.#checkpointer.abandon()
    this.#startAgain(`${error.message}; this node starts again and makes index and state anew`)
  }

  #startAgain(why: string): void {
    if (this.#isStopped || this.#isToStartAgain) return
    this.#isToStartAgain = true
    this.#options.note?.(why)
    this.#options.seams.clock.soon(() => {
      if (!this.#isStopped) this.stop(this.#options.onInstall)
    })
  }

  /** Not before the rebuilt state is what the next start would load: the parted one would pass the check that it failed. */
  #checkpointSaved(appliedIndex: number): void {
    if (this.#partedAt === undefined || appliedIndex < this.#partedAt) return
    this.#partedAt = undefined
    forgetParted(this.#options.seams.disk, this.#options.config.dataDirectory)
  }

  #fatal(error: Error): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#hooks.close()
    this.#raft.stop()
    this.#scrubber?.stop()
    // The entry that halted us may be applied in half.
    this.#checkpointer.abandon()
    this.#options.onFatal(error)
  }

  /** Syncs per second and entries per sync since the last look, at least half a second ago. */
  #updateRates(nowMs: number, flushes: number, entries: number): void {
    const rates = this.#rates
    const elapsedMs = nowMs - rates.atMs
    if (elapsedMs < 500) return
    const syncs = flushes - rates.flushes
    this.#rates = {
      atMs: nowMs,
      flushes,
      entries,
      syncsPerSecond: (syncs * 1000) / elapsedMs,
      entriesPerSync: syncs === 0 ? 0 : (entries - rates.entries) / syncs,
    }
  }
}

function lastRecovery(disk: Disk, dataDirectory: string): RecoveredReport | undefined {
  const record = readRecoveryRecords(disk, dataDirectory).at(-1)
  return record && { at: record.at, lastIndex: record.before.lastIndex, index: record.after.index }
}

function makeDiskWatch({ retention, dataDirectory }: NodeSettings, { clock, disk }: Seams): DiskWatch | undefined {
  if (retention === undefined) return undefined
  return new DiskWatch({ clock, limits: retention.disk, space: () => disk.space(dataDirectory) })
}

function ignore(): void {
  // Nobody listens.
}
function mustFindSelf(config: NodeSettings): MemberSettings {
  const self = config.members.find(member => member.id === config.number)
  if (self === undefined) throw new Error(`node ${config.number} is not among the members`)
  return self
}
