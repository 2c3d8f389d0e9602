/**
 * How the files that a snapshot names in place prove themselves while they are given away: segments of the log by their records, sealed chunks of the queue
 * index by their checksums. What is found rotten is told in the way in which any read of them tells it, so it is mended here, and given later.
 */
import { UnreadableEntry } from '../../../raft/index.ts'
import type { BlockReader } from '../block-reader.ts'
import type { QueueIndexFiles } from '../queue-index.ts'
import { blockBytes, type SealedChunk } from '../sealed-chunk.ts'
import { mendHeader, type SegmentFiles } from '../segment-files.ts'
import { segmentHeaderBytes, type Segment } from '../segment.ts'
import type { BlockFormat } from './file-check.ts'

export interface GivenSegment {
  readonly segment: Segment
  /** Of its entries these belong to the snapshot. */
  readonly throughIndex: number
  readonly files: SegmentFiles
  /** Tells the log's holes what it finds. */
  readonly blocks: BlockReader
  readonly directoryId: Uint8Array
  readonly note: (sentence: string) => void
}

/** Its header, then the records from one point of the sparse index to the next. */
export function segmentFormat({ segment, throughIndex, files, blocks, directoryId, note }: GivenSegment): BlockFormat {
  return {
    blockEnd: (_file, position, fileBytes) => {
      if (position < segmentHeaderBytes) return segmentHeaderBytes
      const next = pointAt(segment, position) + 1
      return next < segment.points ? Math.min(segment.point(next).position, fileBytes) : fileBytes
    },
    isBlockWhole: (_file, begin, end) => {
      if (begin < segmentHeaderBytes) mendHeader(files, segment, directoryId, note)
      else {
        const number = pointAt(segment, begin)
        const next = number + 1 < segment.points ? segment.point(number + 1) : undefined
        const behind = { index: Math.min(segment.lastIndex, throughIndex) + 1, position: end }
        return isReadable(() => blocks.check(segment, segment.point(number), next?.position === end ? next : behind))
      }
      return true
    },
  }
}

/** Its head, then its blocks of rows. */
export function sealedFormat(chunk: SealedChunk, index: Pick<QueueIndexFiles, 'scrubBlock'>): BlockFormat {
  return {
    blockEnd: (_file, position, fileBytes) =>
      Math.min(position < chunk.rowsPosition ? chunk.rowsPosition : position + blockBytes, fileBytes),
    isBlockWhole: (_file, begin) => {
      // The head is looked at with the first block, if there is one.
      const before = { chunk: chunk.chunk - 1, block: Infinity }
      const place = begin === 0 ? before : { chunk: chunk.chunk, block: (begin - chunk.rowsPosition) / blockBytes }
      return index.scrubBlock(place)?.next.chunk === chunk.chunk
    },
  }
}

/** Number of the last point of the sparse index at or before a byte. */
function pointAt(segment: Segment, position: number): number {
  let low = 0
  let high = segment.points - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (segment.point(middle).position <= position) low = middle
    else high = middle - 1
  }
  return low
}

function isReadable(check: () => void): boolean {
  try {
    check()
    return true
  } catch (error) {
    if (error instanceof UnreadableEntry) return false
    throw error
  }
}
