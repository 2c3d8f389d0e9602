/**
 * Older entries, read back from segment files: a block at a time, from one point of the sparse index to the next, checked (headers, chain,
 * bodies) before anyone sees it, and kept for a while. Reads are synchronous: a block is about 64 KiB and nearly always in the page cache.
 * Of one in which something has rotted the records that are proved to be whole are handed out as before (rotten-block.ts), and the rest is told.
 * Whoever asks makes sure that the block is on disk and not being written.
 */
import { LRUCache } from 'lru-cache'
import { UnreadableEntry } from '../../raft/index.ts'
import type { TermRun } from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'
import { allocateUnzeroed, viewOf } from '../platform/bytes.ts'
import {
  checkRecord,
  checkRecordAlone,
  checkRecordBody,
  describeProblem,
  linkOf,
  recordBytes,
  recordHeaderBytes,
  recordIndex,
  recordPrevCrc,
  recordTerm,
} from './record.ts'
import type { ChainLink, RecordProblem } from './record.ts'
import { remainsOf } from './rotten-block.ts'
import type { BlockHole } from './rotten-block.ts'
import type { Segment, SegmentPoint } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'
import { Slab } from './slab.ts'
import { termAt } from './term-runs.ts'

/** What the log knows of its entries beside their records: only asked where something has rotted. */
export interface EntriesKnown {
  readonly termRuns: readonly TermRun[]
  /** The last record of a segment, as what follows it says. */
  sealOf(segment: Segment): ChainLink
}

/** Told of each hole when a block turns out to be damaged: bytes `position … endPosition` of the segment, which held the entries `firstIndex … lastIndex`. */
export type RotFound = (
  segment: Segment,
  bytes: { readonly position: number; readonly endPosition: number },
  entries: { readonly firstIndex: number; readonly lastIndex: number },
  sentence: string,
) => void

/** Entries of a block that are not to be had from this disk. */
interface Gap {
  readonly firstIndex: number
  readonly lastIndex: number
  readonly sentence: string
}

interface Loaded {
  /** Ascending: the whole block, or what is left of it. */
  readonly slabs: readonly Slab[]
  readonly gaps: readonly Gap[]
}

const noGaps: readonly Gap[] = []

export class BlockReader {
  readonly #rotFound: RotFound
  readonly #files: SegmentFiles
  readonly #known: EntriesKnown
  /** By first index of the block. */
  readonly #blocks: LRUCache<number, Loaded>
  #reads = 0

  constructor(files: SegmentFiles, cacheBytesMax: number, rotFound: RotFound, known: EntriesKnown) {
    this.#rotFound = rotFound
    this.#files = files
    this.#known = known
    this.#blocks = new LRUCache({ maxSize: cacheBytesMax })
  }

  /** Blocks read from disk so far. */
  get reads(): number {
    return this.#reads
  }

  /** A piece of the log with entry `index`: its block, or what is left of that around it. Throws UnreadableEntry when the entry itself has rotted. */
  blockOf(segment: Segment, index: number): Slab {
    const number = segment.pointBefore(index)
    const begin = segment.point(number)
    const known = this.#blocks.get(begin.index)
    const kept = known && slabWith(known, index)
    if (kept !== undefined) return kept
    const next = number + 1 < segment.points ? segment.point(number + 1) : { index: segment.lastIndex + 1, position: segment.endPosition }
    const loaded = this.#load(segment, begin, next)
    this.#blocks.set(begin.index, loaded, { size: Math.max(1, next.position - begin.position) })
    const slab = slabWith(loaded, index)
    if (slab !== undefined) return slab
    const gap = loaded.gaps.find(({ firstIndex, lastIndex }) => firstIndex <= index && index <= lastIndex)
    throw new UnreadableEntry(mustExist(gap, 'gap', index).sentence)
  }

  /** Reads the records from one place up to another anew, and keeps nothing. Throws UnreadableEntry when any of them has rotted. */
  check(segment: Segment, from: SegmentPoint, end: SegmentPoint): void {
    const [gap] = this.#load(segment, from, end).gaps
    if (gap !== undefined) throw new UnreadableEntry(gap.sentence)
  }

