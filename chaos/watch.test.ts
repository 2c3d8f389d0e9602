/** When nobody need serve: the cases in which the world forgives a group that waits. Each is shown beside one that it must not forgive. */
import { describe, expect, it } from 'vitest'
import { UnreadableEntry } from '../raft/index.ts'
import { membersOf } from './checkers/group-of.ts'
import type { Host } from './host.ts'
import type { Judges } from './judges.ts'
import type { Ledger } from './ledger.ts'
import { Marks } from './marks.ts'
import { Watch } from './watch.ts'

interface Standing {
  readonly role?: string
  readonly isVoteConditional?: boolean
  readonly isVoteWithheld?: boolean
  /** Terms of its entries, from entry 1. */
  readonly terms?: readonly number[]
  /** Of these nobody can read the content. */
  readonly rotten?: readonly number[]
}

function aHost(id: number, standing: Standing = {}): Host {
  const { role = 'follower', isVoteConditional = false, isVoteWithheld = false, terms = [1, 1, 1], rotten = [] } = standing
  const entry = (index: number): object => {
    if (rotten.includes(index)) throw new UnreadableEntry(`entry ${index} has rotted`)
    return { index }
  }
  const log = {
    firstIndex: 1,
    lastId: { index: terms.length, term: terms.at(-1) },
    termRuns: terms.map((term, i) => ({ firstIndex: i + 1, term })),
    entry,
  }
  const raft = { role, commitIndex: terms.length, status: () => ({ role, isVoteConditional, isVoteWithheld }) }
  return { id, name: `node-${id}`, harmedLogSectors: rotten.length, node: { raft, log } } as unknown as Host
}

const watchOf = (hosts: readonly Host[]): Watch => {
  const judges = { roster: { possible: [membersOf(1, 2, 3).current.membership] } } as unknown as Judges
  return new Watch(undefined as unknown as Ledger, judges, new Marks(), hosts, () => undefined)
}

describe('a bare quorum', () => {
  const mayWait = (...hosts: readonly Host[]): boolean => watchOf(hosts).maySilentlyWait(hosts)

  it('serves when all votes in it count, and when what has rotted on one of it another has', () => {
    expect(mayWait(aHost(1), aHost(2))).toBe(false)
    expect(mayWait(aHost(1, { rotten: [2] }), aHost(2))).toBe(false)
  })

  it.each([
    ['a vote is conditional', { isVoteConditional: true }],
    ['a vote is withheld', { isVoteWithheld: true }],
    ['a log is being mended', { role: 'recovering' }],
  ])('may wait while %s', (_why, standing) => {
    expect(mayWait(aHost(1), aHost(2, standing))).toBe(true)
  })

  it.each([
    ['it has rotted on both', { rotten: [2] }],
    ['the log of the other ends before it', { terms: [1] }],
    ['the other has another entry in its place', { terms: [1, 0, 0] }],
  ])('may wait when nobody in it has what has rotted: %s (seed 30000474)', (_why, standing) => {
    expect(mayWait(aHost(1, { rotten: [2] }), aHost(2, standing))).toBe(true)
  })
})

describe('a whole group', () => {
  const mustWaitWithout = (lost: readonly number[], ...standings: readonly Standing[]): boolean => {
    const hosts = standings.map((standing, i) => aHost(i + 1, standing))
    return watchOf(hosts).mustWait(hosts, lost)
  }
  const mustWait = (...standings: readonly Standing[]): boolean => mustWaitWithout([], ...standings)

  it('must wait when one is being mended, and without a torn log there is no majority', () => {
    expect(mustWait({ role: 'recovering' }, { isVoteConditional: true }, {})).toBe(true)
    expect(mustWait({ role: 'recovering' }, {}, {})).toBe(false)
    expect(mustWait({}, { isVoteConditional: true }, { isVoteConditional: true })).toBe(false)
  })

  it('must wait when the disk of one is lost, and without a torn log there is no majority (seed 60000102)', () => {
    expect(mustWaitWithout([2], {}, {}, { isVoteConditional: true })).toBe(true)
    expect(mustWaitWithout([2], {}, {}, {})).toBe(false)
    expect(mustWaitWithout([4], {}, {}, { isVoteConditional: true })).toBe(false)
  })
})
