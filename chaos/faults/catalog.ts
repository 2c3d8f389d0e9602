/** All faults by name: the one table that a new fault is added to. */
import type { Strike } from './fault.ts'
import type { FaultKind } from './kinds.ts'
import * as links from './links.ts'
import * as processes from './processes.ts'
import { rivals } from './rivals.ts'

export const faultCatalog: Readonly<Record<FaultKind, Strike>> = {
  crashLeader: processes.crashLeader,
  crashNode: processes.crashNode,
  crashPair: processes.crashPair,
  crashAll: processes.crashAll,
  crashVoter: processes.crashVoter,
  crashVoters: processes.crashVoters,
  crashRewriting: processes.crashRewriting,
  stopNode: processes.stopNode,
  pauseNode: processes.pauseNode,
  pauseLeader: processes.pauseLeader,
  isolateLeader: links.isolateLeader,
  isolateNewLeader: links.isolateNewLeader,
  isolateNode: links.isolateNode,
  rivals,
  oneWay: links.oneWay,
  bridge: links.bridge,
  reset: links.reset,
  resetStorm: links.resetStorm,
  lossyLink: links.lossyLink,
  slowLink: links.slowLink,
  slowDisk: processes.slowDisk,
  clockHour: processes.clockHour,
  clockYearLeader: processes.clockYearLeader,
  clockMajority: processes.clockMajority,
  clientCut: processes.clientCut,
}
