/**
 * The arithmetic of majorities: what a majority has reached, and whether a vote is won, in one set of voters or in both halves of a joint membership. No
 * incremental cleverness: a few numbers are sorted each time (openraft#1802 kept them sorted, and committed without a quorum). Never counts what it was
 * not given, and nothing is ever reached where nobody votes.
 */
import { assert } from '../../src/platform/assert.ts'
import type { NodeId } from './ids.ts'
import type { Membership } from './membership.ts'

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

/** One set of voters, as places among all electors. */
export interface Half {
  readonly slots: readonly number[]
  readonly scratch: Float64Array
}

/** Everybody whose word counts, each with a slot (its place in `ids`), and the sets that must agree: one, two while a change is joint, none for a stranger. */
export interface Electorate {
  readonly ids: readonly NodeId[]
  readonly halves: readonly Half[]
}

export function electorateOf({ voters, outgoing }: Pick<Membership, 'voters' | 'outgoing'>): Electorate {
  const ids = [...new Set([...voters, ...outgoing])].sort((a, b) => a - b)
  const halves = [voters, outgoing]
    .filter(half => half.length > 0)
    .map(half => ({ slots: half.map(id => ids.indexOf(id)), scratch: new Float64Array(half.length) }))
  return { ids, halves }
}

/** The elector's place; undefined for who has no vote. */
export function slotIn(electorate: Electorate, id: NodeId): number | undefined {
  const slot = electorate.ids.indexOf(id)
  return slot < 0 ? undefined : slot
}

/** Greatest number that a majority of each half reaches; `values` by slot. */
export function reachedByAll(electorate: Electorate, values: Float64Array): number {
  let reached = electorate.halves.length === 0 ? -Infinity : Infinity
  for (const { slots, scratch } of electorate.halves) {
    for (let i = 0; i < slots.length; i++) scratch[i] = values[slots[i] ?? 0] ?? 0
    reached = Math.min(reached, reachedBy(scratch, majorityOf(slots.length)))
  }
  return reached
}

/** What one voter has said. A conditional grant comes from a voter that may have forgotten what it acknowledged (docs/decisions/0008). */
export type Ballot = 'open' | 'granted' | 'conditional' | 'refused'

/** Won in each half: by a majority of unconditional grants there, or by the grants of all of it, conditional ones included. `ballots` by slot. */
export function isVoteWon(electorate: Electorate, ballots: readonly Ballot[]): boolean {
  return electorate.halves.length > 0 && electorate.halves.every(half => isHalfWon(half, ballots))
}

function isHalfWon({ slots }: Half, ballots: readonly Ballot[]): boolean {
  let granted = 0
  let conditional = 0
  for (const slot of slots) {
    const ballot = ballots[slot]
    if (ballot === 'granted') granted++
    else if (ballot === 'conditional') conditional++
  }
  return granted >= majorityOf(slots.length) || granted + conditional === slots.length
}
