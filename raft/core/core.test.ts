/** What a driver relies on at the core's own door, where a whole cluster would hide it: buffers, turns, limits. */
import { expect, test } from 'vitest'
import type { RaftConfig, RecoveredState } from './config.ts'
import { validateConfig } from './config.ts'
import { RaftCore } from './core.ts'
import { EntryKind } from './entry.ts'
import type { Epoch, LogIndex, NodeId, Term } from './ids.ts'
import { checkCore } from './invariants.ts'
import type { Message } from './message.ts'
import type { OutgoingAppend } from './output.ts'
import { makeSession } from './session.ts'
import { aConfig } from '../test/a-config.ts'
import { groupOf } from '../test/members.ts'

const aDisk = (change: Partial<RecoveredState> = {}): RecoveredState => ({
  hardState: { term: 0 as Term, votedFor: undefined },
  firstIndex: 1 as LogIndex,
  last: { term: 0 as Term, index: 0 as LogIndex },
  runs: [],
  memberships: [],
  appliedIndex: 0 as LogIndex,
  lastWallMs: 0,
  hasTornTail: false,
  isVoteWithheld: false,
  isRecovering: false,
  incarnation: 1,
  ...change,
})

const start = { nowMs: 0, wallMs: 1_000_000, jitter: 0.5 }

function aCore(config: Partial<RaftConfig> = {}, disk: Partial<RecoveredState> = {}): RaftCore {
  return new RaftCore(aConfig(config), aDisk(disk), start)
}

function receive(core: RaftCore, from: number, message: Message): void {
  core.step({ kind: 'receive', nowMs: 0, from: from as NodeId, message })
  checkCore(core)
}

/** Syncs all, as a driver would. */
function sync(core: RaftCore): void {
  core.step({ kind: 'durable', nowMs: 0, epoch: core.inspect().durability.taken })
}

function aLeader(config: Partial<RaftConfig> = {}, disk: Partial<RecoveredState> = {}): RaftCore {
  const core = aCore(config, disk)
  core.step({ kind: 'campaign', nowMs: 0 })
  receive(core, 2, { kind: 'preVoteReply', term: core.inspect().term, granted: true, round: 1, isConditional: false })
  sync(core)
  receive(core, 2, { kind: 'voteReply', term: core.inspect().term, granted: true, isConditional: false, wallMs: 1_000_000 })
  expect(core.status(0).role).toBe('leader')
  return core
}

function appends(core: RaftCore): OutgoingAppend[] {
  return core.output.messages.filter(message => message.kind === 'append')
}

/** Hands over every append whole, and empties the output. */
function drain(core: RaftCore): void {
  const { messages } = core.output
  for (const message of messages) if (message.kind === 'append') core.sentUpTo(message.to, message.lastIndex, 100)
  core.clearOutput()
  checkCore(core)
}

/** The peer has everything and is being replicated to. */
function accept(core: RaftCore, from: number): void {
  const { role, log, term } = core.inspect()
  const progress = role.kind === 'leader' ? role.peers.find(peer => peer.peer === from) : undefined
  if (progress === undefined) throw new Error('not leading')
  receive(core, from, { kind: 'appendAccepted', term, session: progress.session, matchedIndex: log.lastIndex, durableIndex: log.lastIndex })
}

function propose(core: RaftCore, ticket: number, count = 1, bytes = 100): void {
  core.step({ kind: 'propose', nowMs: 0, ticket, entryKind: EntryKind.data, count, bytes })
  checkCore(core)
}

test('proposals of one turn leave as one slice for each peer', () => {
  const core = aLeader()
  drain(core)
  accept(core, 2)
  accept(core, 3)
  drain(core)
  for (let ticket = 1; ticket <= 50; ticket++) propose(core, ticket)
  expect(appends(core).map(append => [append.to, append.prev.index, append.lastIndex])).toEqual([
    [2, 1, 51],
    [3, 1, 51],
  ])
  expect(core.output.persists).toHaveLength(50)
})

