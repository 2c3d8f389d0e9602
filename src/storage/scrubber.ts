/**
 * Reads the log again, all of it, and then the sealed chunks of the queue index, at leisure: rot is found while there are peers to mend it from, not years
 * later when it is the last copy. Block by block through the same checks as any read, at a bounded rate, round after round; what is damaged is told to
 * `holes`, and mended like after any other read. A rotten chunk of the index is told by the index itself, and the node starts again to make it anew.
 * It reads through the system's page cache: what lies in there hides the disk until it is evicted.
 */
import { UnreadableEntry } from '../../raft/index.ts'
import { assert } from '../platform/assert.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import { BlockReader } from './block-reader.ts'
import type { EntriesKnown, RotFound } from './block-reader.ts'
import type { QueueIndexFiles } from './queue-index.ts'
import type { IndexPlace } from './sealed-rows.ts'
import type { Segment } from './segment.ts'
import { mendHeader, SegmentFiles } from './segment-files.ts'
import { innermost, isDiskError, StorageError, whatNext } from './storage-error.ts'

export interface ScrubberOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly directory: string
  readonly directoryId: Uint8Array
  readonly log: EntriesKnown & { readonly segments: readonly Segment[]; readonly writtenIndex: number }
  /** Read behind the log, in every round. */
  readonly index?: Pick<QueueIndexFiles, 'scrubBlock'>
  readonly rotFound: RotFound
  readonly bytesPerSecond: number
  /** A round begins at the earliest so long after the one before; a minute unless told. */
  readonly roundMsMin?: number
  readonly note: (sentence: string) => void
  /** The disk failed: nothing is scrubbed any more. */
  readonly failed: (error: Error) => void
}

export interface ScrubberStatus {
  readonly rounds: number
  readonly bytesRead: number
}

const roundMsMinUsual = 60_000
/** One block, at least: what is read between two looks at the clock. */
const stepMsMin = 5

export class Scrubber {
  readonly #options: ScrubberOptions
  readonly #files: SegmentFiles
  readonly #blocks: BlockReader
  #timer: Timer | undefined
  readonly #roundMsMin: number
  #isStopped = false
  /** The next entry to look at. */
  #nextIndex = 0
  /** The next block of the index to look at. */
  #place: IndexPlace | undefined
  #roundStartMs: number
  #rounds = 0
  #bytesRead = 0

  constructor(options: ScrubberOptions) {
    assert(options.bytesPerSecond > 0, 'scrub-rate', options.bytesPerSecond)
    this.#options = options
    this.#files = new SegmentFiles(options.disk, options.directory, 2)
    // Nothing is kept: what was read once is not read again soon.
    this.#blocks = new BlockReader(this.#files, 1, options.rotFound, options.log)
    this.#roundStartMs = options.clock.nowMs()
    this.#roundMsMin = options.roundMsMin ?? roundMsMinUsual
    this.#later(this.#roundMsMin)
  }

  status(): ScrubberStatus {
    return { rounds: this.#rounds, bytesRead: this.#bytesRead }
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#files.closeAll()
  }

  #later(delayMs: number): void {
    if (!this.#isStopped) this.#timer = this.#options.clock.setTimer(delayMs, () => this.#step())
  }

  #step(): void {
    if (this.#isStopped) return
    let bytes: number | undefined
    try {
      bytes = this.#scrubNext() ?? this.#scrubIndex()
    } catch (error) {
      return this.#fail(error)
    }
    if (bytes !== undefined) return this.#later(Math.max(stepMsMin, (bytes * 1_000) / this.#options.bytesPerSecond))
    const { clock } = this.#options
    this.#files.closeAll()
    this.#rounds++
    this.#nextIndex = 0
    this.#place = undefined
    const waitMs = Math.max(0, this.#roundStartMs + this.#roundMsMin - clock.nowMs())
    this.#roundStartMs = clock.nowMs() + waitMs
    this.#later(waitMs)
  }

  /** Damage is expected and mended; a disk that does not read or write at all is the end of this node. */
  #fail(error: unknown): void {
    if (!isDiskError(error)) throw error
    this.#isStopped = true
    const { directory, failed } = this.#options
    failed(new StorageError(`${directory}: the log can't be read through (${innermost(error)}); ${whatNext(error)}`, directory, error))
  }

  /** One block; undefined when the round is over. */
  #scrubNext(): number | undefined {
    const { log } = this.#options
    const segment = log.segments.find(one => one.lastIndex >= this.#nextIndex && !one.isEmpty)
    if (segment === undefined || !segment.isOnDisk) return undefined
    const index = Math.max(this.#nextIndex, segment.firstIndex)
    if (index === segment.firstIndex) {
      const { directoryId, note } = this.#options
      mendHeader(this.#files, segment, directoryId, note)
    }
    const number = segment.pointBefore(index)
    const begin = segment.point(number)
    const end = number + 1 < segment.points ? segment.point(number + 1) : { index: segment.lastIndex + 1, position: segment.endPosition }
    if (end.index - 1 > log.writtenIndex) return undefined
    this.#nextIndex = end.index
    try {
      this.#blocks.blockOf(segment, index)
    } catch (error) {
      if (!(error instanceof UnreadableEntry)) throw error
    }
    const bytes = end.position - begin.position
    this.#bytesRead += bytes
    return bytes
  }

  /** One block of the queue index, behind the log; undefined when there is none left. */
  #scrubIndex(): number | undefined {
    const read = this.#options.index?.scrubBlock(this.#place)
    if (read === undefined) return undefined
    this.#place = read.next
    this.#bytesRead += read.bytes
    return read.bytes
  }
}
