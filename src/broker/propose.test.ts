import { expect, test } from 'vitest'
import type { Broker } from './broker.ts'
import type { OutcomeListener, ProposeOutcome } from './outcome.ts'
import { proposeForReply } from './propose.ts'
import { FakeClock } from './testing/fake-clock.ts'

/** A proposer that the test answers for. */
function world(): { clock: FakeClock; proposed: OutcomeListener[]; answers: string[] } {
  const clock = new FakeClock()
  const proposed: OutcomeListener[] = []
  const answers: string[] = []
  const proposer = {
    propose(_command: unknown, _deadlineMs: number, tell: OutcomeListener) {
      proposed.push(tell)
      return true
    },
  }
  // As much of a broker as a proposal knows.
  const broker = { clock, proposer } as unknown as Broker
  proposeForReply(broker, { kind: 'deleteTopic', topic: 't' }, clock.nowMs() + 1_000, outcome => {
    answers.push(outcome.kind === 'applied' ? outcome.result.kind : outcome.code)
  })
  return { clock, proposed, answers }
}

const late: ProposeOutcome = { kind: 'applied', logIndex: 1, wallMs: 1, result: { kind: 'refused', reason: 'late' } }
const done: ProposeOutcome = { kind: 'applied', logIndex: 2, wallMs: 1, result: { kind: 'done' } }
const overtaken: ProposeOutcome = { kind: 'rejected', reason: 'overtaken' }

test.each([late, overtaken])('a wish that changed nothing is proposed anew, and whoever waits hears of the end alone', first => {
  const { proposed, answers } = world()
  proposed[0]?.(first)
  expect(answers).toEqual([])
  proposed[1]?.(done)
  expect(answers).toEqual(['done'])
  expect(proposed).toHaveLength(2)
})

test('not for ever, and not when patience has ended', () => {
  const patient = world()
  for (let i = 0; i < 3; i++) patient.proposed[i]?.(late)
  expect(patient.answers).toEqual(['refused'])
  const impatient = world()
  impatient.clock.advance(1_000)
  impatient.proposed[0]?.(late)
  expect(impatient.answers).toEqual(['refused'])
  expect(impatient.proposed).toHaveLength(1)
})

test('what may have happened, or was refused for a reason, is not proposed again', () => {
  for (const outcome of [
    { kind: 'unknown', cause: 'noAnswer' },
    { kind: 'rejected', reason: 'broken' },
    { kind: 'applied', logIndex: 1, wallMs: 1, result: { kind: 'refused', reason: 'topicExists' } },
  ] as const) {
    const { proposed, answers } = world()
    proposed[0]?.(outcome)
    expect(answers).toHaveLength(1)
    expect(proposed).toHaveLength(1)
  }
})