test('what did not fit into a slice follows in the same turn, until the window is full', () => {
  const core = aLeader({ first: groupOf(1, 2) })
  drain(core)
  accept(core, 2)
  drain(core)
  propose(core, 1, 100)
  const { messages } = core.output
  const ranges: [number, number][] = []
  for (const message of messages) {
    if (message.kind !== 'append') continue
    const lastIndex = Math.min(message.lastIndex, message.prev.index + 10) as LogIndex
    ranges.push([message.prev.index + 1, lastIndex])
    core.sentUpTo(message.to, lastIndex, 1_000)
    checkCore(core)
  }
  expect(ranges).toEqual([
    [2, 11],
    [12, 21],
    [22, 31],
    [32, 41],
  ])
  expect(core.status(0).peers[0]).toMatchObject({ nextIndex: 42, inflightSlices: 4, inflightBytes: 4_000 })
})

test('a leader that falls within a turn takes its unsent appends back', () => {
  const core = aLeader()
  drain(core)
  accept(core, 2)
  drain(core)
  propose(core, 1)
  expect(appends(core)).not.toEqual([])
  receive(core, 3, { kind: 'heartbeatReply', term: 9 as Term, session: 0 as never, round: 0, wallMs: 0, appliedIndex: 0 as LogIndex })
  expect(appends(core)).toEqual([])
  expect(core.output.outcomes.map(outcome => outcome.kind)).toEqual(['appended', 'unknown'])
})

test('a node that was mended keeps its reserve: a torn tail, a term that its hard state had lost; and goes by the members of what came back', () => {
  const first = { index: 1 as LogIndex, membership: groupOf(1, 2, 3) }
  const second = { index: 7 as LogIndex, membership: groupOf(1, 2) }
  const core = aCore(
    {},
    {
      hardState: { term: 1 as Term, votedFor: 2 as NodeId },
      last: { term: 1 as Term, index: 2 as LogIndex },
      runs: [{ firstIndex: 1 as LogIndex, term: 1 as Term }],
      memberships: [first],
      isRecovering: true,
    },
  )
  const runs = [1, 5].map(term => ({ firstIndex: (term === 1 ? 1 : 3) as LogIndex, term: term as Term }))
  const last = { term: 5 as Term, index: 9 as LogIndex }
  const whole = { last, runs, lastWallMs: 0, hasTornTail: true, isHardStateOld: true, memberships: [first, second] }
  core.step({ kind: 'repaired', nowMs: 10, jitter: 0.5, ...whole })
  expect(core.inspect()).toMatchObject({ term: 5, votedFor: undefined, voteWithheldAt: 5, logTrust: 'torn' })
  expect(core.inspect().members.current).toEqual(second)
  checkCore(core)
})

test('a node that was mended with entries of a later term than it has been in has forgotten no vote', () => {
  const at = { last: { term: 1 as Term, index: 2 as LogIndex }, runs: [{ firstIndex: 1 as LogIndex, term: 1 as Term }] }
  const core = aCore({}, { ...at, hardState: { term: 1 as Term, votedFor: 2 as NodeId }, isRecovering: true })
  const runs = [1, 5].map(term => ({ firstIndex: (term === 1 ? 1 : 3) as LogIndex, term: term as Term }))
  const whole = {
    last: { term: 5 as Term, index: 9 as LogIndex },
    runs,
    lastWallMs: 0,
    hasTornTail: false,
    isHardStateOld: false,
    memberships: [],
  }
  core.step({ kind: 'repaired', nowMs: 10, jitter: 0.5, ...whole })
  expect(core.inspect()).toMatchObject({ term: 5, votedFor: undefined, voteWithheldAt: undefined, logTrust: 'whole' })
  checkCore(core)
})

