/** A follower at the core's own door: sessions that no transcript of a whole cluster gets into its hands. */
import { expect, test } from 'vitest'
import { aConfig } from '../test/a-config.ts'
import { RaftCore } from './core.ts'
import { EntryKind } from './entry.ts'
import type { LogIndex, NodeId, Session, Term } from './ids.ts'
import { checkCore } from './invariants.ts'
import type { Message } from './message.ts'
import { makeSession } from './session.ts'

const config = aConfig()

const index = (n: number) => n as LogIndex
const term = (n: number) => n as Term

/** The second process of node 1, in term 2: two entries are left, applied up to `applied`, behind them a tail was torn off. */
function aTornFollower(lastTerm = 1, applied = 0): RaftCore {
  const last = { term: term(lastTerm), index: index(2) }
  const recovered = {
    hardState: { term: term(2), votedFor: undefined },
    firstIndex: index(1),
    last,
    runs: [{ firstIndex: index(1), term: term(lastTerm) }],
    memberships: [],
    appliedIndex: index(applied),
    lastWallMs: 0,
    hasTornTail: true,
    isVoteWithheld: false,
    isRecovering: false,
    incarnation: 2,
  }
  return new RaftCore(config, recovered, { nowMs: 0, wallMs: 1_000_000, jitter: 0.5 })
}

function hear(core: RaftCore, message: Message): void {
  core.step({ kind: 'receive', nowMs: 0, from: 2 as NodeId, message })
  checkCore(core)
}

function sync(core: RaftCore): void {
  core.step({ kind: 'durable', nowMs: 0, epoch: core.inspect().durability.taken })
  checkCore(core)
}

/** Entry 3, the first of the leader's own term; entries behind it may be committed, with the help of what node 1 said before it died. */
function anAppend(session: Session): Message {
  const slice = {
    prev: { term: term(1), index: index(2) },
    lastIndex: index(3),
    runs: [{ firstIndex: index(3), term: term(2) }],
    memberships: [],
    bytes: 100,
    lastWallMs: 0,
    ticket: EntryKind.noop,
  }
  return { kind: 'append', term: term(2), session, slice, commitIndex: index(2) }
}

function aHeartbeat(session: Session): Message {
  return { kind: 'heartbeat', term: term(2), session, commitIndex: index(0), clusterTimeMs: undefined, round: 1 }
}

test('what a session verified that named no process of ours restores no trust when one begins that does', () => {
  const core = aTornFollower()
  hear(core, anAppend(makeSession(0, 1)))
  hear(core, aHeartbeat(makeSession(2, 2)))
  sync(core)
  expect(core.inspect().logTrust).toBe('torn')
  expect(
    core.output.messages.filter(({ kind }) => kind === 'message').map(out => (out.kind === 'message' ? out.message.kind : '')),
  ).toEqual(['heartbeatReply'])
  hear(core, anAppend(makeSession(2, 2)))
  expect(core.inspect().logTrust).toBe('whole')
})

test('what is committed here shows no more to who is offered a snapshot than that it lacks what was committed since', () => {
  const core = aTornFollower(2, 2)
  hear(core, { kind: 'snapshotOffer', term: term(2), session: makeSession(2, 1), commitIndex: index(9) })
  sync(core)
  expect(core.inspect().logTrust).toBe('torn')
})
