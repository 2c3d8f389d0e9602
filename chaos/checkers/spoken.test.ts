/** What a node says is held against its disk: each rule is broken once, and once kept. */
import { expect, it } from 'vitest'
import { logIndex } from '../../raft/index.ts'
import type { Said } from '../wire-tap.ts'
import type { NodeView, TermAndVote } from './checker.ts'
import { membersOf } from './group-of.ts'
import { idOf } from './id-of.ts'
import { spoken } from './spoken.ts'

function said(onDisk: TermAndVote | undefined, message: object): string {
  const view = { id: 1, trueVote: { readWorst: () => onDisk } } as unknown as NodeView
  return idOf(() => spoken().said(view, message as Said))
}

it('refuses a message of a term that the disk does not know', () => {
  expect(said(undefined, { kind: 'preVoteReply', term: 1 })).toBe('I12')
  expect(said({ term: 4, votedFor: undefined }, { kind: 'heartbeatReply', term: 5 })).toBe('I12')
  expect(said({ term: 5, votedFor: undefined }, { kind: 'heartbeatReply', term: 5 })).toBe('none')
})

it('refuses a grant without a vote on the disk, and a request without our own', () => {
  expect(said({ term: 5, votedFor: undefined }, { kind: 'voteReply', term: 5, granted: true })).toBe('I12')
  expect(said({ term: 5, votedFor: 2 }, { kind: 'voteReply', term: 5, granted: true })).toBe('none')
  expect(said({ term: 5, votedFor: undefined }, { kind: 'voteReply', term: 5, granted: false })).toBe('none')
  expect(said({ term: 5, votedFor: 2 }, { kind: 'vote', term: 5 })).toBe('I12')
  expect(said({ term: 5, votedFor: 1 }, { kind: 'vote', term: 5 })).toBe('none')
})

it('refuses a leader whose heartbeats nobody has answered for two election timeouts, unless it has only just woken', () => {
  const say = (contactMs: readonly number[], graceUntilMs = 0, lastTickMs = 10_000): (() => void) => {
    const role = { kind: 'leader', peers: contactMs.map((each, i) => ({ peer: i + 2, contactMs: each })) }
    const config = { id: 1, electionTimeoutMs: 300 }
    const core = { role, term: 5, nowMs: 10_000, graceUntilMs, lastTickMs, config, members: membersOf(1, 2, 3) }
    const view = { id: 1, trueVote: { readWorst: () => ({ term: 5, votedFor: 1 }) }, node: { raft: { core: { inspect: () => core } } } }
    return () => spoken().said(view as unknown as NodeView, { kind: 'heartbeat', term: 5 } as Said)
  }
  expect(say([9_000, 9_500])).not.toThrow()
  expect(say([9_000, 9_399])).toThrow('no majority has answered')
  expect(say([9_000, 9_399], 10_000)).not.toThrow()
  expect(say([9_000, 9_399], 0, 9_000), 'awake, and no tick has told it so').not.toThrow()
  expect(say([9_000, 9_399], 0, 9_900), 'away for a moment, and its next tick is due').not.toThrow()
})

it('refuses an answer that mends a log and says of more that it is committed than its node knows', () => {
  const view = { id: 1, node: { raft: { core: { inspect: () => ({ commitIndex: 9 }) } } } } as unknown as NodeView
  const mends = (commitIndex: number): string =>
    idOf(() => spoken().mends(view, { fromIndex: logIndex(4), commitIndex: logIndex(commitIndex) }))
  expect([mends(8), mends(9), mends(10)]).toEqual(['none', 'none', 'I17'])
})

it('gives a leader two election timeouts from the moment when another set of voters counts (seed 30006375)', () => {
  const checker = spoken()
  const say = (nowMs: number, members: ReturnType<typeof membersOf>): string => {
    const role = { kind: 'leader', peers: [2, 3].map(peer => ({ peer, contactMs: peer === 2 ? nowMs : 5_000 })) }
    const core = { role, term: 5, nowMs, graceUntilMs: 0, lastTickMs: nowMs, config: { id: 1, electionTimeoutMs: 300 }, members }
    const view = { id: 1, trueVote: { readWorst: () => ({ term: 5, votedFor: 1 }) }, node: { raft: { core: { inspect: () => core } } } }
    return idOf(() => checker.said(view as unknown as NodeView, { kind: 'heartbeat', term: 5 } as Said))
  }
  const [three, two] = [membersOf(1, 2, 3), membersOf(1, 3)]
  expect([say(9_900, three), say(10_000, two), say(10_600, two), say(10_601, two)]).toEqual(['none', 'none', 'none', 'I18'])
})
