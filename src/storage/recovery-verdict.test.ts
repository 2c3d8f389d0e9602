/** The table by itself; each row on a disk: test/storage/recovery.test.ts, which fails when a row has no test of its own. */
import { describe, expect, it } from 'vitest'
import type { RecordProblem } from './record.ts'
import { judge, recoveryTable } from './recovery-verdict.ts'
import type { Evidence, Verdict } from './recovery-verdict.ts'

const problems: readonly RecordProblem[] = ['end', 'cut', 'headerCrc', 'format', 'prevCrc', 'index', 'term', 'bodyCrc']
const allEvidence: Evidence[] = problems.flatMap(problem =>
  [false, true].flatMap(isSealed =>
    [false, true].flatMap(isMarked => [false, true].map(isFollowed => ({ problem, isSealed, isMarked, isFollowed }))),
  ),
)

/** The rule in other words: what is known to have been synced is never given up. */
function expected({ problem, isSealed, isMarked, isFollowed }: Evidence): Verdict {
  if (isSealed || isMarked || isFollowed) return 'rot'
  return problem === 'end' ? 'clean' : 'torn'
}

describe('the decision table of recovery', () => {
  it('has exactly one row for any evidence', () => {
    expect(allEvidence).toHaveLength(64)
    for (const evidence of allEvidence) expect(recoveryTable.filter(row => row.fits(evidence))).toHaveLength(1)
  })

  it('gives up only what was never synced', () => {
    for (const evidence of allEvidence) expect(judge(evidence).verdict).toBe(expected(evidence))
  })

  it('has no row that never fits', () => {
    for (const row of recoveryTable) expect(allEvidence.some(evidence => row.fits(evidence))).toBe(true)
  })
})
