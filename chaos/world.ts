/**
 * The simulated world: one seed becomes a configuration, a plan and a run. It builds the production node composition three times on simulated
 * clocks, disks and links, in one thread and one heap of events, with model clients around it and a plan of faults against it, and lets the
 * checkers look after every event. Nothing here awaits; nothing here reads real time. The same seed gives the same events, in the same order.
 *
 * The run: calm (topics and groups come into being) → storm (load and faults) → ending.ts → last checks.
 */
import type { RaftTraceEvent } from '../raft/index.ts'
import { Auditor } from './audit.ts'
import { drawConfiguration, hasFeature, type WorldConfiguration } from './configuration.ts'
import { Ending } from './ending.ts'
import { FaultRunner } from './fault-runner.ts'
import { Judges } from './judges.ts'
import { LostDisks } from './lost-disks.ts'
import { Host } from './host.ts'
import { diskLatency, linkProfile, memberInfo } from './start-node.ts'
import { Ledger, type Value } from './ledger.ts'
import { Marks } from './marks.ts'
import { operator, type SimulatedOperator } from './operator.ts'
import { causeOf, type SeedOutcome } from './outcome.ts'
import type { ProposeOutcome } from '../src/broker/outcome.ts'
import type { ProposalName } from './checkers/fates.ts'
import { StateHalt } from '../src/state/machine.ts'
import type { Profile } from './profiles.ts'
import { operationsMin } from './report.ts'
import { drawPlan, type PlanItem } from './schedule.ts'
import { CheckpointDisk } from './sim/checkpoint-store.ts'
import { MachineClock } from './sim/clock.ts'
import { SimulatedDisk } from './sim/disk.ts'
import { SimNetwork, type LinkProfile } from './sim/network.ts'
import { SimRandom } from './sim/random.ts'
import { Scheduler } from './sim/scheduler.ts'
import { Trace } from './trace.ts'
import { withTraps } from './trap.ts'
import { Trial, type TrialParts } from './trial.ts'
import { Violation } from './violation.ts'
import { Watch } from './watch.ts'
import { Weather } from './weather.ts'
import { prepare } from './workloads/admin.ts'
import { Clients } from './workloads/clients.ts'
import type { ClientWorld, GiveBack, ReceivedValue } from './workloads/client-world.ts'
import { startReader } from './workloads/reader.ts'
import type { Mending, Said } from './wire-tap.ts'

export interface RunOptions {
  readonly profile?: Profile
  /** Instead of the drawn ones. */
  readonly configuration?: WorldConfiguration
  readonly plan?: readonly PlanItem[]
  /** Looks after every 64th event only, with fewer checkers: many times as fast, and another run than without it. */
  readonly isLite?: boolean
  /** Keep the timeline for reading. */
  readonly keepsLines?: boolean
}

/** Runs one seed from beginning to end. Never throws for what the product does wrong: that is an outcome. */
export function runSeed(seed: number, options: RunOptions = {}): SeedOutcome {
  return withTraps(() => {
    const configuration = options.configuration ?? drawConfiguration(seed, options.profile)
    return new World(configuration, options.plan ?? drawPlan(configuration), options).run()
  })
}

const liteLookEvery = 64
const healthLookMs = 250
const wallStartMs = Date.UTC(2026, 0, 1)

class World implements ClientWorld {
  readonly configuration: WorldConfiguration
  readonly scheduler = new Scheduler()
  readonly ledger = new Ledger()
  readonly trace: Trace
  readonly gateways: readonly Host[]
  readonly random: SimRandom
  readonly network: SimNetwork
  readonly #profile: LinkProfile
  readonly #marks = new Marks()
  readonly #weather = new Weather(() => this.accessPoint())
  readonly #judges: Judges
  readonly #auditor: Auditor
  readonly #faults: FaultRunner
  readonly #watch: Watch
  readonly #operator: SimulatedOperator
  readonly #lostDisks: LostDisks
  readonly #clients: Clients
  readonly #lookEvery: number
  #isReady = false
  #isOver = false
  #hasGivenUp = false
  #isDraining = false
  #trial: Trial | undefined
  #isAskedForSends = false

