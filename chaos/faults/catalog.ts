/** All kinds of faults by name: the one table that a new one is added to. Their order means nothing: each draws from a stream of its own name. */
import { diskFails, diskFull } from './disks.ts'
import type { Fault } from './fault.ts'
import * as links from './links.ts'
import * as members from './members.ts'
import * as processes from './processes.ts'
import { rivals } from './rivals.ts'
import { loseWrite, misdirectWrite, rotAtRest, rotAtWork } from './rot.ts'
import { loseState, loseVoteSlot } from './state.ts'
import { lostDisk, lostDiskAmongChanges } from './lost-disks.ts'
import { buildTooOld, otherBuild } from './upgrades.ts'

const catalog = {
  crashLeader: processes.crashLeader,
  crashNode: processes.crashNode,
  crashPair: processes.crashPair,
  crashAll: processes.crashAll,
  crashVoter: processes.crashVoter,
  crashVoters: processes.crashVoters,
  crashHandingOut: processes.crashHandingOut,
  crashRewriting: processes.crashRewriting,
  stopNode: processes.stopNode,
  otherBuild,
  buildTooOld,
  pauseNode: processes.pauseNode,
  pauseLeader: processes.pauseLeader,
  transferLeader: processes.transferLeader,
  isolateLeader: links.isolateLeader,
  isolateNewLeader: links.isolateNewLeader,
  isolateNode: links.isolateNode,
  rivals,
  oneWay: links.oneWay,
  bridge: links.bridge,
  reset: links.reset,
  resetStorm: links.resetStorm,
  loseState,
  loseVoteSlot,
  damagedLink: links.damagedLink,
  lossyLink: links.lossyLink,
  slowLink: links.slowLink,
  slowDisk: processes.slowDisk,
  leaderDiskSlow: processes.leaderDiskSlow,
  leaderDiskHangs: processes.leaderDiskHangs,
  diskFull,
  diskFails,
  lostDisk,
  lostDiskAmongChanges,
  rotAtWork,
  rotAtRest,
  loseWrite,
  misdirectWrite,
  clockHour: processes.clockHour,
  clockYearLeader: processes.clockYearLeader,
  clockMajority: processes.clockMajority,
  clientCut: processes.clientCut,
  memberAdd: members.memberAdd,
  memberRemove: members.memberRemove,
  memberReplace: members.memberReplace,
  memberCancel: members.memberCancel,
} satisfies Readonly<Record<string, Fault>>

export type FaultKind = keyof typeof catalog

export const faultCatalog: Readonly<Record<FaultKind, Fault>> = catalog
export const faultKinds = Object.keys(catalog) as readonly FaultKind[]
