/** The checkers of what nodes say and believe are shown what they must refuse, once, and what they must let pass. */
import { describe, expect, it } from 'vitest'
import type { ProposeOutcome } from '../../src/broker/outcome.ts'
import type { ReferenceReplica } from '../reference.ts'
import { Weather } from '../weather.ts'
import type { Said } from '../wire-tap.ts'
import { agreement } from './agreement.ts'
import type { CommittedRecord, FoundAtStart, Glance, LiveNode, NodeView } from './checker.ts'
import { fates, type Fates } from './fates.ts'
import { membersOf, rosterOf } from './group-of.ts'
import { idOf } from './id-of.ts'
import { nodeHealth } from './node-health.ts'
import { trust } from './trust.ts'

const glance: Glance = { role: 'follower', term: 0, lastIndex: 0, lastTerm: 0, commitIndex: 0, appliedIndex: 0, rewroteFrom: 0 }

interface Facts {
  readonly role?: 'leader' | 'follower' | 'recovering'
  readonly term?: number
  readonly votedFor?: number
  /** Of each entry. */
  readonly terms?: readonly number[]
  readonly verifiedIndex?: number
  readonly logTrust?: 'whole' | 'torn' | 'empty'
  readonly peers?: readonly { readonly peer: number; readonly matchedIndex: number }[]
}

/** A node of incarnation 1, whose leader opened its first session with it. */
function aNode(facts: Facts): LiveNode {
  const { role = 'follower', term = 3, votedFor, terms = [], verifiedIndex = 0, logTrust = 'whole', peers = [] } = facts
  const memory = {
    term,
    votedFor,
    incarnation: 1,
    logTrust,
    role: { kind: role, verifiedIndex, peers: peers.map(progress => ({ session: 2 ** 22 + 1, ...progress })) },
    members: { ...membersOf(1, 2, 3), peers: peers.map(({ peer }) => ({ id: peer, incarnation: 1 })) },
  }
  return {
    log: {
      firstIndex: 1,
      lastId: { index: terms.length, term: terms.at(-1) ?? 0 },
      termRuns: terms.map((runTerm, i) => ({ firstIndex: i + 1, term: runTerm })),
    },
    machine: { appliedIndex: 9 },
    raft: { role, term, core: { inspect: () => memory } },
  } as unknown as LiveNode
}

const allWell: FoundAtStart = { hasTornLog: false, hasInstalled: false }

function aView(id: number, node: LiveNode | undefined, foundAtStart = allWell, holdsNow = true): NodeView {
  return { id, node, foundAtStart, trueLog: { holdsNow: () => holdsNow } } as unknown as NodeView
}

const say = (message: Partial<Said> & { kind: Said['kind'] }): Said => ({ term: 3, ...message }) as Said

describe('fates', () => {
  const proposal = { node: 1, incarnation: 1, sequence: 7 }
  const record = { index: 5, proposer: proposal, result: { kind: 'done' } } as unknown as CommittedRecord
  const applied: ProposeOutcome = { kind: 'applied', logIndex: 5, wallMs: 0, result: { kind: 'done' } }
  const tell = (checker: Fates, outcome: ProposeOutcome): string => {
    checker.told(proposal, outcome)
    return idOf(() => checker.settle())
  }

  it('refuse "applied" for what was not, or elsewhere', () => {
    const another = fates()
    another.committed?.({ ...record, proposer: { ...proposal, sequence: 6 } } as CommittedRecord)
    expect(tell(another, applied)).toBe('rule6')
    const checker = fates()
    checker.committed?.(record)
    expect(tell(checker, { ...applied, logIndex: 4 })).toBe('rule6')
    expect(tell(checker, applied)).toBe('none')
  })

  it('judge what is told of an entry that only its teller knew to be committed when others know, or at the end (seed 2000697)', () => {
    const later = fates()
    expect(tell(later, applied)).toBe('none')
    later.committed?.({ ...record, proposer: undefined })
    expect(idOf(() => later.settle())).toBe('rule6')
    const never = fates()
    expect(tell(never, applied)).toBe('none')
    expect(idOf(() => never.atEnd?.())).toBe('rule6')
  })

  it('refuse "rejected" for what was applied, before or after', () => {
    const before = fates()
    before.committed?.(record)
    expect(tell(before, { kind: 'rejected', reason: 'unsent' })).toBe('A45')
    const after = fates()
    expect(tell(after, { kind: 'rejected', reason: 'unsent' })).toBe('none')
    expect(idOf(() => after.committed?.(record))).toBe('A45')
  })

  it('refuse that one is overtaken which still has patience, and let one be that has none', () => {
    const overtaken = { kind: 'rejected', reason: 'overtaken' } as const
    expect(tell(fates(), overtaken)).toBe('rule6')
    const checker = fates()
    expect(tell(checker, { kind: 'unknown', cause: 'noAnswer' })).toBe('none')
    expect(tell(checker, overtaken)).toBe('none')
  })
})