  constructor(configuration: WorldConfiguration, plan: readonly PlanItem[], { keepsLines = false, isLite = false }: RunOptions) {
    const { seed } = configuration
    this.configuration = configuration
    this.trace = new Trace(this.scheduler, keepsLines)
    this.random = new SimRandom(`seed/${seed}`)
    this.#profile = linkProfile(configuration)
    this.network = new SimNetwork(this.scheduler, this.random.stream('network'), {
      mode: configuration.network.mode,
      profile: this.#profile,
    })
    this.gateways = Array.from({ length: configuration.nodes + (configuration.spares ?? 0) }, (_, i) => this.#newHost(i + 1))
    this.#judges = new Judges(configuration, this.ledger, this.gateways, this.#marks, isLite, () => this.scheduler.nowMs, this.#weather)
    this.#lookEvery = isLite ? liteLookEvery : 1
    this.#auditor = new Auditor(this.gateways, this.#judges.reference, this.#judges.checkers)
    this.#watch = new Watch(this.ledger, this.#judges, this.#marks, this.gateways, (who, text) => this.trace.say(who, text))
    this.#auditor.watch((view, now, before) => this.#watch.onGlance(view, now, before))
    this.#clients = new Clients(this, group => this.random.stream('deaths', group))
    this.#operator = operator({
      scheduler: this.scheduler,
      hosts: this.gateways,
      marks: this.#marks,
      random: this.random.stream('operator'),
      votersMin: hasFeature(configuration, 'frailDisk') ? 2 : 1,
      isChanging: () => this.#judges.roster.isChanging,
      isMissing: id => this.#lostDisks.isMissing(id),
      mayAsk: wish => this.#lostDisks.mayAsk(wish),
      describe: memberInfo,
      isOver: () => this.#isDraining,
      say: text => this.trace.say('operator', text),
    })
    this.#lostDisks = new LostDisks({
      founders: configuration.nodes,
      hosts: this.gateways,
      roster: this.#judges.roster,
      directories: this.#judges.directories,
      wishes: () => this.#operator.wishes,
    })
    this.#faults = new FaultRunner({
      scheduler: this.scheduler,
      network: this.network,
      random: this.random,
      auditor: this.#auditor,
      targets: this.gateways,
      profile: this.#profile,
      syncMs: configuration.disk.syncMs,
      weather: this.#weather,
      operator: this.#operator,
      leader: () => this.#watch.leader(),
      say: (who, text) => this.trace.say(who, text),
    })
    this.#faults.schedule(plan)
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  get isLoading(): boolean {
    // A seed of few operations goes on until it has enough to mean something.
    return this.#isAskedForSends || this.scheduler.nowMs < this.configuration.loadEndMs || this.ledger.counts.operations < operationsMin
  }

  accessPoint(): readonly Host[] {
    const deployed = this.gateways.filter(host => host.isDeployed)
    // When the storm is over the operator puts the name right.
    return this.#isDraining ? this.#electors(deployed) : deployed
  }

  stream(name: string): SimRandom {
    return this.random.stream('client', name)
  }

  acknowledged(value: Value, place: { readonly queueId: number; readonly offset: number }): void {
    this.#catchUp()
    this.#judges.appended.acknowledged(value, place)
  }

  delivered(consumerGroup: string, topic: string, queueId: number, offset: number, bytes: Uint8Array): Value {
    this.#catchUp()
    return this.#judges.received.delivered(consumerGroup, topic, queueId, offset, bytes)
  }

  givesBack(consumerGroup: string, value: Value): GiveBack | undefined {
    return this.#trial?.givesBack(consumerGroup, value)
  }

  handsOut(gateway: number): void {
    this.#faults.handsOut(gateway)
  }

  settled(consumerGroup: string, delivery: ReceivedValue): void {
    this.#catchUp()
    this.#judges.deliveries.acknowledged(consumerGroup, delivery.topic, delivery.queueId, delivery.offset)
  }

  say(who: string, text: string): void {
    this.trace.say(who, text)
  }

  started(host: Host): void {
    this.#watch.onStarted(host)
  }

  leaves(host: Host): void {
    this.#auditor.leaves(host)
  }

  left(): void {
    this.#watch.onLeft()
  }

  noted(host: Host, sentence: string): void {
    this.#watch.onNote(host, sentence)
    if (sentence.includes('is not the data directory that votes as')) this.#operator.mending.refused(host)
    if (!sentence.includes('this node starts again')) return
    // In the middle of an entry: what it shows of its state until then is nothing that it stands by.
    host.halt()
    // What rotted while there were faults may be met long after them, and by a leader.
    this.#judges.elections.disturbed()
  }

  traced(host: Host, event: RaftTraceEvent): void {
    this.#watch.onTrace(host, event)
  }

  get isShortOfDisks(): boolean {
    return this.#lostDisks.isShort
  }

  isMissing(node: number): boolean {
    return this.#lostDisks.isMissing(node)
  }

  mayLoseDisk(host: Host): boolean {
    this.#catchUp()
    return this.#lostDisks.mayLose(host)
  }

  lostDisk(host: Host, wasLeader: boolean): void {
    this.#marks.hit('the disk of a node was lost')
    if (wasLeader) this.#marks.hit('the disk of a leader was lost')
    if (this.#judges.roster.isChanging) this.#marks.hit('a disk was lost while members were changing')
    this.#auditor.diskLost(host)
  }

  troubled(): void {
    this.#weather.trouble(this.scheduler.nowMs)
  }

  fate(_host: Host, proposal: ProposalName, outcome: ProposeOutcome): void {
    this.#judges.fates.told(proposal, outcome)
  }

  said(host: Host, message: Said): void {
    this.#judges.said(host, message)
    if (message.kind !== 'vote' && message.kind !== 'preVote') return
    if (this.gateways.some(other => other !== host && other.node?.raft.role === 'recovering'))
      this.#marks.hit('a node was asked for its vote while its log was rotten')
  }

  mends(host: Host, answer: Mending): void {
    this.#judges.spoken.mends(host, answer)
  }

  clockMoves(): void {
    this.#judges.clusterTime.clockMoves()
  }

  fatal(host: Host, error: Error): void {
    // The group finalised while this one was exchanged for the older build, unseen: what an operator does then.
    if (error instanceof StateHalt && error.reason === 'levelTooHigh' && host.isOldBuild) {
      this.#marks.hit('an older build was turned away')
      host.halt()
      return void this.scheduler.schedule(0, () => host.replaceBuild(error.message))
    }
    // What a node does about a disk that broke its word; the disk knows whether it did.
    if (host.hasDiskFailed && /ENOSPC|EIO/.test(error.message)) {
      this.#marks.hit('a node stopped itself because of its disk')
      const { lifeNumber } = host
      return void this.scheduler.schedule(0, () => {
        if (host.lifeNumber === lifeNumber) host.breakDown(error.message)
      })
    }
    throw new Violation('halted', `node ${host.id} stops itself: ${error.message}`)
  }

  /** What no part of a node caught ends its process: `raftmq start` sees to that (src/cli/start.ts). */
  #step(): boolean {
    try {
      return this.scheduler.step()
    } catch (error) {
      const host = this.gateways.find(each => each.diskFailedWith(error))
      if (host === undefined) throw error
      host.breakDown((error as Error).message)
      return true
    }
  }

  run(): SeedOutcome {
    let violation: SeedOutcome['violation']
    try {
      for (const host of this.gateways) host.start()
      prepare(this, () => this.#onReady())
      this.#startLooking()
      this.#ending().schedule()
      while (!this.#isOver) {
        if (!this.#step()) throw new Violation('A51', 'nothing is left to happen, and the world is not at its end')
        if (this.scheduler.executed % this.#lookEvery === 0) this.#look()
      }
      this.#look()
      if (!this.#hasGivenUp) this.#auditor.end()
    } catch (error) {
      violation = { ...causeOf(error), atMs: this.scheduler.nowMs }
      this.trace.say('checker', `${violation.id}: ${violation.what}`)
    }
    return this.#outcome(violation)
  }

  #startLooking(): void {
    const { scheduler, gateways } = this
    const look = (): void => {
      this.#judges.health.look()
      this.#judges.slowLeaders.look()
      scheduler.schedule(healthLookMs, look)
    }
    look()
    startReader({
      scheduler,
      random: this.random.stream('reader'),
      hosts: gateways,
      committed: () => this.#committed(),
      isOver: () => this.#isDraining,
      say: text => this.trace.say('reader', text),
    })
  }

  #committed(): number {
    this.#catchUp()
    return this.#judges.reference.commitIndex
  }

  #newHost(id: number): Host {
    const { scheduler, random } = this
    const { clocks } = this.configuration
    const draw = random.stream('machine', id)
    const disk = new SimulatedDisk({
      scheduler,
      random: random.stream('disk', id),
      latency: diskLatency(this.configuration),
      remembersSyncs: hasFeature(this.configuration, 'lyingDisk'),
    })
    const clock = new MachineClock(scheduler, {
      wallStartMs: wallStartMs + draw.integer(0, clocks.skewMsMax),
      monotonicStartMs: draw.integer(0, 1_000_000),
      driftPpm: draw.integer(-200, 200),
    })
    return new Host(this, id, { disk, checkpoints: new CheckpointDisk(scheduler, random.stream('checkpoints', id)), clock })
  }

  #onReady(): void {
    this.#isReady = true
    this.trace.say('admin', 'topics and groups are there')
    this.#clients.start()
  }

  #electors(hosts: readonly Host[]): readonly Host[] {
    return hosts.filter(({ id }) => this.#judges.roster.isElector(id))
  }

  /** Before clients are judged the checkers must have seen what was committed. */
  #catchUp(): void {
    if (this.#lookEvery > 1) this.#auditor.look()
  }

  #look(): void {
    this.#auditor.look()
    this.#judges.fates.settle()
  }

  #ending(): Ending {
    return new Ending({
      configuration: this.configuration,
      scheduler: this.scheduler,
      random: this.random.stream('ending'),
      hosts: this.gateways,
      ledger: this.ledger,
      judges: this.#judges,
      watch: this.#watch,
      faults: this.#faults,
      electors: () => this.#electors(this.gateways),
      unmended: () => this.#operator.mending.open,
      isReady: () => this.#isReady,
      isLoading: () => this.isLoading,
      asksForSends: isAsking => {
        this.#isAskedForSends = isAsking
      },
      troubledUntilMs: () => this.#weather.troubledUntilMs,
      drains: () => {
        this.#isDraining = true
        this.#operator.giveBack(this.#judges.roster.newest)
      },
      tries: done => {
        const { configuration, scheduler, random, gateways: hosts, ledger } = this
        const say = (text: string): void => this.trace.say('trial', text)
        const acknowledged: TrialParts['acknowledged'] = (value, place) => this.acknowledged(value, place)
        const parts = {
          configuration,
          scheduler,
          random: random.stream('trial'),
          hosts: this.#electors(hosts),
          ledger,
          judges: this.#judges,
          acknowledged,
          say,
        }
        this.#trial = new Trial(parts, done)
        this.#trial.start()
      },
      quiets: () => {
        this.#clients.stop()
      },
      say: text => this.trace.say('world', text),
      over: () => {
        this.#isOver = true
      },
      givesUp: () => {
        this.#hasGivenUp = true
        this.#isOver = true
      },
    })
  }

  #outcome(violation: SeedOutcome['violation']): SeedOutcome {
    this.#watch.atEnd(this.#faults.counts())
    return {
      seed: this.configuration.seed,
      profile: this.configuration.profile,
      violation,
      hash: this.trace.hash(),
      simulatedMs: this.scheduler.nowMs,
      events: this.scheduler.executed,
      committedEntries: this.#judges.reference.commitIndex,
      faults: this.#faults.counts(),
      leaderChanges: this.#watch.leaderChanges,
      leaderChangesWithSendsInFlight: this.#watch.leaderChangesWithSendsInFlight,
      counts: { ...this.ledger.counts },
      marks: this.#marks.counts(),
      lines: this.trace.lines,
      configuration: JSON.stringify(this.configuration),
    }
  }
}
