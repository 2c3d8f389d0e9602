/** Each checker of the replicated log is shown what it must refuse, once, and what it must let pass. */
import { describe, expect, it } from 'vitest'
import type { LogStorage, StoredEntry } from '../../raft/index.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import type { ReferenceReplica } from '../reference.ts'
import type { Checker, CommittedRecord, Glance, LiveNode, NodeView } from './checker.ts'
import { committedEntries } from './committed-entries.ts'
import { conservation } from './conservation.ts'
import { digests } from './digests.ts'
import { durability } from './durability.ts'
import { electionSafety } from './election-safety.ts'
import { membersOf, rosterOf } from './group-of.ts'
import { idOf } from './id-of.ts'
import { leaderCompleteness } from './leader-completeness.ts'
import { logMatching } from './log-matching.ts'
import { progress } from './progress.ts'

const glance: Glance = { role: 'follower', term: 1, lastIndex: 0, lastTerm: 0, commitIndex: 0, appliedIndex: 0, rewroteFrom: 0 }

function entries(...terms: number[]): StoredEntry[] {
  return terms.map(
    (term, i) => ({ index: i + 1, term, kind: 1, wallMs: 1_000 + i, body: Uint8Array.of(term, i) }) as unknown as StoredEntry,
  )
}

function aNode(log: readonly StoredEntry[], digest = 7, recomputed = digest, problems: readonly string[] = []): LiveNode {
  const storage = {
    firstIndex: 1,
    lastId: { index: log.length, term: log.at(-1)?.term ?? 0 },
    termRuns: log.map(({ index, term }) => ({ firstIndex: index, term })),
    entry: (index: number) => log[index - 1],
  } as unknown as LogStorage
  const asDigest = (n: number): ReturnType<LiveNode['machine']['digest']> => ({ a: { low: n, high: 0 }, b: { low: 0, high: n } })
  return {
    log: storage,
    raft: {
      role: 'follower',
      term: 1,
      commitIndex: log.length,
      core: { inspect: () => ({ members: membersOf(1, 2, 3) }) } as never,
      status: () => undefined as never,
    },
    machine: {
      appliedIndex: log.length,
      digest: () => asDigest(digest),
      recomputeDigest: () => asDigest(recomputed),
      conservation: () => problems,
    },
  }
}

function aView(id: number, node: LiveNode | undefined, durableTo = true): NodeView {
  return {
    id,
    lifeNumber: 1,
    node,
    trueLog: { durableTo: () => durableTo, holdsNow: () => durableTo, provedTo: 0 },
    trueVote: { read: () => undefined, readWorst: () => undefined, damages: 0 },
    foundAtStart: { hasTornLog: false, hasInstalled: false },
    wallMs: 0,
  }
}

function aReference(log: readonly StoredEntry[], digest = 7): ReferenceReplica {
  return {
    commitIndex: log.length,
    entry: (index: number) => {
      const entry = log[index - 1]
      return entry === undefined
        ? undefined
        : { term: entry.term, wallMs: entry.wallMs, crc: crc32c(entry.body), body: entry.body, firstNode: 1, committedInTerm: entry.term }
    },
    digestAt: () => ({ a: { low: digest, high: 0 }, b: { low: 0, high: digest } }),
  } as unknown as ReferenceReplica
}

function change(checker: Checker, view: NodeView, node: LiveNode, now: Partial<Glance>, before: Partial<Glance> = {}): void {
  checker.nodeChanged?.(view, node, { ...glance, ...now }, { ...glance, ...before })
}

