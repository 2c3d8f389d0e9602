import { expect, test } from 'vitest'
import fc from 'fast-check'
import type { LogIndex, NodeId, Session, Term } from './ids.ts'
import { createProgress, isCurrentConflict, onMatched, onSent, openSession, startProbe } from './progress.ts'
import type { PendingAppend, Progress } from './progress.ts'
import { isWindowFull } from './inflight.ts'

function aProgress(nextIndex = 1): Progress {
  const start = { session: 1 as Session, nextIndex: nextIndex as LogIndex, nowMs: 0, slicesMax: 3, bytesMax: 100 }
  return createProgress(2 as NodeId, start)
}

function pendingOf(progress: Progress, lastIndex: number): PendingAppend {
  const prev = { term: 1 as Term, index: (progress.nextIndex - 1) as LogIndex }
  const common = { kind: 'append', to: progress.peer, after: 0 as PendingAppend['after'], term: 1 as Term } as const
  return { ...common, session: progress.session, prev, lastIndex: lastIndex as LogIndex, commitIndex: 0 as LogIndex }
}

/** Dumb twin: a set of what was sent and is not on the peer's disk, and three numbers. */
interface Twin {
  matched: number
  durable: number
  next: number
  isProbe: boolean
  sent: { last: number; bytes: number }[]
}

type Step =
  | { readonly kind: 'send'; readonly count: number; readonly bytes: number }
  | { readonly kind: 'accept'; readonly matched: number; readonly undurable: number }
  | { readonly kind: 'conflict'; readonly refused: number; readonly agreed: number }
  | { readonly kind: 'lost' }

const nat = fc.nat(30)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 1, max: 4 }), bytes: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ kind: fc.constant('accept' as const), matched: nat, undurable: fc.nat(3) }),
  fc.record({ kind: fc.constant('conflict' as const), refused: nat, agreed: nat }),
  fc.record({ kind: fc.constant('lost' as const) }),
)

test('no order of sends, answers and losses breaks a progress or its window', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), steps => {
      const progress = aProgress()
      const twin: Twin = { matched: 0, durable: 0, next: 1, isProbe: true, sent: [] }
      for (const action of steps) play(progress, twin, action)
    }),
    { numRuns: 500 },
  )
})

function play(progress: Progress, twin: Twin, action: Step): void {
  if (action.kind === 'send') {
    if (!twin.isProbe && (twin.sent.length === 3 || twin.sent.reduce((sum, slice) => sum + slice.bytes, 0) >= 100)) return
    const last = twin.next - 1 + action.count
    progress.pending = pendingOf(progress, last)
    onSent(progress, last as LogIndex, action.bytes)
    if (!twin.isProbe) {
      twin.sent.push({ last, bytes: action.bytes })
      twin.next = last + 1
    }
  } else if (action.kind === 'accept') {
    const durable = Math.max(0, action.matched - action.undurable)
    onMatched(progress, action.matched as LogIndex, durable as LogIndex, 0)
    twin.matched = Math.max(twin.matched, action.matched)
    twin.durable = Math.max(twin.durable, durable)
    twin.sent = twin.isProbe ? [] : twin.sent.filter(slice => slice.last > twin.durable)
    // It holds more than it has on disk, nobody knows how much: a window full.
    if (twin.sent.length === 0 && twin.durable < twin.matched) twin.sent = [{ last: twin.matched, bytes: 100 }]
    twin.next = twin.isProbe ? twin.matched + 1 : Math.max(twin.next, twin.matched + 1)
    twin.isProbe = false
  } else if (action.kind === 'conflict') {
    const isCurrent = action.refused > twin.matched && (twin.isProbe ? action.refused === twin.next - 1 : action.refused < twin.next)
    expect(isCurrentConflict(progress, action.refused as LogIndex)).toBe(isCurrent)
    if (!isCurrent) return
    fallBack(progress, twin, Math.min(action.agreed, action.refused))
  } else fallBack(progress, twin, twin.matched)
  expect([progress.matchedIndex, progress.durableIndex, progress.nextIndex]).toEqual([twin.matched, twin.durable, twin.next])
  expect(progress.flow.kind).toBe(twin.isProbe ? 'probe' : 'replicate')
  expect(progress.nextIndex).toBeGreaterThan(progress.matchedIndex)
  if (progress.flow.kind === 'replicate') {
    expect(progress.flow.inflight.count).toBe(twin.sent.length)
    expect(progress.flow.inflight.bytes).toBe(twin.sent.reduce((sum, slice) => sum + slice.bytes, 0))
  }
}

function fallBack(progress: Progress, twin: Twin, agreed: number): void {
  startProbe(progress, (agreed + 1) as LogIndex)
  twin.next = Math.max(agreed, twin.matched) + 1
  twin.isProbe = true
  twin.sent = []
}

test('a late conflict never moves next below what has matched', () => {
  const progress = aProgress(6)
  onMatched(progress, 5 as LogIndex, 5 as LogIndex, 0)
  expect(isCurrentConflict(progress, 5 as LogIndex)).toBe(false)
  startProbe(progress, 2 as LogIndex)
  expect(progress.nextIndex).toBe(6)
})

test('a new session forgets what the earlier process of the peer said, but begins where it was durable', () => {
  const progress = aProgress(6)
  onMatched(progress, 9 as LogIndex, 7 as LogIndex, 0)
  openSession(progress, 2 as Session)
  expect(progress).toMatchObject({ matchedIndex: 0, durableIndex: 0, nextIndex: 8, flow: { kind: 'probe' } })
})

test('going back to probing frees the whole window', () => {
  const progress = aProgress(1)
  onMatched(progress, 0 as LogIndex, 0 as LogIndex, 0)
  progress.pending = pendingOf(progress, 4)
  onSent(progress, 4 as LogIndex, 100)
  expect(progress.flow.kind === 'replicate' && isWindowFull(progress.flow.inflight)).toBe(true)
  startProbe(progress, 1 as LogIndex)
  onMatched(progress, 0 as LogIndex, 0 as LogIndex, 0)
  expect(progress.flow.kind === 'replicate' && isWindowFull(progress.flow.inflight)).toBe(false)
})
