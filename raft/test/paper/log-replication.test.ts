/** Raft §5.3, §5.5, Figures 2 and 7, thesis 10.2: how a leader's log becomes everybody's. */
import { expect, test } from 'vitest'
import { Group } from './group.ts'

test('§5.3: a leader appends to its own log and sends to all followers at once, before its own disk has it (thesis 10.2.1)', () => {
  const group = new Group('5')
  group.play('elect 1', 'slow 1')
  expect(group.play('propose 1')).toEqual(['1 proposal 1 appended as 2/1'])
  expect([group.log(1), group.disk(1)]).toEqual(['1 1', '1'])
  expect(group.mail('append')).toEqual([2, 3, 4, 5].map(id => `1 > ${id} append term 1 after 1/1: 2, commit 1`))
})

test('§5.3: an entry is committed when a majority has it on disk, and then applied by everybody in order', () => {
  const group = new Group('5')
  group.play('elect 1', 'cut 1 4', 'cut 1 5', 'slow 2 3', 'propose 1', 'propose 1', 'settle')
  expect([group.log(2), group.disk(2), group.commit(1)]).toEqual(['1 1 1', '1', 1])
  group.play('sync 2', 'settle')
  expect(group.commit(1)).toBe(1)
  group.play('sync 3', 'settle')
  expect([1, 2, 3].map(id => [group.commit(id), group.state(id).appliedIndex])).toEqual([
    [3, 3],
    [3, 3],
    [3, 3],
  ])
})

test('thesis 10.2.1: a leader counts its own copy only when that is on its disk; the others may be a majority without it', () => {
  const group = new Group()
  group.play('elect 1', 'slow 1', 'cut 1 3', 'propose 1', 'settle')
  expect([group.disk(2), group.commit(1)]).toEqual(['1 1', 1])
  group.play('heal', 'settle')
  expect([group.disk(1), group.commit(1)]).toEqual(['1', 2])
})

test('a node applies only what is on its own disk, however long it has been committed', () => {
  const group = new Group()
  group.play('elect 1', 'slow 3', 'propose 1', 'settle', 'run ms=60')
  expect([group.commit(3), group.state(3).appliedIndex, group.disk(3)]).toEqual([2, 1, '1'])
  group.play('sync 3')
  expect(group.state(3).appliedIndex).toBe(2)
})

test('§5.3: a slow or dead minority holds up nobody, and is sent what it lacks until it has it', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'propose 1 count=5', 'settle')
  expect(group.commit(1)).toBe(6)
  // Nothing is remembered but where it stands: also much later, also after losses.
  group.play('run ms=2000', 'heal', 'drop to=3', 'run ms=120', 'drop to=3', 'run ms=400')
  expect([group.log(3), group.commit(3)]).toEqual(['1 1 1 1 1 1', 6])
})

test('§5.3: a follower that lacks the previous entry refuses the append', () => {
  const group = new Group()
  group.play('elect 1')
  expect(group.play('tell 2 from=1 kind=append prev=5/1 entries=6/1')).toEqual(['2 says R-13-gap'])
  expect([group.log(2), group.mail()]).toEqual(['1', ['2 > 1 appendConflict term 1 refused 5, hint 1/1']])
})

test('§5.3: a follower whose previous entry is of another term refuses the append', () => {
  const group = new Group()
  group.plant({ 1: '1 1', 2: '1 1', 3: '1 2' })
  expect(group.play('tell 2 from=3 kind=append term=3 prev=2/2 entries=3/3')).toContain('2 says R-13-gap')
  expect(group.log(2)).toBe('1 1')
})

test('§5.3: the first entry that differs is deleted, and all behind it, and the leader’s come in their place', () => {
  const group = new Group()
  group.plant({ 1: '1 1 2 2 2', 2: '1', 3: '1' })
  expect(group.play('tell 1 from=3 kind=append term=4 prev=1/1 entries=2/1,3/3,4/3')).toContain('1 truncates from 3')
  expect(group.log(1)).toBe('1 1 3 3')
})

test('§5.3, §5.5: an append that comes twice, or late, deletes nothing: what is there already stays, and all behind it', () => {
  const group = new Group()
  group.plant({ 1: '1', 2: '1', 3: '1' })
  group.play('tell 1 from=3 kind=append term=2 prev=1/1 entries=2/2,3/2,4/2', 'drop')
  const said = group.play('tell 1 from=3 kind=append term=2 prev=1/1 entries=2/2', 'tell 1 from=3 kind=append term=2 prev=1/1')
  expect([said, group.log(1)]).toEqual([[], '1 2 2 2'])
})

test('§5.3, leader append-only: a leader never deletes or overwrites an entry of its own log', () => {
  const group = new Group('5')
  group.plant({ 1: '1 1 2', 2: '1 1 1 1', 3: '1', 4: '1', 5: '1' })
  group.play('elect 1', 'settle')
  expect(group.log(1)).toBe('1 1 2 3')
  // Whatever the others answer.
  group.play('tell 1 from=2 kind=appendConflict refused=3 hint=1/1', 'tell 1 from=3 kind=appendRefused', 'propose 1', 'settle')
  expect(group.log(1)).toBe('1 1 2 3 3')
})

