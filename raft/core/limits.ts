/**
 * The bound on what a leader has accepted and not committed, in bytes. The other pools of the node (not yet written, not yet applied) are the driver's
 * (driver/admission.ts), which looks at all three before the core hears of a proposal.
 * Soft by one proposal: an empty pool takes a proposal of any size. Invariant: `used` is the sum of what is reserved (catalogue B151).
 */
import { assert } from '../../src/platform/assert.ts'

export interface BytePool {
  readonly bytesMax: number
  used: number
}

export function createPool(bytesMax: number): BytePool {
  assert(bytesMax >= 1, 'pool-bytes-max', bytesMax)
  return { bytesMax, used: 0 }
}

/** Takes `bytes` out of the pool, or returns false and takes nothing. */
export function tryReserve(pool: BytePool, bytes: number): boolean {
  assert(bytes >= 0, 'reserve-bytes', bytes)
  if (pool.used > 0 && pool.used + bytes > pool.bytesMax) return false
  pool.used += bytes
  return true
}

export function releaseBytes(pool: BytePool, bytes: number): void {
  assert(bytes <= pool.used, 'release-more-than-used', bytes, pool.used)
  pool.used -= bytes
}
