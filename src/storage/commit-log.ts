/**
 * The CommitLog, which is the Raft log: entries in memory at once, on disk when `flush` has carried them there.
 *
 *   segments   [ 1 … 4180 ][ 4181 … 7999 ][ 8000 …            ]
 *   memory                          [ slab ][ slab ][ slab · · ]      older entries are read back block by block
 *   cursors              on disk: writtenIndex ↑      ↑ plannedIndex (being written)   ↑ last
 *
 * This file is the log in memory and the plan of each flush; log-look.ts looks into it, log-writer.ts is its hand on the disk, recovery.ts its beginning.
 * Invariants: writtenIndex ≤ plannedIndex ≤ last index; all above writtenIndex is in slabs; a truncation lowers all of them at once, so that the
 * end of an older write never vouches for a newer entry of the same index (B125–B127).
 * It never waits, never asks a clock but for housekeeping, and never reads from disk what is not written.
 */
import { EntryKind, UnreadableEntry } from '../../raft/index.ts'
import type {
  BlockCheck,
  EntryBody,
  EntryId,
  LogIndex,
  LogStorage,
  MembershipAt,
  RecordBlock,
  StoredEntry,
  Term,
  TermRun,
} from '../../raft/index.ts'
import { assert, mustExist } from '../platform/assert.ts'
import { viewOf } from '../platform/bytes.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import { BlockReader } from './block-reader.ts'
import type { Holes } from './holes.ts'
import { checkBlockBytes, walkBlock } from './block-check.ts'
import type { BaseMembership } from './log-base.ts'
import {
  beginningOf,
  bytesBehind,
  cutPosition,
  entryAt,
  filesThrough,
  firstIndexOf,
  markAt,
  membershipsIn,
  readableEnd,
  readableLinkAt,
  readBlock,
  sealOf,
  segmentOf,
} from './log-look.ts'
import type { HeldLog, LogFile } from './log-look.ts'
import { LogWriter } from './log-writer.ts'
import type { DurableMarks, FlushDone } from './log-writer.ts'
import { planWrites } from './flush-plan.ts'
import type { FlushPlan, TruncationPlan } from './flush-plan.ts'
import { LogBeginning } from './log-beginning.ts'
import type { LogLimits } from './log-limits.ts'
import { chainId, recordHeaderBytes, recordKind, writeRecordHeader } from './record.ts'
import type { ChainLink } from './record.ts'
import type { RecoveredLog } from './recovery.ts'
import { Segment } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'
import { removeSidecar } from './sidecar.ts'
import type { Slab } from './slab.ts'
import { TailCache } from './tail-cache.ts'
import { noteTerm, sliceRuns, truncateRuns } from './term-runs.ts'

export interface CommitLogOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly directoryId: Uint8Array
  readonly files: SegmentFiles
  readonly marks: DurableMarks
  readonly limits: LogLimits
  readonly recovered: RecoveredLog
  /** False: rot was found at the start, and nothing may be written before `adopt`. */
  readonly isWhole: boolean
  readonly holes: Holes
}

export interface CommitLogStatus {
  readonly firstIndex: number
  readonly lastIndex: number
  readonly writtenIndex: number
  readonly segments: number
  readonly openFiles: number
  readonly tailBytes: number
  readonly blockReads: number
  readonly syncs: number
  readonly flushedBytes: number
}

/** Without an append for so long, the tail cache shrinks. */
const idleMs = 10_000

export class CommitLog implements LogStorage {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #limits: LogLimits
  readonly #files: SegmentFiles
  readonly #marks: DurableMarks
  readonly #writer: LogWriter
  readonly #blocks: BlockReader
  readonly #tail: TailCache
  readonly #holes: Holes
  readonly #segments: Segment[]
  readonly #runs: TermRun[]
  readonly #beginning: LogBeginning
  /** All of it, for looking into it. */
  readonly #held: HeldLog
  /** A flush has taken up everything up to here. */
  #plannedIndex: number
  /** On disk up to here. */
  #writtenIndex: number
  /** The disk holds more than `plannedIndex`: the next flush cuts it off. */
  #mustTruncate = false
  /** The end of the log when it was last cut below what is planned. */
  #cut: { readonly lastIndex: number; readonly segment: Segment; readonly position: number } | undefined
  /** Segments that are on disk and no longer part of the log. */
  readonly #removed: Segment[] = []
  #flushedBytes = 0
  #appends = 0
  #idleTimer: Timer | undefined
  #whenPoisoned: ((error: Error) => void) | undefined

