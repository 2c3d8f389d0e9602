/**
 * A machine's disk in a simulated world: the disk seam over images in memory, deterministic for its random stream.
 *
 *   process life ── Disk ──► names and images ── power cut ──► what was synced, and any part of what was not
 *
 * The model (chaos.md §5.3): a write is seen by everyone at once or a little later, a sync makes durable what was written when it began, a name is
 * durable after a sync of its directory. A power cut keeps any subset of the rest, may tear one sector of several, and ends the process's life;
 * a kill ends the life alone and leaves the page cache. After either, nothing of the old life runs any more: its handles throw, its callbacks are dropped.
 * Directories themselves are durable at once.
 */
import * as path from 'node:path'
import type { Disk } from '../../src/platform/disk.ts'
import { assert } from '../../src/platform/assert.ts'
import { failure, isFailure, mustLive, SimulatedFile } from './disk-file.ts'
import type { DiskAccess, DiskOperation, Life } from './disk-file.ts'
import type { PowerCutOdds } from './disk-image.ts'
import { DiskNames } from './disk-names.ts'
import type { SimRandom } from './random.ts'
import type { SimProcess } from './scheduler.ts'

/** What the disk needs of a scheduler; `Scheduler` has it. */
export interface DiskScheduler {
  readonly nowMs: number
  schedule(delayMs: number, run: () => void, process?: SimProcess): unknown
}

export interface DiskLatency {
  readonly writeMs: number
  readonly syncMs: number
  /** How often, in parts of a million, an operation takes `spikeMs` more. */
  readonly spikePpm: number
  readonly spikeMs: number
}

/** What a disk without a bound says that it has. */
const unboundedBytes = 2 ** 42

export const calmLatency: DiskLatency = { writeMs: 0.02, syncMs: 0.4, spikePpm: 2_000, spikeMs: 30 }
const nothingKept: PowerCutOdds = { keepLow: 0, keepHigh: 0, tear: 0 }
export const usualOdds: PowerCutOdds = { keepLow: 0, keepHigh: 1, tear: 0.5 }

/** An error that will be met once. */
export interface DiskFault {
  readonly operation: DiskOperation
  /** Only for paths that contain this. */
  readonly pathPart?: string
  readonly code: 'EIO' | 'ENOSPC' | 'EACCES'
}

export interface SimulatedDiskOptions {
  readonly scheduler: DiskScheduler
  readonly random: SimRandom
  readonly latency?: DiskLatency
  readonly odds?: PowerCutOdds
  /** The last sync of each file can be taken back (`loseLastSync`). */
  readonly remembersSyncs?: boolean
}

/** A disk that takes so long for one operation hangs. */
const hangMs = 2_000

/** Thrown by the very operation after which `crashAfter` cut the power. */
export class SimulatedCrash extends Error {
  constructor(operations: number) {
    super(`the power was cut after disk operation ${operations}`)
    this.name = 'SimulatedCrash'
  }
}

export class SimulatedDisk {
  readonly #scheduler: DiskScheduler
  readonly #random: SimRandom
  readonly #odds: PowerCutOdds
  readonly #names: DiskNames
  readonly #faults: DiskFault[] = []
  latency: DiskLatency
  /** What it threw, or told, last; a new process has met nothing. */
  lastFailure: Error | undefined
  /** All files together may not grow beyond this. */
  capacityBytes = Infinity
  #life: Life | undefined
  #hungUntilMs = 0
  #operations = 0
  #ends = 0
  #crashAfter = Infinity
  #fullAfter = Infinity

  constructor(options: SimulatedDiskOptions) {
    this.#scheduler = options.scheduler
    this.#names = new DiskNames(options.remembersSyncs === true)
    this.#random = options.random
    this.#odds = options.odds ?? usualOdds
    this.latency = options.latency ?? calmLatency
  }

  /** The disk as a new process sees it; whatever process used it before is dead. */
  openProcess(process?: SimProcess): Disk {
    this.kill()
    this.#hungUntilMs = 0
    this.lastFailure = undefined
    const life: Life = { isAlive: true, process, flying: new Set() }
    this.#life = life
    return this.#diskOf(life)
  }

  /** When the last of the operations that this process began while the disk hung will be done, however quick the disk has become meanwhile. */
  get hungUntilMs(): number {
    return this.#hungUntilMs
  }

