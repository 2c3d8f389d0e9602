/** All checkers of a world, wired to each other: the one list that a new property is added to. */
import { nodeId } from '../raft/index.ts'
import { defaultLimits } from '../src/state/limits.ts'
import { agreement, type Agreement } from './checkers/agreement.ts'
import { appendedOnce, type AppendedOnce } from './checkers/appended-once.ts'
import { caughtUp } from './checkers/caught-up.ts'
import type { Checker, NodeView } from './checkers/checker.ts'
import { conservation } from './checkers/conservation.ts'
import { clusterTime, type ClusterTimeChecker } from './checkers/cluster-time.ts'
import { committedEntries } from './checkers/committed-entries.ts'
import { coreInvariants } from './checkers/core-invariants.ts'
import { deadLettersKept } from './checkers/dead-letters-kept.ts'
import { deliveries, type Deliveries, type GroupRules } from './checkers/deliveries.ts'
import { digests } from './checkers/digests.ts'
import { Drained } from './checkers/drained.ts'
import { durability } from './checkers/durability.ts'
import { electionSafety } from './checkers/election-safety.ts'
import { fates, type Fates } from './checkers/fates.ts'
import { leaderCompleteness } from './checkers/leader-completeness.ts'
import { leftBehind } from './checkers/left-behind.ts'
import { lostDirectories, type LostDirectories } from './checkers/lost-directories.ts'
import { logMatching } from './checkers/log-matching.ts'
import { roster, type Roster } from './checkers/membership.ts'
import { needlessElections, type NeedlessElections } from './checkers/needless-elections.ts'
import { nodeHealth, type NodeHealth } from './checkers/node-health.ts'
import { progress } from './checkers/progress.ts'
import { retention } from './checkers/retention.ts'
import { received, type Received } from './checkers/received.ts'
import { sameLogs } from './checkers/same-logs.ts'
import { sessions } from './checkers/sessions.ts'
import { spoken, type Spoken } from './checkers/spoken.ts'
import { slowLeaders, type SlowLeaders } from './checkers/slow-leaders.ts'
import { trust, type Trust } from './checkers/trust.ts'
import { votes } from './checkers/votes.ts'
import { hasFeature, type WorldConfiguration } from './configuration.ts'
import { retryPauses } from './workloads/admin.ts'
import { DeadLetters } from './dead-letters.ts'
import type { Ledger } from './ledger.ts'
import { logMarks } from './log-marks.ts'
import type { Marks } from './marks.ts'
import { ReferenceReplica } from './reference.ts'
import type { Said } from './wire-tap.ts'
import type { Weather } from './weather.ts'

const noRules: GroupRules = { isFifo: false, maxAttempts: Infinity }

export class Judges {
  readonly reference: ReferenceReplica
  readonly roster: Roster
  readonly directories: LostDirectories
  readonly appended: AppendedOnce
  readonly received: Received
  readonly deliveries: Deliveries
  readonly spoken: Spoken
  readonly fates: Fates
  readonly health: NodeHealth
  readonly slowLeaders: SlowLeaders
  readonly #agreement: Agreement
  readonly #trust: Trust
  readonly elections: NeedlessElections
  readonly clusterTime: ClusterTimeChecker
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
    weather: Weather,
  ) {
    this.spoken = spoken(isLite)
    this.elections = needlessElections(configuration.raft.electionTimeoutMs, nowMs, hasFeature(configuration, 'diskSpikes'))
    const rules = new Map<string, GroupRules>(configuration.consumerGroups.map(group => [group.name, { ...group, retry: retryPauses }]))
    const rulesOf = (name: string): GroupRules => rules.get(name) ?? noRules
    this.reference = new ReferenceReplica(defaultLimits)
    this.roster = roster({
      reference: this.reference,
      founders: Array.from({ length: configuration.nodes }, (_, i) => i + 1),
      changed: ({ voters }) => {
        // A leader that leaves hands over. Nothing else that a change does asks for an election.
        const leaves = views.some(({ id, node }) => node?.raft.role === 'leader' && !voters.includes(nodeId(id)))
        if (leaves) this.elections.disturbed()
      },
    })
    this.directories = lostDirectories(this.roster)
    const isMissing = (id: number): boolean => this.directories.isMissing(id)
    const { electionTimeoutMs } = configuration.raft
    this.appended = appendedOnce(configuration.seed, ledger, marks)
    this.fates = fates()
    this.health = nodeHealth(this.reference, this.roster, views, weather, configuration.raft.electionTimeoutMs, nowMs)
    this.slowLeaders = slowLeaders(views, weather, configuration.raft.electionTimeoutMs, nowMs)
    this.clusterTime = clusterTime(this.roster, views, nowMs)
    this.#agreement = agreement(views, isLite, isMissing)
    this.#trust = trust(this.reference)
    this.received = received(configuration.seed, ledger, this.appended)
    this.deliveries = deliveries(rulesOf, new DeadLetters(this.reference), marks)
    this.drained = new Drained(configuration, ledger, this.appended, this.received, this.deliveries)
    const heavy = isLite
      ? []
      : [
          coreInvariants(),
          votes(views),
          caughtUp({ views, reference: this.reference, electionTimeoutMs, nowMs, isMissing }),
          durability(this.reference, this.roster, views),
          digests(this.reference, views),
          conservation(this.reference, views),
        ]
    this.checkers = [
      this.roster,
      this.directories,
      progress(),
      sessions(),
      this.spoken,
      this.fates,
      this.health,
      this.#agreement,
      this.#trust,
      this.elections,
      this.clusterTime,
      electionSafety(),
      logMatching(),
      leaderCompleteness(this.reference),
      committedEntries(this.reference),
      this.appended,
      deadLettersKept(this.reference.machine, configuration.consumerGroups),
      this.deliveries,
      leftBehind(rulesOf, this.deliveries, this.reference),
      ...heavy,
      logMarks(this.reference, marks),
      sameLogs(this.roster, views),
      retention(this.reference, marks),
    ]
  }

  /** A message leaves a node. */
  said(view: NodeView, message: Said): void {
    this.spoken.said(view, message)
    this.#agreement.said(view, message)
    this.#trust.said(view, message)
    this.directories.said(view, message)
  }
}
