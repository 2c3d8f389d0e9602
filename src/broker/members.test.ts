import { expect, it } from 'vitest'
import { Deadlines } from './deadlines.ts'
import { Members } from './members.ts'
import { decodePeerFrame } from './peer-frame.ts'
import type { ChangeOutcome } from './raft-view.ts'
import type { Refusal } from './refusal.ts'
import type { MembersChangedAnswer, MembersWish } from './admin-requests.ts'
import { FakeClock } from './testing/fake-clock.ts'

const wish: MembersWish = { kind: 'replace', add: [], remove: [2] }

/** Two nodes whose frames arrive at once; node 1 leads. */
function twoNodes(outcome: ChangeOutcome, leader: number | 'nobody' = 1) {
  const clock = new FakeClock()
  const asked: MembersWish[] = []
  const nodes = new Map<number, Members>()
  for (const node of [1, 2]) {
    const raft = {
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
  const ask = (node: number, ms = 10): (MembersChangedAnswer | Refusal)[] => {
    const answers: (MembersChangedAnswer | Refusal)[] = []
    nodes.get(node)?.change({ deadlineMs: clock.nowMs() + 1_000, wish }, answer => answers.push(answer))
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
