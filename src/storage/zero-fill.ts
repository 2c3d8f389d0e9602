/**
 * Zeros written ahead of the log, in the background (DESIGN §5): a sync into ground that is already allocated does not wait for the file system's
 * journal. Two places: ahead of the last record in the segment being written, and the next segment while it has no name yet.
 *
 *   segment   [ records ……… ][ zeros, one step ahead ]                  prepared.tmp  [ zeros, one step ]
 *                            ^ writtenTo             ^ filledTo
 *
 * A full disk stops the filling and nothing else: zeros are not data. What has been filled, at least half a step, is room that the next records have for
 * certain (overwriting allocates nothing), while the disk's level has sends refused (src/broker/disk-watch.ts). An error of any other kind is final.
 *
 * Invariants: a step is written in small chunks, one at a time; a chunk never touches bytes below `filledTo`, and `filledTo` is raised before
 * records are written there, so zeros never land on a record. Records never wait for more than the one chunk that is in their way.
 * Pace: two chunks with each write of records, so that syncs carry a little more rather than sometimes a whole step; chunk after chunk only while
 * little is left. All nodes of a group are at the same place of the log: what one of them does in a burst, all do at once.
 */
import { assert } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import { preparedName } from './segment.ts'
import { isNoRoom } from './storage-error.ts'

/** A step is so many chunks… */
const chunksPerStep = 64
/** … unless they would be smaller than this. */
const chunkBytesMin = 4096
/** One for each place. */
const chunksPerWrite = 2
/** So much of a file being prepared is filled between two syncs of it. */
const unsyncedBytesMax = 1024 * 1024

interface Target {
  readonly file: DiskFile
  filledTo: number
  writtenTo: number
  syncedTo: number
}

export interface ZeroFillOptions {
  readonly disk: Disk
  readonly directory: string
  readonly segmentBytes: number
  readonly stepBytes: number
  /** An error of a write or sync is final, unless there was no room for zeros. */
  readonly failed: (error: Error) => void
}

export class ZeroFill {
  readonly #options: ZeroFillOptions
  readonly #zeros: Uint8Array
  #current: Target | undefined
  #prepared: Target | undefined
  #isBusy = false
  /** Pieces of work until the next write of records. */
  #credit = 0
  /** Where the chunk under way in the current segment begins; Infinity when there is none. */
  #chunkFrom = Infinity
  #isHeld = false
  /** The disk had no room for zeros: no further attempt before records have got to here. They may find room where we stood. */
  #pausedTo = -1
  /** A background failure is final: no further attempt. */
  #hasFailed = false
  readonly #waiting: (() => void)[] = []

  constructor(options: ZeroFillOptions) {
    assert(options.stepBytes > 0, 'fill-step', options.stepBytes)
    this.#options = options
    this.#zeros = new Uint8Array(Math.min(options.stepBytes, Math.max(chunkBytesMin, Math.ceil(options.stepBytes / chunksPerStep))))
  }

