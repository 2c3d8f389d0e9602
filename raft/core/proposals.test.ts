import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogIndex, Term } from './ids.ts'
import { createPool, tryReserve } from './limits.ts'
import type { ProposalOutcome } from './output.ts'
import { abandonProposals, addProposal, createProposals, settleProposals } from './proposals.ts'

/** From none to all, evenly: a double of fast-check is mostly next to nothing. */
const aShare = fc.integer({ min: 0, max: 8 }).map(eighths => eighths / 8)

test('ten thousand proposals in a ring that must grow end once each, in order', () => {
  const proposals = createProposals()
  const pool = createPool(1_000_000)
  const outcomes: ProposalOutcome[] = []
  const count = 10_000
  for (let i = 1; i <= count; i++) {
    expect(tryReserve(pool, 10)).toBe(true)
    addProposal(proposals, i, i as LogIndex, 1, 10)
    if (i % 700 === 0) settleProposals(proposals, (i - 300) as LogIndex, 1 as Term, pool, outcomes)
  }
  expect(pool.used).toBe(proposals.count * 10)
  abandonProposals(proposals, pool, outcomes)
  expect(outcomes.map(outcome => outcome.ticket)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
  expect(outcomes.filter(outcome => outcome.kind === 'unknown').length).toBe(count - 9_500)
  expect(pool.used).toBe(0)
})

test('a ring that grows while it is wrapped round keeps its order', () => {
  const proposals = createProposals()
  const pool = createPool(1_000_000)
  const outcomes: ProposalOutcome[] = []
  const add = (from: number, to: number): void => {
    for (let i = from; i <= to; i++) addProposal(proposals, i, i as LogIndex, 1, 0)
  }
  add(1, 200)
  settleProposals(proposals, 150 as LogIndex, 1 as Term, pool, outcomes)
  add(201, 1_000)
  settleProposals(proposals, 1_000 as LogIndex, 1 as Term, pool, outcomes)
  expect(outcomes.map(outcome => outcome.ticket)).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1))
})

test('a proposal of several entries is committed only as a whole', () => {
  const proposals = createProposals()
  const pool = createPool(100)
  const outcomes: ProposalOutcome[] = []
  addProposal(proposals, 7, 5 as LogIndex, 3, 0)
  settleProposals(proposals, 6 as LogIndex, 2 as Term, pool, outcomes)
  expect(outcomes).toEqual([])
  settleProposals(proposals, 7 as LogIndex, 2 as Term, pool, outcomes)
  expect(outcomes).toEqual([{ kind: 'committed', ticket: 7, firstId: { term: 2, index: 5 }, count: 3 }])
})

test('an empty pool takes one proposal of any size, a used one keeps its bound', () => {
  const pool = createPool(100)
  expect(tryReserve(pool, 5_000)).toBe(true)
  expect(tryReserve(pool, 1)).toBe(false)
  expect(pool.used).toBe(5_000)
})

test('the ring is a list that is settled from the front, and counts its bytes right, also while it grows', () => {
  const step = fc.record({
    kind: fc.constantFrom('add', 'add', 'add', 'settle', 'abandon'),
    times: fc.integer({ min: 1, max: 120 }),
    count: fc.integer({ min: 1, max: 4 }),
    share: aShare,
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const proposals = createProposals()
      const pool = createPool(1_000_000)
      const open: { readonly ticket: number; readonly count: number; readonly last: number }[] = []
      let last = 0
      let ticket = 0
      for (const { kind, times, count, share } of steps) {
        const outcomes: ProposalOutcome[] = []
        if (kind === 'add') {
          for (let i = 0; i < times; i++) {
            expect(tryReserve(pool, count)).toBe(true)
            addProposal(proposals, ++ticket, (last + 1) as LogIndex, count, count)
            last += count
            open.push({ ticket, count, last })
          }
        } else if (kind === 'settle') {
          const commit = Math.floor(share * last)
          settleProposals(proposals, commit as LogIndex, 1 as Term, pool, outcomes)
          const isOpen = open.findIndex(proposal => proposal.last > commit)
          const settled = open.splice(0, isOpen < 0 ? open.length : isOpen)
          expect(outcomes.map(outcome => outcome.ticket)).toEqual(settled.map(proposal => proposal.ticket))
        } else {
          abandonProposals(proposals, pool, outcomes)
          expect(outcomes.map(outcome => outcome.ticket)).toEqual(open.splice(0).map(proposal => proposal.ticket))
        }
        expect(proposals.count).toBe(open.length)
        expect(pool.used).toBe(open.reduce((sum, proposal) => sum + proposal.count, 0))
      }
    }),
  )
})
