/** The configuration of a core that a test drives itself: node 1 of three. */
import type { RaftConfig } from '../core/config.ts'
import type { NodeId } from '../core/ids.ts'
import { groupOf } from './members.ts'

export function aConfig(change: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id: 1 as NodeId,
    first: groupOf(1, 2, 3),
    heartbeatIntervalMs: 50,
    electionTimeoutMs: 300,
    earlyElectionSpreadMs: 40,
    sliceBytesMax: 1_000,
    inflightSlicesMax: 4,
    inflightBytesMax: 4_000,
    unwrittenBytesMax: 100_000,
    uncommittedBytesMax: 100_000,
    unappliedBytesMax: 100_000,
    snapshotLagEntries: Infinity,
    timeLeapMs: 5_000,
    farewellMs: 10_000,
    ...change,
  }
}
