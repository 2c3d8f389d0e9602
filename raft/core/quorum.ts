/**
 * The arithmetic of majorities: what a majority has reached, and whether a vote is won. No incremental cleverness: a few numbers are sorted
 * each time (openraft#1802 kept them sorted, and committed without a quorum). Never counts what it was not given.
 */
import { assert } from '../../src/platform/assert.ts'

export function majorityOf(voters: number): number {
  assert(voters >= 1, 'majority-of-none', voters)
  return Math.floor(voters / 2) + 1
}

/** Greatest number that at least `majority` of `values` reach. Reorders `values`: hand in a scratch array. */
export function reachedBy(values: Float64Array, majority: number): number {
  assert(majority >= 1 && majority <= values.length, 'quorum-size', majority, values.length)
  for (let i = 1; i < values.length; i++) {
    const value = values[i] ?? 0
    let j = i
    for (; j > 0 && (values[j - 1] ?? 0) < value; j--) values[j] = values[j - 1] ?? 0
    values[j] = value
  }
  const reached = values[majority - 1]
  assert(reached !== undefined, 'quorum-element', majority)
  return reached
}

/** What one voter has said. A conditional grant comes from a voter that may have forgotten what it acknowledged (docs/decisions/0008). */
export type Ballot = 'open' | 'granted' | 'conditional' | 'refused'

/** Won by a majority of unconditional grants, or by the grants of all, conditional ones included. */
export function isVoteWon(ballots: readonly Ballot[]): boolean {
  let granted = 0
  let conditional = 0
  for (const ballot of ballots) {
    if (ballot === 'granted') granted++
    else if (ballot === 'conditional') conditional++
  }
  return granted >= majorityOf(ballots.length) || granted + conditional === ballots.length
}
