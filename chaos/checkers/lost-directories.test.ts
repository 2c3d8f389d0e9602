/** What goes with a disk is forgotten, and nothing else; and a number whose directory is lost has no say. */
import { describe, expect, it } from 'vitest'
import { firstMembership, nodeId, type Membership } from '../../raft/index.ts'
import type { ReferenceReplica } from '../reference.ts'
import type { Said } from '../wire-tap.ts'
import { agreement } from './agreement.ts'
import { caughtUp } from './caught-up.ts'
import type { CommittedRecord, Glance, LiveNode, LostDisk, NodeView, TermAndVote } from './checker.ts'
import { durability } from './durability.ts'
import { membersOf, membershipOf, rosterOf } from './group-of.ts'
import { idOf } from './id-of.ts'
import { lostDirectories } from './lost-directories.ts'
import { trust } from './trust.ts'
import { votes } from './votes.ts'

const glance: Glance = { role: 'follower', term: 3, lastIndex: 0, lastTerm: 0, commitIndex: 0, appliedIndex: 0, rewroteFrom: 0 }

interface Facts {
  readonly vote?: TermAndVote
  readonly holdsTo?: number
  readonly lost?: LostDisk
  readonly term?: number
  readonly votedFor?: number
}

function aView(id: number, { vote, holdsTo = 0, lost, term = 3, votedFor }: Facts = {}): NodeView {
  const memory = {
    term,
    votedFor,
    incarnation: 1,
    logTrust: 'whole',
    role: { kind: 'follower', verifiedIndex: 0 },
    members: membersOf(1, 2, 3),
  }
  const node = {
    log: { firstIndex: 1, lastId: { index: holdsTo, term: 1 }, termRuns: [{ firstIndex: 1, term: 1 }] },
    raft: { role: 'follower', term, core: { inspect: () => memory } },
  } as unknown as LiveNode
  const holds = (index: number): boolean => index <= holdsTo
  return {
    id,
    lifeNumber: 1,
    wallMs: 0,
    trueVote: { read: () => vote, readWorst: () => vote, damages: 0 },
    foundAtStart: { hasTornLog: false, hasInstalled: false },
    node,
    trueLog: { durableTo: holds, holdsNow: holds, provedTo: 0 },
    lostDisk: lost,
  }
}

const nodeOf = ({ node }: NodeView): LiveNode => node as LiveNode

describe('what is forgotten with a disk', () => {
  it('is not what it held when others heard of it: such an entry counts, a later one does not', () => {
    const reference = { entry: () => ({ firstNode: 1 }) } as unknown as ReferenceReplica
    const lost: LostDisk = { vote: undefined, held: index => index <= 7 }
    const checker = durability(reference, rosterOf(1, 2, 3), [aView(1, { holdsTo: 9 }), aView(2, { lost }), aView(3)])
    const commit = (index: number): string => idOf(() => checker.committed?.({ index, term: 1 } as CommittedRecord))
    expect([commit(7), commit(8)]).toEqual(['none', 'I12'])
  })

  it('is not the vote that it had given, but is any that a later candidate counts', () => {
    const vote = { term: 5, votedFor: 1 }
    const own = aView(1, { vote, term: 5, votedFor: 1 })
    const lead = (lost: TermAndVote): string => {
      const checker = votes([own, aView(2, { lost: { vote: lost, held: () => false } }), aView(3)])
      return idOf(() => checker.nodeChanged?.(own, nodeOf(own), { ...glance, role: 'leader', term: 5 }, glance))
    }
    expect(lead({ term: 5, votedFor: 1 })).toBe('none')
    expect(lead({ term: 5, votedFor: 3 })).toBe('I1')
    expect(lead({ term: 4, votedFor: 1 })).toBe('I1')
  })

  it('is the term and the vote that the node is held to, and those of no other node', () => {
    const before = [1, 2].map(id => aView(id, { vote: { term: 5, votedFor: 1 }, term: 5, votedFor: 1 }))
    const after = [1, 2].map(id => aView(id, { vote: { term: 1, votedFor: undefined }, term: 1 }))
    const checker = votes(before)
    const belief = agreement(before, true)
    const word = { kind: 'vote', term: 5 } as unknown as Said
    for (const view of before) {
      checker.nodeChanged?.(view, nodeOf(view), glance, glance)
      belief.said(view, word)
    }
    checker.diskLost?.(before[0] as NodeView)
    belief.diskLost?.(before[0] as NodeView)
    const see = (view: NodeView): string => {
      checker.nodeStarted?.(view)
      return idOf(() => checker.nodeChanged?.(view, nodeOf(view), glance, glance))
    }
    expect(after.map(see)).toEqual(['none', 'I2'])
    expect(after.map(view => idOf(() => belief.said(view, { ...word, term: 1 } as unknown as Said)))).toEqual(['none', 'I2'])
  })

  it('is the doubt about a torn log', () => {
    const checker = trust({ commitIndex: 9 } as unknown as ReferenceReplica)
    const torn = (id: number): NodeView => {
      const view = aView(id)
      const memory = { ...nodeOf(view).raft.core.inspect(), logTrust: 'torn' }
      return {
        ...view,
        foundAtStart: { hasTornLog: true, hasInstalled: false },
        node: { ...nodeOf(view), raft: { core: { inspect: () => memory } } } as never,
      }
    }
    for (const id of [1, 2]) checker.nodeStarted?.(torn(id))
    checker.diskLost?.(aView(1))
    expect([1, 2].map(id => idOf(() => checker.nodeStarted?.(aView(id))))).toEqual(['none', 'I17'])
  })
})