test('Figure 7: a new leader brings every kind of follower to its own log, and goes no further back than it must', () => {
  const figure = {
    1: '1 1 1 4 4 5 5 6 6 6',
    2: '1 1 1 4 4 5 5 6 6', // (a) lacks entries
    3: '1 1 1 4', // (b)
    4: '1 1 1 4 4 5 5 6 6 6 6', // (c) has entries of its own
    5: '1 1 1 4 4 5 5 6 6 6 7 7', // (d)
    6: '1 1 1 4 4 4 4', // (e) both
    7: '1 1 1 2 2 2 3 3 3 3 3', // (f)
  }
  const group = new Group('7')
  group.plant(figure, 7)
  // (d) is the one that would have to agree last: its log is the longest.
  expect(group.play('campaign 1', 'settle').filter(line => line.startsWith('1 candidate -> leader'))).toHaveLength(1)
  group.play('settle')
  for (const id of [1, 2, 3, 4, 5, 6, 7]) expect(group.log(id)).toBe('1 1 1 4 4 5 5 6 6 6 8')
})

test('§5.3: after a refusal whole terms are skipped: one probe for each term that differs, not one for each entry', () => {
  const group = new Group()
  const ones = '1 '.repeat(40)
  group.plant({ 1: `1 ${'2 '.repeat(30)}5`, 2: `${ones}${'3 '.repeat(40)}`, 3: '1' })
  group.play('cut 3', 'show', 'campaign 1', 'tell 1 from=3 kind=preVoteReply granted term=5')
  group.play('tell 1 from=3 kind=voteReply granted term=6')
  const probes = group.play('settle').filter(line => line.startsWith('1 > 2 append'))
  expect(group.log(2)).toBe(group.log(1))
  // One where the leader's log ended, then one in the last term that both have; what follows fills the window.
  expect(probes.slice(0, 2).map(line => line.replace(/:.*/, ''))).toEqual([
    '1 > 2 append term 6 after 32/5',
    '1 > 2 append term 6 after 1/1',
  ])
})

test('Figure 2: a leader begins with the guess that everybody has its log, and knows of nobody that it is so', () => {
  const group = new Group()
  group.plant({ 1: '1 1 1', 2: '1', 3: '1 1 1' })
  group.play('cut 1 2', 'campaign 1')
  group.play(
    'deliver from=1 to=3 kind=preVote',
    'deliver from=3 to=1 kind=preVoteReply',
    'sync 1',
    'deliver from=1 to=3 kind=vote',
    'sync 3',
  )
  group.play('deliver from=3 to=1 kind=voteReply')
  expect(group.progress(1, 3)).toMatchObject({ matchedIndex: 0, durableIndex: 0, nextIndex: 4 })
})

test('Figure 2: a follower takes the leader’s commit index only as far as the message shows that it has the leader’s entries', () => {
  const group = new Group()
  // Entries 3 and 4 of node 3 are those of an older leader, and not what the others commit.
  group.plant({ 1: '1 1 2', 2: '1 1 2', 3: '1 1 1 1' })
  group.play('cut 3', 'elect 1', 'propose 1', 'settle')
  expect(group.commit(1)).toBe(5)
  group.play('tell 3 from=1 kind=append term=3 prev=2/1 commit=5')
  expect([group.commit(3), group.state(3).appliedIndex]).toEqual([2, 2])
  group.play('tell 3 from=1 kind=heartbeat term=3 commit=5')
  expect(group.commit(3)).toBe(2)
})

test('Figure 2: a commit index never goes back', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=3', 'settle')
  expect(group.commit(2)).toBe(4)
  group.play('tell 2 from=1 kind=append prev=4/1 commit=1', 'tell 2 from=1 kind=heartbeat commit=2')
  expect(group.commit(2)).toBe(4)
})

test('§5.3: an answer names what the request has shown to agree, not how far the follower’s log goes', () => {
  const group = new Group()
  group.plant({ 1: '1 1 1 1 1', 2: '1', 3: '1' })
  group.play('tell 1 from=2 kind=append term=2 prev=1/1 entries=2/1', 'sync 1')
  expect(group.mail()).toEqual(['1 > 2 appendAccepted term 2 matched 2, durable 2'])
})

test('§5.3: a heartbeat says that the leader lives, and rests on nothing in the log', () => {
  const group = new Group()
  group.plant({ 1: '1 1 2', 2: '1', 3: '1' })
  expect(group.play('tell 1 from=2 kind=heartbeat term=3')).not.toContain('1 says R-13-gap')
  expect([group.state(1).role.leaderId, group.log(1)]).toEqual([2, '1 1 2'])
})

test('§5.5: a follower that crashes loses nothing that it has acknowledged, and takes the rest again', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'slow 2', 'propose 1', 'settle', 'sync 2', 'settle')
  expect(group.commit(1)).toBe(2)
  group.play('propose 1', 'settle', 'crash 2', 'start 2')
  expect(group.log(2)).toBe('1 1')
  group.play('fast 2', 'settle', 'run ms=200')
  expect([group.log(2), group.commit(1)]).toEqual(['1 1 1', 3])
})

test('Figure 2: the commit index is not kept: it begins at what is applied, and is learned anew', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=4', 'settle', 'cut 3', 'crash 3', 'start 3 applied=2')
  expect([group.commit(3), group.log(3)]).toEqual([2, '1 1 1 1 1'])
  group.play('heal', 'run ms=120')
  expect(group.commit(3)).toBe(5)
})

test('thesis 10.2.2: what waits travels together, and the next batch does not wait for the answer to the last', () => {
  const group = new Group('3 sliceBytesMax=300 inflightSlicesMax=3')
  group.play('elect 1', 'run ms=60', 'slow 2 3', 'propose 1 count=9')
  expect(group.mail('append').filter(line => line.startsWith('1 > 2'))).toEqual([
    '1 > 2 append term 1 after 1/1: 2..4, commit 1',
    '1 > 2 append term 1 after 4/1: 5..7, commit 1',
    '1 > 2 append term 1 after 7/1: 8..10, commit 1',
  ])
  group.play('propose 1')
  expect(group.mail('append').filter(line => line.startsWith('1 > 2'))).toHaveLength(3)
})
