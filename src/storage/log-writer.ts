/**
 * The log's hand on the disk: carries out one flush plan at a time. Order is everything here.
 *
 *   truncation   durable mark lowered → later segments removed, last first, each made durable → header after the new end zeroed, synced
 *   write        one write and one sync per segment (in rounds of at most `flushBytesMax`: what recovery knows of a torn flush rests on that; a
 *                power cut between two rounds finds whole records, and nothing to doubt behind them; only a record larger than a round is cut)
 *   roll         old segment synced → header of the prepared file written, synced → named, directory synced → first records written
 *
 * The mark goes first: a crash behind it leaves a longer log than wanted, which is harmless; a mark above the end would look like lost entries.
 * The first error poisons: every later flush fails with it, nothing is retried (raft.md §2.21).
 */
import type { TermRun } from '../../raft/index.ts'
import { assert, mustExist } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { LogLimits } from './log-limits.ts'
import type { FlushPlan, SegmentWrite, TruncationPlan } from './flush-plan.ts'
import type { DurableMark } from './hard-state.ts'
import type { LogBase } from './log-base.ts'
import { LogTrim } from './log-trim.ts'
import { recordHeaderBytes } from './record.ts'
import { encodeSegmentHeader, preparedName, segmentHeaderBytes } from './segment.ts'
import type { Segment } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'
import { Sidecars } from './sidecar.ts'
import type { RecordsEnd } from './sidecar.ts'
import { StorageError, whatNext } from './storage-error.ts'
import { ZeroFill } from './zero-fill.ts'

export type FlushDone = (error: Error | undefined) => void

/** The mark of rule 3, kept in the hard-state file. */
export interface DurableMarks {
  /** Entries up to the mark are on disk; `logBytes` counts the bytes ever flushed. Kept now and then. */
  noteDurable(mark: DurableMark, logBytes: number): void
  /** The kept mark is at most this one when `done` runs. */
  lowerMark(mark: DurableMark, done: FlushDone): void
}

export interface LogWriterOptions {
  readonly disk: Disk
  readonly directory: string
  readonly directoryId: Uint8Array
  readonly files: SegmentFiles
  readonly marks: DurableMarks
  /** The first error, whatever met it; may run inside a call. */
  readonly poisoned: (error: Error) => void
  /** The terms of a segment that `next` follows; undefined when memory has already gone back behind `next` again. */
  readonly sealedRuns: (sealed: Segment, next: Segment) => readonly TermRun[] | undefined
  readonly limits: Pick<LogLimits, 'segmentBytes' | 'fillStepBytes' | 'flushBytesMax' | 'unmarkedBytesMax'>
}

const zeroHeader = new Uint8Array(recordHeaderBytes)

