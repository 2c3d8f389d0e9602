/**
 * Carries out what the core wants on disk, and says which epoch is durable. Two writers run side by side: the hard state (one save outstanding, later
 * states replace waiting ones) and the log (one flush outstanding, everything appended meanwhile goes with the next).
 *
 * Invariants: no flush starts while a term or vote is unsaved that came before an entry the flush would carry (raft.md §2.4); an epoch is reported only
 * when it and all before it are on disk; after the first error nothing is written, nothing is reported, and the owner is told once.
 */
import type { Clock } from '../../src/platform/clock.ts'
import { assert, assertNever } from '../../src/platform/assert.ts'
import type { Epoch, LogIndex } from '../core/ids.ts'
import type { HardState, Persist } from '../core/output.ts'
import type { EntryBody, HardStateStorage, LogStorage, RecordBlock } from './log-storage.ts'
import type { DriverMetrics } from './metrics.ts'
import { Durations } from './metrics.ts'

export interface PersistenceOptions {
  readonly clock: Clock
  readonly log: LogStorage
  readonly hardState: HardStateStorage
  readonly metrics: DriverMetrics
  /** Bodies for an `appendOwn`: a proposal's, or those of an entry that the core makes itself. */
  bodiesOf(persist: OwnAppend): { readonly bodies: readonly EntryBody[]; readonly bytes: number }
  /** Records of the slice that is being stepped. */
  blockOf(ticket: number): RecordBlock
  /** More is durable than before; ask `durableEpoch`. Never inside a call. */
  progressed(): void
  failed(error: Error): void
}

export type OwnAppend = Extract<Persist, { kind: 'appendOwn' }>

/** Epochs `first` to `last`, some of which may be the other writer's. */
interface Span {
  first: Epoch
  last: Epoch
}

export class Persistence {
  readonly flushDurations = new Durations()
  readonly #options: PersistenceOptions
  #lastEpoch = 0 as Epoch
  #hardWaiting: (Span & { state: HardState }) | undefined
  #hardSaving: Span | undefined
  #logWaiting: Span | undefined
  #logFlushing: Span | undefined
  #flushStartMs = 0
  #unflushedEntries = 0
  #isFailed = false

  constructor(options: PersistenceOptions) {
    this.#options = options
  }

  /** Everything up to here is on disk. */
  get durableEpoch(): Epoch {
    let durable: number = this.#lastEpoch
    for (const span of [this.#hardWaiting, this.#hardSaving, this.#logWaiting, this.#logFlushing]) {
      if (span !== undefined) durable = Math.min(durable, span.first - 1)
    }
    return durable as Epoch
  }

  /** What a flush takes just now: the last few, or the one under way if that is worse already. */
  flushLatelyMs(nowMs: number): number {
    return Math.max(this.flushDurations.latelyMs(), this.isFlushing ? nowMs - this.#flushStartMs : 0)
  }

  get isFlushing(): boolean {
    return this.#logFlushing !== undefined
  }

  /** In memory at once; on disk with the next save or flush. In order. */
  carryOut(persist: Persist): void {
    assert(persist.epoch >= this.#lastEpoch, 'epoch-goes-back', persist.epoch, this.#lastEpoch)
    this.#lastEpoch = persist.epoch
    const { log } = this.#options
    switch (persist.kind) {
      case 'hardState':
        this.#hardWaiting = { first: this.#hardWaiting?.first ?? persist.epoch, last: persist.epoch, state: persist.state }
        return
      case 'truncateFrom':
        log.truncateFrom(persist.index)
        break
      case 'appendOwn': {
        const { bodies, bytes } = this.#options.bodiesOf(persist)
        assert(bodies.length === persist.count, 'bodies-of-proposal', bodies.length, persist.count)
        assert(log.lastId.index + 1 === persist.firstIndex, 'append-place', log.lastId.index, persist.firstIndex)
        const { term, firstIndex, wallMs } = persist
        log.appendOwn({ term, firstIndex, kind: persist.entryKind, wallMs }, bodies)
        this.#countAppended(persist.count, bytes)
        break
      }
      case 'appendSlice': {
        const block = this.#options.blockOf(persist.slice.ticket)
        assert(log.lastId.index + 1 === persist.fromIndex, 'append-place', log.lastId.index, persist.fromIndex)
        log.appendBlock(block, persist.fromIndex)
        this.#countAppended(persist.slice.lastIndex - persist.fromIndex + 1, block.bytes)
        break
      }
      default:
        return assertNever(persist)
    }
    this.#logWaiting = { first: this.#logWaiting?.first ?? persist.epoch, last: persist.epoch }
  }

  /** Starts what may start: at the end of a turn, so that one flush carries all that the turn brought. */
  start(): void {
    if (this.#isFailed) return
    if (this.#hardWaiting !== undefined && this.#hardSaving === undefined) this.#saveHardState(this.#hardWaiting)
    if (this.#logWaiting !== undefined && this.#logFlushing === undefined && !this.#mustWaitForHardState(this.#logWaiting)) {
      this.#flush(this.#logWaiting)
    }
  }

  /** No write and no report from now on; completions that are under way are ignored. */
  stop(): void {
    this.#isFailed = true
  }

  #mustWaitForHardState(waiting: Span): boolean {
    const first = this.#hardSaving?.first ?? this.#hardWaiting?.first
    return first !== undefined && first < waiting.last
  }

  #saveHardState(waiting: Span & { state: HardState }): void {
    this.#hardSaving = { first: waiting.first, last: waiting.last }
    this.#hardWaiting = undefined
    this.#options.metrics.hardStateSaves++
    const { term, votedFor } = waiting.state
    this.#options.hardState.save({ term, votedFor }, error => {
      if (this.#isFailed) return
      if (error !== undefined) return this.#fail(error)
      this.#hardSaving = undefined
      this.#options.progressed()
    })
  }

  #flush(waiting: Span): void {
    const { log, clock, metrics } = this.#options
    this.#logFlushing = waiting
    this.#logWaiting = undefined
    this.#flushStartMs = clock.nowMs()
    metrics.flushes++
    metrics.entriesFlushed += this.#unflushedEntries
    this.#unflushedEntries = 0
    log.flush(error => {
      if (this.#isFailed) return
      if (error !== undefined) return this.#fail(error)
      this.#logFlushing = undefined
      this.flushDurations.add(clock.nowMs() - this.#flushStartMs)
      this.#options.progressed()
    })
  }

  #countAppended(count: number, bytes: number): void {
    this.#unflushedEntries += count
    this.#options.metrics.entriesAppended += count
    this.#options.metrics.bytesAppended += bytes
  }

  #fail(error: Error): void {
    this.#isFailed = true
    this.#options.failed(error)
  }

  /** Tells the log how far it is durable, for its mark (rule 3). */
  noteDurable(index: LogIndex): void {
    if (!this.#isFailed) this.#options.log.noteDurable(index)
  }
}
