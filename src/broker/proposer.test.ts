import { expect, test } from 'vitest'
import fc from 'fast-check'
import { kinds, parse, threeGateways } from './testing/gateways.ts'

test('a proposal of the leader and of a follower are both applied, and each gateway is told by its own apply', () => {
  const { clock, a, b } = threeGateways()
  a.propose('x')
  b.propose('y')
  expect(kinds(b, 'y')).toEqual([])
  clock.advance(10)
  expect(kinds(a, 'x')).toEqual(['applied'])
  expect(kinds(b, 'y')).toEqual(['applied'])
  expect(b.taken).toEqual(a.taken)
})

test('what one turn proposes goes to the leader as one frame', () => {
  const { group, clock, b } = threeGateways()
  for (let i = 0; i < 100; i++) b.propose(`m${i}`)
  clock.advance(10)
  expect(group.frames).toBe(1)
  expect(b.taken).toEqual(Array.from({ length: 100 }, (_, i) => `m${i}`))
})

test('a gateway that lags answers only after its own apply', () => {
  const { group, clock, b, c } = threeGateways()
  b.node.isHeld = true
  b.propose('x')
  clock.advance(100)
  expect(c.taken).toEqual(['x'])
  expect(kinds(b, 'x')).toEqual([])
  group.release(2)
  expect(kinds(b, 'x')).toEqual(['applied'])
})

test('a lost frame is noticed by the next one, and everything comes in order, once', () => {
  const { group, clock, b, c } = threeGateways()
  let lost = 0
  group.losesFrame = from => from === 2 && lost++ === 0
  b.propose('x')
  clock.advance(1)
  b.propose('y')
  clock.advance(1)
  b.propose('z')
  clock.advance(20)
  expect(c.taken).toEqual(['x', 'y', 'z'])
  expect(kinds(b, 'x')).toEqual(['applied'])
})

test('a lost frame that nothing follows is sent again after half a second', () => {
  const { group, clock, b } = threeGateways()
  let lost = 0
  group.losesFrame = from => from === 2 && lost++ === 0
  b.propose('x')
  clock.advance(490)
  expect(b.taken).toEqual([])
  clock.advance(30)
  expect(b.taken).toEqual(['x'])
})

test('a copy in the log after a leader change is not applied again, and what is sent again is the same bytes (M28)', () => {
  const { group, clock, b, c } = threeGateways()
  group.isCommitHeld = true
  b.propose('x')
  clock.advance(5)
  expect(group.log.length).toBe(1)
  group.elect(3)
  clock.advance(5)
  group.releaseCommit()
  clock.advance(50)
  expect(group.log.length).toBe(2)
  expect(group.log[1]?.body).toEqual(group.log[0]?.body)
  expect(c.taken).toEqual(['x'])
  expect(kinds(b, 'x')).toEqual(['applied'])
})

test('what a deposed leader had only for itself is sent again to the new one', () => {
  const { group, clock, a, b } = threeGateways()
  group.isCommitHeld = true
  a.propose('own')
  b.propose('other')
  clock.advance(5)
  expect(group.log.length).toBe(2)
  group.elect(2, 0)
  group.releaseCommit()
  clock.advance(10)
  expect([...b.taken].sort()).toEqual(['other', 'own'])
  expect(kinds(a, 'own')).toEqual(['applied'])
})

test('a leader that leads again takes what it had appended in its earlier term, and lost', () => {
  const { group, clock, a, b } = threeGateways()
  group.isCommitHeld = true
  a.propose('own')
  b.propose('other')
  clock.advance(5)
  expect(group.log.length).toBe(2)
  group.elect(undefined, 0)
  clock.advance(50)
  group.elect(1)
  group.releaseCommit()
  clock.advance(1_500)
  expect([...b.taken].sort()).toEqual(['other', 'own'])
  expect([kinds(a, 'own'), kinds(b, 'other')]).toEqual([['applied'], ['applied']])
})

test("a leader's own word is not sent again once it leads no more", () => {
  const { group, clock, a, b } = threeGateways()
  group.isCommitHeld = true
  a.propose('own', 2_500, a.node.term)
  a.propose('other')
  clock.advance(5)
  group.elect(2, 0)
  group.releaseCommit()
  clock.advance(10)
  expect(b.taken).toEqual(['other'])
  expect(kinds(a, 'own')).toEqual(['unknown', 'rejected overtaken'])
})

