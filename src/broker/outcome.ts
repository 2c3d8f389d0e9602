/** How a proposal ends (DESIGN truth 6). */
import type { ApplyRefusal, CommandResult } from '../state/result.ts'

export interface Applied {
  readonly kind: 'applied'
  readonly logIndex: number
  /** Cluster time of its entry. */
  readonly wallMs: number
  readonly result: CommandResult
}

/**
 * Apply refused the whole command, unseen, because its stamp is too old (rule 7) or from before this node was a member: it changed nothing and may be
 * proposed anew.
 */
export function isUnseen(outcome: ProposeOutcome): boolean {
  return outcome.kind === 'applied' && outcome.result.kind === 'refused' && isUnseenReason(outcome.result.reason)
}

export function isUnseenReason(reason: ApplyRefusal): boolean {
  return reason === 'late' || reason === 'notMember'
}

/** Surely not in the log, now or later: proposing the same wish anew cannot double it. */
export interface Rejected {
  readonly kind: 'rejected'
  readonly reason:
    | 'unsent' // patience ended before any leader was told
    | 'full' // patience ended while the leader had no room for it (raft/driver/admission.ts)
    | 'overtaken' // a later proposal of this node was applied first, so apply will never take this one (rule 6)
    | 'broken' // the leader's check did not pass: a fault of ours
}

/** Patience is over. It may be in the log, now or later: nobody may say that it failed. */
export interface Unknown {
  readonly kind: 'unknown'
  readonly cause: 'noLeader' | 'noAnswer'
}

export type ProposeOutcome = Applied | Rejected | Unknown

/**
 * Told once of `applied` or `rejected`. When patience ends first it is told `unknown`, and once more later if the fate becomes known
 * (for proposals whose effect must be undone, such as a pop that nobody waits for any more). Runs inside apply: be quick, do not throw.
 */
export type OutcomeListener = (outcome: ProposeOutcome) => void

/** Hears what is told about the proposal of this number, just before its listener does. */
export type ProposalTrace = (sequence: number, outcome: ProposeOutcome) => void

export function tracedListener(sequence: number, listener: OutcomeListener, trace: ProposalTrace | undefined): OutcomeListener {
  if (trace === undefined) return listener
  return outcome => {
    trace(sequence, outcome)
    listener(outcome)
  }
}
