/**
 * Rot that was found while the log was in use, by a read or by the scrubber: pieces of segment files whose place and size are known, and which only
 * lack their content: one record each, mostly. What is intact is served all the while, beside them in the same block too. The content comes from a peer, and is right when it fills the piece exactly and the
 * record that follows it says so: each header holds the checksum of the one before, so the end of the chain vouches for all of it.
 */
import type { EntryId, LogIndex, SupplyOutcome, Term, TermRun } from '../../raft/index.ts'
import { viewOf } from '../platform/bytes.ts'
import type { Disk } from '../platform/disk.ts'
import { checkBlockBytes, walkBlock } from './block-check.ts'
import type { RotFound } from './block-reader.ts'
import { checkRecordAlone, recordHeaderBytes, recordIndex, recordPrevCrc } from './record.ts'
import type { ChainLink } from './record.ts'
import type { Segment } from './segment.ts'
import { StorageError } from './storage-error.ts'
import { termAt } from './term-runs.ts'

interface Hole {
  readonly segment: Segment
  readonly firstIndex: number
  readonly position: number
  lastIndex: number
  endPosition: number
  /** Records that have come so far. */
  pieces: Uint8Array[]
  nextIndex: number
  bytes: number
}

/** What a hole must be known of the log around it. */
export interface LogAround {
  readonly firstIndex: number
  readonly termRuns: readonly TermRun[]
  sealOf(segment: Segment): ChainLink
  forgetBlocks(): void
}

export interface HolesOptions {
  readonly disk: Disk
  readonly directory: string
  readonly note: (sentence: string) => void
}

export class Holes {
  readonly #options: HolesOptions
  readonly #holes: Hole[] = []
  #found = 0
  #mended = 0

  constructor(options: HolesOptions) {
    this.#options = options
  }

  /** Pieces found rotten since the start, and how many of them were mended. */
  get counts(): { readonly found: number; readonly mended: number; readonly open: number } {
    return { found: this.#found, mended: this.#mended, open: this.#holes.length }
  }

  /** A read met damage. Told once for each place, however often it is read. */
  readonly rotFound: RotFound = (segment, { position, endPosition }, { firstIndex, lastIndex }, sentence) => {
    if (this.#holes.some(hole => hole.segment === segment && hole.firstIndex <= firstIndex && hole.lastIndex >= lastIndex)) return
    this.#forget(hole => hole.segment === segment && hole.firstIndex >= firstIndex && hole.lastIndex <= lastIndex)
    this.#holes.push({ segment, position, firstIndex, lastIndex, endPosition, pieces: [], nextIndex: firstIndex, bytes: 0 })
    this.#found++
    this.#options.note(`${sentence}; asking the other nodes for them`)
  }

  /** The next records of the hole whose turn it is: the oldest one, unless nobody had anything for it. */
  wanted(log: LogAround): { readonly fromIndex: number; readonly lastIndex: number } | undefined {
    this.#forget(hole => hole.lastIndex < log.firstIndex || !hole.segment.isOnDisk)
    const [hole] = this.#holes
    return hole === undefined ? undefined : { fromIndex: hole.nextIndex, lastIndex: hole.lastIndex }
  }

  /** Entries from `index` on are no part of the log any more. */
  truncate(index: number): void {
    this.#forget(hole => hole.lastIndex >= index)
  }

  /** Retention has deleted the entries below `index`. */
  dropBelow(index: number): void {
    this.#forget(hole => hole.segment.lastIndex < index)
  }

  /** Nobody has what the first hole lacks: the others have their turn. */
  passOver(fromIndex: number): void {
    const [hole] = this.#holes
    if (hole?.nextIndex !== fromIndex) return
    this.#startOver(hole)
    this.#holes.push(...this.#holes.splice(0, 1))
  }

  supply(log: LogAround, fromIndex: number, bytes: Uint8Array): SupplyOutcome {
    const [hole] = this.#holes
    if (hole === undefined || fromIndex !== hole.nextIndex || bytes.length === 0) return 'refused'
    const check = checkBlockBytes(placeBefore(fromIndex), undefined, bytes)
    if (check.kind === 'corrupt') return this.#startOver(hole)
    // Index and term name an entry (Raft §5.3): a peer with another one in its place has a log that went its own way, and nothing for us from there on.
    let strayedFrom = Infinity
    walkBlock(bytes, (position, size, link) => {
      if (termAt(log.termRuns, link.index) !== link.term) strayedFrom = Math.min(strayedFrom, link.index)
      if (link.index >= strayedFrom || link.index > hole.lastIndex) return
      hole.pieces.push(bytes.slice(position, position + size))
      hole.bytes += size
      hole.nextIndex = link.index + 1
    })
    if (hole.nextIndex > hole.lastIndex) return this.#maybeMend(log, hole)
    return strayedFrom > hole.nextIndex ? 'progress' : 'refused'
  }

  #maybeMend(log: LogAround, hole: Hole): SupplyOutcome {
    const content = Buffer.concat(hole.pieces, hole.bytes)
    const check = checkBlockBytes(placeBefore(hole.firstIndex), undefined, content)
    if (check.kind === 'corrupt' || content.length !== hole.endPosition - hole.position) return this.#startOver(hole)
    let crc = 0
    walkBlock(content, (_position, _size, link) => (crc = link.headerCrc))
    const expected = this.#expectedCrc(log, hole)
    if (expected === undefined) return this.#widen(hole)
    if (expected !== crc) return this.#startOver(hole)
    this.#write(hole, content)
    this.#holes.splice(this.#holes.indexOf(hole), 1)
    this.#mended++
    log.forgetBlocks()
    this.#options.note(`${this.#pathOf(hole)}: entries ${hole.firstIndex}..${hole.lastIndex} are whole again, from a peer`)
    return this.#holes.length === 0 ? 'mended' : 'progress'
  }

  /** The checksum that our own next record, or the next segment, gives of the hole's last record; undefined when that record has rotted too. */
  #expectedCrc(log: LogAround, hole: Hole): number | undefined {
    if (hole.lastIndex >= hole.segment.lastIndex) return log.sealOf(hole.segment).headerCrc
    const header = new Uint8Array(recordHeaderBytes)
    const file = this.#options.disk.open(this.#pathOf(hole), { create: false })
    const count = file.readSync(header, hole.endPosition)
    file.close()
    const view = viewOf(header)
    if (count < recordHeaderBytes || checkRecordAlone(header, view, 0) !== undefined) return undefined
    return recordIndex(view, 0) === hole.lastIndex + 1 ? recordPrevCrc(view, 0) : undefined
  }