  constructor(options: CommitLogOptions) {
    const { disk, clock, directoryId, files, marks, limits, recovered } = options
    this.#disk = disk
    this.#clock = clock
    this.#holes = options.holes
    this.#limits = limits
    this.#files = files
    this.#marks = marks
    this.#segments = recovered.segments
    this.#runs = recovered.runs
    this.#plannedIndex = recovered.last.index
    this.#writtenIndex = recovered.last.index
    this.#blocks = new BlockReader(files, limits.blockCacheBytesMax, options.holes.rotFound, this)
    this.#tail = new TailCache(limits.slabBytes)
    this.#held = { segments: this.#segments, runs: this.#runs, tail: this.#tail, blocks: this.#blocks, last: recovered.last }
    const sealedRuns = (sealed: Segment, next: Segment): readonly TermRun[] | undefined =>
      this.#segments.includes(next) ? sliceRuns(this.#runs, sealed.firstIndex, sealed.lastIndex) : undefined
    this.#writer = new LogWriter({
      ...{ disk, directory: files.directory, directoryId, files, marks, sealedRuns, limits },
      poisoned: error => clock.soon(() => this.#whenPoisoned?.(error)),
    })
    this.#beginning = new LogBeginning({ held: this.#held, files, writer: this.#writer, holes: options.holes }, recovered.baseMembership)
    if (options.isWhole) this.#resume(recovered)
  }

  /** The log as it is after the repair of what was rotten at the start. Nothing was appended before. */
  adopt(found: RecoveredLog): void {
    this.reach(found)
    this.#resume(found)
  }

  /** As far as it can be read by now, while something behind is still rotten: others may need it. Nothing is written before `adopt`. */
  reach(found: RecoveredLog): void {
    assert(!this.hasUnflushed && this.#tail.bytes === 0, 'adopt-after-append', this.#held.last.index)
    this.#segments.splice(0, Infinity, ...found.segments)
    this.#runs.splice(0, Infinity, ...found.runs)
    this.#held.last = found.last
    this.#beginning.adopt(found.baseMembership)
    this.#plannedIndex = this.#writtenIndex = found.last.index
    this.#blocks.clear()
    this.#files.closeAll()
  }

  /** Goes on in the open segment; what had to be read is noted, so that the next start need not read it. */
  #resume({ unnoted }: RecoveredLog): void {
    const open = this.#segments.at(-1)
    if (open !== undefined) this.#writer.resumeIn(open)
    for (const segment of unnoted) {
      const end = { last: this.sealOf(segment), position: segment.endPosition }
      this.#writer.noteSealed(segment, end, sliceRuns(this.#runs, segment.firstIndex, segment.lastIndex))
    }
  }

  /** What the last record of a segment is, as the next one or the end of the log says. */
  sealOf(segment: Segment): ChainLink {
    return sealOf(this.#held, segment)
  }

  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** On disk up to here. */
  get writtenIndex(): number {
    return this.#writtenIndex
  }

  /** Blocks that were read are read again: something on the disk was mended. */
  forgetBlocks(): void {
    this.#blocks.clear()
  }

  get firstIndex(): LogIndex {
    return firstIndexOf(this.#held)
  }

  get lastId(): EntryId {
    return chainId(this.#held.last)
  }

  get termRuns(): readonly TermRun[] {
    return this.#runs
  }

  /** Cluster time of the last entry. */
  get lastWallMs(): number {
    return this.#held.last.wallMs
  }

  /** Its config entries, decoded; and the last one that was trimmed away. */
  memberships(): MembershipAt[] {
    return membershipsIn(this.#held, this.#beginning.membership, this.#files.directory)
  }

  get hasUnflushed(): boolean {
    return this.#mustTruncate || this.#plannedIndex < this.#held.last.index
  }

  recordBytes(bodyBytes: number): number {
    return recordHeaderBytes + bodyBytes
  }

  appendOwn(stamp: { term: Term; firstIndex: LogIndex; kind: EntryKind; wallMs: number }, bodies: readonly EntryBody[]): void {
    const { term, kind, wallMs } = stamp
    assert(stamp.firstIndex === this.#held.last.index + 1, 'append-gap', stamp.firstIndex, this.#held.last.index)
    assert(term >= this.#held.last.term, 'append-term-falls', term, this.#held.last.term)
    for (const body of bodies) {
      const index = this.#held.last.index + 1
      const slab = this.#roomFor(index, recordHeaderBytes + body.bytes)
      const { bytes, view, used } = slab
      let position = used + recordHeaderBytes
      // Copied: the body's parts belong to the caller; the slab is what disk and sockets see.
      for (const part of body.parts) {
        bytes.set(part, position)
        position += part.length
      }
      assert(position === used + recordHeaderBytes + body.bytes, 'body-length', position - used, body.bytes)
      const fields = { length: body.bytes, kind, term, index, wallMs, prevCrc: this.#held.last.headerCrc, bodyCrc: body.crc }
      const headerCrc = writeRecordHeader(bytes, view, used, fields)
      this.#added(slab, { index, term, headerCrc, wallMs }, recordHeaderBytes + body.bytes, kind === EntryKind.config)
    }
  }

  checkBlock(prev: EntryId, bytes: Uint8Array): BlockCheck {
    const known = readableLinkAt(this.#held, prev.index)
    return checkBlockBytes(prev, known?.term === prev.term ? known.headerCrc : undefined, bytes)
  }

  appendBlock(block: RecordBlock, fromIndex: LogIndex): void {
    assert(fromIndex === this.#held.last.index + 1, 'append-block-gap', fromIndex, this.#held.last.index)
    assert(block.prev.index < fromIndex, 'append-block-late', block.prev.index, fromIndex)
    const source = block.buffers.length === 1 ? mustExist(block.buffers[0], 'block-buffer') : Buffer.concat(block.buffers)
    assert(source.length === block.bytes, 'block-bytes', source.length, block.bytes)
    walkBlock(source, (position, size, link, prevCrc) => {
      if (link.index < fromIndex) return
      assert(link.index === this.#held.last.index + 1, 'block-index', link.index, this.#held.last.index)
      assert(prevCrc === this.#held.last.headerCrc, 'block-chain', link.index)
      assert(link.term >= this.#held.last.term, 'block-term', link.term, this.#held.last.term)
      const record = source.subarray(position, position + size)
      const slab = this.#roomFor(link.index, size, record)
      // A large record keeps the memory that it came in; small ones are copied, so that they do not keep a whole frame each.
      if (slab.bytes !== record) slab.bytes.set(record, slab.used)
      this.#added(slab, link, size, recordKind(viewOf(source), position) === EntryKind.config)
    })
    assert(this.#held.last.index === block.lastIndex, 'block-last', this.#held.last.index, block.lastIndex)
  }

  truncateFrom(index: LogIndex): void {
    if (index > this.#held.last.index) return
    assert(index >= this.firstIndex, 'truncate-below-log', index, this.firstIndex)
    const { segment, position, prev: link } = this.#whereToCut(index)
    assert(link.index === index - 1, 'truncate-link', link.index, index)
    this.#dropSegmentsBehind(index)
    if (segment.firstIndex < index || segment === this.#segments[0]) segment.truncate(index, position)
    truncateRuns(this.#runs, index)
    this.#tail.truncate(index)
    this.#blocks.truncate(index)
    this.#holes.truncate(index)
    this.#held.last = link
    if (index <= this.#plannedIndex) {
      this.#mustTruncate = true
      const end = mustExist(this.#segments.at(-1), 'truncation-end')
      this.#cut = { lastIndex: link.index, segment: end, position: end.endPosition }
    }
    this.#plannedIndex = Math.min(this.#plannedIndex, link.index)
    this.#writtenIndex = Math.min(this.#writtenIndex, link.index)
  }

  /** Rot before the cut: nothing has been cut. The next start reads the segment, as if it had no sidecar, finds the place and gets it mended. */
  #whereToCut(index: LogIndex): ReturnType<typeof beginningOf> {
    try {
      return beginningOf(this.#held, index)
    } catch (error) {
      if (error instanceof UnreadableEntry) removeSidecar(this.#disk, this.#files.directory, segmentOf(this.#held, index))
      throw error
    }
  }

  trimTo(index: LogIndex): void {
    this.#beginning.trimTo(index, this.#writtenIndex)
  }

  /** Of the last config entry that was trimmed away. */
  get baseMembership(): BaseMembership | undefined {
    return this.#beginning.membership
  }

  /** The applied state knows a membership. If its entry is gone (builds before kept no record of it) or has rotted, the next trim takes it from here. */
  knowMembership(known: BaseMembership): void {
    this.#beginning.know(known)
  }

  readBlock(fromIndex: LogIndex, lastIndex: LogIndex, bytesMax: number): RecordBlock | undefined {
    return readBlock(this.#held, fromIndex, lastIndex, bytesMax)
  }

  bytesBehind(index: LogIndex): number {
    return bytesBehind(this.#held, index)
  }

  entry(index: LogIndex): StoredEntry {
    return entryAt(this.#held, index)
  }

  whenPoisoned(failed: (error: Error) => void): void {
    this.#whenPoisoned = failed
  }

  flush(done: FlushDone): void {
    const { poison } = this.#writer
    if (poison !== undefined || !this.hasUnflushed) return this.#clock.soon(() => done(poison))
    const plan = this.#takePlan()
    const flushedIndex = this.#plannedIndex
    let isInside = true
    const finished = (error: Error | undefined): void => {
      // An error may come before the first write was under way.
      if (isInside) return this.#clock.soon(() => finished(error))
      if (error === undefined) {
        // What was truncated meanwhile is not on disk, or not for long.
        this.#writtenIndex = Math.min(flushedIndex, this.#plannedIndex)
        for (const write of plan.writes) this.#flushedBytes += write.bytes
        this.#maybeNoteBeginning()
        this.#tail.shrink(this.#limits.tailBytesMax, this.#writtenIndex)
        this.#watchIdle()
      }
      done(error)
    }
    this.#writer.run(plan, finished)
    isInside = false
  }

  /** The files that hold the entries up to `index`, which is on disk: how many bytes of each, and the checksum that its first record follows. */
  filesThrough(index: number): readonly LogFile[] {
    assert(index <= this.#writtenIndex, 'files-through-unwritten', index, this.#writtenIndex)
    return filesThrough(this.#held, index)
  }

  noteDurable(index: LogIndex): void {
    this.#marks.noteDurable(markAt(this.#held, Math.min(index, this.#writtenIndex)), this.#flushedBytes)
  }

  status(): CommitLogStatus {
    return {
      firstIndex: this.firstIndex,
      lastIndex: this.#held.last.index,
      writtenIndex: this.#writtenIndex,
      segments: this.#segments.length,
      openFiles: this.#files.openCount,
      tailBytes: this.#tail.bytes,
      blockReads: this.#blocks.reads,
      syncs: this.#writer.syncs,
      flushedBytes: this.#flushedBytes,
    }
  }

  /** The segments of the log, oldest first; the last one is being written. */
  segmentSpans(): { readonly firstIndex: number; readonly lastIndex: number; readonly bytes: number }[] {
    return this.#segments.map(({ firstIndex, lastIndex, endPosition }) => ({ firstIndex, lastIndex, bytes: endPosition }))
  }

  /** Waits for the flush under way, ends the background work, tells the last mark and closes the files. What was not flushed is lost. */
  close(done: () => void): void {
    this.#idleTimer?.cancel()
    this.#writer.quiesce(() => {
      if (this.#writer.poison === undefined) this.#marks.noteDurable(markAt(this.#held, this.#writtenIndex), this.#flushedBytes)
      this.#files.closeAll()
      done()
    })
  }

  /** Everything between the cursors, as the disk will see it. Raises `plannedIndex`. */
  #takePlan(): FlushPlan {
    let truncation: TruncationPlan | undefined
    if (this.#mustTruncate) {
      const lastIndex = this.#plannedIndex
      truncation = {
        ...this.#cutAt(lastIndex),
        mark: markAt(this.#held, lastIndex),
        removed: this.#removed.splice(0).sort((a, b) => a.firstIndex - b.firstIndex),
      }
      this.#mustTruncate = false
    }
    const writes = planWrites(this.#tail.slabs, this.#plannedIndex, this.#writer.roundBytesMax)
    this.#plannedIndex = this.#held.last.index
    return { truncation, writes }
  }

  /** Where what was planned before the truncation ends now: known since then, without a read, for what stands there may have rotted. */
  #cutAt(lastIndex: number): { readonly segment: Segment; readonly position: number } {
    if (this.#cut?.lastIndex === lastIndex) return this.#cut
    const segment = mustExist(this.#segments.findLast(one => one.firstIndex <= lastIndex) ?? this.#segments[0], 'truncation-segment')
    return { segment, position: cutPosition(this.#held, segment, lastIndex) }
  }

  /** Once in a while the open segment's sidecar learns how far it is on disk. */
  #maybeNoteBeginning(): void {
    const segment = this.#segments.at(-1)
    if (segment === undefined || this.#writtenIndex < segment.firstIndex) return
    const end = readableEnd(this.#held, segment, this.#writtenIndex)
    if (end === undefined || !this.#writer.isNoteDue(segment, end.position)) return
    this.#writer.noteBeginning(segment, end, sliceRuns(this.#runs, segment.firstIndex, this.#writtenIndex))
  }

  /** Segments without an entry below `index` go, the very first one excepted. */
  #dropSegmentsBehind(index: number): void {
    for (let last = this.#segments.at(-1); last !== undefined && last.firstIndex >= index; last = this.#segments.at(-1)) {
      if (this.#segments.length === 1) return
      this.#segments.pop()
      // On disk, perhaps without a record, or about to be.
      if (!last.isOnDisk && last.firstIndex > this.#plannedIndex) continue
      this.#removed.push(last)
      this.#mustTruncate = true
    }
  }

  #added(slab: Slab, link: ChainLink, size: number, isConfig: boolean): void {
    const { segment } = slab
    if (isConfig) segment.configs.push(link.index)
    segment.maybeAddPoint(link.index, segment.endPosition)
    slab.add(size)
    segment.endPosition += size
    segment.lastIndex = link.index
    noteTerm(this.#runs, link.index, link.term)
    this.#held.last = link
    this.#appends++
  }

  /** Where the next record goes: it never spans segments, an empty one takes any size. `memory` that holds it already, if that may stay. */
  #roomFor(index: number, size: number, memory?: Uint8Array): Slab {
    let segment = this.#segments.at(-1)
    const isFull = segment !== undefined && !segment.isEmpty && segment.endPosition + size > this.#limits.segmentBytes
    if (segment === undefined || isFull) {
      segment = new Segment(this.#held.last, false)
      this.#segments.push(segment)
    }
    return this.#tail.roomFor(segment, index, size, memory)
  }

  #watchIdle(): void {
    if (this.#idleTimer !== undefined || this.#tail.bytes <= this.#limits.tailBytesIdle) return
    const seen = this.#appends
    this.#idleTimer = this.#clock.setTimer(idleMs, () => {
      this.#idleTimer = undefined
      if (seen === this.#appends) this.#tail.shrink(this.#limits.tailBytesIdle, this.#writtenIndex)
      else this.#watchIdle()
    })
  }
}
