/**
 * Proposals of the present leadership whose fate is not known yet, in log order. Each ends exactly once: committed, or unknown when the leadership
 * ends first (it may be in the log of the next leader). Columns in one ring, no object for a proposal.
 * Invariant: empty unless we lead; `bytes` of all that wait = what the pool counts as used.
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex, Term } from './ids.ts'
import type { ProposalOutcome } from './output.ts'
import { releaseBytes } from './limits.ts'
import type { BytePool } from './limits.ts'

export interface Proposals {
  tickets: Float64Array
  firsts: Float64Array
  counts: Float64Array
  bytes: Float64Array
  start: number
  count: number
}

const firstCapacity = 256

export function createProposals(): Proposals {
  const column = () => new Float64Array(firstCapacity)
  return { tickets: column(), firsts: column(), counts: column(), bytes: column(), start: 0, count: 0 }
}

export function addProposal(proposals: Proposals, ticket: number, firstIndex: LogIndex, count: number, bytes: number): void {
  assert(count >= 1, 'proposal-count', count)
  if (proposals.count === proposals.tickets.length) grow(proposals)
  const at = (proposals.start + proposals.count) % proposals.tickets.length
  proposals.tickets[at] = ticket
  proposals.firsts[at] = firstIndex
  proposals.counts[at] = count
  proposals.bytes[at] = bytes
  proposals.count++
}

/** Everything up to `commitIndex` is committed in `term`: says so for each proposal that lies below it as a whole. */
export function settleProposals(
  proposals: Proposals,
  commitIndex: LogIndex,
  term: Term,
  pool: BytePool,
  outcomes: ProposalOutcome[],
): void {
  while (proposals.count > 0) {
    const at = proposals.start
    const first = proposals.firsts[at] ?? 0
    const count = proposals.counts[at] ?? 0
    if (first + count - 1 > commitIndex) return
    outcomes.push({ kind: 'committed', ticket: proposals.tickets[at] ?? 0, firstId: { term, index: first as LogIndex }, count })
    dropOldest(proposals, pool)
  }
}

/** The leadership ended: nobody here knows what becomes of them. */
export function abandonProposals(proposals: Proposals, pool: BytePool, outcomes: ProposalOutcome[]): void {
  while (proposals.count > 0) {
    outcomes.push({ kind: 'unknown', ticket: proposals.tickets[proposals.start] ?? 0, cause: 'leadershipLost' })
    dropOldest(proposals, pool)
  }
  assert(pool.used === 0, 'pool-not-empty', pool.used)
}

function dropOldest(proposals: Proposals, pool: BytePool): void {
  releaseBytes(pool, proposals.bytes[proposals.start] ?? 0)
  proposals.start = (proposals.start + 1) % proposals.tickets.length
  proposals.count--
}

function grow(proposals: Proposals): void {
  const { start, count } = proposals
  const unrolled = (column: Float64Array): Float64Array => {
    const wider = new Float64Array(column.length * 2)
    for (let i = 0; i < count; i++) wider[i] = column[(start + i) % column.length] ?? 0
    return wider
  }
  proposals.tickets = unrolled(proposals.tickets)
  proposals.firsts = unrolled(proposals.firsts)
  proposals.counts = unrolled(proposals.counts)
  proposals.bytes = unrolled(proposals.bytes)
  proposals.start = 0
}