test('a broken command is answered as such, and its neighbours go through', () => {
  const { clock, b } = threeGateways()
  b.propose('x')
  b.propose('broken')
  clock.advance(20)
  b.propose('y')
  clock.advance(20)
  expect(kinds(b, 'broken')).toEqual(['rejected broken'])
  expect(b.taken).toEqual(['x', 'y'])
})

test('without a leader a proposal waits, and is applied when there is one', () => {
  const { group, clock, b } = threeGateways()
  group.elect(undefined)
  b.propose('x')
  clock.advance(1_000)
  expect(kinds(b, 'x')).toEqual([])
  group.elect(3)
  clock.advance(10)
  expect(kinds(b, 'x')).toEqual(['applied'])
})

test('a proposal is stamped when it is first forwarded, not when it began to wait for a leader', () => {
  const { group, clock, b } = threeGateways()
  group.elect(undefined)
  b.propose('x')
  clock.advance(2_000)
  const electedAtMs = clock.wallMs()
  group.elect(3)
  clock.advance(10)
  expect(parse(group.log[0]?.body ?? new Uint8Array()).sentAtMs).toBeGreaterThanOrEqual(electedAtMs)
})

test('what was never sent when patience ends is surely rejected, and is never sent', () => {
  const { group, clock, b } = threeGateways()
  group.elect(undefined)
  b.propose('x', 300)
  clock.advance(299)
  expect(kinds(b, 'x')).toEqual([])
  clock.advance(2)
  expect(kinds(b, 'x')).toEqual(['rejected unsent'])
  expect(b.proposer.status().pendingCount).toBe(0)
  group.elect(1)
  clock.advance(2_000)
  expect(group.log.length).toBe(0)
})

test('what was sent when patience ends is unknown, is not sent again, and its fate is told later', () => {
  const { group, clock, b } = threeGateways()
  group.isCommitHeld = true
  b.propose('x', 300)
  clock.advance(400)
  expect(kinds(b, 'x')).toEqual(['unknown'])
  const before = group.frames
  group.elect(3, 0)
  clock.advance(5_000)
  expect(group.frames).toBe(before)
  group.releaseCommit()
  b.propose('y')
  clock.advance(10)
  expect(kinds(b, 'x')).toEqual(['unknown', 'rejected overtaken'])
  expect(kinds(b, 'y')).toEqual(['applied'])
})

test('an unknown proposal that is applied after all is told so', () => {
  const { group, clock, b } = threeGateways()
  group.isCommitHeld = true
  b.propose('x', 300)
  clock.advance(400)
  group.releaseCommit()
  clock.advance(10)
  expect(kinds(b, 'x')).toEqual(['unknown', 'applied'])
})

test('a broken link is followed by everything unapplied, in order', () => {
  const { group, clock, b } = threeGateways()
  group.isCommitHeld = true
  b.propose('x')
  clock.advance(5)
  group.cut(1, 2)
  b.propose('y')
  clock.advance(5)
  group.heal(1, 2)
  group.releaseCommit()
  clock.advance(10)
  expect(b.taken).toEqual(['x', 'y'])
})

test('a leader that had no room gets everything again after a pause', () => {
  const { clock, a, b } = threeGateways()
  a.node.isFull = true
  a.propose('own')
  b.propose('x')
  clock.advance(100)
  expect(b.taken).toEqual([])
  a.node.isFull = false
  clock.advance(110)
  expect([...b.taken].sort()).toEqual(['own', 'x'])
})

test('what a leader had no room for until patience was over is surely in no log, and its sender is told so', () => {
  const { clock, a, b } = threeGateways()
  a.node.isFull = true
  a.propose('own', 300)
  b.propose('x', 300)
  clock.advance(400)
  expect(a.outcomes.get('own')).toEqual([{ kind: 'rejected', reason: 'full' }])
  expect(b.outcomes.get('x')).toEqual([{ kind: 'rejected', reason: 'full' }])
  expect(b.proposer.status()).toMatchObject({ pendingCount: 0, pendingBytes: 0 })
  a.node.isFull = false
  b.propose('y')
  clock.advance(200)
  expect(b.taken).toEqual(['y'])
})