  /** The hole reaches into the next piece of the segment. */
  #widen(hole: Hole): SupplyOutcome {
    const { segment } = hole
    const number = segment.pointBefore(hole.lastIndex + 1) + 1
    const next = number < segment.points ? segment.point(number) : { index: segment.lastIndex + 1, position: segment.endPosition }
    hole.lastIndex = next.index - 1
    hole.endPosition = next.position
    this.#startOver(hole)
    // What was given is right, as far as it goes: whoever gave it is asked for the longer piece.
    return 'progress'
  }

  #startOver(hole: Hole): SupplyOutcome {
    hole.pieces = []
    hole.bytes = 0
    hole.nextIndex = hole.firstIndex
    return 'refused'
  }

  /** Blocking: so no truncation can come between the proof and the write. */
  #write(hole: Hole, content: Uint8Array): void {
    const path = this.#pathOf(hole)
    try {
      const file = this.#options.disk.open(path, { create: false })
      file.writeSync(content, hole.position)
      file.syncSync()
      file.close()
    } catch (error) {
      if (!(error instanceof Error)) throw error
      throw new StorageError(`${path}: writing mended entries failed (${error.message}); this node goes silent and stops`, path, error)
    }
  }

  #forget(isGone: (hole: Hole) => boolean): void {
    for (let i = this.#holes.length - 1; i >= 0; i--) {
      const hole = this.#holes[i]
      if (hole !== undefined && isGone(hole)) this.#holes.splice(i, 1)
    }
  }

  #pathOf(hole: Hole): string {
    return `${this.#options.directory}/${hole.segment.name}`
  }
}

/** The entry before may have rotted as well: nothing is asked of it. */
function placeBefore(index: number): EntryId {
  return { index: (index - 1) as LogIndex, term: 0 as Term }
}
