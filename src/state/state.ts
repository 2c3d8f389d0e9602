/**
 * The whole replicated state, as one object that the nouns' functions take first. What is in a table is in digest and checkpoint;
 * everything else here (maps, lists, heaps, indexes, wakes) is derived, and a restore builds it again.
 */
import type { CarriedTable } from './carried.ts'
import type { Clients } from './clients.ts'
import type { Dedupe } from './dedupe.ts'
import type { LevelConstants } from './feature-level.ts'
import type { Groups } from './groups.ts'
import type { InFlight } from './in-flight.ts'
import type { Locks } from './fifo-locks.ts'
import type { StateLimits } from './limits.ts'
import type { AppliedMembership } from './membership.ts'
import type { Nodes } from './nodes.ts'
import type { Places } from './cursors.ts'
import type { QueueIndex } from './store.ts'
import type { Registers } from './registers.ts'
import type { Topics } from './topics.ts'
import type { Wakes } from './wakes.ts'

export interface State {
  readonly limits: StateLimits
  /** Of the level in the registers. Derived. */
  constants: LevelConstants
  readonly index: QueueIndex
  readonly registers: Registers
  readonly topics: Topics
  readonly groups: Groups
  readonly places: Places
  readonly inFlight: InFlight
  readonly locks: Locks
  readonly dedupe: Dedupe
  readonly clients: Clients
  readonly nodes: Nodes
  readonly membership: AppliedMembership
  readonly wakes: Wakes
  readonly carried: CarriedTable
  /** The entry being applied: where the messages of a send are, and how many bytes it has. */
  logIndex: number
  entryBytes: number
}

/** First bytes of the keys, one for each table. Part of the checkpoint's format. */
export const tags = {
  registers: 1,
  topics: 2,
  queues: 3,
  groups: 4,
  places: 5,
  cursors: 6,
  inFlight: 7,
  dedupe: 8,
  clients: 9,
  nodes: 10,
  carried: 14,
  membership: 15,
} as const
