/**
 * Raft §8 and thesis 6: what a client may rely on. That a command which comes twice takes effect once (thesis 6.3) is the state machine's part:
 * src/state/dedupe.ts, sessions in src/broker/proposer.ts.
 */
import { expect, test } from 'vitest'
import { Group } from './group.ts'

test('§8: a new leader begins its term with an entry of its own, and so learns what is committed', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=3', 'settle', 'crash 1', 'tick ms=700', 'drop')
  // Node 2 has all of it and was not told that the last is committed.
  group.play('elect 2')
  expect([group.role(2), group.log(2), group.commit(2)]).toEqual(['leader', '1 1 1 1 2', 5])
})

test('thesis 6.2: only a leader takes commands; the others say who leads', () => {
  const group = new Group()
  group.play('elect 1')
  expect(group.play('propose 2')).toEqual(['2 says R-19-not-leader', '2 proposal 1 rejected: notLeader'])
  expect([group.state(2).role.leaderId, group.log(2)]).toEqual([1, '1'])
})

test('thesis 6.2: a leader that a majority has not answered for an election timeout leads no more, and says of its commands that nobody knows', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'cut 1', 'propose 1')
  const said = group.play('run ms=320')
  expect(said.join('\n')).toMatch(/1 leader -> follower, term 1, .*: gave up: no majority heard for 300 ms/)
  expect(said).toContain('1 proposal 1 unknown: leadershipLost')
})

test('§8: a command is answered when its entry is committed, with the place where it stands, and never before', () => {
  const group = new Group()
  group.play('elect 1', 'slow 1 2 3')
  expect(group.play('propose 1', 'settle')).toEqual(['1 proposal 1 appended as 2/1'])
  expect(group.play('sync 1', 'settle')).toEqual([])
  expect(group.play('sync 2', 'settle')).toContain('1 proposal 1 committed as 2/1')
})

test('§8, thesis 6.4: whoever reads at a new leader waits for the first entry of its term, and with it for all that was committed before', () => {
  const group = new Group()
  group.plant({ 1: '1 1', 2: '1 1', 3: '1 1' })
  group.play('slow 1 2 3', 'campaign 1', 'settle', 'sync 1', 'settle', 'sync 2', 'settle')
  expect([group.role(1), group.commit(1), group.log(1)]).toEqual(['leader', 0, '1 1 2'])
  expect(group.play('read 1', 'settle')).toEqual(['1 read 1 is ready at 3'])
})

test('§8, thesis 6.4: before it answers a read a leader has heard, after the read came in, that a majority knows no later term', () => {
  const group = new Group('5')
  group.play('elect 1', 'run ms=60')
  expect([group.play('read 1'), group.mail('heartbeat')]).toEqual([
    [],
    [2, 3, 4, 5].map(id => `1 > ${id} heartbeat term 1 commit 1 round 3`),
  ])
  group.play('deliver from=1 to=2 kind=heartbeat', 'deliver from=1 to=3 kind=heartbeat')
  expect(group.play('deliver from=2 to=1 kind=heartbeatReply')).toEqual([])
  expect(group.play('deliver from=3 to=1 kind=heartbeatReply')).toEqual(['1 read 1 is ready at 1'])
})

test('thesis 6.4: an answer to a heartbeat from before the read confirms nothing', () => {
  const group = new Group()
  group.play('elect 1', 'tick 1 ms=50', 'deliver from=1 to=2 kind=heartbeat', 'read 1')
  expect(group.play('deliver from=2 to=1 kind=heartbeatReply')).toEqual([])
  group.play('deliver from=1 to=2 kind=heartbeat')
  expect(group.play('deliver from=2 to=1 kind=heartbeatReply')).toEqual(['1 read 1 is ready at 1'])
})

test('thesis 6.4: who was deposed without knowing it answers no read', () => {
  const group = new Group()
  group.play('elect 1', 'cut 1', 'tick ms=700', 'elect 2', 'propose 2', 'settle', 'heal', 'read 1')
  expect(group.play('settle')).toContain('1 read 1 refused: leaderChanged')
})

test('thesis 6.4: a read’s index is what was committed when it was asked for, and its reader waits until that is applied', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=2', 'settle', 'slow 1', 'read 1', 'propose 1', 'settle')
  expect(group.commit(1)).toBe(4)
  const again = new Group()
  again.play('elect 1', 'propose 1 count=2', 'settle', 'read 1', 'propose 1')
  expect(again.play('settle')).toContain('1 read 1 is ready at 3')
})

test('thesis 6.4: a follower reads by asking its leader for the index, and then waits for its own state', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=2', 'settle', 'run ms=60', 'propose 1', 'deliver from=1 to=2 kind=append', 'sync 1', 'sync 2')
  group.play('deliver from=2 to=1 kind=appendAccepted', 'drop')
  // Committed, and node 3 has not heard of it.
  expect([group.commit(1), group.commit(3)]).toEqual([4, 3])
  group.play(
    'read 3',
    'deliver from=3 to=1 kind=readIndex',
    'deliver from=1 to=2 kind=heartbeat',
    'deliver from=2 to=1 kind=heartbeatReply',
  )
  expect(group.play('deliver from=1 to=3 kind=readIndexReply')).toEqual(['3 read 1 is ready at 4'])
  expect(group.state(3).appliedIndex).toBe(3)
  group.play('run ms=120')
  expect(group.state(3).appliedIndex).toBe(4)
})

test('thesis 6.4: a read makes no entry, whoever reads', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'read 1', 'read 2', 'read 3', 'settle', 'run ms=100')
  expect([group.log(1), group.log(2)]).toEqual(['1', '1'])
})