  /** kill -9: the process is gone, the page cache stays. Of the writes that were just being made some land, some don't. */
  kill(): void {
    const life = this.#life
    if (life?.isAlive !== true) return
    life.isAlive = false
    const random = this.#random.stream('end', (this.#ends += 1))
    for (const land of life.flying) if (random.chance(500_000)) landIfRoom(land)
    life.flying.clear()
  }

  /** The machine loses its power: what was not synced stays in part; by an `isClean` cut, not at all. */
  cutPower(isClean = false): void {
    this.kill()
    // A stream of its own for each cut: what it keeps does not shift how long later writes take.
    const random = this.#random.stream('cut', this.#ends)
    this.#names.cutPower(random, isClean ? 0 : random.next())
    for (const image of this.#names.images()) image.cutPower(random, isClean ? nothingKept : this.#odds)
  }

  /** Another disk, with nothing on it, is in the place of this one. */
  replace(): void {
    assert(!this.isInUse, 'replace-disk-in-use')
    this.#names.clear()
  }

  /** The next matching operation fails. */
  failNext(fault: DiskFault): void {
    this.#faults.push(fault)
  }

  /** Rot: flips a bit of what is on the disk. */
  flipBit(filePath: string, position: number, bit = 0): void {
    const image = this.#names.find(filePath)
    assert(image !== undefined, 'flip-bit-no-file', filePath)
    image.flipBit(position, bit)
  }

  /** Other bytes stand in the place of what was synced; false where nothing was, or more is on its way. `isHidden`: until the power is cut. */
  harm(filePath: string, position: number, bytes: Uint8Array, isHidden: boolean): boolean {
    return this.#names.findSynced(filePath)?.harm(bytes, position, isHidden) ?? false
  }

  /** How many sectors of a file hold something else than what was written to them. */
  harmedSectors(filePath: string): number {
    return this.#names.findSynced(filePath)?.harmedSectors ?? 0
  }

  /** A file's durable bytes as an honest disk would hold them; undefined when this one does. A copy. */
  honestBytes(filePath: string): Uint8Array | undefined {
    return this.#names.findSynced(filePath)?.honestBytes()
  }

  /** Sectors that the last sync of a file wrote, ascending; none where nobody remembers. */
  lastSynced(filePath: string): readonly number[] {
    return this.#names.findSynced(filePath)?.lastSynced() ?? []
  }

  /** With the power off: the last sync of a file wrote nothing, whatever it said; with `toSector` it wrote there. */
  loseLastSync(filePath: string, toSector?: number): void {
    assert(!this.isInUse, 'lose-sync-in-use', filePath)
    this.#names.findSynced(filePath)?.loseLastSync(toSector)
  }

  /** Whether a living process has the disk open. */
  get isInUse(): boolean {
    return this.#life?.isAlive === true
  }

  /** Operations carried out so far, reads not counted. */
  get operations(): number {
    return this.#operations
  }

  /** Cuts the power as soon as so many operations have been carried out. */
  crashAfter(operations: number): void {
    this.#crashAfter = operations
  }

  /** The disk is full as soon as so many operations have been carried out: nothing grows any more, what is there can be written over. */
  fullAfter(operations: number): void {
    this.#fullAfter = operations
  }

  /** The files that are there may grow by so many bytes altogether; Infinity = there is room again. */
  leaveRoom(roomBytes: number): void {
    this.capacityBytes = this.#names.totalBytes() + roomBytes
  }

  /** Failures that were asked for and not met yet are not to come any more. */
  forgiveFaults(): void {
    this.#faults.length = 0
  }

  /** Paths of all files, sorted. */
  files(): readonly string[] {
    return this.#names.paths()
  }

  /** A file's bytes as the living process sees them. */
  contentOf(filePath: string): Uint8Array | undefined {
    const image = this.#names.find(filePath)
    if (image === undefined) return undefined
    const bytes = new Uint8Array(image.sizeBytes)
    image.read(bytes, 0)
    return bytes
  }

  /** A file's bytes as a power cut that keeps nothing unsynced would leave them; undefined when its name is not durable. Lent: valid until the next sync. */
  durableBytes(filePath: string): Uint8Array | undefined {
    return this.#names.findSynced(filePath)?.syncedView()
  }

  #diskOf(life: Life): Disk {
    const names = this.#names
    const begin = (operation: DiskOperation, filePath: string): void => {
      mustLive(life, filePath)
      this.#maybeFail(operation, filePath)
    }
    return {
      list: directory => {
        mustLive(life, directory)
        return names.list(directory)
      },
      exists: filePath => {
        mustLive(life, filePath)
        return names.exists(filePath)
      },
      makeDirectory: directory => {
        mustLive(life, directory)
        names.makeDirectory(directory)
      },
      syncDirectory: directory => {
        begin('syncDirectory', directory)
        names.syncDirectory(directory)
        this.#count()
      },
      open: (filePath, { create }) => {
        begin('open', filePath)
        const known = names.find(filePath)
        if (known !== undefined) return new SimulatedFile(filePath, known, life, this.#access)
        if (!create || !names.exists(path.dirname(filePath))) throw failure('ENOENT', `open ${filePath}`)
        const image = names.create(filePath)
        this.#count()
        return new SimulatedFile(filePath, image, life, this.#access)
      },
      rename: (from, to) => {
        begin('rename', from)
        if (names.find(from) === undefined) throw failure('ENOENT', `rename ${from}`)
        names.rename(from, to)
        this.#count()
      },
      remove: filePath => {
        begin('remove', filePath)
        if (names.find(filePath) === undefined) throw failure('ENOENT', `remove ${filePath}`)
        names.remove(filePath)
        this.#count()
      },
      removeLater: (filePath, done) => {
        begin('remove', filePath)
        if (names.find(filePath) === undefined) {
          this.#access.after('sync', () => this.#access.call(life, done, failure('ENOENT', `remove ${filePath}`)))
          return
        }
        names.remove(filePath)
        this.#count()
        this.#access.after('sync', () => {
          if (!life.isAlive) return
          names.syncDirectory(path.dirname(filePath))
          this.#count()
          this.#access.call(life, done, undefined)
        })
      },
      space: anyPath => {
        mustLive(life, anyPath)
        const usedBytes = names.totalBytes()
        // A disk without a bound counts as a large one.
        const totalBytes = Number.isFinite(this.capacityBytes) ? this.capacityBytes : unboundedBytes
        return { totalBytes, freeBytes: Math.max(0, totalBytes - usedBytes) }
      },
    }
  }

