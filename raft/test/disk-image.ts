/**
 * A disk for one core of the mini-cluster: what is written at once in memory, what is on disk only when synced, and what survives a crash.
 * Knows entries as (index, term, kind, stamp, value); the value is unique for each proposed entry, so that two different ones never look alike.
 */
import type { TermRun } from '../core/entry.ts'
import type { RecoveredState } from '../core/config.ts'
import type { Epoch, LogIndex, Term } from '../core/ids.ts'
import type { Membership, MembershipAt } from '../core/membership.ts'
import type { HardState, Persist } from '../core/output.ts'

export interface TestEntry {
  readonly index: number
  readonly term: number
  readonly kind: number
  readonly wallMs: number
  readonly value: string
  /** What a config entry holds. */
  readonly membership?: Membership
}

export interface DiskImage {
  /** On disk. */
  hardState: HardState
  log: TestEntry[]
  incarnation: number
  appliedIndex: number
  /** Raft sees nothing below; kept here all the same, for those who compare logs. */
  firstIndex: number
  /** Also of a new directory, until a leader has verified its log once. */
  isTornUnverified: boolean
  isVoteWithheld: boolean
  /** Entries from here on can't be read; undefined = none has rotted. */
  rottenFrom: number | undefined
  /** The log in memory: written, perhaps not on disk. */
  written: TestEntry[]
  /** Not on disk yet, in order. */
  readonly queue: { readonly epoch: Epoch; readonly carryOut: () => void }[]
}

export function createDisk(): DiskImage {
  return {
    hardState: { term: 0 as Term, votedFor: undefined },
    log: [],
    incarnation: 1,
    appliedIndex: 0,
    firstIndex: 1,
    isTornUnverified: true,
    isVoteWithheld: false,
    rottenFrom: undefined,
    written: [],
    queue: [],
  }
}

/** Takes effect in memory now, on disk with a later `syncSome`. `entriesOf` gives the entries that an append is about. */
export function write(disk: DiskImage, persist: Persist, entriesOf: (persist: Persist) => readonly TestEntry[]): void {
  const { epoch } = persist
  if (persist.kind === 'hardState') {
    disk.queue.push({ epoch, carryOut: () => (disk.hardState = persist.state) })
    return
  }
  if (persist.kind === 'truncateFrom') {
    const kept = persist.index - 1
    disk.written.length = kept
    disk.queue.push({ epoch, carryOut: () => (disk.log.length = Math.min(disk.log.length, kept)) })
    return
  }
  const entries = entriesOf(persist)
  for (const entry of entries) {
    if (entry.index !== disk.written.length + 1) throw new Error(`hole in the log: ${entry.index} after ${disk.written.length}`)
    disk.written.push(entry)
  }
  disk.queue.push({ epoch, carryOut: () => void disk.log.push(...entries) })
}

/** Brings the oldest `count` writes to disk; returns the epoch that is durable now, if any was. */
export function syncSome(disk: DiskImage, count: number): Epoch | undefined {
  const done = disk.queue.splice(0, count)
  for (const item of done) item.carryOut()
  return done.at(-1)?.epoch
}

/** The process is gone: what is not on disk never was. `torn`: as many entries of the disk's end are gone too. */
export function loseUnsynced(disk: DiskImage, torn: number): void {
  disk.queue.length = 0
  disk.log.length = Math.max(0, disk.log.length - torn)
  if (torn > 0) disk.isTornUnverified = true
  disk.appliedIndex = Math.min(disk.appliedIndex, disk.log.length)
  disk.written = [...disk.log]
  disk.incarnation++
}

export function runsOf(entries: readonly TestEntry[]): TermRun[] {
  const runs: TermRun[] = []
  for (const { index, term } of entries) {
    if (runs.at(-1)?.term !== term) runs.push({ firstIndex: index as LogIndex, term: term as Term })
  }
  return runs
}

export function membershipsOf(entries: readonly TestEntry[]): MembershipAt[] {
  return entries.flatMap(({ index, membership }) => (membership === undefined ? [] : [{ index: index as LogIndex, membership }]))
}

export function recover(disk: DiskImage): RecoveredState {
  const readable = disk.rottenFrom === undefined ? disk.log : disk.log.slice(0, disk.rottenFrom - 1)
  const last = readable.at(-1)
  return {
    hardState: disk.hardState,
    firstIndex: disk.firstIndex as LogIndex,
    last: { index: readable.length as LogIndex, term: (last?.term ?? 0) as Term },
    // With the entry before the first: its term is known.
    runs: runsOf(readable.slice(Math.max(0, disk.firstIndex - 2))),
    memberships: membershipsOf(readable),
    appliedIndex: disk.appliedIndex as LogIndex,
    lastWallMs: last?.wallMs ?? 0,
    hasTornTail: disk.isTornUnverified,
    isVoteWithheld: disk.isVoteWithheld,
    isRecovering: disk.rottenFrom !== undefined,
    incarnation: disk.incarnation,
  }
}