describe('agreement', () => {
  const leader = aNode({ role: 'leader', terms: [1, 3, 3] })

  it('refuses an answer that names what does not agree, and one that names more than the disk holds', () => {
    const other = aView(2, aNode({ terms: [1, 2] }))
    const check = (view: NodeView, matchedIndex: number): string => {
      const message = say({ kind: 'appendAccepted', matchedIndex, durableIndex: 1 } as never)
      return idOf(() => agreement([aView(1, leader), view]).said(view, message))
    }
    expect(check(other, 1)).toBe('none')
    expect(check(other, 2)).toBe('I10')
    expect(check(aView(2, aNode({ terms: [1, 3] })), 2)).toBe('none')
    expect(check(aView(2, aNode({ terms: [1, 3] }), allWell, false), 2)).toBe('I12')
  })

  it('refuses a leader that counts what its peer does not hold, and a follower that verified something else', () => {
    const counting = aView(1, aNode({ role: 'leader', terms: [1, 3, 3], peers: [{ peer: 2, matchedIndex: 3 }] }))
    const change = (view: NodeView, all: readonly NodeView[], role: 'leader' | 'follower'): string =>
      idOf(() => agreement(all).nodeChanged?.(view, view.node as LiveNode, { ...glance, role }, glance))
    expect(change(counting, [counting, aView(2, aNode({ terms: [1, 3, 3] }))], 'leader')).toBe('none')
    expect(change(counting, [counting, aView(2, aNode({ terms: [1, 3] }))], 'leader')).toBe('I10')
    const follower = aView(2, aNode({ terms: [1, 2], verifiedIndex: 2 }))
    expect(change(follower, [aView(1, leader), follower], 'follower')).toBe('I9')
  })

  it('refuses a second candidate that gets one node’s vote of a term', () => {
    const checker = agreement([])
    const grant = (votedFor: number): string =>
      idOf(() => checker.said(aView(2, aNode({ votedFor })), say({ kind: 'voteReply', granted: true } as never)))
    expect([grant(1), grant(1), grant(3)]).toEqual(['none', 'none', 'I2'])
  })
})

