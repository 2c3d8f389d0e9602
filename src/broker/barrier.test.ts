import { expect, test } from 'vitest'
import { Barrier } from './barrier.ts'
import { Deadlines } from './deadlines.ts'
import { FakeClock } from './testing/fake-clock.ts'
import type { Refusal } from './refusal.ts'

/** A barrier over a Raft that answers when the test says so. */
function aBarrier() {
  const clock = new FakeClock()
  const raft = {
    leaderId: 1 as number | undefined,
    open: [] as ((isReady: boolean) => void)[],
    patienceMs: [] as number[],
    readIndex(patienceMs: number, done: (isReady: boolean) => void) {
      raft.patienceMs.push(patienceMs)
      raft.open.push(done)
    },
  }
  const barrier = new Barrier({
    raft,
    deadlines: new Deadlines(clock),
    soon: callback => clock.soon(callback),
    nowMs: () => clock.nowMs(),
  })
  const ask = (patienceMs = 1_000): (Refusal | undefined)[] => {
    const heard: (Refusal | undefined)[] = []
    expect(barrier.pass(clock.nowMs() + patienceMs, refusal => heard.push(refusal))).toBe(true)
    return heard
  }
  const answer = (isReady: boolean): void => {
    for (const done of raft.open.splice(0)) done(isReady)
    clock.advance(0)
  }
  return { clock, raft, barrier, ask, answer }
}

test('all that ask in one turn share a read, and whoever comes later waits for the next', () => {
  const { clock, raft, ask, answer } = aBarrier()
  const first = Array.from({ length: 5_000 }, () => ask())
  expect(raft.open.length).toBe(0)
  clock.advance(1)
  expect(raft.open.length).toBe(1)
  const later = [ask(), ask()]
  clock.advance(1)
  expect(raft.open.length).toBe(1)
  answer(true)
  expect(first.every(heard => heard.length === 1 && heard[0] === undefined)).toBe(true)
  expect(later).toEqual([[], []])
  expect(raft.open.length).toBe(1)
  answer(true)
  expect(later).toEqual([[undefined], [undefined]])
})

test('a read that was refused is made anew, and each asker is refused at his own deadline', () => {
  const { clock, raft, ask, answer } = aBarrier()
  const [patient, hasty] = [ask(500), ask(100)]
  clock.advance(1)
  expect(raft.patienceMs).toEqual([500])
  answer(false)
  clock.advance(50)
  expect(raft.open.length).toBe(1)
  clock.advance(50)
  expect(hasty[0]?.kind).toBe('refused')
  expect(patient).toEqual([])
  answer(true)
  expect(patient).toEqual([undefined])
  clock.advance(1_000)
  expect(hasty.length).toBe(1)
  expect(patient.length).toBe(1)
})

test('a read that does not end keeps nobody beyond his own deadline', () => {
  const { clock, raft, ask, answer } = aBarrier()
  const [patient, hasty] = [ask(500), ask(100)]
  clock.advance(1)
  expect(raft.open.length).toBe(1)
  clock.advance(120)
  expect(hasty[0]).toMatchObject({ kind: 'refused', code: 'proxyTimeout' })
  expect(patient).toEqual([])
  answer(true)
  expect(patient).toEqual([undefined])
  expect(hasty.length).toBe(1)
})

test('without a leader nothing is asked; the next one is asked at once', () => {
  const { clock, raft, barrier, ask, answer } = aBarrier()
  raft.leaderId = undefined
  const [patient, hasty] = [ask(2_000), ask(300)]
  clock.advance(400)
  expect(hasty[0]).toMatchObject({ kind: 'refused', code: 'haNotAvailable' })
  expect(raft.patienceMs).toEqual([])
  raft.leaderId = 2
  barrier.onLeadershipChanged()
  clock.advance(1)
  answer(true)
  expect(patient).toEqual([undefined])
})

test('over the bound nobody is taken', () => {
  const { barrier } = aBarrier()
  for (let i = 0; i < 200_000; i++) barrier.pass(1_000, () => undefined)
  expect(barrier.pass(1_000, () => undefined)).toBe(false)
})
