/**
 * One broker node: disk → log, hard state → queue index, state machine → Raft → proposer → use cases. Composition, start order and stop order;
 * nothing else. The whole node is synchronous on its seams: production starts it on the real ones (serve.ts adds the sockets for clients), the
 * simulated world on its own, three times in one thread.
 *
 * Order of a start: the data directory proves to be ours, hard state and log are recovered, the state is restored from the checkpoint (or begins
 * empty and is rebuilt by applying the log), then Raft takes part. A stop goes backwards and leaves a checkpoint and a durable mark behind.
 */
import { EntryKind, logIndex, UnreadableEntry, type RaftApp, type RaftNode, type StoredEntry } from '../../raft/index.ts'
import { createBroker, type BrokerHooks } from '../broker/create-broker.ts'
import type { BrokerNodeInfo } from '../broker/broker.ts'
import type { Leadership } from '../broker/leadership.ts'
import { DiskWatch } from '../broker/disk-watch.ts'
import { mustExist } from '../platform/assert.ts'
import type { NodeReport } from '../broker/reports.ts'
import type { RetainedLog } from '../broker/retention-watch.ts'
import type { BrokerDoor } from '../rpc/broker-door.ts'
import { newestLevel } from '../state/feature-level.ts'
import { StateHalt, type StateMachine } from '../state/machine.ts'
import { logLimits } from '../storage/log-limits.ts'
import { logDirectoryName, openLog, type OpenedLog } from '../storage/open-log.ts'
import type { Staging } from '../storage/snapshot/staging.ts'
import { IndexRot } from '../storage/storage-error.ts'
import { CatchUp, defaultCatchUp, type CatchUpSettings } from './catch-up.ts'
import { Checkpointer } from './checkpointer.ts'
import { Scrubber } from '../storage/scrubber.ts'
import { distrustParted, forgetParted, noteParted, partedSentence } from '../storage/parted.ts'
import { openDoor } from './door.ts'
import { membershipTeller, nodesOf } from './members.ts'
import { NodeReporter } from './node-report.ts'
import { mustFindSelf, type BrokerNodeOptions, type LeadershipNews, type NodeSettings, type Seams } from './node-settings.ts'
import { openState, type OpenedState } from './open-state.ts'
import { peersKnownBy } from './known-peers.ts'
import { raftView } from './raft-view.ts'
import { SnapshotSource } from './snapshot-source.ts'
import { startRaft } from './start-raft.ts'
import { StateRescue } from './state-rescue.ts'

export class BrokerNode {
  readonly #options: BrokerNodeOptions
  readonly #opened: OpenedLog
  readonly #state: OpenedState
  readonly #raft: RaftNode
  readonly #hooks: BrokerHooks
  readonly #handOvers: Leadership
  readonly #checkpointer: Checkpointer
  readonly #scrubber: Scrubber | undefined
  readonly #reporter: NodeReporter
  readonly #source: SnapshotSource
  readonly #catchUp: CatchUp
  readonly #rescue: StateRescue
  /** The members by the applied membership: the same on every node that has applied as far (rule 16). */
  #nodes: readonly BrokerNodeInfo[] = []
  #logBytesApplied = 0
  readonly #levelMax: number
  #leadership: LeadershipNews = { term: 0, leader: undefined, isLeader: false }
  #isStopped = false
  #isToStartAgain = false
  #isSilent = false
  /** Where this node's state was found to differ from the others', until the rebuilt one has passed there. */
  #partedAt: number | undefined
  /** The use cases, for the RPC floor and for simulated clients. */
  readonly broker: BrokerDoor

