/**
 * Slices sent to one peer and not yet on its disk, as far as it has told: a ring of (last index, bytes), bounded in both. Both bounds are soft by one slice, so that
 * a slice of any size can travel when nothing else does. Invariant: last indexes ascend, `bytes` is the sum of what the ring holds.
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex } from './ids.ts'

export interface Inflight {
  readonly lastIndexes: Float64Array
  readonly sizes: Float64Array
  readonly bytesMax: number
  start: number
  count: number
  bytes: number
}

export function createInflight(slicesMax: number, bytesMax: number): Inflight {
  assert(slicesMax >= 1, 'inflight-slices-max', slicesMax)
  assert(bytesMax >= 1, 'inflight-bytes-max', bytesMax)
  return { lastIndexes: new Float64Array(slicesMax), sizes: new Float64Array(slicesMax), bytesMax, start: 0, count: 0, bytes: 0 }
}

export function isWindowFull(inflight: Inflight): boolean {
  return inflight.count === inflight.lastIndexes.length || inflight.bytes >= inflight.bytesMax
}

export function addInflight(inflight: Inflight, lastIndex: LogIndex, bytes: number): void {
  assert(!isWindowFull(inflight), 'inflight-full', inflight.count, inflight.bytes)
  const capacity = inflight.lastIndexes.length
  const newest = (inflight.start + inflight.count - 1 + capacity) % capacity
  assert(inflight.count === 0 || (inflight.lastIndexes[newest] ?? 0) < lastIndex, 'inflight-order', lastIndex)
  const at = (inflight.start + inflight.count) % capacity
  inflight.lastIndexes[at] = lastIndex
  inflight.sizes[at] = bytes
  inflight.count++
  inflight.bytes += bytes
}

/** Frees every slice that ends at or before `index`; the one that ends exactly there too (etcd dcd623a). */
export function freeInflight(inflight: Inflight, index: LogIndex): void {
  const capacity = inflight.lastIndexes.length
  while (inflight.count > 0 && (inflight.lastIndexes[inflight.start] ?? 0) <= index) {
    inflight.bytes -= inflight.sizes[inflight.start] ?? 0
    inflight.start = (inflight.start + 1) % capacity
    inflight.count--
  }
  assert(inflight.bytes >= 0, 'inflight-bytes', inflight.bytes)
  assert(inflight.count > 0 || inflight.bytes === 0, 'inflight-empty-bytes', inflight.bytes)
}

/** Forgets all of it, the byte count included (etcd raft#54 forgot that). */
export function resetInflight(inflight: Inflight): void {
  inflight.start = 0
  inflight.count = 0
  inflight.bytes = 0
}
