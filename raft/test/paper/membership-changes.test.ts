/** Raft §6 and thesis 4: who belongs to the group, and how that changes while it works. */
import { expect, test } from 'vitest'
import { Group } from './group.ts'

const membershipOf = (group: Group, id: number): string => group.play(`group ${id}`)[0]?.replace(`${id} group `, '') ?? ''

/** 1, 2 and 3 are being replaced by 1, 4 and 5; the joint membership stands at entry 3 of the leader and of nobody else. */
function aJointGroup(): Group {
  const group = new Group('3 spares=2')
  group.play('elect 1', 'run ms=100', 'change 1 add=4,5 remove=2,3', 'settle')
  group.play('drop', 'slow 1 2 3 4 5', 'tick 1 ms=60')
  expect(membershipOf(group, 1)).toBe('1 4 5, joint with 1 2 3, not committed')
  return group
}

test('§6: a membership is in force on a node from the moment that it is in its log, committed or not', () => {
  const group = new Group('3 spares=1')
  group.play('elect 1', 'cut 2', 'cut 3', 'change 1 add=4')
  expect(group.commit(1)).toBe(1)
  expect(membershipOf(group, 1)).toBe('1 2 3, learning 4, to be 1 2 3 4, not committed')
  expect(group.mail('append').map(line => line.split(' ')[2])).toContain('4')
})

test('§6: while a change is joint an entry needs a majority of the old voters and one of the new', () => {
  for (const [helpers, isCommitted] of [
    ['4 5', false], // all of the new, one of the old
    ['2 3', false], // all of the old, one of the new
    ['2 4', true],
  ] as const) {
    const group = aJointGroup()
    group.play(`fast 1 ${helpers}`, ...['2', '3', '4', '5'].filter(id => !helpers.includes(id)).map(id => `cut ${id}`), 'settle')
    expect([helpers, group.commit(1) >= 3]).toEqual([helpers, isCommitted])
  }
})

test('§6: while a change is joint an election needs a majority of the old voters and one of the new', () => {
  for (const [helpers, isWon] of [
    ['4 5', false],
    ['2 3', false],
    ['2 4', true],
  ] as const) {
    const group = aJointGroup()
    group.play('sync 1', 'drop', 'crash 1', 'start 1', 'tick ms=700', 'fast 1 2 3 4 5')
    group.play('drop', ...['2', '3', '4', '5'].filter(id => !helpers.includes(id)).map(id => `cut ${id}`), 'campaign 1', 'settle')
    expect([helpers, group.role(1) === 'leader']).toEqual([helpers, isWon])
  }
})

test('§6: the next membership is not made before the joint one is committed', () => {
  const group = aJointGroup()
  group.play('run ms=200')
  expect(membershipOf(group, 1)).toBe('1 4 5, joint with 1 2 3, not committed')
  group.play('fast 1 2 3 4 5', 'settle', 'run ms=60')
  expect(membershipOf(group, 1)).toBe('1 4 5, leaving 2 3')
})

test('§6: a new leader carries on a change that it finds in its log', () => {
  const group = aJointGroup()
  group.play('fast 1 2 3 4 5', 'cut 2', 'cut 3', 'settle', 'heal', 'cut 1', 'tick ms=700', 'campaign 4', 'settle')
  expect([group.role(4), membershipOf(group, 4)]).toEqual(['leader', '1 4 5, leaving 2 3'])
})

test('thesis 4.1: a second change is refused until the first is finished', () => {
  const group = new Group('3 spares=2')
  group.play('elect 1', 'cut 4', 'change 1 add=4', 'settle')
  expect(group.play('change 1 add=5')).toContain('1 proposal 2 rejected: changeInProgress')
  expect(group.play('change 1 remove=3')).toContain('1 proposal 3 rejected: changeInProgress')
})

test('thesis 4.1 (as amended in 2015): no change before an entry of the leader’s own term is committed', () => {
  const group = new Group('3 spares=1')
  group.play('elect 1', 'run ms=60', 'tick ms=700', 'slow 1 3', 'campaign 2', 'tell 2 from=3 kind=preVoteReply term=1 granted', 'sync 2')
  group.play('tell 2 from=3 kind=voteReply term=2 granted', 'sync 2')
  // It knows that the membership at entry 1 is committed, but not what has been committed since.
  expect([group.role(2), group.commit(2), group.disk(2)]).toEqual(['leader', 1, '1 2'])
  expect(group.play('change 2 add=4')).toContain('2 proposal 1 rejected: changeInProgress')
  group.play('fast 1 3', 'settle')
  expect(group.play('change 2 add=4')).toContain('2 proposal 2 appended as 3/2')
})

test('thesis 4.1: with a membership that is cut off the log its predecessor is in force again', () => {
  const group = new Group('3 spares=1')
  group.play('elect 1', 'cut 1', 'change 1 add=4')
  expect(membershipOf(group, 1)).toBe('1 2 3, learning 4, to be 1 2 3 4, not committed')
  group.play('tick ms=700', 'elect 2', 'heal', 'settle')
  expect([group.log(1), membershipOf(group, 1)]).toEqual(['1 2', '1 2 3'])
})

