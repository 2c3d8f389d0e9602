/**
 * The repair of a log that was found rotten at a start: record by record from a peer, until what stands behind the hole fits again and the ordinary
 * recovery (recovery.ts) finds nothing to complain of. Blocking writes: until then the node takes no part in anything else.
 *
 *   ours     [ 1 … 40 ][ rotten · · · ][ 44 … 90 ]                    41, 42, 43 come from a peer
 *   proven   43 is what our own 44 says that it follows: nothing else could have stood there
 *
 * A supplied record is written when it is proven to be what was here, or what must be here:
 *   own chain     our own record, or our own next segment, follows it
 *   own mark      it is the record that the durable mark names (term and headerCrc)
 *   commit        the peer knows it to be committed; if ours was another one, ours can never have been
 * Until one of these holds it waits in memory. So a peer that has other, uncommitted entries here can't make us take them.
 * A committed record that does not follow what we have before the hole proves that ours is superseded from there on: then the log ends there.
 * So does one that fits, but whose term is above that of a record that we know to have stood behind it: then the log ends with what is committed.
 * Nothing is removed before its successor is proven; a crash in the middle leaves a hole that is found again.
 */
import type { SupplyOutcome } from '../../raft/index.ts'
import { assert, mustExist } from '../platform/assert.ts'
import { viewOf } from '../platform/bytes.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { DurableMark } from './hard-state.ts'
import {
  checkRecordAlone,
  checkRecordBody,
  checkRecord,
  linkOf,
  recordBytes,
  recordHeaderBytes,
  recordIndex,
  type ChainLink,
} from './record.ts'
import { findLog, type FoundLog, type RecoverLogOptions, type RottenPlace } from './recovery.ts'
import { ReadWindow } from './segment-scan.ts'
import { decodeSegmentHeader, encodeSegmentHeader, parseSegmentName, Segment, segmentName, segmentHeaderBytes } from './segment.ts'
import { removeSidecar } from './sidecar.ts'
import { lastWholeRecord, nextFlushedRecord } from './whole-records.ts'

/** Records that wait for a proof; more than this and only the commit of a peer can prove them, from the beginning again. */
const waitingBytesMax = 64 * 1024 * 1024

export interface LogRepairOptions {
  readonly recovery: RecoverLogOptions
  /** The mark as it was kept, with what it knows of the record there. */
  readonly marked: DurableMark
  /** What has been applied was committed: no record up to here supersedes ours. */
  readonly appliedIndex: number
  readonly segmentBytes: number
  readonly rot: RottenPlace
  /** The log ends with this record from now on: the mark is lowered, durably, before the rest is cut off. */
  readonly superseded: (last: ChainLink) => void
  /** The same, where all that is committed up to the new end is in our log: nothing is missing that could have been acknowledged. */
  readonly replaced: (last: ChainLink) => void
  /** What is cut off behind the hole was unfinished, or is unreadable: something may be lost there. On record before it is cut. */
  readonly tailLost: () => void
  /** A peer's committed entry of this term comes into our log: durably on record before it is, or the next start would take our hard state for an old one. */
  readonly committedIn: (term: number) => void
  /** The log can be read further than before, up to the next hole: another node that is being mended may need what stands there. */
  readonly reached: (found: FoundLog) => void
  /** Something for the operator. */
  readonly note: (sentence: string) => void
  /** What the start has told: it is not told again when the log is looked at anew. */
  readonly told: readonly string[]
}

type Proof = 'fits' | 'right'

/** A supplied record, and where it belongs. */
interface Piece {
  readonly bytes: Uint8Array
  readonly link: ChainLink
  readonly segment: Segment
  readonly position: number
}

/** Where the next record is written. */
interface Cursor {
  segment: Segment
  position: number
  /** The last record before it. */
  link: ChainLink
}

export class LogRepair {
  readonly #options: LogRepairOptions
  #recovery: RecoverLogOptions
  #rot: RottenPlace
  #marked: DurableMark
  #cursor: Cursor
  /** The hole surely ends here, or before. */
  #target: number
  /** Whole, behind the hole and above the mark, with so much behind it that all before it was synced. */
  #beyond: ChainLink | undefined
  #waiting: Piece[] = []
  #waitingBytes = 0
  #repaired = 0
  /** What stood behind the hole is superseded, in whatever file. */
  #isReplaced = false
  #found: FoundLog | undefined
  readonly #told: Set<string>

