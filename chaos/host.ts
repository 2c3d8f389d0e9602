/**
 * One machine of the simulated group: its disk, its clocks and its place in the network outlive the processes that run on it. Each process life
 * is the production BrokerNode on seams that die with it. Here a node is started, crashed, stopped and paused; why and when is the world's business.
 */
import { nodeId } from '../raft/index.ts'
import type { Disk } from '../src/platform/disk.ts'
import { checkpointAfter, problemOfState } from '../src/node/saved-state.ts'
import { installSnapshot } from '../src/storage/snapshot/install.ts'
import type { BrokerNode } from '../src/node/broker-node.ts'
import type { BrokerNodeOptions } from '../src/node/node-settings.ts'
import { StateHalt } from '../src/state/machine.ts'
import type { FoundAtStart, LostDisk, NodeView } from './checkers/checker.ts'
import { hasFeature } from './configuration.ts'
import type { Target } from './faults/fault.ts'
import { lieSomewhere, rotSomewhere } from './frail-disk.ts'
import type { HostWorld } from './host-world.ts'
import type { CheckpointDisk } from './sim/checkpoint-store.ts'
import type { MachineClock } from './sim/clock.ts'
import type { DiskOperation } from './sim/disk-file.ts'
import type { SimulatedDisk } from './sim/disk.ts'
import type { SimRandom } from './sim/random.ts'
import type { SimProcess } from './sim/scheduler.ts'
import { dataDirectory, diskLatency, hostName, slower, startNode, type ProcessClock } from './start-node.ts'
import { DiskLog } from './true-log.ts'
import { DiskVote, slotPositions } from './true-vote.ts'
import type { Gateway, GatewayLife } from './workloads/rpc.ts'

export interface HostParts {
  readonly disk: SimulatedDisk
  readonly checkpoints: CheckpointDisk
  readonly clock: MachineClock
}

/** Nobody exchanges a disk in less; and no two directories of one number are made in the same second (src/storage/open-log.ts). */
const newDiskMs = 3_000
/** Who stood still, or was cut off, goes by what was said so long ago at most. */
const hearsayMs = 20_000
/** For the target to catch up. */
const handOverPatienceMs = 2_000

interface Life extends GatewayLife {
  readonly node: BrokerNode
}

export class Host implements NodeView, Gateway, Target {
  readonly id: number
  readonly name: string
  readonly trueLog: DiskLog
  readonly trueVote: DiskVote
  isCutOff = false
  isOldBuild: boolean
  isSlow = false
  diskSyncMs: number
  #isDeployed: boolean
  foundAtStart: FoundAtStart = { hasTornLog: false, hasInstalled: false }
  #hasLostPower = false
  readonly #world: HostWorld
  readonly #parts: HostParts
  #lives = 0
  /** Installs a snapshot before it becomes a life. */
  #starting: SimProcess | undefined
  #life: Life | undefined
  #halted: Life | undefined
  /** The life that is stopping in order. */
  #stopping: Life | undefined
  #isStartDue = false
  #isDiskBad = false
  /** Since the last start. */
  #hasRotted = false
  /** It stopped itself, because of its disk. */
  #hasBrokenDown = false
  #wasHarmed = false
  #diskReadyMs = 0
  lostDisk: LostDisk | undefined

  constructor(world: HostWorld, id: number, parts: HostParts) {
    this.#world = world
    this.#parts = parts
    this.id = id
    this.name = hostName(id)
    this.#isDeployed = id <= world.configuration.nodes
    this.isOldBuild = hasFeature(world.configuration, 'oldBuilds')
    this.diskSyncMs = world.configuration.disk.syncMs
    this.trueLog = new DiskLog(parts.disk, `${dataDirectory}/log`)
    this.trueVote = new DiskVote(parts.disk, `${dataDirectory}/hard-state`)
  }

  /** The process life that runs now, as clients meet it. */
  get life(): Life | undefined {
    return this.#life
  }

  /** Counts process lives, from 1. */
  get lifeNumber(): number {
    return this.#lives
  }

  get node(): BrokerNode | undefined {
    return this.#life === this.#halted ? undefined : this.#life?.node
  }

  /** It has stopped in the middle of an entry; its process is about to end. */
  halt(): void {
    this.#world.leaves(this)
    this.#halted = this.#life
  }

