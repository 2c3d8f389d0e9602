/** Raft §5.4 and Figure 3: what is committed stays, whoever leads. Two leaders in a term: elections.test.ts. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Group } from './group.ts'

/** A leader of term 4 whose own entry has reached nobody, while an entry of term 2 is on a majority of disks (Figure 8 c). */
function figureEight(): Group {
  const group = new Group('5')
  group.plant({ 1: '1 2', 2: '1 2', 3: '1 2', 4: '1', 5: '1 3' }, 3)
  group.play('cut 1 4', 'cut 1 5', 'campaign 1')
  group.play('tell 1 from=2 kind=preVoteReply term=3 granted', 'tell 1 from=3 kind=preVoteReply term=3 granted', 'sync 1')
  group.play('tell 1 from=2 kind=voteReply term=4 granted', 'tell 1 from=3 kind=voteReply term=4 granted', 'drop')
  expect([group.role(1), group.state(1).term, group.log(1)]).toEqual(['leader', 4, '1 2 4'])
  return group
}

test('§5.4.2, Figure 8: an entry of an older term is not committed because a majority has it', () => {
  const group = figureEight()
  group.play('tell 1 from=2 kind=appendAccepted matched=2 durable=2', 'tell 1 from=3 kind=appendAccepted matched=2 durable=2')
  expect([group.progress(1, 2).durableIndex, group.progress(1, 3).durableIndex, group.commit(1)]).toEqual([2, 2, 0])
})

test('§5.4.2: an entry of the own term on a majority commits all before it with it', () => {
  const group = figureEight()
  group.play('settle', 'run ms=120')
  expect([group.log(2), group.log(3), group.commit(1)]).toEqual(['1 2 4', '1 2 4', 3])
})

test('§5.4.2: what only a deposed leader had is overwritten, and nobody has ever applied it', () => {
  const group = new Group()
  group.play('elect 1', 'cut 1', 'propose 1 count=2')
  expect(group.log(1)).toBe('1 1 1')
  group.play('tick ms=700', 'elect 2', 'propose 2', 'settle', 'heal', 'settle', 'run ms=60')
  expect([group.log(1), group.commit(1)]).toEqual(['1 2 2', 3])
})

/**
 * Logs that raft can have made: a leader's log is the beginning of some earlier one and then entries of its own term, and every node holds the beginning
 * of some leader's.
 */
function possibleLogs(nodes: number): fc.Arbitrary<string[]> {
  const part = fc.record({ of: fc.nat(20), length: fc.nat(20), own: fc.integer({ min: 1, max: 3 }) })
  return fc.tuple(fc.array(part, { maxLength: 4 }), fc.array(part, { minLength: nodes, maxLength: nodes })).map(([leaders, holders]) => {
    const whole: number[][] = [[1, 1, 1]]
    const beginning = (of: number, length: number): number[] => {
      const log = whole[of % whole.length] ?? [1]
      return log.slice(0, 1 + (length % log.length))
    }
    leaders.forEach(({ of, length, own }, i) => whole.push([...beginning(of, length), ...Array<number>(own).fill(i + 2)]))
    return holders.map(({ of, length }) => beginning(of, length).join(' '))
  })
}

test('§5.4.3, leader completeness: whoever wins lacks nothing that a majority holds and nobody’s later term speaks against', () => {
  let wins = 0
  fc.assert(
    fc.property(possibleLogs(5), fc.integer({ min: 1, max: 5 }), (logs, candidate) => {
      const group = new Group('5')
      group.plant(Object.fromEntries(logs.map((terms, i) => [i + 1, terms])), 6)
      group.play(`campaign ${candidate}`, 'settle')
      if (group.role(candidate) !== 'leader') return
      wins++
      const own = logs[candidate - 1]?.split(' ') ?? []
      const isMoreUpToDate = (other: readonly string[]): boolean => {
        const [theirs, ours] = [Number(other.at(-1)), Number(own.at(-1))]
        return theirs > ours || (theirs === ours && other.length > own.length)
      }
      expect(logs.filter(log => isMoreUpToDate(log.split(' '))).length).toBeLessThan(3)
    }),
    { numRuns: 200, seed: 543 },
  )
  expect(wins).toBeGreaterThan(50)
})

test('§5.4.3: what a majority holds can be missing in no later leader, for one of that majority must vote', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'propose 1', 'settle')
  expect(group.commit(1)).toBe(2)
  group.play('cut 1', 'heal', 'cut 1', 'tick ms=700')
  expect(group.play('campaign 3', 'settle')).toContain('2 says R-07-log-behind')
  expect(group.role(3)).not.toBe('leader')
  group.play('campaign 2', 'settle')
  expect([group.role(2), group.log(3)]).toEqual(['leader', '1 1 2'])
})

test('Figure 3, log matching: whatever the logs were, in the end all are one, and no entry stands behind a strange one on the way', () => {
  fc.assert(
    fc.property(possibleLogs(3), logs => {
      const group = new Group()
      group.plant({ 1: logs[0] ?? '', 2: logs[1] ?? '', 3: logs[2] ?? '' }, 6)
      // The ledger demands of every entry that is written that it stands behind the same one everywhere.
      group.play('run ms=2000')
      const whole = group.log(group.runUntilLed())
      expect([group.log(1), group.log(2), group.log(3)]).toEqual([whole, whole, whole])
      expect(Number(whole.split(' ').at(-1))).toBeGreaterThan(6)
    }),
    { numRuns: 50, seed: 3 },
  )
})

test('Figure 3, state machine safety: two nodes never apply different entries at one place', () => {
  const group = new Group()
  group.play(
    'elect 1',
    'propose 1 count=3',
    'settle',
    'cut 1',
    'propose 1 count=4',
    'tick ms=700',
    'elect 2',
    'propose 2 count=2',
    'settle',
  )
  // The ledger compares entry by entry as each node commits it; here the same by eye.
  group.play('heal', 'settle', 'run ms=100')
  expect([1, 2, 3].map(id => group.log(id))).toEqual(Array(3).fill('1 1 1 1 2 2 2'))
  expect([1, 2, 3].map(id => group.state(id).appliedIndex)).toEqual([7, 7, 7])
})

test('§5.4: what is committed here is never cut off; a leader that wants it is not believed', () => {
  const group = new Group()
  group.play('elect 1', 'propose 1 count=2', 'settle')
  expect(() => group.play('tell 2 from=3 kind=append term=5 prev=1/1 entries=2/5')).toThrow('leader-contradicts-commit')
  expect(() => group.play('tell 2 from=3 kind=append term=5 prev=2/5 entries=3/5')).toThrow('leader-contradicts-commit')
})

test('Figure 2: an acknowledgement counts from the moment that the follower’s disk has it, and not before', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'slow 2', 'propose 1', 'settle')
  expect([group.log(2), group.disk(2), group.progress(1, 2).matchedIndex, group.commit(1)]).toEqual(['1 1', '1', 1, 1])
  // The power fails on the follower: what it had in memory had counted for nothing.
  group.play('crash 2', 'start 2')
  expect([group.log(2), group.commit(1)]).toEqual(['1', 1])
})

test('§5.4: an answer that a peer gave in an earlier life, or about a log that it has lost since, counts no more', () => {
  const group = new Group()
  group.play('elect 1', 'cut 3', 'slow 2', 'propose 1', 'settle', 'sync 2')
  expect(group.mail('appendAccepted')).toHaveLength(1)
  group.play('crash 2', 'start 2')
  expect(group.play('deliver from=2 to=1 kind=appendAccepted')).toContain('1 says R-15-stale-session-reply')
  expect(group.commit(1)).toBe(1)
})
