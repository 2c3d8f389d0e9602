/** Raft §5.1, §5.2, §5.4.1, §5.6 and thesis 3.3 to 3.6, 9.3: who leads, and how often. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { validateConfig } from '../../core/config.ts'
import type { NodeId } from '../../core/ids.ts'
import { groupOf } from '../members.ts'
import { defaults } from '../mini-cluster.ts'
import { Group } from './group.ts'

test('§5.1: whoever hears of a higher term takes it over and follows, in whatever kind of message it comes', () => {
  for (const kind of [
    'append prev=1/1',
    'heartbeat',
    'appendAccepted',
    'appendConflict',
    'heartbeatReply',
    'voteReply',
    'preVoteReply',
    'appendRefused',
  ]) {
    const group = new Group()
    group.play('elect 1')
    expect(group.role(1)).toBe('leader')
    group.play(`tell 1 from=2 kind=${kind} term=7`)
    expect([group.role(1), group.state(1).term, group.state(1).votedFor]).toEqual(['follower', 7, undefined])
  }
})

test('§5.1: a candidate that hears of a higher term is one no more', () => {
  const group = new Group()
  group.play('campaign 1', 'deliver from=1 to=2 kind=preVote', 'deliver from=2 to=1 kind=preVoteReply')
  expect(group.role(1)).toBe('candidate')
  group.play('tell 1 from=2 kind=voteReply term=4')
  expect([group.role(1), group.state(1).term]).toEqual(['follower', 4])
})

test('§5.1: a request of an older term is refused, changes nothing, and its sender is told the present term', () => {
  for (const [kind, answer] of [
    ['append prev=0/0 entries=1/2', 'appendRefused term 5'],
    ['heartbeat', 'appendRefused term 5'],
    ['vote last=9/2', 'voteReply term 5 refused'],
    ['preVote last=9/2', 'preVoteReply term 5 refused round 1'],
  ] as const) {
    const group = new Group()
    group.plant({ 1: '1', 2: '1', 3: '1 1' }, 5)
    group.play(`tell 3 from=2 kind=${kind} term=2`)
    expect(group.mail()).toEqual([`3 > 2 ${answer}`])
    expect([group.state(3).term, group.log(3), group.state(3).votedFor, group.state(3).role.leaderId]).toEqual([
      5,
      '1 1',
      undefined,
      undefined,
    ])
  }
})

test('§5.1: an answer of an older term changes nothing', () => {
  const group = new Group()
  group.plant({ 1: '1', 2: '1', 3: '1' }, 4)
  group.play('campaign 1', 'deliver from=1 to=2 kind=preVote', 'deliver from=2 to=1 kind=preVoteReply', 'sync 1')
  expect(group.state(1).term).toBe(5)
  expect(group.play('tell 1 from=3 kind=voteReply term=4 granted')).toEqual(['1 says R-03-stale-reply'])
  expect(group.role(1)).toBe('candidate')
})

test('§5.2: a node begins as a follower, and stays one as long as it hears of a leader', () => {
  const group = new Group()
  expect([1, 2, 3].map(id => group.role(id))).toEqual(['follower', 'follower', 'follower'])
  group.play('elect 2')
  expect(group.play('run ms=5000')).toEqual([])
  expect(group.leaders()).toEqual([2])
})

test('§5.2: a follower that hears of no leader for an election timeout seeks election', () => {
  const group = new Group()
  group.play('elect 1', 'run ms=100', 'crash 1')
  expect(group.leaders()).toEqual([])
  group.play('run ms=900')
  expect(group.leaders()).toHaveLength(1)
  expect(group.state(group.runUntilLed()).term).toBe(2)
})

test('§5.2: a candidate raises its term, votes for itself and asks everybody else at once', () => {
  const group = new Group('5')
  group.play('campaign 3', 'deliver from=3 kind=preVote count=4', 'deliver to=3 kind=preVoteReply count=4', 'sync 3')
  expect([group.role(3), group.state(3).term, group.state(3).votedFor]).toEqual(['candidate', 1, 3])
  expect(group.mail('vote')).toEqual([1, 2, 4, 5].map(id => `3 > ${id} vote term 1 last 0/0`))
})

test.each([1, 2, 3, 4, 5, 6, 7])('§5.2: of %i voters a candidate needs more than half, itself included, and no more', size => {
  const group = new Group(String(size))
  const others = Array.from({ length: size - 1 }, (_, i) => i + 2)
  group.play('campaign 1', ...others.map(id => `tell 1 from=${id} kind=preVoteReply term=0 granted`), 'sync 1')
  const needed = Math.floor(size / 2)
  for (const id of others.slice(0, needed)) {
    expect(group.role(1)).toBe('candidate')
    group.play(`tell 1 from=${id} kind=voteReply term=1 granted`)
  }
  expect(group.role(1)).toBe('leader')
})

test('§5.2: one vote for each term, to the first who asks; the same candidate gets the same answer again', () => {
  const group = new Group('5')
  const ask = (candidate: number): string[] => {
    group.play(`tell 1 from=${candidate} kind=vote term=3 last=0/0`, 'sync 1')
    const answers = group.mail('voteReply')
    group.play('drop')
    return answers
  }
  expect(ask(2)).toEqual(['1 > 2 voteReply term 3 granted'])
  expect(ask(3)).toEqual(['1 > 3 voteReply term 3 refused'])
  expect(ask(2)).toEqual(['1 > 2 voteReply term 3 granted'])
})

test('Figure 2: term and vote are on disk before anybody hears of them, and survive a crash', () => {
  const group = new Group()
  group.play('slow 1', 'tell 1 from=2 kind=vote term=3 last=0/0')
  expect(group.mail()).toEqual([])
  group.play('sync 1')
  expect(group.mail()).toEqual(['1 > 2 voteReply term 3 granted'])
  expect(group.hardState(1)).toEqual({ term: 3, votedFor: 2 })
  group.play('crash 1', 'start 1', 'drop', 'tell 1 from=3 kind=vote term=3 last=0/0', 'sync 1')
  expect(group.mail()).toEqual(['1 > 3 voteReply term 3 refused'])
})

test('Figure 2: a candidate asks for votes, and counts its own, only when its new term is on disk', () => {
  const group = new Group()
  group.play('slow 1', 'campaign 1', 'deliver from=1 to=2 kind=preVote', 'deliver from=2 to=1 kind=preVoteReply')
  expect([group.role(1), group.mail('vote')]).toEqual(['candidate', []])
  // Even if grants of a majority came all the same.
  group.play('tell 1 from=2 kind=voteReply term=1 granted', 'tell 1 from=3 kind=voteReply term=1 granted')
  expect(group.role(1)).toBe('candidate')
  group.play('sync 1')
  expect(group.role(1)).toBe('leader')
})

test('§5.2: a new leader tells everybody at once, so that nobody else seeks election', () => {
  const group = new Group('5')
  group.play('campaign 1', 'deliver from=1 kind=preVote count=4', 'deliver to=1 kind=preVoteReply count=4', 'sync 1')
  group.play('deliver from=1 kind=vote count=4', 'sync 2', 'sync 3', 'sync 4', 'sync 5', 'deliver to=1 kind=voteReply count=2')
  expect(group.role(1)).toBe('leader')
  expect(group.mail('heartbeat')).toHaveLength(4)
})

test('§5.2: a candidate that hears of a leader of its own term follows it', () => {
  const group = new Group()
  group.play('campaign 1', 'deliver from=1 to=2 kind=preVote', 'deliver from=2 to=1 kind=preVoteReply', 'sync 1')
  group.play('tell 1 from=3 kind=append term=1 prev=0/0')
  expect([group.role(1), group.state(1).role.leaderId, group.state(1).votedFor]).toEqual(['follower', 3, 1])
})

test('§5.2: a candidate that hears of a leader of an older term goes on', () => {
  const group = new Group()
  group.plant({ 1: '1', 2: '1', 3: '1' }, 3)
  group.play('campaign 1', 'deliver from=1 to=2 kind=preVote', 'deliver from=2 to=1 kind=preVoteReply', 'sync 1')
  expect(group.play('tell 1 from=3 kind=append term=2 prev=1/1')).toEqual(['1 says R-02-stale-term'])
  expect([group.role(1), group.state(1).term]).toEqual(['candidate', 4])
})

test('§5.2: a split vote ends without a leader, and another term follows', () => {
  const group = new Group('4')
  group.play('campaign 1', 'campaign 2')
  for (const id of [3, 4, 2]) group.play(`tell 1 from=${id} kind=preVoteReply term=0 granted`)
  for (const id of [3, 4, 1]) group.play(`tell 2 from=${id} kind=preVoteReply term=0 granted`)
  group.play('drop kind=preVote', 'drop kind=preVoteReply', 'sync 1', 'sync 2')
  group.play('deliver from=1 to=3 kind=vote', 'deliver from=2 to=4 kind=vote', 'drop kind=vote', 'settle')
  expect([group.role(1), group.role(2), group.leaders()]).toEqual(['candidate', 'candidate', []])
  expect(group.state(group.runUntilLed()).term).toBeGreaterThan(1)
})

test('§5.2: election timeouts are drawn from [T, 2T), so that split votes are rare and end soon', () => {
  for (const [jitter, wanted] of [
    [0, 300],
    [0.5, 450],
    [0.99, 597],
  ] as const) {
    const group = new Group()
    // The draw of a tick counts for the next deadline that is set.
    group.play('elect 1', `jitter 2 to=${jitter}`, 'tick 2', 'tell 2 from=1 kind=heartbeat term=1')
    const { role, nowMs } = group.state(2)
    expect(role.kind === 'follower' ? role.electionDeadlineMs - nowMs : undefined).toBeCloseTo(wanted)
  }
})

test('§5.6: the election timeout is several heartbeats long, or the node does not start', () => {
  const config = { ...defaults, id: 1 as NodeId, first: groupOf(1, 2, 3) }
  expect(validateConfig(config)).toEqual([])
  expect(validateConfig({ ...config, electionTimeoutMs: 3.9 * config.heartbeatIntervalMs })).toHaveLength(1)
})

test('§5.2: a leader without work speaks at each heartbeat interval', () => {
  const group = new Group()
  group.play('elect 1', 'show')
  const said = group.play('run ms=500').filter(line => line.startsWith('1 > 2 heartbeat term 1'))
  expect(said).toHaveLength(10)
})

test('§5.4.1: a voter refuses whoever lacks what it has: first the last term counts, then the length', () => {
  for (const [last, verdict] of [
    ['9/1', 'refused'], // longer, of an older term
    ['2/2', 'refused'], // of this term, shorter
    ['3/2', 'granted'],
    ['4/2', 'granted'],
    ['1/3', 'granted'], // shorter, of a later term
  ] as const) {
    const group = new Group()
    group.plant({ 1: '1 1 2', 2: '', 3: '' })
    group.play(`tell 1 from=2 kind=vote term=5 last=${last}`, 'sync 1')
    expect(group.mail()).toEqual([`1 > 2 voteReply term 5 ${verdict}`])
  }
})

test('§5.2: who refuses a vote waits no longer for its own election; who gives it does', () => {
  const deadline = (last: string): number => {
    const group = new Group()
    group.plant({ 1: '1 1', 2: '1', 3: '1' })
    group.play('tick ms=200', `tell 1 from=2 kind=vote term=5 last=${last}`)
    const { role } = group.state(1)
    return role.kind === 'follower' ? role.electionDeadlineMs : NaN
  }
  expect(deadline('1/1')).toBe(300)
  expect(deadline('2/1')).toBe(500)
})

test('Figure 3, election safety: whatever is lost, doubled, delayed or restarted, no term has two leaders', () => {
  let elections = 0
  const verb = fc.constantFrom('campaign', 'deliver', 'deliver', 'copy', 'settle two', 'restart', 'drop')
  fc.assert(
    fc.property(fc.array(fc.tuple(verb, fc.nat(4), fc.nat(8)), { minLength: 30, maxLength: 120 }), steps => {
      const group = new Group('5')
      const leaders = new Map<number, Set<number>>()
      group.play('slow 1 2 3 4 5')
      for (const [what, at, which] of steps) {
        const id = at + 1
        const flight = group.mail()[which]?.split(' ')
        const route = flight && `from=${flight[0]} to=${flight[2]} kind=${flight[3]}`
        if (what === 'campaign') group.play('tick ms=700', `campaign ${id}`)
        else if (what === 'restart') group.play(`crash ${id}`, `start ${id}`)
        else if (what === 'settle two')
          group.play(`fast ${id} ${(id % 5) + 1}`, 'settle', `slow ${id} ${(id % 5) + 1}`, `sync ${((id + 1) % 5) + 1}`)
        else if (route !== undefined && what === 'drop') group.play(`drop ${route}`)
        else if (route !== undefined) group.play(`deliver ${route}${what === 'copy' ? ' copy' : ''}`)
        for (const leader of group.leaders()) {
          const { term } = group.state(leader)
          leaders.set(term, (leaders.get(term) ?? new Set()).add(leader))
        }
      }
      for (const [term, ids] of leaders) expect([term, ids.size]).toEqual([term, 1])
      elections += leaders.size
    }),
    { numRuns: 100, seed: 52 },
  )
  expect(elections).toBeGreaterThan(50)
})