  get wallMs(): number {
    return this.#parts.clock.wallMs
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  /** The machine is there for the group: it may be started. */
  get isDeployed(): boolean {
    return this.#isDeployed
  }

  /** A machine for a node that is to come in: with what its disk held when it was here last. */
  deploy(): void {
    this.#isDeployed = true
    this.start()
  }

  /** Nobody needs it here any more: it is stopped, and nobody starts it. */
  retire(): void {
    if (!this.#isDeployed) return
    this.#world.say(this.name, 'is not needed any more')
    this.resume()
    this.#isDeployed = false
    if (this.#starting === undefined) this.stop()
    else this.crash('kill')
  }

  get isPaused(): boolean {
    return this.#life?.process.isPaused ?? false
  }

  start(): void {
    if (!this.#isDeployed) return
    if (this.#hasBrokenDown && this.#isDiskBad) return
    const diskLateMs = this.#diskReadyMs - this.#world.scheduler.nowMs
    if (diskLateMs > 0) return void this.#world.scheduler.schedule(diskLateMs, () => this.start())
    this.#hasBrokenDown = false
    if (this.#life !== undefined) {
      // A stop takes its time; who starts it meanwhile is not forgotten.
      this.#isStartDue = this.#life === this.#stopping
      return
    }
    this.#isStartDue = false
    if (this.#starting !== undefined) return
    const { scheduler, network } = this.#world
    this.#lives += 1
    const process = scheduler.newProcess(`${this.name}#${this.#lives}`)
    network.hostBack(this.name)
    const clock = this.#parts.clock.forProcess(process)
    this.#world.say(this.name, `starts (life ${this.#lives}${this.isOldBuild ? ', the build before' : ''})`)
    this.#starting = process
    if (this.#hasRotted) scheduler.schedule(hearsayMs, this.trueLog.rotted())
    this.#hasRotted = false
    this.foundAtStart = { hasTornLog: this.#hasLostPower && this.trueLog.endsTorn(), hasInstalled: false }
    this.#hasLostPower = false
    const disk = this.#parts.disk.openProcess(process)
    const { store, loaded } = this.#parts.checkpoints.open(process)
    this.#guardStart(process, () => this.#install(process, clock, disk, { store, loaded }))
  }

  /** A disk that is full or fails may be met in the middle of a start. */
  #guardStart(process: SimProcess, begin: () => void): void {
    try {
      begin()
    } catch (error) {
      if (!(error instanceof Error) || !this.#isDiskBad || !/ENOSPC|EIO/.test(error.message)) throw error
      process.kill()
      this.#starting = undefined
      this.#world.fatal(this, error)
    }
  }

  #install(process: SimProcess, clock: ProcessClock, disk: Disk, { store, loaded }: BrokerNodeOptions['checkpoint']): void {
    const identity = { clusterName: 'simulated', nodeName: this.name, nodeId: this.id }
    installSnapshot({ disk, clock, dataDirectory, identity, store, problemOf: problemOfState }, (error, installed) => {
      this.#starting = undefined
      if (error !== undefined) return this.#world.fatal(this, error)
      if (installed !== undefined) {
        this.#world.noted(this, installed.note)
        // Its files are other ones now, cut elsewhere.
        this.trueLog.forget()
      }
      this.foundAtStart = { ...this.foundAtStart, hasInstalled: installed !== undefined }
      this.#guardStart(process, () => this.#begin(process, clock, disk, checkpointAfter({ store, loaded }, installed)))
    })
  }

  #begin(process: SimProcess, clock: ProcessClock, disk: Disk, checkpoint: BrokerNodeOptions['checkpoint']): void {
    let node: BrokerNode
    try {
      node = startNode(
        this.#world,
        this,
        { process, clock, disk, checkpoint, random: this.#world.random.stream('node', this.id, this.#lives) },
        () => this.#restart(process),
      )
    } catch (error) {
      process.kill()
      if (!(error instanceof StateHalt)) throw error
      return this.#world.fatal(this, error)
    }
    this.#life = { process, node, broker: node.broker, nowMs: () => clock.nowMs(), openCalls: new Set() }
    this.#world.troubled()
    this.#world.started(this)
  }

  /** `power`: what was not synced may be lost, and the others may hear nothing. `kill`: the kernel keeps the files and closes the connections. */
  crash(how: 'power' | 'kill'): void {
    const life = this.#life
    this.#world.troubled()
    if (how === 'power') this.#hasLostPower = true
    if (life === undefined) return this.#crashStarting(how)
    this.#world.say(this.name, how === 'power' ? 'loses power' : 'is killed')
    this.#leave(life)
    if (how === 'kill') {
      this.#parts.disk.kill()
      this.#world.network.processDied(life.process)
      return
    }
    this.#parts.disk.cutPower(this.#world.isShortOfDisks)
    this.#parts.checkpoints.losePower()
    if (this.#world.random.stream('crash', this.name, this.#lives).chance(500_000)) this.#world.network.hostLost(life.process, this.name)
    else this.#world.network.processDied(life.process)
  }

  loseDisk(how: 'power' | 'kill'): boolean {
    if (!this.#world.mayLoseDisk(this)) return false
    const isLeader = this.node?.raft.role === 'leader'
    this.lostDisk = { vote: this.trueVote.read(), held: this.trueLog.inventory() }
    this.crash(how)
    this.#world.say(this.name, 'has another disk, with nothing on it')
    this.#parts.disk.kill()
    this.#parts.disk.replace()
    this.#parts.checkpoints.loseEverything()
    this.trueLog.forget()
    this.#hasRotted = false
    this.#wasHarmed = false
    this.#diskReadyMs = this.#world.scheduler.nowMs + newDiskMs
    this.#world.lostDisk(this, isLeader)
    return true
  }

  get isLost(): boolean {
    return this.#world.isMissing(this.id)
  }

  get isBlank(): boolean {
    return this.lostDisk !== undefined && (this.#life?.node.log.lastId.index ?? 0) === 0
  }

  /** Since it has the disk that it has. */
  get wasHarmed(): boolean {
    return this.#wasHarmed
  }

  loseCheckpoint(): void {
    if (this.#world.isShortOfDisks) return
    // With a part of the log deleted another node's state is what helps: one must have it.
    if (this.#world.configuration.log.retention !== undefined && this.#world.gateways.some(host => !host.hasCheckpoint)) return
    if (this.#life === undefined && this.#starting === undefined) this.#parts.checkpoints.loseEverything()
  }

  /** On its disk, whatever becomes of the process. */
  get hasCheckpoint(): boolean {
    return this.#parts.checkpoints.hasDurable
  }

  /** While it is down: a sector of the hard state can't be read any more. */
  rotHardState(slot: 0 | 1): void {
    const path = `${dataDirectory}/hard-state`
    if (this.#life !== undefined || this.#starting !== undefined || this.trueVote.hasLostSlot() || this.#world.isShortOfDisks) return
    if ((this.#parts.disk.durableBytes(path)?.length ?? 0) <= slotPositions[slot]) return
    this.#world.say(this.name, `slot ${slot} of its hard state rots`)
    this.trueVote.damages += 1
    this.#parts.disk.flipBit(path, slotPositions[slot] + 20)
  }

  /** Of its log's files: sectors that hold something else than what was written. */
  get harmedLogSectors(): number {
    const { disk } = this.#parts
    return disk.files().reduce((sum, path) => (path.endsWith('.log') ? sum + disk.harmedSectors(path) : sum), 0)
  }

  rot(random: SimRandom): boolean {
    if (this.#starting !== undefined) return false
    const what = rotSomewhere(this.#parts.disk, random, this.isUp)
    if (what === undefined) return false
    this.#world.say(this.name, what)
    this.#hasRotted = true
    this.#wasHarmed = true
    if (what.includes('hard-state')) this.trueVote.damages += 1
    return true
  }

  get hasCopy(): boolean {
    if (this.#world.isShortOfDisks) return false
    const last = this.#life?.node.log.lastId
    if (last === undefined) return false
    const { configuration, gateways } = this.#world
    return configuration.nodes > 2 || gateways.some(host => host !== this && host.trueLog.holdsNow(last.index, last.term))
  }

  get isBackedUp(): boolean {
    if (this.#world.isShortOfDisks) return false
    const last = this.#life?.node.log.lastId
    if (last === undefined) return false
    const { gateways } = this.#world
    const holders = gateways.filter(host => host !== this && host.trueLog.holdsNow(last.index, last.term))
    return holders.length > gateways.length / 2
  }

  lie(random: SimRandom, isMisdirected: boolean): boolean {
    if (this.#life !== undefined || this.#starting !== undefined) return false
    const what = lieSomewhere(this.#parts.disk, random, isMisdirected)
    if (what === undefined) return false
    this.#world.say(this.name, what)
    this.#hasRotted = true
    this.#wasHarmed = true
    if (what.includes('hard-state')) this.trueVote.damages += 1
    return true
  }

  /** Segments that its log has begun. */
  get logFiles(): number {
    return this.#parts.disk.files().filter(path => path.endsWith('.log')).length
  }

  /** Its build is too old for the group: the newer one is started in its place. */
  replaceBuild(why: string): void {
    this.#world.say(this.name, `stops itself: ${why}`)
    this.isOldBuild = false
    this.crash('kill')
    this.start()
  }

  #crashStarting(how: 'power' | 'kill'): void {
    if (this.#starting === undefined) return
    this.#world.say(this.name, 'goes down while it installs a snapshot')
    this.#starting.kill()
    this.#starting = undefined
    if (how === 'kill') return this.#parts.disk.kill()
    this.#parts.disk.cutPower(this.#world.isShortOfDisks)
    this.#parts.checkpoints.losePower()
  }

  stop(): void {
    const life = this.#life
    if (life === undefined || life.process.isPaused) return
    this.#world.say(this.name, 'is stopped in order')
    this.#world.troubled()
    this.#stopping = life
    life.node.stop(() => {
      if (this.#life !== life) return
      this.#leave(life)
      this.#world.network.processDied(life.process)
      if (this.#isStartDue) this.start()
    })
  }

  handOverTo(member: number): void {
    const life = this.#life
    if (life === undefined || life.process.isPaused) return
    this.#world.troubled()
    this.#world.say(this.name, `is asked to hand over to ${hostName(member)}`)
    life.node.raft.transferLeadership(nodeId(member), handOverPatienceMs, end => {
      this.#world.say(this.name, `hand-over to ${hostName(end.to)}: ${end.kind === 'handedOver' ? 'done' : end.reason}`)
    })
  }

  pause(): void {
    this.#world.say(this.name, 'stands still')
    this.#world.troubled()
    this.#life?.process.pause()
  }

  resume(): void {
    const life = this.#life
    if (life?.process.isPaused !== true) return
    this.#world.say(this.name, 'goes on')
    this.#world.troubled()
    this.#world.scheduler.resume(life.process)
  }

  jumpWall(byMs: number): void {
    this.#world.troubled()
    this.#world.say(this.name, `its calendar jumps by ${byMs} ms`)
    this.#world.clockMoves()
    this.#parts.clock.jumpWall(byMs)
    this.#world.clockMoves()
  }

  slowDisk(factor: number): void {
    this.isSlow = factor !== 1
    this.diskSyncMs = factor * this.#world.configuration.disk.syncMs
    this.#world.troubled()
    this.#world.say(this.name, `its disk takes ${factor} times as long`)
    this.#parts.disk.latency = slower(diskLatency(this.#world.configuration), factor)
  }

  get diskHungUntilMs(): number {
    return this.#parts.disk.hungUntilMs
  }

  get isDiskBad(): boolean {
    return this.#isDiskBad
  }

  /** Its disk has failed this process, which may hear of it later, when it was paused and the disk is well again. */
  get hasDiskFailed(): boolean {
    return this.#isDiskBad || this.#parts.disk.lastFailure !== undefined
  }

  /** The error is one of its own disk. */
  diskFailedWith(error: unknown): boolean {
    return this.#parts.disk.lastFailure === error
  }

  fillDisk(roomBytes: number): void {
    if (this.#world.isShortOfDisks) return
    this.#world.say(this.name, `its disk has room for ${roomBytes} bytes more`)
    this.#isDiskBad = true
    this.#parts.disk.leaveRoom(roomBytes)
  }

  failDisk(operation: DiskOperation): void {
    if (this.#world.isShortOfDisks) return
    this.#world.say(this.name, `its disk fails the next ${operation}`)
    this.#isDiskBad = true
    this.#parts.disk.failNext({ operation, code: 'EIO' })
  }

  mendDisk(): void {
    if (!this.#isDiskBad) return
    this.#world.say(this.name, 'its disk is well again')
    this.#isDiskBad = false
    this.#parts.disk.leaveRoom(Infinity)
    this.#parts.disk.forgiveFaults()
    if (this.#hasBrokenDown) this.start()
  }

  /** It has stopped itself, as it should: its process ends, and nobody starts it before its disk is well. */
  breakDown(why: string): void {
    this.#world.say(this.name, `stops itself: ${why}`)
    this.crash('kill')
    this.#hasBrokenDown = true
    if (!this.#isDiskBad) this.start()
  }

  #leave(life: Life): void {
    this.#world.troubled()
    this.#world.leaves(this)
    life.process.kill()
    this.#life = undefined
    for (const broke of [...life.openCalls]) broke()
    this.#world.left()
  }

  /** A snapshot is complete: the process ends and another one installs it. */
  #restart(process: SimProcess): void {
    const life = this.#life
    if (life?.process !== process) return
    this.#leave(life)
    this.#parts.disk.kill()
    this.#world.network.processDied(process)
    this.start()
  }
}
