/** Which entries are of which term: a list of runs, ascending, which stays short since terms change rarely. */
import type { LogIndex, Term, TermRun } from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'

/** Number of the run that holds `index`; −1 when it is before the first. */
function runOf(runs: readonly TermRun[], index: number): number {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (mustExist(runs[middle], 'run').firstIndex <= index) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The term of an entry that the runs cover; undefined before the first run. */
export function termAt(runs: readonly TermRun[], index: number): Term | undefined {
  return runs[runOf(runs, index)]?.term
}

/** The entry `index` is of `term`: a new run when the last one is of another. */
export function noteTerm(runs: TermRun[], index: number, term: number): void {
  if (runs.at(-1)?.term !== term) runs.push({ firstIndex: index as LogIndex, term: term as Term })
}

/** Forgets the entries from `index` on. */
export function truncateRuns(runs: TermRun[], index: number): void {
  while (mustLastFirst(runs) >= index) runs.pop()
}

/** Forgets the entries below `index`; the run that holds it begins there from now on. */
export function dropRuns(runs: TermRun[], index: number): void {
  const first = runOf(runs, index)
  if (first < 0) return
  const { term } = mustExist(runs[first], 'run')
  runs.splice(0, first + 1, { firstIndex: index as LogIndex, term })
}

function mustLastFirst(runs: readonly TermRun[]): number {
  return runs.at(-1)?.firstIndex ?? -1
}

/** The runs of the entries `firstIndex … lastIndex`, the first one beginning at `firstIndex`. */
export function sliceRuns(runs: readonly TermRun[], firstIndex: number, lastIndex: number): TermRun[] {
  const result: TermRun[] = []
  for (let i = Math.max(0, runOf(runs, firstIndex)); i < runs.length; i++) {
    const run = mustExist(runs[i], 'run')
    if (run.firstIndex > lastIndex) break
    result.push(run.firstIndex < firstIndex ? { firstIndex: firstIndex as LogIndex, term: run.term } : run)
  }
  return result
}
