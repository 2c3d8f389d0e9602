/**
 * Propose for somebody who waits: one answer, applied or a refusal, at or before the deadline. A proposal that is surely not in the log is made
 * anew while patience lasts; one whose fate is open when patience ends is answered with a code that official clients retry.
 */
import type { Command } from '../state/command.ts'
import { fullRefusal } from './admission.ts'
import { outcomeRefusal } from './apply-refusal.ts'
import type { Broker } from './broker.ts'
import { type Applied, isUnseen, type ProposeOutcome } from './outcome.ts'
import type { Refusal } from './refusal.ts'

/** A wish that was overtaken or late this often is given up: something is wrong with it. */
const attemptsMax = 3

/** `done` runs exactly once, never inside this call. */
export function proposeForReply(
  broker: Broker,
  command: Command,
  deadlineMs: number,
  done: (outcome: Applied | Refusal) => void,
  attempt = 1,
): void {
  let isDone = false
  const isTaken = broker.proposer.propose(command, deadlineMs, outcome => {
    if (isDone) return
    isDone = true
    const isWorthAnother = changedNothing(outcome) && attempt < attemptsMax
    if (isWorthAnother && broker.clock.nowMs() < deadlineMs) return proposeForReply(broker, command, deadlineMs, done, attempt + 1)
    done(outcome.kind === 'applied' ? outcome : outcomeRefusal(outcome))
  })
  if (!isTaken) replySoon(broker, done, fullRefusal())
}

/**
 * Surely without effect, and the same wish proposed anew may have one. A node that has heard nothing of the cluster's time yet (it has just started) or
 * whose time leapt since stamps too early: its own refused entry tells it the time.
 */
function changedNothing(outcome: ProposeOutcome): boolean {
  return isUnseen(outcome) || (outcome.kind === 'rejected' && outcome.reason === 'overtaken')
}

/** A reply never comes before the call that took the request has returned. */
export function replySoon<Answer>(broker: Broker, reply: (answer: Answer) => void, answer: Answer): void {
  broker.clock.soon(() => reply(answer))
}

/** Goes on when this node's state is as new as the question; refuses when that can't be had in time. */
export function afterBarrier(broker: Broker, deadlineMs: number, refuse: (refusal: Refusal) => void, goOn: () => void): void {
  const isTaken = broker.barrier.pass(deadlineMs, refusal => {
    if (refusal === undefined) goOn()
    else refuse(refusal)
  })
  if (!isTaken) replySoon(broker, refuse, fullRefusal())
}
