/**
 * Durability epochs: which messages may leave before which write is on disk.
 * Every change of hard state or of the log takes the next epoch; a message is held until `durable` reaches the epoch it rests on.
 * Invariant: hardState ≤ taken, durable ≤ taken; durable only grows. The disk never reports "index n is durable": after a truncation n may name
 * another entry (scenario aba-truncation). Instead each append leaves a mark (epoch, end of the log), and a truncation lowers every mark above it.
 */
import { assert } from '../../src/platform/assert.ts'
import type { Epoch, LogIndex } from './ids.ts'

export interface Durability {
  /** The last epoch given out. */
  taken: Epoch
  /** Everything up to this epoch is on disk. */
  durable: Epoch
  /** The epoch of the last change of term or vote. */
  hardState: Epoch
  /** How far our present log is on disk. Falls with a truncation, and only then. */
  durableIndex: LogIndex
  /** Ring of marks that are not durable yet, oldest at `start`: at `epochs[i]` the log ended at `ends[i]`. Doubles when full. */
  epochs: Float64Array
  ends: Float64Array
  start: number
  count: number
}

const firstCapacity = 64

export function createDurability(lastIndex: LogIndex): Durability {
  const none = 0 as Epoch
  const epochs = new Float64Array(firstCapacity)
  const ends = new Float64Array(firstCapacity)
  return { taken: none, durable: none, hardState: none, durableIndex: lastIndex, epochs, ends, start: 0, count: 0 }
}

function nextEpoch(durability: Durability): Epoch {
  assert(durability.taken < Number.MAX_SAFE_INTEGER, 'epochs-used-up')
  durability.taken = (durability.taken + 1) as Epoch
  return durability.taken
}

/** The epoch of a change of term or vote. */
export function takeHardStateEpoch(durability: Durability): Epoch {
  durability.hardState = nextEpoch(durability)
  return durability.hardState
}

/** The epoch of an append, after which the log ends at `lastIndex`. */
export function takeAppendEpoch(durability: Durability, lastIndex: LogIndex): Epoch {
  assert(lastIndex > durability.durableIndex, 'append-below-durable', lastIndex, durability.durableIndex)
  const epoch = nextEpoch(durability)
  if (durability.count === durability.epochs.length) growMarks(durability)
  const at = (durability.start + durability.count) % durability.epochs.length
  durability.epochs[at] = epoch
  durability.ends[at] = lastIndex
  durability.count++
  return epoch
}

/** The epoch of a truncation. What was above it is no part of our log any more, whatever of it reaches the disk later. */
export function takeTruncationEpoch(durability: Durability, index: LogIndex): Epoch {
  const lastIndex = (index - 1) as LogIndex
  if (durability.durableIndex > lastIndex) durability.durableIndex = lastIndex
  for (let i = 0; i < durability.count; i++) {
    const at = (durability.start + i) % durability.epochs.length
    if ((durability.ends[at] ?? 0) > lastIndex) durability.ends[at] = lastIndex
  }
  return nextEpoch(durability)
}

/** Everything up to `epoch` is on disk. Older news than what we know changes nothing. */
export function completeEpoch(durability: Durability, epoch: Epoch): void {
  assert(epoch <= durability.taken, 'durable-beyond-taken', epoch, durability.taken)
  if (epoch <= durability.durable) return
  durability.durable = epoch
  while (durability.count > 0 && (durability.epochs[durability.start] ?? 0) <= epoch) {
    const end = durability.ends[durability.start] ?? 0
    if (end > durability.durableIndex) durability.durableIndex = end as LogIndex
    durability.start = (durability.start + 1) % durability.epochs.length
    durability.count--
  }
}

export function isHardStateDurable(durability: Durability): boolean {
  return durability.hardState <= durability.durable
}

function growMarks(durability: Durability): void {
  const capacity = durability.epochs.length
  const epochs = new Float64Array(capacity * 2)
  const ends = new Float64Array(capacity * 2)
  for (let i = 0; i < durability.count; i++) {
    const at = (durability.start + i) % capacity
    epochs[i] = durability.epochs[at] ?? 0
    ends[i] = durability.ends[at] ?? 0
  }
  durability.epochs = epochs
  durability.ends = ends
  durability.start = 0
}
