/** What one flush will do to the disk, as data: decided by the log in memory (commit-log.ts), carried out by its hand on the disk (log-writer.ts). */
import { assert } from '../platform/assert.ts'
import type { DurableMark } from './hard-state.ts'
import type { Segment } from './segment.ts'
import type { Slab } from './slab.ts'

export interface TruncationPlan {
  /** Holds the new end. */
  readonly segment: Segment
  readonly position: number
  /** The new end. */
  readonly mark: DurableMark
  /** Behind it, ascending, all on disk. */
  readonly removed: readonly Segment[]
}

export interface SegmentWrite {
  readonly segment: Segment
  readonly position: number
  readonly bytes: number
  /** Each of whole records. */
  readonly buffers: readonly Uint8Array[]
}

export interface FlushPlan {
  readonly truncation: TruncationPlan | undefined
  /** Ascending; each begins where the one before ended, or at the first record of the next segment. */
  readonly writes: readonly SegmentWrite[]
}

/** The bytes of all entries above `plannedIndex`, segment by segment; buffers of at most `bufferBytesMax`, unless one record alone is larger. */
export function planWrites(slabs: readonly Slab[], plannedIndex: number, bufferBytesMax: number): SegmentWrite[] {
  const writes: { segment: Segment; position: number; bytes: number; buffers: Uint8Array[] }[] = []
  const firstPending = slabs.findLastIndex(slab => slab.firstIndex <= plannedIndex + 1)
  for (const slab of firstPending < 0 ? slabs : slabs.slice(firstPending)) {
    const first = Math.max(slab.firstIndex, Math.min(plannedIndex, slab.lastIndex) + 1)
    const start = slab.startOf(first)
    if (start === slab.used) continue
    const buffers = wholeRecords(slab, first, bufferBytesMax)
    const last = writes.at(-1)
    if (last?.segment === slab.segment) {
      assert(last.position + last.bytes === slab.filePosition + start, 'plan-gap', slab.firstIndex)
      last.buffers.push(...buffers)
      last.bytes += slab.used - start
    } else {
      writes.push({
        segment: slab.segment,
        position: slab.filePosition + start,
        bytes: slab.used - start,
        buffers,
      })
    }
  }
  return writes
}

/** The records of a slab from `first` on. */
function wholeRecords(slab: Slab, first: number, bytesMax: number): Uint8Array[] {
  const buffers: Uint8Array[] = []
  for (let index = first; index <= slab.lastIndex;) {
    const last = slab.lastWithin(index, bytesMax)
    buffers.push(slab.bytes.subarray(slab.startOf(index), slab.endOf(last)))
    index = last + 1
  }
  return buffers
}