  private constructor(options: BrokerNodeOptions) {
    this.#options = options
    const { config, seams, checkpoint } = options
    const self = mustFindSelf(config)
    this.#partedAt = distrustParted(seams.disk, config.dataDirectory)
    const loaded = this.#partedAt === undefined ? checkpoint.loaded : undefined
    const hasPeers = peersKnownBy(config, checkpoint.loaded)
    this.#opened = openLog({
      ...seams,
      dataDirectory: config.dataDirectory,
      identity: { clusterName: config.clusterName, nodeName: self.name, nodeId: config.number },
      limits: logLimits(config.segmentBytes),
      hasPeers,
      ...(options.note === undefined ? {} : { note: options.note }),
      ...(loaded === undefined ? {} : { appliedIndex: loaded.appliedIndex }),
    })
    this.#levelMax = Math.min(config.upgrade?.levelMax ?? newestLevel, newestLevel)
    this.#state = openState({
      levelMax: this.#levelMax,
      disk: seams.disk,
      directory: `${config.dataDirectory}/queue-index`,
      hasPeers: () => hasPeers(this.#opened.recovered.memberships),
      rotFound: error => this.#indexHasRotted(error),
      loaded,
      whyNotLoaded: this.#partedAt === undefined ? undefined : partedSentence(this.#partedAt),
      firstIndex: this.#opened.log.firstIndex,
      // A log that is not whole yet will reach at least to the checkpoint.
      lastIndex: this.#opened.recovered.isRecovering ? Infinity : this.#opened.log.lastId.index,
      ...(config.chunkLogBytes === undefined ? {} : { chunkLogBytes: config.chunkLogBytes }),
    })
    const machine = this.#state.machine
    this.#tellLogMembership()
    const diskWatch = makeDiskWatch(config, seams)
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
      ...(options.note === undefined ? {} : { note: options.note }),
      ownReport: () => this.#reporter.report(),
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
    this.#raft = startRaft({
      options,
      opened: this.#opened,
      state: this.#state,
      featureLevel: this.#levelMax,
      lagEntries: settings.lagEntries,
      app: this.#raftApp(),
      logMended: () => this.#startAgain('the log is whole: starting again to get the state'),
    })
    this.#reporter = this.#makeReporter(diskWatch)
    this.#rescue = this.#makeRescue()
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
    this.#fallSilent()
    this.#rescue.stop()
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
    return this.#reporter.report()
  }

  #makeReporter(diskWatch: DiskWatch | undefined): NodeReporter {
    const { config, seams, processReport } = this.#options
    return new NodeReporter({
      clock: seams.clock,
      disk: seams.disk,
      dataDirectory: config.dataDirectory,
      featureLevelMax: this.#levelMax,
      machine: this.#state.machine,
      log: this.#opened.log,
      diskWatch,
      raftStatus: () => this.#raft.status(),
      besides: () => ({ snapshotIndex: this.#checkpointer.savedIndex, fetch: this.#catchUp.progress }),
      logBytesApplied: () => this.#logBytesApplied,
      processReport,
    })
  }

  #makeSource({ lagEntries }: CatchUpSettings): SnapshotSource {
    const { config, seams, checkpoint } = this.#options
    const { incarnation } = this.#opened.recovered
    return new SnapshotSource({
      clock: seams.clock,
      disk: seams.disk,
      dataDirectory: config.dataDirectory,
      log: this.#opened.log,
      directoryId: this.#opened.directoryId,
      rotFound: this.#opened.holes.rotFound,
      index: this.#state.index,
      store: checkpoint.store,
      checkpointer: this.#checkpointer,
      appliedIndex: () => this.#state.machine.appliedIndex,
      isStateTrusted: () => this.#partedAt === undefined,
      origin: `${config.number}-${incarnation}`,
      staleEntries: Math.floor(lagEntries / 2),
      roomKeptBytes: config.retention?.disk.freeBytesMin,
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
        snapshotHeld: last => this.#raft.snapshotHeld(last),
      },
      wantsState: index => this.#rescue.wants(index),
      replacesFrom: () => this.#rescue.replacesFrom,
      atLeast: () => this.#rescue.atLeast,
      giverFor: offering => this.#rescue.giverFor(offering),
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
    const { hardState } = this.#opened
    // What our log held behind its hole is known as far as it can be read; the rest of what we said of it counts no more until a leader has verified us.
    if (this.#rescue.replacesFrom !== undefined) hardState.writeBothSync({ ...hardState.record, hasTornTail: true })
    this.stop(() => {
      staging.complete()
      this.#options.onInstall()
    })
  }

  #makeRescue(): StateRescue {
    const { seams, checkpoint } = this.#options
    const { log, recovered, repair } = this.#opened
    const rescue = new StateRescue({
      clock: seams.clock,
      random: seams.random,
      peers: () => this.#raft.neighbours,
      isConnectedTo: peer => this.#raft.isConnectedTo(peer),
      fetchFrom: peer => this.#catchUp.fetchFrom(peer),
      appliedIndex: () => this.#state.machine.appliedIndex,
      isLogWhole: () => !repair.isRecovering,
      writtenIndex: () => log.writtenIndex,
      wasSnapshotRefused: checkpoint.wasSnapshotRefused === true,
    })
    // The log is whole, and says nothing of the state that it once led to.
    if (this.#state.isLost && !recovered.isRecovering) rescue.begin(log.firstIndex - 1)
    return rescue
  }

  #unobtainable(lastIndex: number): void {
    if (this.#opened.repair.isRecovering) return this.#replaceLog(lastIndex)
    if (!this.#rescue.begin(lastIndex)) return
    const place = `entries ${this.#state.machine.appliedIndex + 1}..${lastIndex} are needed to go on with the state`
    this.#options.note?.(`${place}, have rotted here, and no other node has them any more; asking the other nodes for theirs`)
  }

  #replaceLog(lastIndex: number): void {
    // Told again and again, and to know how far the log went takes a reading of its last segment.
    if (this.#rescue.replacesFrom !== undefined) return
    const heldThrough = mustExist(this.#opened.repair.heldThrough, 'held-through')
    this.#rescue.beginAnew(heldThrough)
    const place = `entries up to ${lastIndex} have rotted here, and no other node has them any more`
    this.#options.note?.(`${place}; asking the other nodes for their log and state, at entry ${heldThrough} or later, in place of ours`)
  }

  #raftApp(): RaftApp {
    return {
      apply: entry => this.#apply(entry),
      appliedBatch: () => {
        this.#hooks.appliedBatch()
        this.#checkpointer.onApplied()
      },
      leadershipChanged: view => {
        this.#hooks.leadershipChanged()
        this.#tellLeadership({ term: view.term, leader: view.leaderId, isLeader: view.isLeader })
      },
      membershipChanged: membershipTeller(this.#options.config, sentence => this.#options.note?.(sentence)),
      peerFrame: (from, bytes) => this.#hooks.peerFrame(from, bytes),
      peerConnected: peer => this.#hooks.peerConnected(peer),
      peerDisconnected: peer => this.#hooks.peerDisconnected(peer),
      unobtainable: lastIndex => this.#unobtainable(lastIndex),
      fatal: error => this.#fatal(error),
      bulk: this.#catchUp,
    }
  }

  #retainedLog(): RetainedLog {
    const { log } = this.#opened
    return { segments: () => log.segmentSpans(), wallMsAt: index => log.entry(logIndex(index)).wallMs }
  }

  /** Deletes, later than the state allows and never earlier: an answer under way may still be read from there. */
  #mayDelete(belowIndex: number): void {
    if (belowIndex <= this.#opened.log.firstIndex) return
    const index = Math.min(belowIndex, this.#hooks.oldestLogIndexInUse())
    this.#tellLogMembership()
    this.#raft.compactTo(logIndex(index))
    this.#state.index.trimTo(index)
  }

  /** What is cut off may hold the newest config entry, rotten, and nobody else may have it any more. */
  #tellLogMembership(): void {
    const { membership } = this.#state.machine
    if (membership !== undefined) this.#opened.log.knowMembership(membership)
  }

  #startScrubber(): Scrubber | undefined {
    const { config, seams, note = ignore } = this.#options
    const { scrubBytesPerSecond: bytesPerSecond, scrubRoundMsMin: roundMsMin, dataDirectory } = config
    if (bytesPerSecond === undefined) return undefined
    const { log, directoryId, holes } = this.#opened
    const directory = `${dataDirectory}/${logDirectoryName}`
    return new Scrubber({
      ...seams,
      directory,
      directoryId,
      log,
      index: this.#state.index,
      rotFound: holes.rotFound,
      bytesPerSecond,
      ...(roundMsMin === undefined ? {} : { roundMsMin }),
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
      // Applied in half.
      if (error instanceof IndexRot) return this.#indexHasRotted(error)
      if (!(error instanceof StateHalt)) throw error
      // Before anything else: a start that did not know of it would take the last checkpoint, and pass the entry that has just found it.
      if (error.reason === 'digestMismatch') this.#noteParted(entry.index)
      this.#fatal(error)
    }
  }

  #noteParted(index: number): void {
    noteParted(this.#options.seams.disk, this.#options.config.dataDirectory, index)
    // A save that is under way may end behind an older note's place, and must not take this one for passed.
    this.#partedAt = index
  }

  /** The next start makes index and state anew. Now we are in the middle of something: what is half applied goes into no checkpoint. */
  #indexHasRotted(error: IndexRot): void {
    this.#checkpointer.abandon()
    this.#startAgain(`${error.message}; this node starts again and makes index and state anew`)
  }

  #startAgain(why: string): void {
    if (this.#isStopped || this.#isToStartAgain) return
    this.#isToStartAgain = true
    // At once: a turn that goes on would answer reads at entries that were not applied.
    this.#fallSilent()
    this.#options.note?.(why)
    this.#options.seams.clock.soon(() => {
      if (!this.#isStopped) this.stop(this.#options.onInstall)
    })
  }

  /** Nothing is taken and nothing is said any more. */
  #fallSilent(): void {
    if (this.#isSilent) return
    this.#isSilent = true
    this.#hooks.close()
    this.#raft.stop()
  }

  /** Not before the rebuilt state is what the next start would load: the parted one would pass the check that it failed. */
  #checkpointSaved(appliedIndex: number): void {
    if (this.#partedAt === undefined || appliedIndex < this.#partedAt) return
    this.#partedAt = undefined
    forgetParted(this.#options.seams.disk, this.#options.config.dataDirectory)
  }

  #fatal(error: Error): void {
    if (this.#isStopped) return this.#options.note?.(`while it stops: ${error.message}`)
    if (error instanceof UnreadableEntry) return this.#startAgain(`${error.message}; the log must be cut there: this node starts again`)
    this.#isStopped = true
    this.#fallSilent()
    this.#scrubber?.stop()
    // The entry that halted us may be applied in half.
    this.#checkpointer.abandon()
    this.#options.onFatal(error)
  }
}

function makeDiskWatch({ retention, dataDirectory }: NodeSettings, { clock, disk }: Seams): DiskWatch | undefined {
  if (retention === undefined) return undefined
  return new DiskWatch({ clock, limits: retention.disk, space: () => disk.space(dataDirectory) })
}

function ignore(): void {
  // Nobody listens.
}