test('a node that was mended goes on in time where its log ends, not where the part before the hole did', () => {
  const at = { last: { term: 1 as Term, index: 2 as LogIndex }, runs: [{ firstIndex: 1 as LogIndex, term: 1 as Term }], lastWallMs: 500 }
  const core = aCore({}, { ...at, hardState: { term: 1 as Term, votedFor: 2 as NodeId }, isRecovering: true })
  const last = { term: 1 as Term, index: 9 as LogIndex }
  const whole = { last, runs: at.runs, lastWallMs: 90_000, hasTornTail: false, isHardStateOld: false, memberships: [] }
  core.step({ kind: 'repaired', nowMs: 10, jitter: 0.5, ...whole })
  expect(core.clusterTimeMs(10)).toBe(90_000)
})

test('a log that begins with a config entry knows the membership before it, which is in force again when that entry is cut off', () => {
  const first = { index: 1 as LogIndex, membership: groupOf(1, 2, 3) }
  const second = { index: 3 as LogIndex, membership: { ...groupOf(1, 2, 3, 4), voters: [1, 2, 3] as NodeId[] } }
  const core = aCore(
    {},
    {
      hardState: { term: 1 as Term, votedFor: undefined },
      last: { term: 1 as Term, index: 3 as LogIndex },
      runs: [{ firstIndex: 1 as LogIndex, term: 1 as Term }],
      memberships: [first, second],
      appliedIndex: 2 as LogIndex,
    },
  )
  core.step({ kind: 'compacted', firstIndex: 3 as LogIndex })
  const prev = { term: 1 as Term, index: 2 as LogIndex }
  const slice = {
    prev,
    lastIndex: 3 as LogIndex,
    runs: [{ firstIndex: 3 as LogIndex, term: 2 as Term }],
    memberships: [],
    bytes: 100,
    lastWallMs: 0,
    ticket: 1,
  }
  receive(core, 2, { kind: 'append', term: 2 as Term, session: makeSession(0, 1), slice, commitIndex: 2 as LogIndex })
  expect(core.inspect().members.current).toEqual(first)
})

test('what is about to leave for a member is taken back when the member is dropped in the same turn', () => {
  const membership = { ...groupOf(1, 2, 3, 4), voters: [1, 2, 3] as NodeId[], leaving: [4] as NodeId[] }
  const recovered = {
    hardState: { term: 1 as Term, votedFor: undefined },
    last: { term: 1 as Term, index: 1 as LogIndex },
    runs: [{ firstIndex: 1 as LogIndex, term: 1 as Term }],
    memberships: [{ index: 1 as LogIndex, membership }],
  }
  const core = aLeader({ farewellMs: 10 }, recovered)
  sync(core)
  drain(core)
  for (const peer of [2, 3, 4]) accept(core, peer)
  drain(core)
  propose(core, 1)
  expect(appends(core).map(append => append.to)).toEqual([2, 3, 4])
  core.step({ kind: 'tick', nowMs: 20, wallMs: 1_000_020, jitter: 0.5 })
  expect(core.inspect().members.peers.map(peer => peer.id)).toEqual([2, 3])
  expect(appends(core).map(append => append.to)).toEqual([2, 3])
  drain(core)
})

test('an append that no connection took is not forgotten: the next heartbeat that is answered brings it back', () => {
  const core = aLeader()
  drain(core)
  accept(core, 2)
  drain(core)
  propose(core, 1)
  core.clearOutput()
  checkCore(core)
  const { role, term } = core.inspect()
  const session = role.kind === 'leader' ? role.peers[0]?.session : undefined
  if (session === undefined) throw new Error('not leading')
  receive(core, 2, { kind: 'heartbeatReply', term, session, round: 1, wallMs: 0, appliedIndex: 0 as LogIndex })
  expect(appends(core).map(append => [append.to, append.prev.index, append.lastIndex])).toEqual([[2, 1, 2]])
})

