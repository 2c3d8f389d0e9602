/**
 * The log's shape in memory: where it begins and ends and of which terms it is; no entries. Appending and truncating take effect here at once,
 * on disk when the persist of the same step is carried out (durability.ts).
 * Invariant: firstIndex − 1 ≤ lastIndex; the term at firstIndex − 1 may be unknown, and unknown equals nothing (etcd 76f1249).
 */
import { assert } from '../../src/platform/assert.ts'
import type { EntryId, LogIndex, Term } from './ids.ts'
import type { LogSlice } from './entry.ts'
import type { RecoveredState } from './config.ts'
import { createTermRuns, cutRuns, dropRuns, extendRuns, lastWithin, runEnd, termInRuns } from './term-runs.ts'
import type { TermRuns } from './term-runs.ts'

export interface Log {
  /** Everything below was compacted away. */
  firstIndex: LogIndex
  /** Term of the entry before the first, where it is known: 0 before index 1. */
  baseTerm: Term | undefined
  readonly runs: TermRuns
  lastIndex: LogIndex
  lastTerm: Term
}

export function createLog(recovered: RecoveredState): Log {
  const { firstIndex, last } = recovered
  assert(firstIndex >= 1 && last.index >= firstIndex - 1, 'log-bounds', firstIndex, last.index)
  const runs = createTermRuns(recovered.runs)
  const isEmpty = last.index === firstIndex - 1
  assert(isEmpty || termInRuns(runs, last.index) === last.term, 'log-last-term', last.index, last.term)
  assert(isEmpty || (runs.firsts[0] ?? 0) <= firstIndex, 'log-runs-begin', runs.firsts[0], firstIndex)
  return {
    firstIndex,
    baseTerm: isEmpty ? last.term : firstIndex === 1 ? (0 as Term) : termInRuns(runs, (firstIndex - 1) as LogIndex),
    runs,
    lastIndex: last.index,
    lastTerm: last.term,
  }
}

export function lastId(log: Log): EntryId {
  return { term: log.lastTerm, index: log.lastIndex }
}

/** The term at `index`; undefined when the log does not reach there or has dropped it. */
export function termAt(log: Log, index: LogIndex): Term | undefined {
  if (index > log.lastIndex || index < log.firstIndex - 1) return undefined
  return index < log.firstIndex ? log.baseTerm : termInRuns(log.runs, index)
}

/** Appends `count` entries of one term. */
export function appendToLog(log: Log, count: number, term: Term): void {
  assert(count >= 1, 'append-count', count)
  assert(term >= log.lastTerm, 'append-term-falls', term, log.lastTerm)
  extendRuns(log.runs, (log.lastIndex + 1) as LogIndex, term)
  log.lastIndex = (log.lastIndex + count) as LogIndex
  log.lastTerm = term
}

/** Appends a slice's entries from our end on. */
export function appendSliceToLog(log: Log, slice: LogSlice): void {
  const fromIndex = log.lastIndex + 1
  assert(slice.prev.index < fromIndex, 'append-slice-gap', slice.prev.index, fromIndex)
  assert(slice.lastIndex >= fromIndex, 'append-slice-nothing', slice.lastIndex, fromIndex)
  const { runs } = slice
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i]
    const end = (runs[i + 1]?.firstIndex ?? slice.lastIndex + 1) - 1
    if (run === undefined || end < fromIndex) continue
    extendRuns(log.runs, Math.max(run.firstIndex, fromIndex) as LogIndex, run.term)
    log.lastTerm = run.term
  }
  log.lastIndex = slice.lastIndex
}

/** Drops everything from `index` on. */
export function truncateLog(log: Log, index: LogIndex): void {
  assert(index >= log.firstIndex, 'truncate-compacted', index, log.firstIndex)
  assert(index <= log.lastIndex, 'truncate-nothing', index, log.lastIndex)
  cutRuns(log.runs, index)
  log.lastIndex = (index - 1) as LogIndex
  const lastTerm = termAt(log, log.lastIndex)
  assert(lastTerm !== undefined, 'truncate-unknown-term', index)
  log.lastTerm = lastTerm
}

/** Forgets the entries below `firstIndex`. The term of the last of them stays known, so that a peer which ends there can be fed. */
export function compactLog(log: Log, firstIndex: LogIndex): void {
  assert(firstIndex >= log.firstIndex, 'compact-goes-back', firstIndex, log.firstIndex)
  assert(firstIndex <= log.lastIndex + 1, 'compact-beyond-log', firstIndex, log.lastIndex)
  const baseIndex = (firstIndex - 1) as LogIndex
  log.baseTerm = termAt(log, baseIndex)
  dropRuns(log.runs, baseIndex)
  log.firstIndex = firstIndex
}

/** A slice as it must look, whoever sent it: runs cover its entries, terms ascend, begin no lower than prev and end no higher than the leader's. */
export function isWellFormed(slice: LogSlice, leaderTerm: Term): boolean {
  const { prev, runs, lastIndex } = slice
  if (lastIndex < prev.index || prev.term > leaderTerm) return false
  if ((prev.index === 0) !== (prev.term === 0)) return false
  if (lastIndex === prev.index) return runs.length === 0
  if (runs[0]?.firstIndex !== prev.index + 1) return false
  let lastFirst = prev.index as number
  let lastTerm = prev.term as number
  for (let i = 0; i < runs.length; i++) {
    const run = runs[i]
    if (run === undefined || run.firstIndex <= lastFirst || run.firstIndex > lastIndex) return false
    if (i === 0 ? run.term < lastTerm || run.term < 1 : run.term <= lastTerm) return false
    lastFirst = run.firstIndex
    lastTerm = run.term
  }
  return lastTerm <= leaderTerm
}

/**
 * The first of the slice's entries, above `afterIndex`, that our log lacks or holds in another term; `slice.lastIndex + 1` when we hold them all.
 * What is already here is skipped, never cut off and written again: a crash in between would lose what was acknowledged (catalogue B25).
 */
export function firstDifference(log: Log, slice: LogSlice, afterIndex: LogIndex): LogIndex {
  let index = Math.max(slice.prev.index, afterIndex) + 1
  const end = Math.min(slice.lastIndex, log.lastIndex)
  for (let i = 0; i < slice.runs.length && index <= end; i++) {
    const run = slice.runs[i]
    const runLast = Math.min((slice.runs[i + 1]?.firstIndex ?? Infinity) - 1, end)
    while (run !== undefined && index <= runLast) {
      if (termAt(log, index as LogIndex) !== run.term) return index as LogIndex
      index = Math.min(runEnd(log.runs, index as LogIndex), runLast) + 1
    }
  }
  return Math.min(index, slice.lastIndex + 1) as LogIndex
}

/** The last place ≤ `index` of our log whose term is ≤ `term`, but not below `floorIndex`, where we are known to agree. */
export function lastPossibleMatch(log: Log, index: LogIndex, term: Term, floorIndex: LogIndex): LogIndex {
  const at = lastWithin(log.runs, Math.min(index, log.lastIndex) as LogIndex, term)
  return at < floorIndex ? floorIndex : at
}
