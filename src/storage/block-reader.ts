/**
 * Older entries, read back from segment files: a block at a time, from one point of the sparse index to the next, checked (headers, chain,
 * bodies) before anyone sees it, and kept for a while. Reads are synchronous: a block is about 64 KiB and nearly always in the page cache.
 * Whoever asks makes sure that the block is on disk and not being written.
 */
import { LRUCache } from 'lru-cache'
import { UnreadableEntry } from '../../raft/index.ts'
import { allocateUnzeroed } from '../platform/bytes.ts'
import {
  checkRecord,
  checkRecordAlone,
  checkRecordBody,
  describeProblem,
  linkOf,
  recordBytes,
  recordHeaderBytes,
  recordIndex,
} from './record.ts'
import type { RecordProblem } from './record.ts'
import type { Segment, SegmentPoint } from './segment.ts'
import type { SegmentFiles } from './segment-files.ts'
import { Slab } from './slab.ts'

/** Told when a block turns out to be damaged: bytes `position … endPosition` of the segment, which held the entries `firstIndex … lastIndex`. */
export type RotFound = (
  segment: Segment,
  bytes: { readonly position: number; readonly endPosition: number },
  entries: { readonly firstIndex: number; readonly lastIndex: number },
  sentence: string,
) => void

export class BlockReader {
  readonly #rotFound: RotFound
  readonly #files: SegmentFiles
  /** By first index. */
  readonly #blocks: LRUCache<number, Slab>
  #reads = 0

  constructor(files: SegmentFiles, cacheBytesMax: number, rotFound: RotFound) {
    this.#rotFound = rotFound
    this.#files = files
    this.#blocks = new LRUCache({ maxSize: cacheBytesMax, sizeCalculation: block => Math.max(1, block.bytes.length) })
  }

  /** Blocks read from disk so far. */
  get reads(): number {
    return this.#reads
  }

  /** The block with entry `index`. Throws UnreadableEntry when it has rotted. */
  blockOf(segment: Segment, index: number): Slab {
    const number = segment.pointBefore(index)
    const { index: firstIndex, position } = segment.point(number)
    const known = this.#blocks.get(firstIndex)
    if (known !== undefined && known.lastIndex >= index) return known
    const next = number + 1 < segment.points ? segment.point(number + 1) : { index: segment.lastIndex + 1, position: segment.endPosition }
    const block = this.#load(segment, firstIndex, position, next.index, next.position)
    this.#blocks.set(firstIndex, block)
    return block
  }

  /** Reads the records from one place up to another anew, and keeps nothing. Throws UnreadableEntry when they have rotted. */
  check(segment: Segment, from: SegmentPoint, end: SegmentPoint): void {
    this.#load(segment, from.index, from.position, end.index, end.position)
  }

  /** Forgets every block with entries from `index` on. */
  truncate(index: number): void {
    for (const [firstIndex, block] of [...this.#blocks.entries()]) if (block.lastIndex >= index) this.#blocks.delete(firstIndex)
  }

  /** Forgets every block with entries below `index`. */
  dropBelow(index: number): void {
    for (const firstIndex of [...this.#blocks.keys()]) if (firstIndex < index) this.#blocks.delete(firstIndex)
  }

  clear(): void {
    this.#blocks.clear()
  }

  #load(segment: Segment, firstIndex: number, position: number, endIndex: number, endPosition: number): Slab {
    this.#reads++
    const bytes = allocateUnzeroed(endPosition - position)
    const count = this.#files.use(segment).readSync(bytes, position)
    const slab = new Slab(segment, position, firstIndex, bytes, Math.max(1, endIndex - firstIndex))
    while (slab.lastIndex + 1 < endIndex) {
      const problem = problemOf(slab, count)
      if (problem !== undefined) throw this.#rotten(segment, slab, problem, { endIndex, endPosition })
      slab.add(recordBytes(slab.view, slab.used))
    }
    if (slab.used !== bytes.length) throw this.#rotten(segment, slab, 'cut', { endIndex, endPosition })
    return slab
  }

  #rotten(segment: Segment, slab: Slab, problem: RecordProblem, end: { readonly endIndex: number; readonly endPosition: number }): Error {
    const firstIndex = slab.lastIndex + 1
    const lastIndex = end.endIndex - 1
    const position = slab.endPosition
    const where = `${this.#files.pathOf(segment)}: record ${firstIndex} at byte ${position} ${describeProblem(problem)}`
    const sentence = `${where}; entries ${firstIndex}..${lastIndex} can't be read from this disk`
    this.#rotFound(segment, { position, endPosition: end.endPosition }, { firstIndex, lastIndex }, sentence)
    return new UnreadableEntry(sentence)
  }
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