test('thesis 4.2.1: a new member is fed, and neither counted nor heard, until it has caught up', () => {
  const group = new Group('1 spares=1')
  group.play('run ms=400', 'slow 2', 'change 1 add=2', 'settle', 'sync 2', 'settle', 'propose 1', 'settle')
  // Committed by the one voter alone, though the learner’s disk has none of it.
  expect([group.log(2), group.disk(2), group.commit(1)]).toEqual(['1 1', '', 3])
  group.play('cut 1', 'tick ms=2000', 'campaign 2', 'settle')
  expect(group.role(2)).toBe('follower')
})

test('thesis 4.2.1: a learner becomes a voter after a round that took less than an election timeout, and no sooner', () => {
  const group = new Group('1 spares=1')
  group.play('run ms=400', 'slow 2', 'change 1 add=2', 'settle', 'sync 2', 'settle', 'run ms=400', 'sync 2', 'settle')
  expect(group.progress(1, 2).durableIndex).toBe(2)
  // It has all by now, but that round took longer than an election timeout.
  group.play('tick 1 ms=10', 'settle')
  expect(membershipOf(group, 1)).toBe('1, learning 2, to be 1 2')
  group.play('fast 2', 'settle', 'run ms=120')
  expect(membershipOf(group, 1)).toBe('1 2')
})

test('thesis 4.2.2: a leader that is to leave leads until that is committed, does not count itself, and then steps down', () => {
  const group = new Group()
  // The one to whom it would hand over does not campaign.
  group.play('elect 1', 'run ms=60', 'crash 2', 'start 2 withheld', 'run ms=60', 'change 1 remove=1', 'run ms=200', 'slow 2 3')
  expect(group.play('run ms=200')).toContain('1 hand-over to 2 failed: deadline')
  expect([group.role(1), membershipOf(group, 1)]).toEqual(['leader', '2 3, leaving 1, not committed'])
  const before = group.commit(1)
  group.play('propose 1', 'sync 2', 'run ms=60')
  expect([group.role(1), group.commit(1)]).toEqual(['leader', before])
  expect(group.play('sync 3', 'run ms=60').join()).toContain('1 leader -> follower, term 1')
  expect(group.commit(1)).toBe(before + 1)
})

test('§6: votes are given to candidates, and entries taken from leaders, that the own membership does not know', () => {
  const group = new Group('3 spares=1')
  group.play('elect 1', 'tick ms=700')
  group.play('tell 2 from=4 kind=vote term=5 last=9/4', 'sync 2')
  expect(group.mail('voteReply')).toEqual(['2 > 4 voteReply term 5 granted'])
  group.play('tell 2 from=4 kind=append term=5 prev=1/1 entries=2/5')
  expect(group.log(2)).toBe('1 5')
})

test('§6: a member that has never heard of anybody answers whoever asks for its vote', () => {
  const group = new Group('3 spares=1')
  group.play('tell 4 from=2 kind=vote term=3 last=5/2', 'sync 4')
  expect(group.mail('voteReply')[0]).toContain('4 > 2 voteReply term 3 granted')
})

test('§6, thesis 4.2.3: while it hears of a leader a node ignores requests for its vote, and does not take over their term', () => {
  const group = new Group('4')
  group.play('elect 1', 'run ms=100')
  expect(group.play('tell 2 from=4 kind=vote term=9 last=9/9', 'tell 1 from=4 kind=vote term=9 last=9/9')).toEqual([
    '2 says R-04-lease',
    '1 says R-04-lease',
  ])
  expect([group.mail(), group.state(2).term, group.role(1)]).toEqual([[], 1, 'leader'])
  // An election timeout without a word from it, and the same request counts.
  group.play('tick ms=300', 'tell 2 from=4 kind=vote term=9 last=9/9', 'sync 2')
  expect(group.mail('voteReply')).toEqual(['2 > 4 voteReply term 9 granted'])
})

test('§6: a removed node that does not know it can’t disturb the others', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'cut 3', 'change 1 remove=3', 'run ms=5000')
  expect(membershipOf(group, 1)).toBe('1 2')
  const said = group.play('heal', 'run ms=3000').join('\n')
  expect([group.role(1), group.state(1).term, group.state(2).role.leaderId]).toEqual(['leader', 1, 1])
  expect(said).not.toContain('candidate, term')
})

test('a group of one grows to three and shrinks to one again, each time by the rules for all', () => {
  const group = new Group('1 spares=2')
  group.play('run ms=400', 'propose 1 count=3', 'change 1 add=2,3', 'run ms=2000')
  expect(membershipOf(group, 2)).toBe('1 2 3')
  group.play('crash 1', 'run ms=2000')
  const leader = group.runUntilLed()
  group.play(
    'start 1',
    'run ms=300',
    `change ${leader} remove=${leader === 2 ? 3 : 2}`,
    'run ms=4000',
    `change ${leader} remove=1`,
    'run ms=6000',
  )
  expect(membershipOf(group, leader)).toBe(String(leader))
  group.play(`propose ${leader}`, 'settle')
  expect(group.commit(leader)).toBe(group.log(leader).split(' ').length)
})