describe('the checkers of the replicated log', () => {
  it('refuse a second leader in a term, and let one leader be seen twice', () => {
    const checker = electionSafety()
    const node = aNode([])
    change(checker, aView(1, node), node, { role: 'leader', term: 4 })
    expect(idOf(() => change(checker, aView(1, node), node, { role: 'leader', term: 4 }))).toBe('none')
    expect(idOf(() => change(checker, aView(2, node), node, { role: 'leader', term: 4 }))).toBe('A46')
    expect(idOf(() => change(checker, { ...aView(1, node), lifeNumber: 2 }, node, { role: 'leader', term: 4 }))).toBe('A46')
  })

  it('refuse a term and a commit index that go back, and a commit above the log', () => {
    const node = aNode([])
    const view = aView(1, node)
    expect(idOf(() => change(progress(), view, node, { term: 2 }, { term: 3 }))).toBe('A48')
    expect(idOf(() => change(progress(), view, node, { commitIndex: 2, lastIndex: 5 }, { commitIndex: 3 }))).toBe('A48')
    expect(idOf(() => change(progress(), view, node, { commitIndex: 6, lastIndex: 5 }))).toBe('A47')
    expect(idOf(() => change(progress(), view, node, { commitIndex: 5, lastIndex: 5, appliedIndex: 5 }))).toBe('none')
  })

  it('refuse two entries of one index and term that differ in content or in their predecessor', () => {
    const first = aNode(entries(1, 2, 2))
    const other = entries(1, 2, 2)
    other[2] = { ...(other[2] as StoredEntry), body: Uint8Array.of(9) }
    const checker = logMatching()
    checker.logChanged?.(aView(1, first), first, 1)
    expect(idOf(() => checker.logChanged?.(aView(2, first), first, 1))).toBe('none')
    expect(idOf(() => checker.logChanged?.(aView(2, first), aNode(other), 1))).toBe('A47')
    const revived = entries(1, 1, 2)
    revived[2] = { ...(revived[2] as StoredEntry) }
    expect(idOf(() => checker.logChanged?.(aView(3, first), aNode(revived), 1))).toBe('A47')
  })

  it('refuse a committed entry that another node holds differently, and one that is dropped', () => {
    const reference = aReference(entries(1, 1, 2))
    const checker = committedEntries(reference)
    const good = aNode(entries(1, 1, 2))
    const view = aView(1, good)
    checker.nodeStarted?.(view)
    expect(idOf(() => change(checker, view, good, { commitIndex: 3, lastIndex: 3 }))).toBe('none')
    expect(idOf(() => checker.logChanged?.(view, good, 3))).toBe('A47')
    const bad = aNode(entries(1, 1, 3))
    expect(idOf(() => change(checker, aView(2, bad), bad, { commitIndex: 3, lastIndex: 3 }))).toBe('A47')
  })

  it('refuse a leader that lacks what an earlier term committed', () => {
    const checker = leaderCompleteness(aReference(entries(1, 1, 2)))
    const full = aNode(entries(1, 1, 2))
    const short = aNode(entries(1, 1))
    expect(idOf(() => change(checker, aView(1, full), full, { role: 'leader', term: 3, lastIndex: 3 }))).toBe('none')
    expect(idOf(() => change(checker, aView(2, short), short, { role: 'leader', term: 3, lastIndex: 2 }))).toBe('I5')
    expect(idOf(() => change(checker, aView(2, short), short, { role: 'leader', term: 2, lastIndex: 2 }))).toBe('none')
  })

  it('refuse a commit without a majority of true disks', () => {
    const record = { index: 3, term: 2 } as CommittedRecord
    const log = entries(1, 1, 2)
    const reference = { entry: () => ({ firstNode: 1 }) } as unknown as ReferenceReplica
    const commits = (...durableTo: readonly boolean[]): ReturnType<typeof durability> => {
      const views = durableTo.map((isDurable, i) => aView(i + 1, aNode(log), isDurable))
      return durability(reference, rosterOf(1, 2, 3), views)
    }
    const two = commits(true, true, false)
    const one = commits(true, false, false)
    expect(idOf(() => two.committed?.(record))).toBe('none')
    expect(idOf(() => one.committed?.(record))).toBe('I12')
  })

  it('refuse a state in which a message is nowhere', () => {
    const reference = { machine: { conservation: () => [] } } as unknown as ReferenceReplica
    const lost = aNode(entries(1), 7, 7, ['billing in orders: 3 messages, 2 accounted for'])
    expect(idOf(() => conservation(reference, [aView(1, lost)]).atEnd?.())).toBe('A33')
    expect(idOf(() => conservation(reference, [aView(1, aNode(entries(1)))]).atEnd?.())).toBe('none')
  })

  it('refuse the very entry after which a message is nowhere', () => {
    const problems: string[] = []
    const reference = { machine: { conservation: () => problems } } as unknown as ReferenceReplica
    const checker = conservation(reference, [])
    const record = { index: 7, term: 1, wallMs: 1, command: undefined, proposer: undefined, result: undefined } satisfies CommittedRecord
    expect(idOf(() => checker.committed?.(record))).toBe('none')
    problems.push('billing in orders: 3 messages, 2 accounted for')
    expect(idOf(() => checker.committed?.({ ...record, index: 8 }))).toBe('A33')
  })

  it('refuse a digest that differs from the reference, and one that differs from its own state', () => {
    const good = aNode(entries(1))
    const wrong = aNode(entries(1), 8)
    const stale = aNode(entries(1), 7, 8)
    const checker = digests(aReference(entries(1)), [aView(1, stale)])
    expect(idOf(() => change(checker, aView(1, good), good, { appliedIndex: 1 }))).toBe('none')
    expect(idOf(() => change(checker, aView(1, wrong), wrong, { appliedIndex: 1 }))).toBe('A49')
    expect(idOf(() => checker.atEnd?.())).toBe('A49')
  })
})
