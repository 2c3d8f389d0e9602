/**
 * What the end of a scan means: the decision table of rule 3 and raft.md §2.19, as data. Exactly one row fits any evidence.
 *
 * Torn or rotten? What was synced must be there; what was not may be there in any part. Known to be synced are: all segments but the last (a roll
 * syncs the old one first), everything up to the durable mark, and a bad record behind which good ones continue the chain for longer than one
 * flush can be (`flushBytesMax`): the later flush began only when the earlier was synced. Less than that proves nothing: a torn group commit
 * keeps its sectors in any order. A leftover of a truncated suffix does not fit the chain and so never counts as "good ones behind".
 * Cutting off what was never synced loses nothing acknowledged; the node is still held back (`hasTornTail`) until a leader has verified its log.
 */
import { assert, mustExist } from '../platform/assert.ts'
import type { RecordProblem } from './record.ts'

export type Verdict =
  /** The log ends here in order. */
  | 'clean'
  /** The last flush did not finish: cut off. */
  | 'torn'
  /** What was synced is gone or changed: never cut off. */
  | 'rot'

export interface Evidence {
  readonly problem: RecordProblem
  /** A later segment exists. */
  readonly isSealed: boolean
  /** The missing or bad entry is at or below the durable mark. */
  readonly isMarked: boolean
  /** Good records behind the bad one continue the chain for longer than a flush. */
  readonly isFollowed: boolean
}

export interface RecoveryRow {
  readonly name: string
  readonly verdict: Verdict
  readonly fits: (evidence: Evidence) => boolean
}

export const recoveryTable: readonly RecoveryRow[] = [
  { name: 'bad record in a sealed segment', verdict: 'rot', fits: ({ isSealed }) => isSealed },
  {
    name: 'log ends below the durable mark',
    verdict: 'rot',
    fits: ({ isSealed, isMarked, problem }) => !isSealed && isMarked && problem === 'end',
  },
  {
    name: 'bad record at or below the durable mark',
    verdict: 'rot',
    fits: ({ isSealed, isMarked, problem }) => !isSealed && isMarked && problem !== 'end',
  },
  {
    name: 'bad record above the mark, later flushes behind it',
    verdict: 'rot',
    fits: ({ isSealed, isMarked, isFollowed }) => !isSealed && !isMarked && isFollowed,
  },
  {
    name: 'nothing written behind the last record',
    verdict: 'clean',
    fits: ({ isSealed, isMarked, isFollowed, problem }) => !isSealed && !isMarked && !isFollowed && problem === 'end',
  },
  {
    name: 'leftover of a truncated suffix behind the last record',
    verdict: 'torn',
    fits: ({ isSealed, isMarked, isFollowed, problem }) => !isSealed && !isMarked && !isFollowed && isMisfit(problem),
  },
  {
    name: 'damaged record above the mark, nothing proven behind it',
    verdict: 'torn',
    fits: ({ isSealed, isMarked, isFollowed, problem }) => !isSealed && !isMarked && !isFollowed && problem !== 'end' && !isMisfit(problem),
  },
]

/** A whole record that is not the successor of the one before it. */
function isMisfit(problem: RecordProblem): boolean {
  return problem === 'prevCrc' || problem === 'index' || problem === 'term'
}

/** The one row that fits. */
export function judge(evidence: Evidence): RecoveryRow {
  const rows = recoveryTable.filter(row => row.fits(evidence))
  assert(rows.length === 1, 'recovery-rows', rows.length, evidence.problem)
  return mustExist(rows[0], 'recovery-row')
}