test('what an earlier leader may have taken stays unknown, whatever room the next one has', () => {
  const { group, clock, a, b } = threeGateways()
  group.isCommitHeld = true
  b.propose('x', 300)
  clock.advance(10)
  a.node.isFull = true
  group.losesFrame = () => false
  group.cut(1, 2)
  group.heal(1, 2)
  clock.advance(400)
  expect(b.outcomes.get('x')).toEqual([{ kind: 'unknown', cause: 'noAnswer' }])
  a.node.isFull = false
  group.releaseCommit()
  clock.advance(50)
  expect(b.taken).toEqual(['x'])
})

test('what Raft rejects only after a while is sent again, and the leader does not take it for a copy', () => {
  const { clock, a, b } = threeGateways()
  a.node.rejectsLater = true
  a.propose('own')
  b.propose('x')
  clock.advance(15)
  a.node.rejectsLater = false
  clock.advance(60)
  expect([...b.taken].sort()).toEqual(['own', 'x'])
})

test('over its bounds the proposer takes nothing', () => {
  const { group, b } = threeGateways({ pendingCountMax: 2 })
  group.elect(undefined)
  expect(b.propose('x')).toBe(true)
  expect(b.propose('y')).toBe(true)
  expect(b.propose('z')).toBe(false)
  expect(b.outcomes.get('z')).toEqual([])
})

test('what another node or an earlier process of ours has proposed ends none of ours, nor does the word of who does not lead', () => {
  const { group, clock, b } = threeGateways()
  group.isCommitHeld = true
  b.propose('x')
  clock.advance(10)
  const applied = { sequence: 1, result: { kind: 'done' } } as const
  b.proposer.onApplied({ ...applied, node: 1, incarnation: 1 }, 1, 0)
  b.proposer.onApplied({ ...applied, node: 2, incarnation: 0 }, 1, 0)
  const refused = { kind: 'refused', term: b.node.term, incarnation: 1, run: 1, sequence: 1 } as const
  b.proposer.onFrameRefused(3, { ...refused, reason: 'broken' })
  expect(kinds(b, 'x')).toEqual([])
  const { restarts } = b.proposer.status()
  b.proposer.onFrameRefused(1, { ...refused, reason: 'gap', run: 0 })
  expect(b.proposer.status().restarts).toBe(restarts)
  group.releaseCommit()
  clock.advance(20)
  expect(kinds(b, 'x')).toEqual(['applied'])
})

test('bytes that wait are bounded too', () => {
  const { group, b } = threeGateways({ pendingBytesMax: 1 })
  group.elect(undefined)
  expect(b.propose('x')).toBe(true)
  expect(b.propose('y')).toBe(false)
})

test('what an earlier leader has in its log stays unknown, though the next one has no room for it', () => {
  const { group, clock, b, c } = threeGateways()
  group.isCommitHeld = true
  b.propose('x', 1_000)
  clock.advance(10)
  expect(group.log).toHaveLength(1)
  c.node.isFull = true
  group.elect(3, 0)
  clock.advance(2_000)
  expect(kinds(b, 'x')).toEqual(['unknown'])
})

test('a large backlog goes in several frames', () => {
  const { group, clock, b } = threeGateways({ frameBytesMax: 1_000 })
  for (let i = 0; i < 50; i++) b.propose(`m${i}`)
  clock.advance(10)
  expect(group.frames).toBeGreaterThan(3)
  expect(b.taken.length).toBe(50)
})

test('a gateway that was without a leader for long, with one fate still open, proposes again when there is one', () => {
  const { group, clock, b } = threeGateways({ pendingCountMax: 10 })
  group.isCommitHeld = true
  b.propose('lost', 100)
  clock.advance(50)
  group.elect(undefined, 0)
  for (let i = 0; i < 2_000; i++) {
    expect(b.propose(`n${i}`, 20)).toBe(true)
    clock.advance(10)
  }
  expect(b.proposer.status().pendingCount).toBeLessThan(600)
  group.releaseCommit()
  group.elect(1)
  clock.advance(5)
  expect(b.propose('after')).toBe(true)
  clock.advance(5)
  expect(kinds(b, 'lost')).toEqual(['unknown', 'rejected overtaken'])
  expect(kinds(b, 'n7')).toEqual(['rejected unsent'])
  expect(kinds(b, 'after')).toEqual(['applied'])
  expect(b.proposer.status()).toMatchObject({ pendingCount: 0, pendingBytes: 0 })
})