export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #fill: ZeroFill
  readonly #sidecars: Sidecars
  readonly #trim: LogTrim
  #current: Segment | undefined
  /** Up to here the current segment's file may hold bytes of records that count no more: writes below it carry a header of zeros behind them. */
  #staleTo = 0
  /** What the current segment's sidecar was told last. */
  #notedTo = 0
  #isBusy = false
  #quiesceWaiting: (() => void) | undefined
  #poison: Error | undefined
  #syncs = 0

  constructor(options: LogWriterOptions) {
    this.#options = options
    const { disk, directory, directoryId } = options
    const { segmentBytes, fillStepBytes: stepBytes } = options.limits
    const failed = (error: Error): void => this.#setPoison(error)
    this.#fill = new ZeroFill({ disk, directory, segmentBytes, stepBytes, failed })
    this.#sidecars = new Sidecars(disk, directory, failed)
    this.#trim = new LogTrim({ disk, directory, directoryId, failed })
  }

  /** Set by the first error; final. */
  get poison(): Error | undefined {
    return this.#poison
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  /** A round has so many bytes of records, and room for a header of zeros behind them. */
  get roundBytesMax(): number {
    return this.#options.limits.flushBytesMax - recordHeaderBytes
  }

  /** Syncs of records so far. */
  get syncs(): number {
    return this.#syncs
  }

  /** Recovery has found the log's end in this segment. */
  resumeIn(segment: Segment): void {
    this.#setCurrent(segment)
    this.#fill.reserve(segment.endPosition, () => this.#fill.pump())
  }

  /** The oldest segments go from the disk, in the background; the log begins behind `base`. */
  removeLater(segments: readonly Segment[], base: LogBase): void {
    if (this.#poison !== undefined) return
    for (const segment of segments) this.#sidecars.forget(segment)
    this.#trim.removeLater(segments, base)
  }

  /** The sealed segment's records end with `end`: a start need not read it. */
  noteSealed(segment: Segment, end: RecordsEnd, runs: readonly TermRun[]): void {
    this.#sidecars.writeLater(segment, end, runs)
  }

  /** The open segment's records up to `end` are on disk: a start may begin there. */
  noteBeginning(segment: Segment, end: RecordsEnd, runs: readonly TermRun[]): void {
    this.#notedTo = end.position
    this.#sidecars.writeLater(segment, end, runs)
  }

  /** Whether so much of the open segment has been written since its sidecar was last told that it should be told again. */
  isNoteDue(segment: Segment, position: number): boolean {
    return segment === this.#current && this.#poison === undefined && position - this.#notedTo >= this.#options.limits.unmarkedBytesMax
  }

  /** Carries out the plan. `done` never runs inside this call, for every plan has at least one asynchronous step. */
  run(plan: FlushPlan, done: FlushDone): void {
    assert(!this.#isBusy, 'flush-outstanding')
    assert(this.#poison === undefined, 'flush-poisoned')
    assert(plan.truncation !== undefined || plan.writes.length > 0, 'flush-of-nothing')
    this.#isBusy = true
    const finished = (error: Error | undefined): void => {
      if (error !== undefined) this.#setPoison(error)
      this.#isBusy = false
      if (this.#poison === undefined) this.#fill.resume()
      done(this.#poison)
      const quiesced = this.#quiesceWaiting
      this.#quiesceWaiting = undefined
      if (quiesced !== undefined) this.quiesce(quiesced)
    }
    const write = this.#guard(finished, () => this.#writeFrom(plan, 0, finished))
    if (plan.truncation === undefined) write()
    else this.#truncate(plan.truncation, write, finished)
  }

  /** Runs `done` when nothing is under way, a flush included, and starts nothing more. */
  quiesce(done: () => void): void {
    assert(this.#quiesceWaiting === undefined, 'quiesced-twice')
    if (this.#isBusy) {
      this.#quiesceWaiting = done
      return
    }
    this.#isBusy = true
    this.#fill.hold(() => {
      this.#fill.close()
      this.#trim.stop(() => this.#sidecars.stop(done))
    })
  }

  #writeFrom(plan: FlushPlan, number: number, finished: FlushDone): void {
    const write = plan.writes[number]
    if (write === undefined) return finished(undefined)
    const next = this.#guard(finished, () => this.#writeFrom(plan, number + 1, finished))
    const begin = this.#guard(finished, () => this.#writeRounds(this.#options.files.pin(write.segment), write, next, finished))
    if (write.segment.isOnDisk) {
      assert(write.segment === this.#current, 'write-elsewhere', write.segment.firstIndex)
      begin()
    } else {
      this.#roll(write.segment, begin, finished)
    }
  }

  #writeRounds(file: DiskFile, write: SegmentWrite, next: () => void, finished: FlushDone): void {
    const { roundBytesMax } = this
    const rounds = write.bytes <= roundBytesMax ? [write.buffers] : cutRounds(write.buffers, roundBytesMax)
    let position = write.position
    const nextRound = this.#guard(finished, () => {
      const round = rounds.shift()
      if (round === undefined) return next()
      const at = position
      for (const buffer of round) position += buffer.length
      // What stands behind is met if the power goes before the next round.
      const isStaleBehind = position < this.#staleTo
      this.#writeRound(file, at, isStaleBehind ? [...round, zeroHeader] : round, nextRound, finished)
    })
    const end = write.position + write.bytes
    this.#fill.reserve(end < this.#staleTo ? end + recordHeaderBytes : end, nextRound)
  }

  #writeRound(file: DiskFile, position: number, buffers: readonly Uint8Array[], next: () => void, finished: FlushDone): void {
    this.#syncs++
    file.writeAndSync(position, buffers, error => (error === undefined ? next() : finished(error)))
  }

  /** The segment before is synced up to its last record: `#writeFrom` goes on only then. */
  #roll(segment: Segment, next: () => void, finished: FlushDone): void {
    const { disk, directory, directoryId, files, sealedRuns } = this.#options
    const name = this.#guard(finished, (prepared: { file: DiskFile; filledTo: number }) => {
      prepared.file.close()
      disk.rename(`${directory}/${preparedName}`, files.pathOf(segment))
      disk.syncDirectory(directory)
      segment.isOnDisk = true
      const sealed = this.#current
      this.#setCurrent(segment, prepared.filledTo)
      const runs = sealed === undefined ? undefined : sealedRuns(sealed, segment)
      if (sealed !== undefined && runs !== undefined)
        this.#sidecars.writeLater(sealed, { last: segment.prev, position: sealed.endPosition }, runs)
      next()
    })
    this.#fill.hold(
      this.#guard(finished, () => {
        const prepared = this.#fill.takePrepared()
        prepared.file.writeAndSync(0, [encodeSegmentHeader(segment.prev, directoryId)], error =>
          error === undefined ? name(prepared) : finished(error),
        )
      }),
    )
  }

  #truncate(plan: TruncationPlan, next: () => void, finished: FlushDone): void {
    const { disk, directory, files, marks } = this.#options
    const cut = this.#guard(finished, () => {
      for (const segment of plan.removed.toReversed()) {
        assert(segment.isOnDisk, 'remove-unborn-segment', segment.firstIndex)
        files.close(segment)
        disk.remove(files.pathOf(segment))
        segment.isOnDisk = false
        // One at a time: two removals that reach the disk in the wrong order would leave a gap in the middle.
        disk.syncDirectory(directory)
        this.#sidecars.remove(segment)
      }
      this.#sidecars.remove(plan.segment)
      this.#setCurrent(plan.segment)
      const file = files.pin(plan.segment)
      this.#fill.reserve(
        plan.position + recordHeaderBytes,
        this.#guard(finished, () => {
          file.writeAndSync(plan.position, [zeroHeader], error => (error === undefined ? next() : finished(error)))
        }),
      )
    })
    marks.lowerMark(
      plan.mark,
      this.#guard(finished, (error: Error | undefined) => (error === undefined ? this.#fill.hold(cut) : finished(error))),
    )
  }

  /** A segment that was written before may hold anything behind its end; a new one holds zeros. */
  #setCurrent(segment: Segment, newFilledTo?: number): void {
    const file = this.#options.files.pin(segment)
    this.#current = segment
    this.#notedTo = 0
    this.#staleTo = newFilledTo === undefined ? file.sizeBytes() : 0
    this.#fill.setCurrent(file, newFilledTo ?? file.sizeBytes(), segmentHeaderBytes)
  }

  /** What throws in a later turn (a rename, a removal) ends the flush like an error of a write. */
  #guard<A extends readonly unknown[]>(finished: FlushDone, step: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      try {
        step(...args)
      } catch (error) {
        if (!(error instanceof Error) || error.name === 'AssertionError') throw error
        finished(error)
      }
    }
  }

  #setPoison(cause: Error): void {
    if (this.#poison !== undefined) return
    const { directory } = this.#options
    this.#poison = new StorageError(`${directory}: writing the log failed (${cause.message}); ${whatNext(cause)}`, directory, cause)
    this.#options.poisoned(this.#poison)
  }
}

/** Rounds of at most `roundBytesMax` bytes. Each ends with a whole buffer, and so with a whole record; only a record that is larger itself is cut. */
function cutRounds(buffers: readonly Uint8Array[], roundBytesMax: number): Uint8Array[][] {
  const rounds: Uint8Array[][] = []
  let room = 0
  for (const buffer of buffers) {
    if (buffer.length > room) room = 0
    for (let at = 0; at < buffer.length;) {
      if (room === 0) {
        rounds.push([])
        room = roundBytesMax
      }
      const bytes = Math.min(room, buffer.length - at)
      mustExist(rounds.at(-1), 'round').push(buffer.subarray(at, at + bytes))
      at += bytes
      room -= bytes
    }
  }
  return rounds
}
