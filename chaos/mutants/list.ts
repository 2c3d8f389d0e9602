/** The mutants. A change of the product that moves one of the texts fails chaos/mutants/mutants.test.ts: then the mutant moves with it. */
import { boundMutants } from './list/bounds.ts'
import { brokerMutants } from './list/broker.ts'
import { catchUpMutants } from './list/catch-up.ts'
import { deliveryMutants, levelMutants } from './list/deliveries.ts'
import { driverMutants } from './list/driver.ts'
import { foundMutants } from './list/found.ts'
import { gatewayMutants } from './list/gateways.ts'
import { readMutants, transferMutants } from './list/handing-over.ts'
import { linkMutants } from './list/links.ts'
import { lostDiskMutants } from './list/lost-disks.ts'
import { memberMutants } from './list/members.ts'
import { membershipMutants } from './list/membership.ts'
import { electionMutants } from './list/raft.ts'
import { repairMutants } from './list/repair.ts'
import { replicationMutants } from './list/replication.ts'
import { retentionMutants } from './list/retention.ts'
import { returnMutants } from './list/returns.ts'
import { rotMutants } from './list/rot.ts'
import { segmentHeadMutants } from './list/segment-heads.ts'
import { sessionMutants } from './list/sessions.ts'
import { snapshotMutants } from './list/snapshots.ts'
import { stateMutants } from './list/state.ts'
import { storageMutants } from './list/storage.ts'
import { trimMutants } from './list/trimming.ts'
import type { Mutant } from './mutant.ts'

export const mutants: readonly Mutant[] = [
  ...electionMutants,
  ...replicationMutants,
  ...driverMutants,
  ...storageMutants,
  ...stateMutants,
  ...brokerMutants,
  ...membershipMutants,
  ...memberMutants,
  ...transferMutants,
  ...readMutants,
  ...boundMutants,
  ...snapshotMutants,
  ...catchUpMutants,
  ...trimMutants,
  ...retentionMutants,
  ...returnMutants,
  ...rotMutants,
  ...repairMutants,
  ...deliveryMutants,
  ...sessionMutants,
  ...levelMutants,
  ...gatewayMutants,
  ...linkMutants,
  ...lostDiskMutants,
  ...foundMutants,
  ...segmentHeadMutants,
]
