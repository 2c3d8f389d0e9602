import { expect, it } from 'vitest'
import { Deadlines } from './deadlines.ts'
import { Members } from './members.ts'
import { decodePeerFrame } from './peer-frame.ts'
import type { ChangeOutcome } from './raft-view.ts'
import type { Refusal } from './refusal.ts'
import type { MembersChangedAnswer, MembersView, MembersWish, MemberView } from './admin-requests.ts'
import { FakeClock } from './testing/fake-clock.ts'

const wish: MembersWish = { kind: 'replace', add: [], remove: [2] }

function memberOf(id: number, role: MemberView['role'] = 'voter'): MemberView {
  return { id, name: `n${id}`, peerAddress: `h${id}:7081`, clientAddress: `h${id}:8081`, role, isJoining: false, isParting: false }
}
const members: MembersView = {
  index: 9,
  isCommitted: true,
  phase: 'steady',
  members: [memberOf(1), memberOf(2), memberOf(3, 'removed')],
  isRemoved: false,
}

/** Two nodes whose frames arrive at once; node 1 leads. */
function twoNodes(outcome: ChangeOutcome, leader: number | 'nobody' = 1) {
  const clock = new FakeClock()
  const asked: MembersWish[] = []
  const nodes = new Map<number, Members>()
  for (const node of [1, 2]) {
    const raft = {
      membership: () => members,
      leaderId: leader === 'nobody' ? undefined : leader,
      sendToPeer(peer: number, buffers: readonly Uint8Array[]): boolean {
        const frame = decodePeerFrame(Buffer.concat(buffers))
        if (frame?.kind === 'wish') nodes.get(peer)?.onWish(node, frame.json)
        return true
      },
      changeMembers(change: MembersWish, done: (end: ChangeOutcome) => void): void {
        asked.push(change)
        done(outcome)
      },
    }
    nodes.set(node, new Members({ node, raft: raft as never, clock, deadlines: new Deadlines(clock) }))
  }
  const ask = (node: number, ms = 10, asking: MembersWish = wish): (MembersChangedAnswer | Refusal)[] => {
    const answers: (MembersChangedAnswer | Refusal)[] = []
    nodes.get(node)?.change({ deadlineMs: clock.nowMs() + 1_000, wish: asking }, answer => answers.push(answer))
    clock.advance(ms)
    return answers
  }
  return { ask, asked }
}

it('brings a wish to the leader from any node, and its yes back', () => {
  for (const node of [1, 2]) {
    const { ask, asked } = twoNodes({ kind: 'done', index: 12 })
    expect(ask(node)).toEqual([{ kind: 'membersChanged', index: 12 }])
    expect(asked).toEqual([wish])
  }
})

it.each<[ChangeOutcome, string, RegExp]>([
  [{ kind: 'rejected', reason: 'changeInProgress' }, 'preconditionFailed', /not finished/],
  [{ kind: 'rejected', reason: 'noVoterLeft' }, 'preconditionFailed', /nobody would be left/],
  [{ kind: 'rejected', reason: 'notLeader' }, 'haNotAvailable', /does not lead/],
  [{ kind: 'unknown' }, 'proxyTimeout', /may be under way/],
])('says no to %j as %s, in a sentence', (outcome, code, hint) => {
  for (const node of [1, 2]) {
    const [answer] = twoNodes(outcome).ask(node)
    expect(answer).toMatchObject({ kind: 'refused', code })
    expect((answer as Refusal).hint).toMatch(hint)
  }
})

it('asks nobody while nobody leads, and gives up at the deadline when nobody answers', () => {
  const leaderless = twoNodes({ kind: 'unknown' }, 'nobody')
  expect(leaderless.ask(2)).toMatchObject([{ code: 'haNotAvailable' }])
  expect(leaderless.asked).toEqual([])
  const silent = twoNodes({ kind: 'unknown' }, 7)
  expect(silent.ask(2, 2_000)).toMatchObject([{ code: 'proxyTimeout' }])
  expect(silent.asked).toEqual([])
})

it('names the node in a no, as the leader knows it', () => {
  const hintOf = (reason: string, asking: MembersWish): string =>
    (twoNodes({ kind: 'rejected', reason }).ask(2, 10, asking)[0] as Refusal).hint
  expect(hintOf('alreadyMember', { kind: 'replace', add: [memberOf(2)], remove: [] })).toBe('n2 is a voter already')
  expect(hintOf('notMember', { kind: 'replace', add: [], remove: [1, 3] })).toBe('n3 is no member')
})

it.each<[Partial<MemberView>, number[], RegExp]>([
  [{ peerAddress: 'h1:7081' }, [], /^h1:7081 is the peer address of member n1: n4 needs/],
  [{ clientAddress: 'h2:8081' }, [], /^h2:8081 is the client address of member n2: n4/],
  [{ peerAddress: 'h2:8081' }, [], /client address of member n2/],
])('refuses a new member at %j, where another one is, and says who', (address, remove, hint) => {
  const { ask, asked } = twoNodes({ kind: 'done', index: 12 })
  const [answer] = ask(2, 10, { kind: 'replace', add: [{ ...memberOf(4), ...address }], remove })
  expect(answer).toMatchObject({ kind: 'refused', code: 'preconditionFailed' })
  expect((answer as Refusal).hint).toMatch(hint)
  expect(asked).toEqual([])
})

it('takes a new member at the address of one that goes or is gone, and a member at its own', () => {
  for (const [add, remove] of [
    [{ ...memberOf(4), peerAddress: 'h2:7081' }, [2]],
    [{ ...memberOf(4), peerAddress: 'h3:7081' }, []],
    [memberOf(2), []],
  ] as const) {
    expect(twoNodes({ kind: 'done', index: 12 }).ask(1, 10, { kind: 'replace', add: [add], remove })).toMatchObject([{ index: 12 }])
  }
})

it('refuses two new members at one address', () => {
  const add = [memberOf(4), { ...memberOf(5), clientAddress: 'h4:8081' }]
  const [answer] = twoNodes({ kind: 'done', index: 12 }).ask(1, 10, { kind: 'replace', add, remove: [] })
  expect((answer as Refusal).hint).toMatch(/client address of member n4: n5 needs/)
})