test('open fates are bounded too, but never shut a gateway out for good', () => {
  const { group, clock, b } = threeGateways({ pendingCountMax: 2 })
  group.isCommitHeld = true
  for (let i = 0; i < 30; i++) {
    b.propose(`a${i}`, 100)
    b.propose(`b${i}`, 100)
    clock.advance(200)
  }
  expect(b.propose('one', 100)).toBe(true)
  expect(b.propose('two', 100)).toBe(false)
  clock.advance(200)
  group.releaseCommit()
  clock.advance(5_000)
  expect(b.propose('last')).toBe(true)
  clock.advance(5)
  expect(kinds(b, 'last')).toEqual(['applied'])
  expect(b.proposer.status().pendingCount).toBe(0)
})

test('whatever is lost, cut, held or deposed: applied at most once, in order, and every answer agrees with the log', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('propose' as const), node: fc.integer({ min: 1, max: 3 }), patienceMs: fc.constantFrom(50, 400, 2_500) }),
    fc.record({ do: fc.constant('elect' as const), node: fc.integer({ min: 0, max: 3 }), keep: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ do: fc.constant('cut' as const), a: fc.integer({ min: 1, max: 3 }), b: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('heal' as const), a: fc.integer({ min: 1, max: 3 }), b: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant('hold' as const), isHeld: fc.boolean() }),
    fc.record({ do: fc.constant('busy' as const), node: fc.integer({ min: 1, max: 3 }), isBusy: fc.boolean() }),
    fc.record({ do: fc.constant('late' as const), node: fc.integer({ min: 1, max: 3 }), isBusy: fc.boolean() }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 2, 7, 100, 600) }),
  )
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), fc.integer({ min: 2, max: 9 }), (steps, lossEvery) => {
      const { group, clock, a, b, c } = threeGateways()
      const all = [a, b, c]
      let frames = 0
      let count = 0
      group.losesFrame = () => ++frames % lossEvery === 0
      for (const s of steps) {
        if (s.do === 'propose') all[s.node - 1]?.propose(`${s.node}-${count++}`, s.patienceMs)
        if (s.do === 'elect') group.elect(s.node === 0 ? undefined : s.node, s.keep)
        if (s.do === 'cut' && s.a !== s.b) group.cut(s.a, s.b)
        if (s.do === 'heal' && s.a !== s.b) group.heal(s.a, s.b)
        if (s.do === 'hold' && s.isHeld) group.isCommitHeld = true
        if (s.do === 'hold' && !s.isHeld) group.releaseCommit()
        if (s.do === 'busy') group.node(s.node).isFull = s.isBusy
        if (s.do === 'late') group.node(s.node).rejectsLater = s.isBusy
        if (s.do === 'wait') clock.advance(s.ms)
      }
      group.losesFrame = () => false
      for (const [x, y] of [[1, 2], [1, 3], [2, 3]] as const) group.heal(x, y) // prettier-ignore
      for (const node of group.nodes) node.isFull = node.rejectsLater = false
      group.releaseCommit()
      group.elect(1)
      clock.advance(5_000)
      for (const gateway of all) gateway.propose(`last-${gateway.node.id}`)
      clock.advance(5_000)
      expect(b.taken).toEqual(a.taken)
      expect(c.taken).toEqual(a.taken)
      expect(new Set(a.taken).size).toBe(a.taken.length)
      for (const gateway of all) {
        const own = a.taken.filter(name => gateway.outcomes.has(name))
        expect(own).toEqual([...gateway.outcomes.keys()].filter(name => own.includes(name)))
        for (const [name, outcomes] of gateway.outcomes) {
          const last = outcomes[outcomes.length - 1]
          expect(outcomes.length).toBeGreaterThan(0)
          expect(last?.kind).not.toBe('unknown')
          expect(last?.kind === 'applied').toBe(own.includes(name))
        }
        expect(gateway.proposer.status().pendingCount).toBe(0)
      }
    }),
    { numRuns: 300 },
  )
})