describe('trust', () => {
  const reference = { commitIndex: 4 } as unknown as ReferenceReplica
  const torn = { ...allWell, hasTornLog: true }

  it('refuses a node that starts on a torn log as if nothing had been', () => {
    const start = (found: FoundAtStart, facts: Facts): string => {
      const view = aView(1, aNode(facts), found)
      return idOf(() => trust(reference).nodeStarted?.(view))
    }
    expect(start(torn, { logTrust: 'torn' })).toBe('none')
    expect(start(torn, {})).toBe('I17')
  })

  it('refuses that a torn log is trusted again before it holds all that was committed', () => {
    const regain = (terms: readonly number[]): string => {
      const before = aView(1, aNode({ logTrust: 'torn' }), torn)
      const checker = trust(reference)
      checker.nodeStarted?.(before)
      const node = aNode({ terms })
      return idOf(() => checker.nodeChanged?.(aView(1, node), node, glance, glance))
    }
    expect(regain([1, 1, 1, 1])).toBe('none')
    expect(regain([1, 1, 1])).toBe('I17')
  })

  it('lets a log that had rotted before its torn end be trusted when it is mended beyond all that its node acknowledged (seed 36005345)', () => {
    const mended = (role: 'recovering' | 'follower', terms: readonly number[]): string => {
      const checker = trust(reference)
      checker.said(aView(1, aNode({})), say({ kind: 'appendAccepted', matchedIndex: 3, durableIndex: 2 } as never))
      checker.nodeStarted?.(aView(1, aNode({ role, logTrust: 'torn' }), torn))
      const node = aNode({ terms })
      return idOf(() => checker.nodeChanged?.(aView(1, node), node, glance, glance))
    }
    expect([mended('recovering', [1, 1]), mended('recovering', [1]), mended('follower', [1, 1])]).toEqual(['none', 'I17', 'I17'])
  })

  it('refuses a full vote on a torn log, and a leader by conditional votes', () => {
    const voter = aView(2, aNode({ logTrust: 'torn' }))
    const vote = (isConditional: boolean): Said => say({ kind: 'voteReply', granted: true, isConditional } as never)
    expect(idOf(() => trust(reference).said(voter, vote(false)))).toBe('I17')
    const winner = aView(1, aNode({ role: 'leader' }))
    const lead = (isConditional: boolean): string => {
      const checker = trust(reference)
      checker.said(winner, say({ kind: 'vote', last: { index: 1, term: 1 } } as never))
      checker.said(aView(2, aNode({})), vote(isConditional))
      return idOf(() => checker.nodeChanged?.(winner, winner.node as LiveNode, { ...glance, role: 'leader', term: 3 }, glance))
    }
    expect(lead(false)).toBe('none')
    expect(lead(true)).toBe('I17')
  })
})

describe('node health', () => {
  const down = (node: number): CommittedRecord =>
    ({ index: 9, command: { kind: 'nodeChanged', node, isUp: false }, result: { kind: 'done' } }) as unknown as CommittedRecord

  function aWatch(isUp: (node: number) => boolean, isAlive = true) {
    let nowMs = 0
    const host = (id: number): never =>
      ({ id, isUp: isAlive || id === 1, isPaused: false, isCutOff: false, isSlow: false, diskHungUntilMs: 0 }) as never
    const weather = new Weather(() => [host(1), host(2)])
    const views = [aView(1, aNode({ role: 'leader' })), aView(2, isAlive ? aNode({}) : undefined)]
    const reference = { commitIndex: 9, machine: { isNodeUp: isUp } } as unknown as ReferenceReplica
    const checker = nodeHealth(reference, rosterOf(1, 2), views, weather, 300, () => nowMs)
    return {
      checker,
      after(ms: number): string {
        nowMs = ms
        return idOf(() => checker.look())
      },
    }
  }

  it('refuses that a healthy node is called down, or stays so', () => {
    const early = aWatch(() => true)
    early.after(2_000)
    expect(idOf(() => early.checker.committed?.(down(2)))).toBe('none')
    early.after(20_000)
    expect(idOf(() => early.checker.committed?.(down(2)))).toBe('rule16')
    expect(aWatch(() => false).after(10_000)).toBe('none')
    const late = aWatch(() => false)
    late.after(250)
    expect(late.after(20_000)).toBe('rule16')
  })

  it('does not call it well while a disk that hung is still busy with what it began then (seed 7740032)', () => {
    const weather = new Weather(() => [
      { id: 1, isUp: true, isPaused: false, isCutOff: false, isSlow: false, diskHungUntilMs: 25_000 } as never,
    ])
    weather.trouble(20_000)
    expect([weather.wellForMs(21_000), weather.wellForMs(25_000), weather.wellForMs(26_000)]).toEqual([0, 0, 1_000])
  })

  it('refuses that nobody calls a dead node down, while the same leader commits', () => {
    const watch = aWatch(() => true, false)
    watch.after(250)
    expect(watch.after(3_000)).toBe('none')
    watch.after(6_000)
    watch.checker.committed?.({ index: 2 } as CommittedRecord)
    expect(watch.after(6_250)).toBe('rule16')
  })
})
