/** Thesis 3.10: handing over on purpose. */
import { expect, test } from 'vitest'
import { Group } from './group.ts'

test('thesis 3.10: the leader first brings the target’s log up to its own, and takes commands until little is missing', () => {
  const group = new Group('3 inflightSlicesMax=1 sliceBytesMax=100')
  group.play('elect 1', 'run ms=60', 'slow 2', 'propose 1 count=3', 'transfer 1 to=2')
  expect(group.mail('timeoutNow')).toEqual([])
  expect(group.play('propose 1')).toEqual(['1 proposal 2 appended as 5/1'])
  for (let i = 0; i < 8; i++) group.play('settle', 'sync 2')
  expect([group.role(2), group.log(2), group.log(1)]).toEqual(['leader', '1 1 1 1 1 2', '1 1 1 1 1 2'])
})

test('thesis 3.10: when only what is in flight is missing the leader takes no more commands', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'propose 1', 'transfer 1 to=2')
  expect(group.play('propose 1')).toContain('1 proposal 2 rejected: transferring')
  expect(group.log(1)).toBe('1 1')
})

test('thesis 3.10: the target is told when it has all, and not before', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'propose 1', 'transfer 1 to=2')
  expect(group.mail('timeoutNow')).toEqual([])
  group.play('deliver from=1 to=2 kind=append', 'sync 2', 'deliver from=2 to=1 kind=appendAccepted')
  expect(group.mail('timeoutNow')).toEqual(['1 > 2 timeoutNow term 1'])
})

test('thesis 3.10: the target campaigns at once, without waiting and without asking first', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'transfer 1 to=2', 'deliver from=1 to=2 kind=timeoutNow', 'sync 2')
  expect([group.role(2), group.state(2).term]).toEqual(['candidate', 2])
  expect([group.mail('preVote'), group.mail('vote')]).toEqual([[], [1, 3].map(id => `2 > ${id} vote term 2 last 1/1, told to take over`)])
})

test('thesis 3.10, 4.2.3: who is told to take over is heard though the others hear of their leader', () => {
  const group = new Group('5')
  group.play('elect 1', 'run ms=60', 'transfer 1 to=2')
  expect(group.play('settle')).toContain('1 hand-over to 2 done')
  expect([group.leaders(), group.state(2).term]).toEqual([[2], 2])
})

test('thesis 3.10: what was acknowledged before is there after, and no time is lost between', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'propose 1 count=20', 'transfer 1 to=3', 'settle', 'propose 3')
  expect(group.play('settle')).toContain('3 proposal 2 committed as 23/2')
  expect(group.state(3).nowMs).toBe(60)
})

test('thesis 3.10: a transfer that is not done in about an election timeout is given up, and commands are taken again', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'pause 2', 'transfer 1 to=2')
  expect(group.play('propose 1')).toContain('1 proposal 1 rejected: transferring')
  expect(group.play('run ms=310')).toContain('1 hand-over to 2 failed: deadline')
  expect(group.play('propose 1', 'settle')).toContain('1 proposal 2 committed as 2/1')
})

test('thesis 3.10: the target must win by the rules for all: whoever lacks an entry gets no vote', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'cut 1 2', 'propose 1', 'settle')
  // As if a leader had told it too early.
  group.play('tell 2 from=1 kind=timeoutNow', 'sync 2')
  expect(group.play('settle')).toContain('3 says R-07-log-behind')
  expect(group.role(2)).not.toBe('leader')
})

test('thesis 3.10: only the leader can tell, and only whom it follows in this term', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60')
  expect(group.play('tell 2 from=3 kind=timeoutNow')).toEqual(['2 says R-42-not-our-transfer'])
  expect(group.play('tell 2 from=1 kind=timeoutNow term=0')).toEqual(['2 says R-02-stale-term'])
  expect(group.role(2)).toBe('follower')
})

test('leadership goes to a voter of the group, to one at a time, and not to who has it', () => {
  const group = new Group('3 spares=1')
  group.play('elect 1', 'run ms=60')
  expect(group.play('transfer 1 to=1', 'transfer 1 to=4', 'transfer 2 to=3').filter(line => !line.includes('R-41'))).toEqual([
    '1 hand-over to 1 refused: alreadyLeads',
    '1 hand-over to 4 refused: notAVoter',
    '2 hand-over to 3 refused: notLeader',
  ])
  expect(group.play('transfer 1 to=2', 'transfer 1 to=3')).toContain('1 hand-over to 3 refused: inProgress')
})