  /** From now on this is the segment being written. Not while a chunk is under way. */
  setCurrent(file: DiskFile, filledTo: number, writtenTo: number): void {
    assert(!this.#isBusy, 'fill-busy')
    this.#current = { file, filledTo: Math.max(filledTo, writtenTo), writtenTo, syncedTo: 0 }
    this.#pausedTo = -1
  }

  /** Records will be written up to `to` of the current segment: `ready` runs at once, or when the chunk in their way is written. */
  reserve(to: number, ready: () => void): void {
    const target = this.#current
    assert(target !== undefined, 'fill-no-target')
    target.writtenTo = to
    if (to <= this.#chunkFrom) {
      target.filledTo = Math.max(target.filledTo, to)
      return ready()
    }
    this.#isHeld = true
    this.whenIdle(() => {
      this.#isHeld = false
      target.filledTo = Math.max(target.filledTo, to)
      ready()
    })
  }

  /** Starts no further chunk until `resume`; `idle` runs when none is under way. */
  hold(idle: () => void): void {
    this.#isHeld = true
    this.whenIdle(idle)
  }

  resume(): void {
    this.#isHeld = false
    this.pump()
  }

  whenIdle(idle: () => void): void {
    if (!this.#isBusy) return idle()
    this.#waiting.push(idle)
  }

  /** Hands over the prepared file; makes an empty one when there is none. While held and idle. */
  takePrepared(): { readonly file: DiskFile; readonly filledTo: number } {
    assert(!this.#isBusy, 'take-prepared-busy')
    const prepared = this.#prepared ?? this.#create()
    this.#prepared = undefined
    return prepared
  }

  /** Records were written: does the next pieces of background work, if there are any. */
  pump(): void {
    this.#credit = chunksPerWrite
    this.#goOn()
  }

  #goOn(): void {
    if (this.#isBusy || this.#isHeld || this.#hasFailed) return
    if (this.#credit === 0 && !this.#isShort()) return
    if (this.#credit > 0) this.#credit--
    try {
      this.#startNext()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  /** Closes the prepared file. While held and idle. */
  close(): void {
    assert(!this.#isBusy, 'close-fill-busy')
    this.#prepared?.file.close()
    this.#prepared = undefined
    this.#current = undefined
  }

  #startNext(): void {
    const { segmentBytes, stepBytes } = this.#options
    const current = this.#current
    if (current === undefined || current.writtenTo < this.#pausedTo) return
    if (current.filledTo < segmentBytes && current.filledTo - current.writtenTo < stepBytes) {
      this.#chunkFrom = current.filledTo
      return this.#fillChunk(current, segmentBytes)
    }
    if (current.writtenTo < segmentBytes / 2) return
    this.#prepared ??= this.#create()
    const prepared = this.#prepared
    const goal = Math.min(segmentBytes, stepBytes)
    const unsyncedBytes = prepared.filledTo - prepared.syncedTo
    // So that the roll need not carry these zeros to the disk.
    if (unsyncedBytes > 0 && (unsyncedBytes >= unsyncedBytesMax || prepared.filledTo >= goal)) return this.#sync(prepared)
    if (prepared.filledTo < goal) return this.#fillChunk(prepared, goal)
  }

  /** So little is left ahead that the next chunk is not left to the next write of records. */
  #isShort(): boolean {
    const { segmentBytes, stepBytes } = this.#options
    const current = this.#current
    return current !== undefined && current.filledTo < segmentBytes && current.filledTo - current.writtenTo < stepBytes / 4
  }

  #create(): Target {
    const { disk, directory } = this.#options
    const file = disk.open(`${directory}/${preparedName}`, { create: true })
    return { file, filledTo: 0, writtenTo: 0, syncedTo: 0 }
  }

  #fillChunk(target: Target, goal: number): void {
    const from = target.filledTo
    const bytes = Math.min(this.#zeros.length, goal - from)
    target.filledTo = from + bytes
    this.#isBusy = true
    target.file.write(from, [bytes === this.#zeros.length ? this.#zeros : this.#zeros.subarray(0, bytes)], error => {
      if (error !== undefined && isNoRoom(error)) this.#pause(target, from)
      this.#finished(error === undefined || isNoRoom(error) ? undefined : error)
    })
  }

  /** What is zero already is the last reserve of the log; whether a record finds room behind it, its own write will tell. */
  #pause(target: Target, from: number): void {
    target.filledTo = Math.max(from, target.writtenTo)
    this.#pausedTo = (this.#current?.writtenTo ?? 0) + this.#options.stepBytes / 4
  }

  #sync(target: Target): void {
    target.syncedTo = target.filledTo
    this.#isBusy = true
    target.file.sync(this.#finished)
  }

  readonly #finished = (error: Error | undefined): void => {
    this.#isBusy = false
    this.#chunkFrom = Infinity
    if (error !== undefined) this.#fail(error)
    for (const idle of this.#waiting.splice(0)) idle()
    this.#goOn()
  }

  #fail(error: Error): void {
    this.#hasFailed = true
    this.#options.failed(error)
  }
}
