/** The checker of memberships is shown what it must refuse, once, and what it must let pass. */
import { describe, expect, it } from 'vitest'
import { EntryKind, encodeMembership, nodeId, type Membership } from '../../raft/index.ts'
import type { ReferenceReplica } from '../reference.ts'
import type { CommittedRecord, Glance, LiveNode, NodeView } from './checker.ts'
import { membershipOf } from './group-of.ts'
import { idOf } from './id-of.ts'
import { isQuorum, roster } from './membership.ts'

const glance: Glance = { role: 'follower', term: 2, lastIndex: 0, lastTerm: 0, commitIndex: 0, appliedIndex: 0, rewroteFrom: 0 }
const view = { id: 1 } as NodeView
const ids = (...numbers: number[]): Membership['voters'] => numbers.map(nodeId)

/** An entry: its term, and the membership that it holds. */
type Entry = readonly [term: number, membership?: Membership]

/** It goes by the newest of its log, or by what it is told to. */
function aNode(entries: readonly Entry[], goesBy?: Membership): LiveNode {
  const newest = entries.findLastIndex(([, membership]) => membership !== undefined)
  const current = { index: newest + 1, membership: goesBy ?? entries[newest]?.[1] ?? membershipOf(1, 2, 3) }
  const runs = entries.flatMap(([term], i) => (term === entries[i - 1]?.[0] ? [] : [{ firstIndex: i + 1, term }]))
  return {
    log: {
      firstIndex: 1,
      lastId: { index: entries.length, term: entries.at(-1)?.[0] ?? 0 },
      termRuns: runs,
      entry: (index: number) => {
        const [term, membership] = entries[index - 1] ?? [0]
        const kind = membership === undefined ? EntryKind.data : EntryKind.config
        return { index, term, kind, body: membership === undefined ? Uint8Array.of() : encodeMembership(membership) }
      },
    },
    raft: { role: 'follower', term: 2, commitIndex: 0, core: { inspect: () => ({ members: { current, history: [current] } }) } },
  } as unknown as LiveNode
}

const three = membershipOf(1, 2, 3)
const joint: Membership = { ...membershipOf(1, 2, 3, 4), outgoing: ids(1, 2, 3) }

describe('memberships', () => {
  const see = (commitIndex: number, entries: readonly Entry[], goesBy?: Membership): string => {
    const checker = roster({ reference: { commitIndex } as unknown as ReferenceReplica, founders: [1, 2, 3] })
    return idOf(() => checker.logChanged?.(view, aNode(entries, goesBy), 1))
  }

  it('are refused behind one that is not committed', () => {
    expect(see(2, [[1, three], [2], [2, joint]])).toBe('none')
    expect(see(3, [[1, three], [2], [2, joint], [2, membershipOf(1, 2, 3, 4)]])).toBe('none')
    expect(see(2, [[1, three], [2], [2, joint], [2, membershipOf(1, 2, 3, 4)]])).toBe('A58')
  })

  it('are refused before an entry of their own term is committed', () => {
    expect(see(1, [[1, three], [2], [2, joint]])).toBe('A58')
    expect(
      see(1, [
        [1, three],
        [2, joint],
      ]),
    ).toBe('A58')
  })

  it('are refused when the node goes by another one than the newest of its log', () => {
    expect(see(2, [[1, three], [2], [2, joint]], three)).toBe('A58')
  })

  describe('while the log of a node is mended', () => {
    /** Its readable part ends with entry 1; it goes by what its state says of entry 3, or of another. */
    const mending = (role: string, goesBy: Membership, ofIndex = 3): string => {
      const checker = roster({ reference: { commitIndex: 4 } as unknown as ReferenceReplica, founders: [1, 2, 3] })
      checker.committed?.({ index: 3, membership: joint } as CommittedRecord)
      const node = aNode([[1, three]])
      const current = { index: ofIndex, membership: goesBy }
      const recovering = { ...node, raft: { ...node.raft, role, core: { inspect: () => ({ members: { current, history: [current] } }) } } }
      return idOf(() => checker.logChanged?.(view, recovering as unknown as LiveNode, 1))
    }

    it('may be newer than its log when they are committed', () => {
      expect([mending('recovering', joint), mending('recovering', membershipOf(1, 2))]).toEqual(['none', 'A58'])
      expect(mending('follower', joint)).toBe('A58')
    })

    it('may be that of the configuration, where no state remembers one and the first entries are just back (seed 30002206)', () => {
      const { newest: first } = roster({ reference: { commitIndex: 0 } as unknown as ReferenceReplica, founders: [1, 2, 3] })
      expect([mending('recovering', first, 0), mending('recovering', joint, 0)]).toEqual(['none', 'A58'])
      expect(mending('follower', first, 0)).toBe('A58')
    })

    it('are looked at again when it is mended', () => {
      const checker = roster({ reference: { commitIndex: 2 } as unknown as ReferenceReplica, founders: [1, 2, 3] })
      const node = aNode([[1, three], [2], [2, joint]], three)
      const recovered = { ...glance, role: 'recovering' } as const
      idOf(() => checker.logChanged?.(view, node, 1))
      expect(idOf(() => checker.nodeChanged?.(view, node, glance, recovered))).toBe('A58')
    })
  })

  it('are refused when voters change without a joint one between', () => {
    const follow = (...memberships: readonly Membership[]): string => {
      const checker = roster({ reference: { commitIndex: 9 } as unknown as ReferenceReplica, founders: [1, 2, 3] })
      return idOf(() => {
        for (const [i, membership] of memberships.entries()) checker.committed?.({ index: i + 2, membership } as CommittedRecord)
      })
    }
    expect(follow(three, joint, membershipOf(1, 2, 3, 4))).toBe('none')
    expect(follow(three, membershipOf(1, 2, 3, 4))).toBe('A58')
    expect(follow(joint, membershipOf(1, 2, 3))).toBe('A58')
  })

  it('decide who may ask for votes', () => {
    const checker = roster({ reference: { commitIndex: 2 } as unknown as ReferenceReplica, founders: [1, 2, 3] })
    const ask = (node: number): string =>
      idOf(() => checker.nodeChanged?.({ id: node } as NodeView, aNode([[1, three]]), { ...glance, role: 'preCandidate' }, glance))
    expect([ask(3), ask(4)]).toEqual(['none', 'A58'])
  })

  it('want a majority of each half', () => {
    const has = (...numbers: readonly number[]): boolean =>
      isQuorum({ ...membershipOf(3, 4, 5), outgoing: ids(1, 2, 3) }, id => numbers.includes(id))
    expect([has(2, 3, 4), has(1, 2, 3), has(3, 4, 5), has(1, 2, 4, 5)]).toEqual([true, false, false, true])
  })
})
