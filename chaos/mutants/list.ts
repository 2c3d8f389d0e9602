/** The mutants. A change of the product that moves one of the texts fails chaos/mutants/mutants.test.ts: then the mutant moves with it. */
import { brokerMutants } from './list/broker.ts'
import { electionMutants } from './list/raft.ts'
import { driverMutants, replicationMutants } from './list/replication.ts'
import { stateMutants } from './list/state.ts'
import { storageMutants } from './list/storage.ts'
import type { Mutant } from './mutant.ts'

export const mutants: readonly Mutant[] = [
  ...electionMutants,
  ...replicationMutants,
  ...driverMutants,
  ...storageMutants,
  ...stateMutants,
  ...brokerMutants,
]
