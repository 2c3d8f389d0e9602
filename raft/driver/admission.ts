/**
 * What a leader has taken on and not finished, in bytes: three pools (raft.md §2.22), each with a bound. A proposal that finds one of them full is refused
 * at once and whole, with the pool's name; nothing is taken and dropped later.
 *
 *   unwritten     waits for a turn, or for our own disk: what a disk that hangs would pile up in memory, however well the others commit
 *   uncommitted   proposed by this leadership, not on a majority's disks: what followers that hang would pile up (the core's own pool, core/limits.ts)
 *   unapplied     committed, not applied here: what an apply that can't keep up would pile up in time
 *
 * Soft by one proposal: an empty pool takes one of any size. What the core appends by itself (no-op, memberships, leaps of time) is never refused.
 * A follower needs no pools: what is sent to it ahead of its disk is bounded by the leader's window, what it has not applied lies on its disk.
 */
import { assertNever } from '../../src/platform/assert.ts'
import type { RaftConfig } from '../core/config.ts'
import type { NodeState } from '../core/node-state.ts'
import type { LogStorage } from './log-storage.ts'

export const poolNames = ['unwritten', 'uncommitted', 'unapplied'] as const
export type PoolName = (typeof poolNames)[number]

export interface PoolStatus {
  readonly pool: PoolName
  readonly bytes: number
  readonly bytesMax: number
  /** Proposals that found it full, since the start. */
  readonly refused: number
}

export interface AdmissionOptions {
  readonly config: Pick<RaftConfig, 'unwrittenBytesMax' | 'uncommittedBytesMax' | 'unappliedBytesMax'>
  readonly log: Pick<LogStorage, 'bytesBehind'>
  readonly node: () => Pick<NodeState, 'uncommitted' | 'durability' | 'commitIndex' | 'appliedIndex'>
  /** Record bytes that no proposal carries yet. */
  readonly waitingBytes: () => number
}

export class Admission {
  readonly #options: AdmissionOptions
  readonly #refused: Record<PoolName, number> = { unwritten: 0, uncommitted: 0, unapplied: 0 }

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** The pool that has no room for so many record bytes; undefined when they may come. Counts a refusal. */
  refuse(bytes: number): PoolName | undefined {
    for (const pool of poolNames) {
      const used = this.#bytesIn(pool)
      if (used === 0 || used + bytes <= this.#bytesMaxOf(pool)) continue
      this.#refused[pool]++
      return pool
    }
    return undefined
  }

  status(): readonly PoolStatus[] {
    return poolNames.map(pool => ({
      pool,
      bytes: this.#bytesIn(pool),
      bytesMax: this.#bytesMaxOf(pool),
      refused: this.#refused[pool],
    }))
  }

  #bytesMaxOf(pool: PoolName): number {
    const { unwrittenBytesMax, uncommittedBytesMax, unappliedBytesMax } = this.#options.config
    switch (pool) {
      case 'unwritten':
        return unwrittenBytesMax
      case 'uncommitted':
        return uncommittedBytesMax
      case 'unapplied':
        return unappliedBytesMax
      default:
        return assertNever(pool)
    }
  }

  #bytesIn(pool: PoolName): number {
    const { log, node, waitingBytes } = this.#options
    const { uncommitted, durability, commitIndex, appliedIndex } = node()
    switch (pool) {
      case 'unwritten':
        return waitingBytes() + log.bytesBehind(durability.durableIndex)
      case 'uncommitted':
        return waitingBytes() + uncommitted.used
      case 'unapplied':
        return Math.max(0, log.bytesBehind(appliedIndex) - log.bytesBehind(commitIndex))
      default:
        return assertNever(pool)
    }
  }
}
