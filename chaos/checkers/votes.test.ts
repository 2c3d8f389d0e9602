/** The checkers of votes and of proposals' sessions are shown what they must refuse, once, and what they must let pass. */
import { describe, expect, it } from 'vitest'
import type { Checker, CommittedRecord, Glance, LiveNode, NodeView, TermAndVote } from './checker.ts'
import { membersOf } from './group-of.ts'
import { idOf } from './id-of.ts'
import { sessions } from './sessions.ts'
import { votes } from './votes.ts'

const blank: Glance = { role: 'follower', term: 0, lastIndex: 0, lastTerm: 0, commitIndex: 0, appliedIndex: 0, rewroteFrom: 0 }

function aNode(memory: TermAndVote): LiveNode {
  return { raft: { core: { inspect: () => ({ ...memory, members: membersOf(1, 2, 3) }) } } } as unknown as LiveNode
}

function aGroup(onDisk: readonly TermAndVote[]): { views: NodeView[]; disks: TermAndVote[] } {
  const disks = [...onDisk]
  const views = disks.map(
    (_, i) => ({ id: i + 1, lifeNumber: 1, node: undefined, trueVote: { read: () => disks[i], damages: 0 } }) as unknown as NodeView,
  )
  return { views, disks }
}

describe('votes', () => {
  const lead = (onDisk: readonly TermAndVote[]): string => {
    const { views } = aGroup(onDisk)
    const now = { ...blank, role: 'leader', term: 5 } as const
    return idOf(() => votes(views).nodeChanged?.(views[0] as NodeView, aNode({ term: 5, votedFor: 1 }), now, blank))
  }

  it('refuse a leader without a majority of votes on disk, and count a voter that has gone on to a later term', () => {
    expect(
      lead([
        { term: 5, votedFor: 1 },
        { term: 5, votedFor: 1 },
        { term: 4, votedFor: 2 },
      ]),
    ).toBe('none')
    expect(
      lead([
        { term: 5, votedFor: 1 },
        { term: 6, votedFor: undefined },
        { term: 4, votedFor: 2 },
      ]),
    ).toBe('none')
    expect(
      lead([
        { term: 5, votedFor: 1 },
        { term: 5, votedFor: 3 },
        { term: 4, votedFor: 2 },
      ]),
    ).toBe('I1')
  })

  it('refuse another vote in the same term, a forgotten one, and a term that goes back', () => {
    const { views, disks } = aGroup([{ term: 5, votedFor: 2 }])
    const view = views[0] as NodeView
    const checker = votes(views)
    const see = (memory: TermAndVote): string => idOf(() => checker.nodeChanged?.(view, aNode(memory), { ...blank, term: 5 }, blank))
    expect(see({ term: 5, votedFor: undefined })).toBe('none')
    expect(see({ term: 5, votedFor: 2 })).toBe('none')
    expect(see({ term: 5, votedFor: 3 })).toBe('I2')
    expect(see({ term: 5, votedFor: undefined })).toBe('I2')
    disks[0] = { term: 4, votedFor: undefined }
    expect(see({ term: 5, votedFor: 2 })).toBe('I2')
  })
})

describe('sessions', () => {
  const record = (sequence: number, ageMs: number, result: unknown, incarnation = 1): CommittedRecord => {
    const proposer = { node: 1, incarnation, sequence, sentAtMs: 100_000 - ageMs }
    return { index: sequence, term: 1, wallMs: 100_000, command: { kind: 'barrier' }, proposer, result } as CommittedRecord
  }
  const done = { kind: 'done' }
  const late = { kind: 'refused', reason: 'late' }

  it('refuse a copy that was taken and a new proposal that was ignored', () => {
    const checker = sessions()
    expect(idOf(() => checker.committed?.(record(4, 0, done)))).toBe('none')
    expect(idOf(() => checker.committed?.(record(4, 0, undefined)))).toBe('none')
    expect(idOf(() => checker.committed?.(record(4, 0, done)))).toBe('rule6')
    expect(idOf(() => checker.committed?.(record(5, 0, undefined)))).toBe('rule6')
    expect(idOf(() => checker.committed?.(record(1, 0, done, 2)))).toBe('none')
    expect(idOf(() => checker.committed?.(record(9, 0, done, 1)))).toBe('rule6')
  })

  it('refuse a late command that was taken, and one called late that was not', () => {
    expect(idOf(() => sessions().committed?.(record(1, 15_001, late)))).toBe('none')
    expect(idOf(() => sessions().committed?.(record(1, 15_001, done)))).toBe('rule7')
    expect(idOf(() => sessions().committed?.(record(1, 15_000, late)))).toBe('rule7')
  })

  it('refuse what is taken of a removed node, or from before it was back, and what is refused of a member (seed 7350015)', () => {
    const config = (wallMs: number, ...ids: number[]): CommittedRecord =>
      ({ index: 1, term: 1, wallMs, membership: { members: ids.map(id => ({ id })), idMax: 2 } }) as unknown as CommittedRecord
    const notMember = { kind: 'refused', reason: 'notMember' }
    const after = (...configs: readonly CommittedRecord[]): Checker => {
      const checker = sessions()
      for (const one of configs) checker.committed?.(one)
      return checker
    }
    const take = (checker: Checker, ageMs: number, result: unknown): string => idOf(() => checker.committed?.(record(4, ageMs, result)))
    const removed = [config(1_000, 1, 2), config(2_000, 2)]
    expect(take(after(...removed), 0, done)).toBe('rule6')
    expect(take(after(...removed), 0, notMember)).toBe('none')
    expect(take(after(...removed, config(99_000, 1, 2)), 1_001, done)).toBe('rule6')
    expect(take(after(...removed, config(99_000, 1, 2)), 1_000, done)).toBe('none')
    expect(take(after(config(1_000, 1, 2)), 0, notMember)).toBe('rule6')
  })

  it('refuse a copy that is taken, or refused again, of what was refused of a removed node (seed 40004998)', () => {
    const config = (wallMs: number, ...ids: number[]): CommittedRecord =>
      ({ index: 1, term: 1, wallMs, membership: { members: ids.map(id => ({ id })), idMax: 2 } }) as unknown as CommittedRecord
    const copied = (result: unknown): string => {
      const checker = sessions()
      for (const one of [config(1_000, 1, 2), config(2_000, 2)]) checker.committed?.(one)
      checker.committed?.(record(4, 0, { kind: 'refused', reason: 'notMember' }))
      checker.committed?.(config(50_000, 1, 2))
      return idOf(() => checker.committed?.(record(4, 0, result)))
    }
    expect([copied(done), copied({ kind: 'refused', reason: 'notMember' }), copied(undefined)]).toEqual(['rule6', 'rule6', 'none'])
  })
})