describe('a number whose directory is lost', () => {
  const bound = (directory?: string): Membership =>
    firstMembership(
      [1, 2, 3].map(id => ({
        id: nodeId(id),
        name: '',
        address: '',
        clientAddress: '',
        ...(directory === undefined ? {} : { directory }),
      })),
    )
  const accepted = { kind: 'appendAccepted', term: 3, durableIndex: 4 } as unknown as Said
  const grant = { kind: 'voteReply', term: 3, granted: true, isConditional: false } as unknown as Said

  it('acknowledges nothing, gives no full vote and leads nothing, until every membership knows it anew', () => {
    const possible = [bound('a'.repeat(32))]
    const roster = { newest: possible[0] as Membership, possible }
    const checker = lostDirectories(roster)
    const view = aView(2)
    expect(idOf(() => checker.said(view, accepted))).toBe('none')
    checker.diskLost?.(view)
    expect([checker.isMissing(2), checker.isMissing(1), checker.isBound(2)]).toEqual([true, false, false])
    expect([accepted, grant].map(word => idOf(() => checker.said(view, word)))).toEqual(['I17', 'I17'])
    expect(idOf(() => checker.said(view, { ...grant, isConditional: true } as Said))).toBe('none')
    expect(idOf(() => checker.nodeChanged?.(view, nodeOf(view), { ...glance, role: 'leader' }, glance))).toBe('I17')
    expect(idOf(() => checker.said(aView(1), accepted))).toBe('none')
    possible.push(bound('b'.repeat(32)))
    expect(idOf(() => checker.said(view, accepted))).toBe('none')
    expect(checker.isMissing(2)).toBe(true)
  })

  it('is not lost once more while it leaves, still named by the directory that is gone (seed 32007118)', () => {
    const before = bound('a'.repeat(32))
    const roster = { newest: before, possible: [before] }
    const checker = lostDirectories(roster)
    expect(checker.isBound(2)).toBe(true)
    checker.diskLost?.(aView(2))
    const leaving = { ...before, voters: [nodeId(1), nodeId(3)], leaving: [nodeId(2)] }
    Object.assign(roster, { newest: leaving, possible: [leaving] })
    expect([checker.isMissing(2), checker.isBound(2), checker.isBound(3)]).toEqual([false, false, true])
    Object.assign(roster, { newest: bound('b'.repeat(32)) })
    expect(checker.isBound(2)).toBe(true)
  })

  it('is known by some directory in the end, like every voter', () => {
    const known = { newest: bound('a'.repeat(32)), possible: [] }
    expect(idOf(() => lostDirectories(known).atEnd?.())).toBe('none')
    expect(idOf(() => lostDirectories({ newest: bound(), possible: [] }).atEnd?.())).toBe('I17')
  })
})

describe('a new voter', () => {
  it('holds what was committed a while ago, or has no vote yet', () => {
    let nowMs = 0
    const joint = { ...membershipOf(1, 2, 3), voters: [1, 2, 3].map(nodeId), outgoing: [1, 2].map(nodeId) }
    const leader = { raft: { role: 'leader', core: { inspect: () => ({ members: { current: { index: 20, membership: joint } } }) } } }
    const seen = (holdsTo: number, isMissing = false): string => {
      nowMs = 0
      const views = [aView(1), aView(2), aView(3, { holdsTo })]
      const reference = { entry: () => ({ term: 1 }) } as unknown as ReferenceReplica
      const checker = caughtUp({ views, reference, electionTimeoutMs: 100, nowMs: () => nowMs, isMissing: () => isMissing })
      for (let index = 1; index <= 10; index += 1) {
        nowMs = index * 100
        checker.committed?.({ index } as CommittedRecord)
      }
      return idOf(() => checker.logChanged?.(views[0] as NodeView, leader as unknown as LiveNode, 20))
    }
    expect([seen(10), seen(7), seen(6), seen(0), seen(0, true)]).toEqual(['none', 'none', 'A58', 'A58', 'none'])
  })
})