  /** Forgets every block with entries from `index` on. */
  truncate(index: number): void {
    for (const [firstIndex, block] of [...this.#blocks.entries()]) if (lastIndexOf(block) >= index) this.#blocks.delete(firstIndex)
  }

  /** Forgets every block with entries below `index`. */
  dropBelow(index: number): void {
    for (const firstIndex of [...this.#blocks.keys()]) if (firstIndex < index) this.#blocks.delete(firstIndex)
  }

  clear(): void {
    this.#blocks.clear()
  }

  #load(segment: Segment, begin: SegmentPoint, end: SegmentPoint): Loaded {
    this.#reads++
    const bytes = allocateUnzeroed(end.position - begin.position)
    const count = this.#files.use(segment).readSync(bytes, begin.position)
    const slab = new Slab(segment, begin.position, begin.index, bytes, Math.max(1, end.index - begin.index))
    while (slab.lastIndex + 1 < end.index) {
      if (problemOf(slab, count) !== undefined) return this.#whatIsLeft(slab, count, end)
      slab.add(recordBytes(slab.view, slab.used))
    }
    return slab.used === bytes.length ? { slabs: [slab], gaps: noGaps } : this.#whatIsLeft(slab, count, end)
  }

  /** Something of the block has rotted: the pieces between are whole. */
  #whatIsLeft({ segment, filePosition, firstIndex, bytes, view }: Slab, count: number, end: SegmentPoint): Loaded {
    const termOf = (index: number): number | undefined => termAt(this.#known.termRuns, index)
    const endCrc = this.#crcBefore(segment, end)
    const { pieces, holes } = remainsOf({ bytes, view, count, firstIndex, endIndex: end.index, endCrc, termOf })
    const slabs = pieces.map(piece => {
      const slab = new Slab(segment, filePosition + piece.start, piece.firstIndex, bytes.subarray(piece.start, piece.end))
      while (slab.lastIndex < piece.lastIndex) slab.add(recordBytes(slab.view, slab.used))
      return slab
    })
    return { slabs, gaps: holes.map(hole => this.#tell(segment, filePosition, hole)) }
  }

  /** The checksum that what stands behind a block follows: the next segment, or a record that is the one of its index and term; undefined if it is none. */
  #crcBefore(segment: Segment, { index, position }: SegmentPoint): number | undefined {
    if (index > segment.lastIndex) return this.#known.sealOf(segment).headerCrc
    const bytes = new Uint8Array(recordHeaderBytes)
    const view = viewOf(bytes)
    const count = this.#files.use(segment).readSync(bytes, position)
    if (count < recordHeaderBytes || checkRecordAlone(bytes, view, 0) !== undefined || recordIndex(view, 0) !== index) return undefined
    return recordTerm(view, 0) === termAt(this.#known.termRuns, index) ? recordPrevCrc(view, 0) : undefined
  }

  #tell(segment: Segment, blockPosition: number, { firstIndex, lastIndex, start, end, problem }: BlockHole): Gap {
    const position = blockPosition + start
    const where = `${this.#files.pathOf(segment)}: record ${firstIndex} at byte ${position} ${describeProblem(problem)}`
    const sentence = `${where}; entries ${firstIndex}..${lastIndex} can't be read from this disk`
    this.#rotFound(segment, { position, endPosition: blockPosition + end }, { firstIndex, lastIndex }, sentence)
    return { firstIndex, lastIndex, sentence }
  }
}

function slabWith({ slabs }: Loaded, index: number): Slab | undefined {
  for (const slab of slabs) if (slab.firstIndex <= index && index <= slab.lastIndex) return slab
  return undefined
}

function lastIndexOf({ slabs, gaps }: Loaded): number {
  return Math.max(slabs.at(-1)?.lastIndex ?? 0, gaps.at(-1)?.lastIndex ?? 0)
}

/** What is wrong with the record behind the slab's last one. The block's first record has no predecessor here: it is checked by itself. */
function problemOf(slab: Slab, end: number): RecordProblem | undefined {
  const { bytes, view, used } = slab
  if (slab.count > 0) return checkRecord(bytes, view, used, end, linkOf(view, slab.startOf(slab.lastIndex)))
  if (end < recordHeaderBytes) return 'cut'
  const problem = checkRecordAlone(bytes, view, used)
  if (problem !== undefined) return problem
  if (recordIndex(view, used) !== slab.firstIndex) return 'index'
  return checkRecordBody(bytes, view, used, end)
}
