/**
 * Terms of the log's entries, run-length coded: one element for each change of term, so that it stays in memory however long the log is and
 * neither a term look-up nor the search for a conflict ever touches the disk.
 * Invariant: first indexes and terms both ascend strictly. An index before the first run has no known term, which never compares equal to any.
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex, Term } from './ids.ts'
import type { TermRun } from './entry.ts'

export interface TermRuns {
  readonly firsts: LogIndex[]
  readonly terms: Term[]
}

export function createTermRuns(runs: readonly TermRun[]): TermRuns {
  const made: TermRuns = { firsts: [], terms: [] }
  for (const run of runs) extendRuns(made, run.firstIndex, run.term)
  return made
}

/** Entries from `firstIndex` on are of `term`. `firstIndex` is the end of the log + 1; terms do not fall. */
export function extendRuns(runs: TermRuns, firstIndex: LogIndex, term: Term): void {
  const count = runs.firsts.length
  const lastTerm = runs.terms[count - 1]
  if (lastTerm === term) return
  assert(lastTerm === undefined || lastTerm < term, 'term-falls', lastTerm, term)
  assert(count === 0 || (runs.firsts[count - 1] ?? 0) < firstIndex, 'run-order', firstIndex)
  runs.firsts.push(firstIndex)
  runs.terms.push(term)
}

/** Drops everything from `index` on. */
export function cutRuns(runs: TermRuns, index: LogIndex): void {
  while (runs.firsts.length > 0 && (runs.firsts[runs.firsts.length - 1] ?? 0) >= index) {
    runs.firsts.pop()
    runs.terms.pop()
  }
}

/** Drops everything below `index`; the run that holds it begins there from now on. */
export function dropRuns(runs: TermRuns, index: LogIndex): void {
  const first = runOf(runs, index)
  if (first < 0) return
  runs.firsts.splice(0, first)
  runs.terms.splice(0, first)
  runs.firsts[0] = index
}

/** Position of the run that holds `index`; -1 when it lies before all of them. The last run is looked at first: almost every question is about it. */
function runOf(runs: TermRuns, index: LogIndex): number {
  const { firsts } = runs
  let high = firsts.length - 1
  if (high < 0 || (firsts[high] ?? 0) <= index) return high
  let low = -1
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if ((firsts[middle] ?? 0) <= index) low = middle
    else high = middle
  }
  return low
}

/** Term of the entry at `index`, if it is known. The caller knows where the log ends. */
export function termInRuns(runs: TermRuns, index: LogIndex): Term | undefined {
  return runs.terms[runOf(runs, index)]
}

/** Last index of the run that holds `index`: everything from `index` to there is of one term. Infinite for the last run. */
export function runEnd(runs: TermRuns, index: LogIndex): number {
  const next = runs.firsts[runOf(runs, index) + 1]
  return next === undefined ? Infinity : next - 1
}

/**
 * The last place ≤ `index` whose term is ≤ `term`: where two logs could still agree, when one holds `term` at `index` and the other does not.
 * Whole runs are skipped, so that a repair takes at most one probe for each term (etcd's scheme on both sides).
 * 0 when even the first known entry is of a later term.
 */
export function lastWithin(runs: TermRuns, index: LogIndex, term: Term): LogIndex {
  let at = index
  for (let run = runOf(runs, index); run >= 0; run--) {
    if ((runs.terms[run] ?? 0) <= term) return at
    at = ((runs.firsts[run] ?? 1) - 1) as LogIndex
  }
  return 0 as LogIndex
}