  constructor(options: LogRepairOptions) {
    this.#options = options
    this.#told = new Set(options.told)
    this.#recovery = options.recovery
    this.#rot = options.rot
    this.#marked = options.marked
    this.#cursor = { ...cursorAt(options.rot) }
    this.#beyond = this.#findBeyond()
    this.#target = this.#findTarget()
  }

  /** The records to ask for; undefined when the log is whole. */
  get wanted(): { readonly fromIndex: number; readonly lastIndex: number } | undefined {
    if (this.#found !== undefined) return undefined
    const fromIndex = this.#tip.index + 1
    return { fromIndex, lastIndex: Math.max(fromIndex, this.#target) }
  }

  /** The log without a hole, when there is none left. */
  get found(): FoundLog | undefined {
    return this.#found
  }

  /** What a peer has from `fromIndex` on. Its `commitIndex` says what of it is beyond doubt. */
  supply(fromIndex: number, bytes: Uint8Array, commitIndex: number): SupplyOutcome {
    if (this.#found !== undefined || fromIndex !== this.#tip.index + 1 || bytes.length === 0) return 'refused'
    const view = viewOf(bytes)
    let isParted = false
    for (let position = 0; position < bytes.length;) {
      const problem = checkRecord(bytes, view, position, bytes.length, this.#tip)
      if (problem !== undefined) {
        if (this.#isSuperseded(bytes, view, position, commitIndex)) return this.#cutOff()
        // What waits may be another peer's, whose log went its own way: this one is asked from the beginning.
        return this.startOver() ? 'progress' : 'refused'
      }
      const size = recordBytes(view, position)
      this.#waiting.push({ bytes: bytes.slice(position, position + size), link: linkOf(view, position), ...this.#placeFor(size) })
      this.#waitingBytes += size
      position += size
      const proof = this.#proof(commitIndex)
      if (proof === undefined) continue
      if (this.#tip.index <= commitIndex) this.#options.committedIn(this.#tip.term)
      isParted = proof === 'right' && (isParted || this.#isParted(commitIndex))
      // What is committed behind it comes along: nothing more is asked for once the log ends.
      if (isParted && position < bytes.length && this.#tip.index < commitIndex) continue
      if (isParted) return this.#replaceEnd()
      this.#writeWaiting()
      if (proof === 'fits' || this.#isEnd()) return this.#lookAgain(proof)
    }
    if (this.#waitingBytes > waitingBytesMax) this.#forgetWaiting()
    return 'progress'
  }

  /**
   * The last entry that was on this disk, as far as the disk still tells: what was acknowledged is not behind it. The durable mark, the names of segments, and
   * every record that is whole in the last of them, or in the one that has rotted.
   */
  get heldThrough(): number {
    const { disk, directory } = this.#recovery
    const lastNamed = Math.max(0, ...disk.list(directory).map(name => parseSegmentName(name) ?? 0))
    const told = Math.max(this.#rot.through, this.#marked.index, lastNamed - 1)
    const { segment, position, last, following } = this.#rot
    // Behind what the next segment follows stand leftovers.
    const own = Math.min(following?.index ?? Infinity, this.#lastWholeIn(segment.name, { position, index: last.index }))
    if (segment.firstIndex === lastNamed || lastNamed === 0) return Math.max(told, own)
    return Math.max(told, own, this.#lastWholeIn(segmentName(lastNamed), { position: segmentHeaderBytes, index: lastNamed - 1 }))
  }

  #lastWholeIn(name: string, from: { readonly position: number; readonly index: number }): number {
    const { disk, directory } = this.#recovery
    const path = `${directory}/${name}`
    return disk.exists(path) ? withFile(disk, path, file => lastWholeRecord(file, from)) : 0
  }

  /** Forgets what nobody has proven yet; false when there is nothing of that. */
  startOver(): boolean {
    const hadWaiting = this.#waiting.length > 0
    this.#forgetWaiting()
    return hadWaiting
  }

  get #tip(): ChainLink {
    return this.#end.link
  }

  /** Behind what waits. */
  get #end(): Cursor {
    return this.#behind(this.#waiting.at(-1))
  }

  #behind(piece: Piece | undefined): Cursor {
    if (piece === undefined) return this.#cursor
    const { segment, position, bytes, link } = piece
    return { segment, position: position + bytes.length, link }
  }

  /** They follow each other without a gap. */
  #waitingAt(index: number): Piece | undefined {
    return this.#waiting[index - this.#cursor.link.index - 1]
  }

  #forgetWaiting(): void {
    this.#waiting = []
    this.#waitingBytes = 0
  }

  /** Why the waiting records are what must stand here: our own records go on behind them, here or in the next file, or they are known to be right. */
  #proof(commitIndex: number): Proof | undefined {
    const { index: markIndex, link: markLink } = this.#marked
    const tip = this.#tip
    const { following } = this.#rot
    if (following?.index === tip.index) {
      if (following.headerCrc === tip.headerCrc && following.term === tip.term) return 'fits'
    } else if (!this.#contradictsMark() && this.#fitsOwn()) return 'fits'
    if (tip.index <= commitIndex) return 'right'
    const isMark = tip.index === markIndex && markLink?.headerCrc === tip.headerCrc && markLink.term === tip.term
    return isMark ? 'right' : undefined
  }

  /** Whether our own record behind the waiting ones is good, and follows them: in the same segment, or first in another whose header can't be believed. */
  #fitsOwn(): boolean {
    const { segment, position, link } = this.#end
    const nextName = segmentName(link.index + 1)
    // Where something stood behind the end of the file before, the log may have gone on there, and this one be of the past.
    const isRolled = segment !== this.#cursor.segment
    if (isRolled && !this.#isCleanEnd(this.#behind(this.#waitingAt(segment.firstIndex - 1)))) return false
    return this.#hasNext(segment.name, position, link) || (nextName !== segment.name && this.#hasNext(nextName, segmentHeaderBytes, link))
  }

  /** A file beside which the log went on long ago may fit as well: what stood at the mark is known better. */
  #contradictsMark(): boolean {
    const { index, link } = this.#marked
    if (link === undefined) return false
    const given = this.#waitingAt(index)?.link
    return given !== undefined && (given.headerCrc !== link.headerCrc || given.term !== link.term)
  }

  #hasNext(name: string, position: number, tip: ChainLink): boolean {
    const { disk, directory } = this.#recovery
    const path = `${directory}/${name}`
    return disk.exists(path) && withFile(disk, path, file => new ReadWindow(file).recordAt(position, tip).problem === undefined)
  }

  /** The committed record at this place follows another one than ours: ours was never committed, nor anything behind it. */
  #isSuperseded(bytes: Uint8Array, view: DataView, position: number, commitIndex: number): boolean {
    if (this.#waiting.length > 0 || bytes.length - position < recordHeaderBytes) return false
    if (checkRecordAlone(bytes, view, position) !== undefined || checkRecordBody(bytes, view, position, bytes.length) !== undefined)
      return false
    const index = recordIndex(view, position)
    return index === this.#cursor.link.index + 1 && index <= commitIndex
  }

  /**
   * The last waiting record is committed, and ours behind it can't have followed it: the one that we know to have stood at its place was another, or one that we
   * know to have stood further on is of an earlier term, and terms never fall along a log. So what we had here was never committed, nor anything behind it.
   */
  #isParted(commitIndex: number): boolean {
    const tip = this.#tip
    if (tip.index > commitIndex || tip.index <= this.#options.appliedIndex) return false
    const { index, link } = this.#marked
    const { following } = this.#rot
    return (link !== undefined && isParting(tip, { ...link, index })) || (following !== undefined && isParting(tip, following))
  }

  /** Where the next record belongs: behind the one before it, or first in the next segment, as it was when it was first written. */
  #placeFor(bytes: number): Pick<Piece, 'segment' | 'position'> {
    const end = this.#end
    const { segment, position, link } = end
    const isEmpty = position === segmentHeaderBytes
    if (isEmpty || (position + bytes <= this.#roomIn(segment) && !this.#goesOnInNext(end))) return { segment, position }
    return { segment: new Segment(link, false), position: segmentHeaderBytes }
  }

  /** Segments may have been larger when this one was written. */
  #roomIn(segment: Segment): number {
    const { segmentBytes } = this.#options
    if (!this.#exists(segment.name)) return segmentBytes
    const fileBytes = this.#withFile(segment, file => file.sizeBytes())
    return Math.max(segmentBytes, fileBytes)
  }

  /** Or smaller: a file with the right name is there, though its header can't be believed, and nothing is behind the last record of this one. */
  #goesOnInNext(end: Cursor): boolean {
    return this.#isHeadless(segmentName(end.link.index + 1)) && this.#isCleanEnd(end)
  }

  #isHeadless(name: string): boolean {
    const { disk, directory } = this.#recovery
    if (!this.#exists(name)) return false
    const bytes = new Uint8Array(segmentHeaderBytes)
    const count = withFile(disk, `${directory}/${name}`, file => file.readSync(bytes, 0))
    return decodeSegmentHeader(bytes.subarray(0, count)).kind === 'bad'
  }

  #exists(name: string): boolean {
    const { disk, directory } = this.#recovery
    return disk.exists(`${directory}/${name}`)
  }

  /** Everything that waits goes to its place. */
  #writeWaiting(): void {
    const cursor = this.#cursor
    for (const { bytes, link, segment, position } of this.#waiting) {
      const before = { ...cursor }
      if (segment !== before.segment) this.#withFile(before.segment, file => file.syncSync())
      cursor.segment = segment
      if (!segment.isOnDisk) this.#create(segment)
      if (segment !== before.segment) this.#endSegment(before)
      this.#withFile(segment, file => file.writeSync(bytes, position))
      cursor.position = position + bytes.length
      cursor.link = link
      this.#repaired++
    }
    this.#forgetWaiting()
  }

  /** The next one is there for good, and says that this one ends here: what stood behind its last record is none, and would be in the way of that header's repair. */
  #endSegment(end: Cursor): void {
    if (this.#isCleanEnd(end)) return
    this.#withFile(end.segment, file => {
      file.writeSync(new Uint8Array(recordHeaderBytes), end.position)
      file.syncSync()
    })
  }

  /**
   * Under its final name at once: without records behind it the header alone says nothing wrong. In a file that is here already, what stands behind its header
   * stays: it may be what nobody else has any more, and shows by its chain what of it goes on.
   */
  #create(segment: Segment): void {
    const { disk, directory, directoryId } = this.#recovery
    // It may have gone on above the mark, and where that began to be unreadable is not known.
    if (this.#rot.following === undefined && !this.#isReplaced) this.#options.tailLost()
    // What it tells of need not stand here any more.
    removeSidecar(disk, directory, segment)
    const path = `${directory}/${segment.name}`
    const file = disk.open(path, { create: !disk.exists(path) })
    file.writeSync(encodeSegmentHeader(segment.prev, directoryId), 0)
    file.syncSync()
    file.close()
    disk.syncDirectory(directory)
    segment.isOnDisk = true
  }

  /** Whether the hole ends with the record just written, though nothing of ours follows it. */
  #isEnd(): boolean {
    const { link } = this.#cursor
    if (link.index >= this.#target) return true
    if (link.index < this.#rot.through || this.#rot.following !== undefined) return false
    // Above the mark a later term, so a committed one, has taken the place of what we had: a start on these bytes would cut them off as torn.
    return (this.#beyond !== undefined && link.term > this.#beyond.term) || this.#isCleanEnd()
  }

  /** Nothing was ever written behind it, as far as its segment tells. */
  #isCleanEnd({ segment, position, link }: Cursor = this.#cursor): boolean {
    return !this.#exists(segment.name) || this.#withFile(segment, file => new ReadWindow(file).recordAt(position, link).problem === 'end')
  }

  /** The hole is filled: ordinary recovery says what there is now. */
  #lookAgain(proof: Proof): SupplyOutcome {
    if (proof === 'right') {
      if (!this.#isCleanEnd() || this.#laterNames().length > 0) this.#options.tailLost()
      this.#endHere()
    }
    this.#withFile(this.#cursor.segment, file => file.syncSync())
    return this.#findAgain()
  }

  #findAgain(): SupplyOutcome {
    const found = findLog(this.#recovery)
    for (const sentence of found.notes) {
      if (!this.#told.has(sentence)) this.#options.note(sentence)
      this.#told.add(sentence)
    }
    if (found.rot !== undefined) {
      this.#rot = found.rot
      this.#cursor = { ...cursorAt(found.rot) }
      this.#isReplaced = false
      this.#beyond = this.#findBeyond()
      this.#target = this.#findTarget()
      this.#options.note(found.rot.sentence)
      this.#options.reached(found)
      return 'progress'
    }
    this.#found = found
    this.#options.note(`${this.#recovery.directory}: whole again; ${this.#repaired} records came from peers`)
    return 'mended'
  }

  /** What stands behind the cursor follows something else: zeros in its place, and later files go, the last one first. */
  #endHere(): void {
    const { disk, directory } = this.#recovery
    const { segment, position } = this.#cursor
    this.#removeLater()
    removeSidecar(disk, directory, segment)
    if (segment.isOnDisk) this.#withFile(segment, file => file.writeSync(new Uint8Array(recordHeaderBytes), position))
  }

  #removeLater(): void {
    this.#remove(this.#laterNames())
  }

  /** Such a file says by its name alone how far the log went: a start would miss what was superseded. */
  #removeHeadless(): void {
    this.#remove(this.#laterNames().filter(name => this.#isHeadless(name)))
  }

  /** The last one first. */
  #laterNames(): string[] {
    const { disk, directory } = this.#recovery
    const isLater = (name: string): boolean => (parseSegmentName(name) ?? 0) > this.#cursor.segment.firstIndex
    return disk.list(directory).filter(isLater).toReversed()
  }

