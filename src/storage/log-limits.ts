/** Bounds of the CommitLog, in bytes. The defaults are for a real disk; tests and the simulator take tiny segments, and the rest scales down with them. */
import { assert } from '../platform/assert.ts'
import { segmentBytesMax, segmentHeaderBytes } from './segment.ts'

export interface LogLimits {
  /** A segment's file is this long, unless one record alone is longer. */
  readonly segmentBytes: number
  /** Zeros are written so far ahead. */
  readonly fillStepBytes: number
  /** At most so much is written between two syncs. Recovery knows by it what a torn flush can look like. */
  readonly flushBytesMax: number
  /** Piece of memory that records are gathered in. */
  readonly slabBytes: number
  /** Newest part of the log kept in memory; what is not on disk yet comes on top. */
  readonly tailBytesMax: number
  /** The same, after ten seconds without an append. */
  readonly tailBytesIdle: number
  /** Older parts that were read back. */
  readonly blockCacheBytesMax: number
  readonly openFilesMax: number
  /** A start reads at most about so much of the last segment. */
  readonly unmarkedBytesMax: number
}

const kiB = 1024
const miB = 1024 * kiB

/** Limits for segments of this size; `changes` has the last word. */
export function logLimits(segmentBytes = 1024 * miB, changes: Partial<LogLimits> = {}): LogLimits {
  assert(segmentBytes > segmentHeaderBytes, 'segment-bytes-low', segmentBytes)
  assert(segmentBytes <= segmentBytesMax, 'segment-bytes-high', segmentBytes)
  return {
    segmentBytes,
    fillStepBytes: Math.min(16 * miB, Math.max(4 * kiB, Math.floor(segmentBytes / 64))),
    flushBytesMax: Math.min(8 * miB, Math.max(4 * kiB, Math.floor(segmentBytes / 8))),
    slabBytes: Math.min(miB, Math.max(16 * kiB, segmentBytes)),
    tailBytesMax: 32 * miB,
    tailBytesIdle: 4 * miB,
    blockCacheBytesMax: 16 * miB,
    openFilesMax: 64,
    unmarkedBytesMax: Math.min(32 * miB, Math.max(4 * kiB, Math.floor(segmentBytes / 8))),
    ...changes,
  }
}
