/**
 * Zeros written ahead of the log, in the background (DESIGN §5): a sync into ground that is already allocated does not wait for the file system's
 * journal. Two places: ahead of the last record in the segment being written, and the next segment while it has no name yet.
 *
 *   segment   [ records ……… ][ zeros, one step ahead ]                  prepared.tmp  [ zeros, one step ]
 *                            ^ writtenTo             ^ filledTo
 *
 * Invariants: a step is written in small chunks, one at a time; a chunk never touches bytes below `filledTo`, and `filledTo` is raised before
 * records are written there, so zeros never land on a record. Records never wait for more than the one chunk that is in their way.
 */
import { assert } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import { preparedName } from './segment.ts'

const chunkBytesMax = 1024 * 1024

interface Target {
  readonly file: DiskFile
  filledTo: number
  writtenTo: number
  isSynced: boolean
}

export interface ZeroFillOptions {
  readonly disk: Disk
  readonly directory: string
  readonly segmentBytes: number
  readonly stepBytes: number
  /** An error of a write or sync is final. */
  readonly failed: (error: Error) => void
}

export class ZeroFill {
  readonly #options: ZeroFillOptions
  readonly #zeros: Uint8Array
  #current: Target | undefined
  #prepared: Target | undefined
  /** Where the present step of the current target ends. */
  #goal = 0
  #isBusy = false
  /** Where the chunk under way in the current segment begins; Infinity when there is none. */
  #chunkFrom = Infinity
  #isHeld = false
  /** A background failure is final: no further attempt. */
  #hasFailed = false
  readonly #waiting: (() => void)[] = []

  constructor(options: ZeroFillOptions) {
    assert(options.stepBytes > 0, 'fill-step', options.stepBytes)
    this.#options = options
    this.#zeros = new Uint8Array(Math.min(chunkBytesMax, options.stepBytes))
  }

  /** From now on this is the segment being written. Not while a chunk is under way. */
  setCurrent(file: DiskFile, filledTo: number, writtenTo: number): void {
    assert(!this.#isBusy, 'fill-busy')
    this.#current = { file, filledTo: Math.max(filledTo, writtenTo), writtenTo, isSynced: false }
    this.#goal = 0
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

  /** Does the next piece of background work, if there is any and none is under way. */
  pump(): void {
    if (this.#isBusy || this.#isHeld || this.#hasFailed) return
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
    if (current === undefined) return
    const isLow = current.filledTo - current.writtenTo < stepBytes / 2
    if (isLow && this.#goal <= current.filledTo) this.#goal = Math.min(segmentBytes, current.filledTo + stepBytes)
    if (current.filledTo < this.#goal) {
      this.#chunkFrom = current.filledTo
      return this.#fillChunk(current, this.#goal)
    }
    if (current.writtenTo < segmentBytes / 2) return
    this.#prepared ??= this.#create()
    const prepared = this.#prepared
    const preparedGoal = Math.min(segmentBytes, stepBytes)
    if (prepared.filledTo < preparedGoal) return this.#fillChunk(prepared, preparedGoal)
    // So that the roll need not carry these zeros to the disk.
    if (!prepared.isSynced) return this.#sync(prepared)
  }

  #create(): Target {
    const { disk, directory } = this.#options
    const file = disk.open(`${directory}/${preparedName}`, { create: true })
    return { file, filledTo: 0, writtenTo: 0, isSynced: false }
  }

  #fillChunk(target: Target, goal: number): void {
    const from = target.filledTo
    const bytes = Math.min(this.#zeros.length, goal - from)
    target.filledTo = from + bytes
    target.isSynced = false
    this.#isBusy = true
    target.file.write(from, [bytes === this.#zeros.length ? this.#zeros : this.#zeros.subarray(0, bytes)], this.#finished)
  }

  #sync(target: Target): void {
    target.isSynced = true
    this.#isBusy = true
    target.file.sync(this.#finished)
  }

  readonly #finished = (error: Error | undefined): void => {
    this.#isBusy = false
    this.#chunkFrom = Infinity
    if (error !== undefined) this.#fail(error)
    for (const idle of this.#waiting.splice(0)) idle()
    this.pump()
  }

  #fail(error: Error): void {
    this.#hasFailed = true
    this.#options.failed(error)
  }
}
