/** A log of several segments, to be trimmed: plain entries, or with two memberships among them. */
import { expect } from 'vitest'
import { encodeMembership, EntryKind, firstMembership } from '../../raft/index.ts'
import type { LogIndex, NodeId, Term } from '../../raft/index.ts'
import { logLimits } from '../../src/storage/log-limits.ts'
import type { OpenedLog } from '../../src/storage/open-log.ts'
import { append, bodyOf, entryBody, rigDirectory, StorageRig } from './rig.ts'

export const bodyBytes = 152
export const limits = logLimits(4 * 1024, { slabBytes: 1024, tailBytesMax: 2048, tailBytesIdle: 1024, openFilesMax: 4 })
export const logDirectory = `${rigDirectory}/log`
export const baseFile = `${logDirectory}/base`

/** 100 entries over several segments: 60 of term 1, 40 of term 2, all durable. */
export function rigWithSegments(seed = 'trim'): { rig: StorageRig; opened: OpenedLog } {
  const rig = new StorageRig(seed, limits)
  const opened = rig.open()
  opened.hardState.save({ term: 2 as Term, votedFor: undefined }, () => undefined)
  append(opened, 1, 60, bodyBytes)
  append(opened, 2, 40, bodyBytes)
  rig.flush(opened)
  opened.log.noteDurable(100 as LogIndex)
  rig.settle()
  return { rig, opened }
}

export const oneMember = firstMembership([{ id: 1 as NodeId, name: 'n1', address: 'h:1', clientAddress: 'h:2' }])
export const twoMembers = firstMembership([...oneMember.members, { id: 2 as NodeId, name: 'n2', address: 'h:3', clientAddress: 'h:4' }])

/** 100 entries, of which the first and another one say who belongs to the group. */
export function rigWithMemberships(seed: string, second = 31): { rig: StorageRig; opened: OpenedLog } {
  const rig = new StorageRig(seed, limits)
  const opened = rig.open()
  for (const [firstIndex, membership] of [[1, oneMember] as const, [second, twoMembers] as const]) {
    append(opened, 1, firstIndex - 1 - opened.log.lastId.index, bodyBytes)
    const stamp = { term: 1 as Term, firstIndex: firstIndex as LogIndex, kind: EntryKind.config, wallMs: 1_000 + firstIndex }
    opened.log.appendOwn(stamp, [entryBody(encodeMembership(membership))])
  }
  append(opened, 1, 100 - second, bodyBytes)
  rig.flush(opened)
  rig.settle()
  return { rig, opened }
}

export function segmentFiles(rig: StorageRig): number[] {
  return rig.disk
    .files()
    .filter(path => path.endsWith('.log'))
    .map(path => Number(path.slice(-24, -4)))
}

export function expectWhole({ log }: OpenedLog, lastIndex = 100): void {
  expect(log.lastId.index).toBe(lastIndex)
  for (let index: number = log.firstIndex; index <= lastIndex; index++) {
    const entry = log.entry(index as LogIndex)
    expect(Buffer.from(entry.body).equals(bodyOf(entry.term, index, entry.body.length))).toBe(true)
  }
}