  /** What a file handle may do to the disk. */
  readonly #access: DiskAccess = {
    check: (operation, filePath) => this.#maybeFail(operation, filePath),
    write: (image, source, position) => {
      const grows = position + source.length - image.sizeBytes
      const isBounded = this.capacityBytes !== Infinity
      if (isBounded && grows > 0 && this.#names.totalBytes() + grows > this.capacityBytes) {
        this.lastFailure = failure('ENOSPC', `write ${image.path}`)
        throw this.lastFailure
      }
      image.write(source, position)
    },
    done: () => this.#count(),
    after: (operation, run) => {
      const delayMs = this.#delayMs(operation)
      if (delayMs > hangMs) this.#hungUntilMs = Math.max(this.#hungUntilMs, this.#scheduler.nowMs + delayMs)
      this.#scheduler.schedule(delayMs, run)
    },
    call: (life, done, error) => {
      if (!life.isAlive) return
      // An event of the disk's own runs this, so it is inside no call of the process; who stands still hears of it later.
      if (life.process?.isPaused !== true) return done(error)
      this.#scheduler.schedule(
        0,
        () => {
          if (life.isAlive) done(error)
        },
        life.process,
      )
    },
  }

  #delayMs(operation: 'write' | 'sync'): number {
    const { writeMs, syncMs, spikePpm, spikeMs } = this.latency
    const spike = this.#random.chance(spikePpm) ? this.#random.exponential(spikeMs) : 0
    const typical = operation === 'write' ? writeMs : syncMs
    return typical / 2 + this.#random.exponential(typical / 2) + spike
  }

  #maybeFail(operation: DiskOperation, filePath: string): void {
    const found = this.#faults.findIndex(fault => fault.operation === operation && filePath.includes(fault.pathPart ?? ''))
    if (found < 0) return
    const [fault] = this.#faults.splice(found, 1)
    this.lastFailure = failure(fault?.code ?? 'EIO', `${operation} ${filePath}`)
    throw this.lastFailure
  }

  #count(): void {
    this.#operations++
    if (this.#operations >= this.#fullAfter) {
      this.#fullAfter = Infinity
      this.capacityBytes = this.#names.totalBytes()
    }
    if (this.#operations < this.#crashAfter) return
    this.#crashAfter = Infinity
    this.cutPower()
    throw new SimulatedCrash(this.#operations)
  }
}

/** Of a write that finds no room, a part may be there; nobody is left to be told. */
function landIfRoom(land: () => void): void {
  try {
    land()
  } catch (error) {
    if (!isFailure(error)) throw error
  }
}
