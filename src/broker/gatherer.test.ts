import { expect, test } from 'vitest'
import type { Command } from '../state/command.ts'
import { Deadlines } from './deadlines.ts'
import { FakeClock } from './testing/fake-clock.ts'
import { Gatherer } from './gatherer.ts'
import type { OutcomeListener, ProposeOutcome } from './outcome.ts'
import type { Proposer } from './proposer.ts'

/** A proposer that the test answers for. */
function world(limits: { batchMax?: number; itemsMax?: number } = {}): {
  clock: FakeClock
  gatherer: Gatherer<string>
  proposed: { items: string[]; tell: OutcomeListener; deadlineMs: number }[]
  answers: string[]
  add: (item: string, patienceMs?: number) => boolean
  isFull: { value: boolean }
} {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const proposed: { items: string[]; tell: OutcomeListener; deadlineMs: number }[] = []
  const answers: string[] = []
  const isFull = { value: false }
  let gather: () => void = () => undefined
  let isScheduled = false
  const stub = {
    hasLeader: true,
    addGatherer: (each: () => void) => (gather = each),
    requestFlush() {
      if (isScheduled) return
      isScheduled = true
      clock.soon(() => {
        gather()
        isScheduled = false
      })
    },
    propose(command: Command, deadlineMs: number, tell: OutcomeListener) {
      if (isFull.value) return false
      proposed.push({ items: command.kind === 'deleteTopic' ? command.topic.split(',') : [], tell, deadlineMs })
      return true
    },
  }
  const gatherer = new Gatherer<string>({
    // As much of the proposer as a gatherer knows.
    proposer: stub as unknown as Proposer,
    deadlines,
    nowMs: () => clock.nowMs(),
    toCommand: items => ({ kind: 'deleteTopic', topic: items.join(',') }),
    batchMax: limits.batchMax ?? 100,
    itemsMax: limits.itemsMax ?? 100,
  })
  const add = (item: string, patienceMs = 1_000): boolean =>
    gatherer.add(item, clock.nowMs() + patienceMs, (result, place) => {
      answers.push(`${item} ${result.kind === 'refused' ? result.code : `applied ${place}`}`)
    })
  return { clock, gatherer, proposed, answers, add, isFull }
}

const applied: ProposeOutcome = { kind: 'applied', logIndex: 1, wallMs: 1, result: { kind: 'done' } }

test('what comes in one turn goes together, what comes meanwhile goes next', () => {
  const { clock, proposed, answers, add } = world()
  add('a')
  add('b')
  clock.settle()
  add('c')
  clock.settle()
  expect(proposed.map(({ items }) => items)).toEqual([['a', 'b']])
  proposed[0]?.tell(applied)
  clock.settle()
  expect(proposed.map(({ items }) => items)).toEqual([['a', 'b'], ['c']]) // prettier-ignore
  expect(answers).toEqual(['a applied 0', 'b applied 1'])
})

test('what apply refused as late goes again, also what nobody waits for', () => {
  const { clock, gatherer, proposed, answers, add } = world()
  add('a')
  gatherer.addLazy('lazy', () => true)
  clock.settle()
  const late: ProposeOutcome = { kind: 'applied', logIndex: 1, wallMs: 1, result: { kind: 'refused', reason: 'late' } }
  proposed[0]?.tell(late)
  clock.settle()
  expect(proposed.map(({ items }) => items)).toEqual([['a', 'lazy'], ['a', 'lazy']]) // prettier-ignore
  expect(answers).toEqual([])
  proposed[1]?.tell(applied)
  expect(answers).toEqual(['a applied 0'])
  expect(gatherer.count).toBe(0)
})

test('an item of a proposal that is surely not in the log goes again; one whose patience is over does not', () => {
  const { clock, proposed, answers, add } = world()
  add('a', 100)
  add('b')
  clock.settle()
  clock.advance(150)
  expect(answers).toEqual(['a proxyTimeout'])
  proposed[0]?.tell({ kind: 'rejected', reason: 'overtaken' })
  clock.settle()
  expect(proposed[1]?.items).toEqual(['b'])
  proposed[1]?.tell(applied)
  expect(answers).toEqual(['a proxyTimeout', 'b applied 0'])
})

test('a proposal whose patience is over makes way, and its late fate answers nobody twice', () => {
  const { clock, proposed, answers, add } = world()
  add('a', 3_000)
  clock.advance(3_000)
  proposed[0]?.tell({ kind: 'unknown', cause: 'noAnswer' })
  add('b')
  clock.settle()
  expect(proposed[1]?.items).toEqual(['b'])
  proposed[0]?.tell(applied)
  proposed[1]?.tell(applied)
  expect(answers).toEqual(['a proxyTimeout', 'b applied 0'])
})

test('a lazy item goes with company, or alone after a little while, or again when it was not taken', () => {
  const { clock, gatherer, proposed, add } = world()
  gatherer.addLazy('lazy', () => true)
  clock.advance(1)
  expect(proposed).toEqual([])
  add('a')
  clock.settle()
  expect(proposed[0]?.items).toEqual(['lazy', 'a'])
  proposed[0]?.tell({ kind: 'rejected', reason: 'unsent' })
  clock.settle()
  expect(proposed[1]?.items).toEqual(['lazy', 'a'])
  proposed[1]?.tell(applied)
  gatherer.addLazy('alone', () => true)
  clock.advance(10)
  expect(proposed[2]?.items).toEqual(['alone'])
  proposed[2]?.tell(applied)
  expect(gatherer.count).toBe(0)
})

test('a lazy item that nobody wants any more stays away', () => {
  const { clock, gatherer, proposed } = world()
  let isWanted = true
  gatherer.addLazy('lazy', () => isWanted)
  isWanted = false
  clock.advance(10)
  expect(proposed).toEqual([])
  expect(gatherer.count).toBe(0)
})

test('over its bounds it takes nothing, and large commands are cut', () => {
  const { clock, gatherer, proposed, add } = world({ batchMax: 2, itemsMax: 3 })
  expect([add('a'), add('b'), add('c'), add('d')]).toEqual([true, true, true, false])
  gatherer.addLazy('lazy', () => true)
  clock.settle()
  proposed[0]?.tell(applied)
  clock.settle()
  proposed[1]?.tell(applied)
  expect(proposed.map(({ items }) => items)).toEqual([['a', 'b'], ['c']]) // prettier-ignore
  expect(gatherer.count).toBe(0)
})

test('when the proposer is full everybody is told to come again', () => {
  const { clock, answers, add, isFull } = world()
  isFull.value = true
  add('a')
  clock.settle()
  expect(answers).toEqual(['a tooManyRequests'])
  isFull.value = false
  add('b')
  clock.settle()
  expect(answers).toEqual(['a tooManyRequests'])
})
