/** All checkers of a world, wired to each other: the one list that a new property is added to. */
import { defaultLimits } from '../src/state/limits.ts'
import { appendedOnce, type AppendedOnce } from './checkers/appended-once.ts'
import type { Checker, NodeView } from './checkers/checker.ts'
import { conservation } from './checkers/conservation.ts'
import { clusterTime } from './checkers/cluster-time.ts'
import { committedEntries } from './checkers/committed-entries.ts'
import { coreInvariants } from './checkers/core-invariants.ts'
import { deliveries, type Deliveries, type GroupRules } from './checkers/deliveries.ts'
import { digests } from './checkers/digests.ts'
import { Drained } from './checkers/drained.ts'
import { durability } from './checkers/durability.ts'
import { electionSafety } from './checkers/election-safety.ts'
import { leaderCompleteness } from './checkers/leader-completeness.ts'
import { logMatching } from './checkers/log-matching.ts'
import { needlessElections, type NeedlessElections } from './checkers/needless-elections.ts'
import { progress } from './checkers/progress.ts'
import { retention } from './checkers/retention.ts'
import { received, type Received } from './checkers/received.ts'
import { sameLogs } from './checkers/same-logs.ts'
import { sessions } from './checkers/sessions.ts'
import { spoken, type Spoken } from './checkers/spoken.ts'
import { votes } from './checkers/votes.ts'
import type { WorldConfiguration } from './configuration.ts'
import { DeadLetters } from './dead-letters.ts'
import type { Ledger } from './ledger.ts'
import { logMarks } from './log-marks.ts'
import type { Marks } from './marks.ts'
import { ReferenceReplica } from './reference.ts'

const noRules: GroupRules = { isFifo: false, maxAttempts: Infinity }

export class Judges {
  readonly reference: ReferenceReplica
  readonly appended: AppendedOnce
  readonly received: Received
  readonly deliveries: Deliveries
  readonly spoken: Spoken
  readonly elections: NeedlessElections
  readonly drained: Drained
  readonly checkers: readonly Checker[]

  /** `isLite`: without the checkers that read disks or walk whole states. */
  constructor(
    configuration: WorldConfiguration,
    ledger: Ledger,
    views: readonly NodeView[],
    marks: Marks,
    isLite: boolean,
    nowMs: () => number,
  ) {
    this.spoken = spoken(isLite)
    this.elections = needlessElections(configuration.raft.electionTimeoutMs, nowMs)
    const rulesOf = (name: string): GroupRules => configuration.consumerGroups.find(group => group.name === name) ?? noRules
    this.reference = new ReferenceReplica(defaultLimits)
    this.appended = appendedOnce(configuration.seed, ledger, marks)
    this.received = received(configuration.seed, ledger, this.appended)
    this.deliveries = deliveries(rulesOf, new DeadLetters(this.reference), marks)
    this.drained = new Drained(configuration, ledger, this.appended, this.received, this.deliveries)
    const heavy = isLite
      ? []
      : [coreInvariants(), votes(views), durability(views), digests(this.reference, views), conservation(this.reference, views)]
    this.checkers = [
      progress(),
      sessions(),
      this.spoken,
      this.elections,
      clusterTime(views, nowMs),
      electionSafety(),
      logMatching(),
      leaderCompleteness(this.reference),
      committedEntries(this.reference),
      this.appended,
      this.deliveries,
      ...heavy,
      logMarks(this.reference, marks),
      sameLogs(views),
      retention(this.reference, marks),
    ]
  }
}