test('a commit rides on entries that are about to leave, instead of a message of its own', () => {
  const core = aLeader()
  sync(core)
  drain(core)
  accept(core, 2)
  accept(core, 3)
  drain(core)
  propose(core, 1)
  drain(core)
  sync(core)
  propose(core, 2)
  accept(core, 3)
  expect(core.status(0).commitIndex).toBe(2)
  expect(appends(core).map(append => [append.to, append.lastIndex, append.commitIndex])).toEqual([
    [2, 3, 2],
    [3, 3, 2],
  ])
})

test('a heartbeat tells no commit index that its receiver may lack', () => {
  const core = aLeader()
  sync(core)
  drain(core)
  accept(core, 2)
  drain(core)
  core.step({ kind: 'tick', nowMs: 50, wallMs: 1_000_050, jitter: 0 })
  const told = core.output.messages.flatMap(({ to, ...sent }) =>
    sent.kind === 'message' && sent.message.kind === 'heartbeat' ? [[to, sent.message.commitIndex]] : [],
  )
  expect(told).toEqual([
    [2, 1],
    [3, 0],
  ])
})

test('a heartbeat commits what its receiver is known to have, and no more', () => {
  const one = 1 as Term
  const core = aCore({}, { hardState: { term: one, votedFor: undefined } })
  const slice = {
    prev: { term: 0 as Term, index: 0 as LogIndex },
    lastIndex: 2 as LogIndex,
    runs: [{ firstIndex: 1 as LogIndex, term: one }],
    memberships: [],
    bytes: 200,
    lastWallMs: 0,
    ticket: 0,
  }
  const session = 1 as never
  receive(core, 2, { kind: 'append', term: one, session, commitIndex: 1 as LogIndex, slice })
  const heartbeat = { kind: 'heartbeat', term: one, session, clusterTimeMs: 0, round: 1 } as const
  receive(core, 2, { ...heartbeat, commitIndex: 2 as LogIndex })
  expect(core.inspect().commitIndex).toBe(2)
  receive(core, 2, { ...heartbeat, commitIndex: 3 as LogIndex })
  expect(core.inspect().commitIndex).toBe(2)
})

test('a new term and the vote in it are one write of the hard state', () => {
  const core = aCore()
  receive(core, 2, { kind: 'vote', term: 7 as Term, last: { term: 0 as Term, index: 0 as LogIndex }, isTransfer: false })
  expect(core.output.persists).toEqual([{ kind: 'hardState', epoch: 1, state: { term: 7, votedFor: 2 } }])
  expect(core.output.messages).toMatchObject([{ kind: 'message', to: 2, after: 1, message: { kind: 'voteReply', granted: true } }])
})

test('a pre-vote changes nothing that is kept on disk', () => {
  const core = aCore({}, { hardState: { term: 3 as Term, votedFor: 2 as NodeId } })
  receive(core, 3, { kind: 'preVote', term: 8 as Term, last: { term: 0 as Term, index: 0 as LogIndex }, leaderLost: false, round: 1 })
  expect(core.output.messages).toMatchObject([{ message: { kind: 'preVoteReply', term: 3, granted: true } }])
  expect(core.output.persists).toEqual([])
  expect(core.status(0)).toMatchObject({ term: 3, votedFor: 2 })
})

test('a peer that needs what was compacted away is offered a snapshot, with R-25-needs-snapshot', () => {
  const last = { term: 2 as Term, index: 10 as LogIndex }
  const runs = [{ firstIndex: 8 as LogIndex, term: 2 as Term }]
  const core = aLeader(
    {},
    { hardState: { term: 2 as Term, votedFor: undefined }, firstIndex: 8 as LogIndex, last, runs, appliedIndex: 9 as LogIndex },
  )
  drain(core)
  const { role, term } = core.inspect()
  const session = role.kind === 'leader' ? role.peers[0]?.session : undefined
  if (session === undefined) throw new Error('not leading')
  receive(core, 2, { kind: 'appendConflict', term, session, refusedIndex: 10 as LogIndex, hint: { term: 1 as Term, index: 3 as LogIndex } })
  expect(core.output.refusals).toEqual(['R-25-needs-snapshot'])
  expect(core.status(0).peers[0]?.state).toBe('snapshot')
})

