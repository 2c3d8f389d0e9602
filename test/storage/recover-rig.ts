/** For tests of `raftmq recover`: a stopped node of three on a simulated disk, and what recover says of it. */
import {
  encodeMembership,
  firstMembership,
  type EntryKind,
  type LogIndex,
  type Membership,
  type NodeId,
  type Term,
} from '../../raft/index.ts'
import { planRecovery, type RecoverOptions, type RecoveryPlan } from '../../src/node/recover.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import type { LoadedCheckpoint } from '../../src/state/store.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { append, StorageRig } from './rig.ts'

export const member = (id: number) => ({
  id: id as NodeId,
  name: `n${id}`,
  address: `127.0.0.1:${9870 + id}`,
  clientAddress: `127.0.0.1:${8080 + id}`,
})
export const three = firstMembership([member(1), member(2), member(3)])

function appendMembership(opened: OpenedLog, membership: Membership): void {
  const body = encodeMembership(membership)
  const { term, index } = opened.log.lastId
  const stamp = { term: Math.max(1, term) as Term, firstIndex: (index + 1) as LogIndex, kind: 3 as EntryKind, wallMs: 1_000 + index + 1 }
  opened.log.appendOwn(stamp, [{ parts: [body], bytes: body.length, crc: crc32c(body) }])
}

/** A node that has stopped: entry 1 is this membership, entries of term 1 behind it. */
export function stoppedNode(seed: string, membership: Membership = three, entries = 9): StorageRig {
  const rig = new StorageRig(seed)
  const opened = rig.open()
  appendMembership(opened, membership)
  append(opened, 1, entries)
  rig.flush(opened)
  close(rig, opened)
  return rig
}

export function close(rig: StorageRig, opened: OpenedLog): void {
  let isClosed = false
  opened.log.close(() => opened.hardState.close(() => (isClosed = true)))
  rig.scheduler.runUntilTrue(() => isClosed, 10_000)
}

export const optionsOf = (rig: StorageRig, checkpoint?: LoadedCheckpoint): RecoverOptions => ({
  ...rig.openOptions(),
  limits: rig.limits,
  checkpoint,
})

export const checkpointAt = (appliedIndex: number): LoadedCheckpoint => ({
  number: 1,
  appliedIndex,
  digest: { high: 0, low: 0 } as never,
  rows: [],
})

export function mustPlan(options: RecoverOptions): RecoveryPlan {
  const outlook = planRecovery(options)
  if (outlook.kind !== 'possible') throw new Error(`not possible: ${JSON.stringify(outlook)}`)
  return outlook
}

export function refusalOf(options: RecoverOptions): string {
  const outlook = planRecovery(options)
  return outlook.kind === 'refused' ? outlook.problem : `not refused but ${outlook.kind}`
}
