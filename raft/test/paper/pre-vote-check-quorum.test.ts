/** Thesis 9.6 and 6.2: who was away does not disturb, and who is alone does not lead. */
import { expect, test } from 'vitest'
import { Group } from './group.ts'

test('thesis 9.6: before it raises its term a node asks whether it would get votes', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'crash 1', 'tick ms=700', 'drop', 'campaign 2')
  expect([group.role(2), group.state(2).term]).toEqual(['preCandidate', 1])
  expect(group.mail()).toEqual(['2 > 1 preVote term 1 last 1/1 round 1', '2 > 3 preVote term 1 last 1/1 round 1'])
})

test('thesis 9.6: without a majority of such words it goes on asking, in the same term', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'cut 2', 'run ms=20000')
  expect([group.role(2), group.state(2).term]).toEqual(['preCandidate', 1])
})

test('thesis 9.6: with a majority of such words, its own included, it campaigns', () => {
  const group = new Group('5')
  group.play('campaign 1', 'tell 1 from=2 kind=preVoteReply term=0 granted')
  expect([group.role(1), group.state(1).term]).toEqual(['preCandidate', 0])
  group.play('tell 1 from=3 kind=preVoteReply term=0 granted')
  expect([group.role(1), group.state(1).term]).toEqual(['candidate', 1])
})

test('thesis 9.6: a word for an earlier round counts no more', () => {
  const group = new Group('5')
  group.play(
    'campaign 1',
    'campaign 1',
    'tell 1 from=2 kind=preVoteReply term=0 granted round=1',
    'tell 1 from=3 kind=preVoteReply term=0 granted round=1',
  )
  expect(group.role(1)).toBe('preCandidate')
})

test('thesis 9.6: the word is given to who has all that the asked one has, if that one hears of no leader', () => {
  for (const [last, silentMs, verdict] of [
    ['2/1', 400, 'granted'],
    ['1/1', 400, 'refused'],
    ['2/1', 200, 'refused'],
  ] as const) {
    const group = new Group()
    group.play('elect 1', 'propose 1', 'settle', 'run ms=60', `tick ms=${silentMs}`, `tell 2 from=3 kind=preVote term=1 last=${last}`)
    expect([last, group.mail()]).toEqual([last, [`2 > 3 preVoteReply term 1 ${verdict} round 1`]])
  }
})

test('thesis 9.6: the word changes nothing: no term, no vote, nothing on disk, and it may be given to several', () => {
  const group = new Group('5')
  group.plant({ 1: '1', 2: '1', 3: '1', 4: '1', 5: '1' }, 3)
  const { term, votedFor } = group.state(2)
  const { taken } = group.state(2).durability
  group.play('tell 2 from=3 kind=preVote term=3 last=1/1', 'tell 2 from=4 kind=preVote term=3 last=1/1')
  expect(group.mail()).toEqual(['2 > 3 preVoteReply term 3 granted round 1', '2 > 4 preVoteReply term 3 granted round 1'])
  expect([group.state(2).term, group.state(2).votedFor, group.state(2).durability.taken]).toEqual([term, votedFor, taken])
})

test('thesis 9.6: who comes back after a long absence finds its leader, and the leader its place', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=60', 'cut 3', 'run ms=10000', 'heal', 'run ms=500')
  expect([group.role(1), group.state(1).term, group.role(3), group.state(3).term]).toEqual(['leader', 1, 'follower', 1])
})

test('thesis 9.6: who is asked in an older term tells its own, and the asker takes it over', () => {
  const group = new Group()
  group.plant({ 1: '1', 2: '1', 3: '1' }, 1)
  group.play('crash 2', 'crash 3', 'start 2', 'start 3', 'tell 2 from=3 kind=vote term=6 last=1/1', 'settle')
  group.play('campaign 1', 'settle')
  expect(group.state(1).term).toBe(6)
})

test('thesis 6.2: a leader that hears no majority for an election timeout leads no more; one that hears just a majority does', () => {
  const group = new Group('5')
  group.play('elect 1', 'run ms=60', 'cut 1 2', 'cut 1 3', 'run ms=3000')
  expect(group.role(1)).toBe('leader')
  group.play('cut 1 4', 'run ms=400')
  expect(group.role(1)).not.toBe('leader')
})

test('thesis 6.2: what a cut-off leader takes is not committed, and another leads meanwhile', () => {
  const group = new Group('5')
  group.play('elect 1', 'run ms=60', 'cut 1 3', 'cut 1 4', 'cut 1 5', 'cut 2 3', 'cut 2 4', 'cut 2 5', 'propose 1 count=3', 'run ms=2000')
  expect(group.commit(1)).toBe(1)
  const leader = group.runUntilLed()
  expect(leader).toBeGreaterThan(2)
  group.play(`propose ${leader}`, 'settle', 'heal', 'run ms=200')
  expect([group.log(1), group.log(2)]).toEqual([group.log(leader), group.log(leader)])
})

test('thesis 9.3: a group without a leader has one again within a few election timeouts, whoever is asked first', () => {
  for (const jitters of [
    [0, 0, 0],
    [0.5, 0.5, 0.5],
    [0.1, 0.2, 0.9],
  ]) {
    const group = new Group()
    group.play(...jitters.map((jitter, i) => `jitter ${i + 1} to=${jitter}`), 'run ms=3000')
    expect(group.leaders()).toHaveLength(1)
  }
})