test('a log that is ahead of the hard state betrays a lost slot: the vote is withheld', () => {
  const last = { term: 4 as Term, index: 1 as LogIndex }
  const core = aCore(
    {},
    { hardState: { term: 3 as Term, votedFor: 2 as NodeId }, last, runs: [{ firstIndex: 1 as LogIndex, term: 4 as Term }] },
  )
  expect(core.status(0)).toMatchObject({ term: 4, votedFor: undefined, isVoteWithheld: true })
})

test('who asks is answered, member or not; an answer from outside the group counts for nothing', () => {
  const core = aCore()
  receive(core, 9, { kind: 'voteReply', term: 5 as Term, granted: true, isConditional: false, wallMs: 0 })
  expect(core.output.refusals).toEqual(['R-01-not-a-voter'])
  expect(core.status(0).term).toBe(0)
  receive(core, 9, { kind: 'vote', term: 5 as Term, last: { term: 4 as Term, index: 9 as LogIndex }, isTransfer: false })
  expect(core.status(0)).toMatchObject({ term: 5, votedFor: 9 })
  receive(core, 1, { kind: 'vote', term: 6 as Term, last: { term: 4 as Term, index: 9 as LogIndex }, isTransfer: false })
  expect(core.status(0).term).toBe(5)
})

test('a crowd of strangers that saw our leader die is answered, and no more of it is remembered than a group can have', () => {
  const core = aCore()
  const heartbeat = {
    kind: 'heartbeat',
    term: 1 as Term,
    session: 1 as never,
    commitIndex: 0 as LogIndex,
    clusterTimeMs: 0,
    round: 1,
  } as const
  receive(core, 2, heartbeat)
  const last = { term: 0 as Term, index: 0 as LogIndex }
  for (let id = 10; id < 60; id++) receive(core, id, { kind: 'preVote', term: 1 as Term, last, leaderLost: true, round: 1 })
  expect(core.output.messages.filter(({ kind }) => kind === 'message')).toHaveLength(51)
  expect(core.inspect().deferredAsks).toHaveLength(32)
})

test('two leaders in one term, or a leader that contradicts what is committed, end the process', () => {
  const core = aCore()
  const heartbeat = {
    kind: 'heartbeat',
    term: 1 as Term,
    session: 1 as never,
    commitIndex: 0 as LogIndex,
    clusterTimeMs: 0,
    round: 1,
  } as const
  receive(core, 2, heartbeat)
  expect(() => receive(core, 3, heartbeat)).toThrow('two-leaders-in-term')
  // The place before its entries is ours, what it has behind it is not what we have committed: it would take our silence for agreement.
  const one = 1 as Term
  const committed = {
    hardState: { term: one, votedFor: undefined },
    last: { term: one, index: 4 as LogIndex },
    appliedIndex: 4 as LogIndex,
  }
  const behind = aCore({}, { ...committed, runs: [{ firstIndex: 1 as LogIndex, term: one }] })
  const slice = {
    prev: { term: one, index: 2 as LogIndex },
    lastIndex: 4 as LogIndex,
    runs: [{ firstIndex: 3 as LogIndex, term: 2 as Term }],
    memberships: [],
    bytes: 200,
    lastWallMs: 0,
    ticket: 1,
  }
  const append = { kind: 'append', term: 2 as Term, session: 1 as never, slice, commitIndex: 2 as LogIndex } as const
  expect(() => receive(behind, 2, append)).toThrow('leader-contradicts-commit')
})

test('durability of an epoch that was never taken ends the process', () => {
  const core = aCore()
  expect(() => core.step({ kind: 'durable', nowMs: 0, epoch: 5 as Epoch })).toThrow('durable-beyond-taken')
})

