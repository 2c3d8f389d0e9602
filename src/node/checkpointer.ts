/**
 * Writes checkpoints of the state (DESIGN rule 10): at most one under way, the next one when there is something new and either some time or some
 * rows have passed. First the queue index makes its rows durable, then the batch of changed keys goes out, so that a checkpoint never knows of a
 * row that is not on disk. The changes are collected at one applied index, synchronously; apply goes on while they are written.
 */
import type { Clock, Timer } from '../platform/clock.ts'
import type { CheckpointBatch, CheckpointStore } from '../state/store.ts'

export interface CheckpointerOptions {
  readonly clock: Clock
  readonly machine: {
    readonly appliedIndex: number
    readonly unsavedRows: number
    digest(): CheckpointBatch['digest']
    takeCheckpoint(): CheckpointBatch
  }
  readonly index: {
    persist(progress: { readonly throughIndex: number; readonly logBytes: number }, done: (error: Error | undefined) => void): void
  }
  readonly store: CheckpointStore
  /** Index of the checkpoint that the machine was restored from; 0 = none. */
  readonly savedIndex: number
  /** Position in the log behind an entry, for the size of the index's chunks. */
  readonly logBytesApplied: () => number
  /** No entry below is needed by the state as it is. */
  readonly logFirst: () => number
  /** What lies below may be deleted: two checkpoints say that it is not needed, the older one of them too. */
  readonly mayDelete: (belowIndex: number) => void
  /** A restart would begin from this checkpoint, and from no older one. */
  readonly saved?: (appliedIndex: number) => void
  readonly fatal: (error: Error) => void
  readonly intervalMs?: number
  readonly rowsMax?: number
}

/** What a snapshot is made of. */
export type SavedCheckpoint = Pick<CheckpointBatch, 'appliedIndex' | 'digest'>

const intervalMsDefault = 300
/** So many changed rows make a checkpoint due before its time. */
const rowsMaxDefault = 20_000

export class Checkpointer {
  readonly #options: CheckpointerOptions
  #savedIndex: number
  #savedAtMs: number
  /** What the last saved checkpoint needed of the log; it is the older one when the next is saved. */
  #savedLogFirst: number
  #saved: SavedCheckpoint | undefined
  #logBytes = 0
  #isSaving = false
  #isStopped = false
  #timer: Timer | undefined
  #afterSave: (() => void)[] = []

  constructor(options: CheckpointerOptions) {
    this.#options = options
    this.#savedIndex = options.savedIndex
    // A leader that can't commit alone saves nothing new: what it began with must do for whoever needs files to help it.
    if (options.savedIndex > 0) this.#saved = { appliedIndex: options.savedIndex, digest: options.machine.digest() }
    this.#savedAtMs = options.clock.nowMs()
    this.#savedLogFirst = options.logFirst()
  }

  /** The last index that a restart would begin from. */
  get savedIndex(): number {
    return this.#savedIndex
  }

  /** Something was applied. */
  onApplied(): void {
    if (this.#isSaving || this.#isStopped) return
    if (this.#options.machine.unsavedRows >= (this.#options.rowsMax ?? rowsMaxDefault)) return this.#save()
    if (this.#timer !== undefined) return
    const { clock, intervalMs = intervalMsDefault } = this.#options
    const waitMs = Math.max(0, this.#savedAtMs + intervalMs - clock.nowMs())
    this.#timer = clock.setTimer(waitMs, () => {
      this.#timer = undefined
      this.#save()
    })
  }

  /** Calls back once, in the moment when a save has just returned (or nothing is being saved): store and queue index hold the state at exactly this checkpoint. */
  whenSaved(found: (saved: SavedCheckpoint) => void): void {
    const tell = (): void => {
      if (this.#saved !== undefined) found(this.#saved)
      else if (!this.#isStopped) this.#afterSave.push(tell)
    }
    if (this.#isSaving || this.#saved === undefined) this.#afterSave.push(tell)
    else tell()
  }

  /** Saves what is not saved yet, then takes no more. `done` runs later. */
  stop(done: () => void): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const last = (): void => {
      this.#isStopped = true
      done()
    }
    const finish = (): void => {
      // What failed is not tried again: who asked for the stop is told all the same.
      if (this.#isStopped || this.#options.machine.appliedIndex === this.#savedIndex) return last()
      this.#afterSave.push(last)
      this.#save()
    }
    if (this.#isStopped) this.#options.clock.soon(done)
    else if (this.#isSaving) this.#afterSave.push(finish)
    else this.#options.clock.soon(finish)
  }

  /** Begins no further save: the state is not to be trusted any more. */
  abandon(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #save(): void {
    const { machine, index, store, clock, logBytesApplied } = this.#options
    if (this.#isSaving || this.#isStopped || machine.appliedIndex === this.#savedIndex) return
    this.#isSaving = true
    this.#timer?.cancel()
    this.#timer = undefined
    const batch = machine.takeCheckpoint()
    const logFirst = this.#options.logFirst()
    const logBytes = logBytesApplied()
    const progress = { throughIndex: batch.appliedIndex, logBytes: Math.max(0, logBytes - this.#logBytes) }
    this.#logBytes = logBytes
    index.persist(progress, indexError => {
      if (indexError !== undefined) return this.#fail(indexError)
      store.save(batch, storeError => {
        if (storeError !== undefined) return this.#fail(storeError)
        this.#isSaving = false
        this.#savedIndex = batch.appliedIndex
        this.#saved = { appliedIndex: batch.appliedIndex, digest: batch.digest }
        this.#savedAtMs = clock.nowMs()
        const olderLogFirst = this.#savedLogFirst
        this.#savedLogFirst = logFirst
        this.#options.saved?.(batch.appliedIndex)
        if (!this.#isStopped) this.#options.mayDelete(olderLogFirst)
        const waiting = this.#afterSave
        this.#afterSave = []
        for (const next of waiting) next()
        if (machine.appliedIndex > this.#savedIndex) this.onApplied()
      })
    })
  }

  #fail(error: Error): void {
    this.#isStopped = true
    const waiting = this.#afterSave
    this.#afterSave = []
    this.#options.fatal(error)
    for (const next of waiting) next()
  }
}
