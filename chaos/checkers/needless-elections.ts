/**
 * With everything healed, nobody is elected any more (A52): the group has had time for the elections that its last faults asked for, and from then on
 * the leader is heard. A node that campaigns all the same does not listen, or does not wait.
 */
import { Violation } from '../violation.ts'
import type { Checker } from './checker.ts'

export interface NeedlessElections extends Checker {
  /** From here on all is settled. */
  readonly settledAtMs: number
  /** All faults are over, or will be then: a disk that hung has to finish what it began. */
  healed(fromMs?: number): void
  /** The leader leaves the group, or a node starts again by itself: the time for a succession begins anew. */
  disturbed(): void
}

/** Time for the elections that are still owed, in election timeouts; and for whoever was down. */
const owedTimeouts = 4
const owedMs = 2_000

/** `maySlow`: disks of this world are slow at times for good; a leader may hand over because of its own, and that is an election without a pre-vote. */
export function needlessElections(electionTimeoutMs: number, nowMs: () => number, maySlow = false): NeedlessElections {
  let settledAtMs = Infinity
  return {
    name: 'needless elections',
    get settledAtMs() {
      return settledAtMs
    },
    healed(fromMs = 0) {
      settledAtMs = Math.max(nowMs(), fromMs) + owedMs + owedTimeouts * electionTimeoutMs
    },
    disturbed() {
      if (settledAtMs < Infinity) this.healed(settledAtMs - owedMs - owedTimeouts * electionTimeoutMs)
    },
    nodeChanged(view, _node, now, before) {
      if (nowMs() < settledAtMs) return
      if (now.role === 'preCandidate' && before.role !== 'preCandidate')
        throw new Violation('A52', `node ${view.id} asks for votes in term ${now.term}, although all has been well for long`)
      if (maySlow || now.role !== 'leader' || (before.role === 'leader' && before.term === now.term)) return
      throw new Violation('A52', `node ${view.id} is elected in term ${now.term}, although all has been well for long`)
    },
  }
}