test('status keeps the last twenty role changes, each with its reason', () => {
  const core = aCore()
  for (let i = 0; i < 30; i++) {
    core.step({ kind: 'campaign', nowMs: i })
    receive(core, 2, {
      kind: 'heartbeat',
      term: (i + 1) as Term,
      session: 1 as never,
      commitIndex: 0 as LogIndex,
      clusterTimeMs: 0,
      round: 1,
    })
    core.clearOutput()
  }
  const { roleChanges } = core.status(30)
  expect(roleChanges).toHaveLength(20)
  expect(roleChanges.every(change => change.reason.length > 0)).toBe(true)
})

test('the core asks for a tick at least once in each heartbeat interval, so that a stall can be seen', () => {
  const core = aCore()
  expect(core.output.deadlineMs).toBe(50)
  core.step({ kind: 'tick', nowMs: 50, wallMs: 0, jitter: 0 })
  expect(core.output.deadlineMs).toBe(100)
})

test.each<[string, Partial<RaftConfig>, string]>([
  ['no voters', { first: groupOf() }, 'a group has 1 to 9 voters'],
  ['a stranger', { id: 4 as NodeId }, 'node 4 is not among the members'],
  ['voters out of order', { first: { ...groupOf(1, 2, 3), voters: [2, 1, 3] as NodeId[] } }, 'do not ascend'],
  ['no heartbeat', { heartbeatIntervalMs: 0 }, 'heartbeatIntervalMs is 0'],
  ['a timeout of three heartbeats', { electionTimeoutMs: 150 }, 'at least 4 heartbeat intervals'],
  ['an early round later than the ordinary one', { earlyElectionSpreadMs: 301 }, 'earlyElectionSpreadMs is 301'],
  ['a window of nothing', { inflightSlicesMax: 0 }, 'inflightSlicesMax is 0'],
  ['bytes that are no number', { sliceBytesMax: NaN }, 'sliceBytesMax is NaN'],
])('a configuration with %s is refused', (_, change, problem) => {
  expect(validateConfig(aConfig(change)).join('; ')).toContain(problem)
  expect(() => aCore(change)).toThrow('raft-config')
})

test('the configuration that those differ from is fit for use', () => {
  expect(validateConfig(aConfig())).toEqual([])
})

test('a vote that is withheld stays so when only the mended part of the log tells that others vote too, and is free when nobody does', () => {
  const alone = { index: 1 as LogIndex, membership: groupOf(1) }
  const joined = { index: 5 as LogIndex, membership: groupOf(1, 2, 3) }
  const disk = {
    hardState: { term: 1 as Term, votedFor: undefined },
    last: { term: 1 as Term, index: 2 as LogIndex },
    runs: [{ firstIndex: 1 as LogIndex, term: 1 as Term }],
    memberships: [alone],
    isVoteWithheld: true,
    isRecovering: true,
  }
  const core = aCore({ id: 1 as NodeId }, disk)
  const last = { term: 1 as Term, index: 9 as LogIndex }
  const whole = { last, runs: disk.runs, lastWallMs: 0, hasTornTail: false, isHardStateOld: false, memberships: [alone, joined] }
  core.step({ kind: 'repaired', nowMs: 10, jitter: 0.5, ...whole })
  expect(core.inspect().members.current).toEqual(joined)
  expect(core.status(10).isVoteWithheld).toBe(true)
  receive(core, 2, { kind: 'vote', term: 2 as Term, last: { term: 1 as Term, index: 9 as LogIndex }, isTransfer: false })
  sync(core)
  expect(core.output.messages.filter(({ kind }) => kind === 'message')).toEqual([])
  const lone = aCore({ id: 1 as NodeId }, disk)
  lone.step({ kind: 'repaired', nowMs: 10, jitter: 0.5, ...whole, memberships: [alone] })
  expect(lone.status(10).isVoteWithheld).toBe(false)
})