  /** Each for good before the next: a crash in between leaves no gap. */
  #remove(names: readonly string[]): void {
    const { disk, directory } = this.#recovery
    for (const name of names) {
      disk.remove(`${directory}/${name}`)
      disk.syncDirectory(directory)
    }
  }

  #cutOff(): SupplyOutcome {
    const { link } = this.#cursor
    this.#options.note(
      `${this.#recovery.directory}: entry ${link.index + 1} was committed behind another entry than our ${link.index}: ours is superseded from there on, and the log ends with it`,
    )
    this.#removeHeadless()
    this.#options.superseded(link)
    this.#noteEnd(link)
    return this.#endForGood()
  }

  /**
   * The log ends with what waits. The mark names the new end: from then on a crash leaves a hole that reaches to there and no further. Before it go the files
   * that would say otherwise by their name alone, after it the later segments: behind a log that is mended to its end they would be missed up to their first record.
   */
  #replaceEnd(): SupplyOutcome {
    const { term, index } = this.#tip
    this.#options.note(
      `${this.#recovery.directory}: entries up to ${index} of term ${term} are committed in place of ours, which are superseded from there on; the log ends with them`,
    )
    this.#removeHeadless()
    this.#options.replaced(this.#tip)
    this.#noteEnd(this.#tip)
    this.#isReplaced = true
    this.#removeLater()
    this.#writeWaiting()
    return this.#endForGood()
  }

  #noteEnd(last: ChainLink): void {
    this.#recovery = { ...this.#recovery, mark: last.index }
    this.#marked = { index: last.index, link: last }
  }

  #endForGood(): SupplyOutcome {
    this.#endHere()
    const { segment } = this.#cursor
    if (segment.isOnDisk) this.#withFile(segment, file => file.syncSync())
    return this.#findAgain()
  }

  /** What must be reached: the mark, or what stands before a record above it that proves to have been synced. */
  #findTarget(): number {
    return Math.max(this.#rot.through, (this.#beyond?.index ?? 1) - 1)
  }

  /**
   * The next whole record behind the hole may be of the last flush, which nobody has heard of and of which the power kept any part: that is torn, as at any
   * start. Only a later flush behind it shows that all before it was synced. The leftover of a truncated suffix is mostly of a term that can't stand there.
   */
  #findBeyond(): ChainLink | undefined {
    const { segment, position, last, following, through } = this.#rot
    const { disk, directory } = this.#recovery
    if (following !== undefined || !disk.exists(`${directory}/${segment.name}`)) return undefined
    const next = this.#withFile(segment, file => nextFlushedRecord(file, position, last.index, this.#recovery.flushBytesMax))
    const termMin = Math.max(last.term, this.#marked.link?.term ?? 0)
    return next === undefined || next.index <= through + 1 || next.term < termMin ? undefined : next
  }

  #withFile<T>(segment: Segment, use: (file: DiskFile) => T): T {
    const { disk, directory } = this.#recovery
    return withFile(disk, `${directory}/${segmentName(segment.firstIndex)}`, use)
  }
}

function withFile<T>(disk: Disk, path: string, use: (file: DiskFile) => T): T {
  const file = disk.open(path, { create: false })
  try {
    return use(file)
  } finally {
    file.close()
  }
}

/** Whether a log that holds `own` can't hold `other`, at the same place or before it. */
function isParting(other: ChainLink, own: Pick<ChainLink, 'index' | 'term' | 'headerCrc'>): boolean {
  if (own.index === other.index) return own.headerCrc !== other.headerCrc || own.term !== other.term
  return own.index > other.index && own.term < other.term
}

function cursorAt({ segment, position, last }: RottenPlace): Cursor {
  assert(position >= segmentHeaderBytes, 'rot-position', position)
  return { segment: mustExist(segment, 'rot-segment'), position, link: last }
}
