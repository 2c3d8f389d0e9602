/**
 * How a run ends, once the storm is over. In most seeds: load alone → heal everything → drain → quiet. In seeds with the feature `core` a quorum comes
 * first, and nothing but a quorum: it is healed, what is outside stays broken for good (dead, cut off, deaf, mute or standing still), and the quorum
 * alone must serve the load, agree, and get everything done. Healing everything at once would hide what only a bare quorum shows.
 *
 * Bounds: simulated time, counted in election timeouts; never real time.
 */
import { isElector, nodeId, phaseOf } from '../raft/index.ts'
import { isQuorum } from './checkers/membership.ts'
import type { FaultRunner } from './fault-runner.ts'
import type { WorldConfiguration } from './configuration.ts'
import { hasFeature } from './configuration.ts'
import type { Host } from './host.ts'
import type { Judges } from './judges.ts'
import type { Ledger } from './ledger.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'
import { Violation } from './violation.ts'
import type { Watch } from './watch.ts'

export interface EndingParts {
  readonly configuration: WorldConfiguration
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly hosts: readonly Host[]
  /** Of the hosts those that vote by the committed log. */
  electors(): readonly Host[]
  /** Whose disk was lost, and what the operator does about it is not done. */
  unmended(): readonly number[]
  readonly ledger: Ledger
  readonly judges: Judges
  readonly watch: Watch
  readonly faults: FaultRunner
  /** Topics and groups are there. */
  isReady(): boolean
  isLoading(): boolean
  /** Producers go on while this is so, whatever the time: a bare quorum that nobody sends to can't show that it serves. */
  asksForSends(isAsking: boolean): void
  /** When the last of what was done to machines and links is over. */
  troubledUntilMs(): number
  /** From here on consumers settle everything at once. */
  drains(): void
  /** Everything is settled and done: one trial more. */
  tries(done: () => void): void
  /** Everything is done: clients go home. */
  quiets(): void
  say(text: string): void
  /** Nothing has happened for long enough: the last checks. */
  over(): void
  /** Nobody may lead, by design: the end, and what is not done stays so. */
  givesUp(): void
}

const pollMs = 250
/** Of all clients (workloads/doors.ts), and a little. */
const routeRefreshMs = 32_000
/** Long enough for every long poll to end, and for anything that still wants to be appended to show. */
const quietMs = 6_000
/** A slow drain goes on as long as it gets somewhere at least this often. Hundreds of messages of one message group may be waiting for one consumer. */
const drainStepMsMax = 45_000
/** And no longer than so many times the time that it has anyway. */
const drainTimesMax = 4
/** A bare quorum has so many acknowledged sends to show. */
const coreSendsMin = 3

export class Ending {
  readonly #parts: EndingParts
  /** The bare quorum that must serve; undefined = all that vote. */
  #bare: readonly Host[] | undefined
  /** The bare quorum may not elect, by design. */
  #isExempt = false
  #quietSince: number | undefined
  /** What the drain has not got done yet, and since when that has been so. */
  #left = Infinity
  #leftSinceMs = 0

  constructor(parts: EndingParts) {
    this.#parts = parts
  }

  /** The hosts that must serve. Who left the group since is not one of them, whether its machine is wanted elsewhere or not: the change needed a quorum without it. */
  get #core(): readonly Host[] {
    const { roster } = this.#parts.judges
    const isLeft = ({ id }: Host): boolean => !roster.possible.some(each => isElector(each, nodeId(id)))
    return this.#bare?.filter(host => host.isDeployed && !isLeft(host)) ?? this.#parts.electors()
  }

  /** What an operator had asked for before may be taken only now, and need who is broken. */
  get #isCoreQuorum(): boolean {
    const core = this.#core
    return this.#parts.judges.roster.possible.every(each => isQuorum(each, id => core.some(host => host.id === id)))
  }

  schedule(): void {
    const { configuration, scheduler } = this.#parts
    if (hasFeature(configuration, 'core')) scheduler.schedule(configuration.stormEndMs, () => this.#healCore())
    scheduler.schedule(configuration.loadEndMs, () => this.#drain())
  }

  /** Longest time that a bare quorum may take until it serves: elections, a log to catch up, clients that know only who is broken until they ask again. */
  get #coreMsMax(): number {
    return 15_000 + routeRefreshMs + 20 * this.#parts.configuration.raft.electionTimeoutMs
  }

  #healCore(): void {
    const { hosts, random, faults, scheduler, ledger, watch } = this.#parts
    this.#bare = this.#drawQuorum()
    const outside = hosts.filter(host => host.isDeployed && !this.#core.includes(host))
    this.#parts.say(`only ${this.#core.map(host => host.name).join(' and ')} are healed`)
    faults.healCore(this.#core, outside, random)
    const sinceMs = scheduler.nowMs
    const sendsBefore = ledger.counts.ok
    const poll = (): void => {
      scheduler.schedule(pollMs, () => {
        const sends = ledger.counts.ok - sendsBefore
        this.#parts.asksForSends(sends < coreSendsMin)
        const missing = !this.#parts.isReady()
          ? 'topics and groups'
          : sends < coreSendsMin
            ? `${coreSendsMin - sends} acknowledged sends`
            : watch.lagging(this.#core)
        if (missing === undefined) return watch.coreServed(scheduler.nowMs - sinceMs)
        if (scheduler.nowMs - sinceMs > this.#coreMsMax) {
          this.#isExempt = watch.maySilentlyWait(this.#core) || !this.#isCoreQuorum
          if (this.#isExempt) return this.#parts.asksForSends(false)
          throw new Violation('I18', `${this.#coreMsMax} ms after a quorum was healed still missing: ${missing}`)
        }
        poll()
      })
    }
    poll()
  }

  #drain(): void {
    const isBare = this.#bare !== undefined
    this.#parts.drains()
    if (isBare) this.#pollDrain(this.#parts.scheduler.nowMs, 'a quorum was healed', () => this.#healAll())
    else this.#healAll()
  }

  #healAll(): void {
    this.#bare = undefined
    this.#parts.say('everything is healed')
    this.#parts.faults.heal()
    this.#parts.judges.elections.healed(this.#parts.troubledUntilMs())
    this.#pollDrain(this.#parts.scheduler.nowMs, 'everything was healed', () => this.#try())
  }

  /** Once the elections that are still owed have had their time, and all clients know who serves. */
  #try(): void {
    const { scheduler, judges, configuration } = this.#parts
    // Who was removed stays in the routes of clients until they ask again.
    const routesMs = hasFeature(configuration, 'membership') || hasFeature(configuration, 'lostDisk') ? routeRefreshMs : 0
    const waitMs = Math.max(0, judges.elections.settledAtMs + routesMs - scheduler.nowMs)
    scheduler.schedule(waitMs, () => this.#parts.tries(() => this.#pollQuiet()))
  }

  /** Waits until everything is done on the hosts that must serve. */
  #pollDrain(sinceMs: number, since: string, done: () => void): void {
    const { scheduler, watch } = this.#parts
    scheduler.schedule(pollMs, () => {
      const missing = this.#missing()
      const mustNotWait = this.#bare !== undefined && (this.#isExempt || !this.#isCoreQuorum)
      if (missing === undefined || mustNotWait) return done()
      if (this.#isDrainStuck(sinceMs)) {
        if (watch.mustWait(this.#parts.electors(), this.#parts.unmended())) return this.#parts.givesUp()
        // What had been sent before it was healed may have counted as served (seed 32005940).
        if (this.#bare !== undefined && watch.maySilentlyWait(this.#core)) return done()
        throw new Violation('A51', `${Math.round(scheduler.nowMs - sinceMs)} ms after ${since} still missing: ${missing}`)
      }
      this.#pollDrain(sinceMs, since, done)
    })
  }

  #isDrainStuck(sinceMs: number): boolean {
    const { scheduler, configuration, judges } = this.#parts
    const { nowMs } = scheduler
    if (judges.drained.left < this.#left) {
      this.#left = judges.drained.left
      this.#leftSinceMs = nowMs
    }
    const tookMs = nowMs - sinceMs
    if (tookMs > configuration.drainMs * drainTimesMax) return true
    return tookMs > configuration.drainMs && nowMs - this.#leftSinceMs > drainStepMsMax
  }

  #missing(): string | undefined {
    const { judges, watch } = this.#parts
    if (this.#parts.isLoading()) return 'operations'
    if (!this.#parts.isReady()) return 'topics and groups'
    return judges.drained.missing() ?? this.#changing() ?? watch.unequal(this.#core)
  }

  /** With a bare quorum a change may have to wait for whoever is broken. */
  #changing(): string | undefined {
    const { roster } = this.#parts.judges
    if (this.#bare !== undefined) return undefined
    const [unmended] = this.#parts.unmended()
    if (unmended !== undefined) return `a disk for node ${unmended}`
    if (!roster.isChanging) return undefined
    return `the end of a change of members (${phaseOf(roster.newest)})`
  }

  /** As few as possible, and a majority of whatever membership may be in force somewhere. */
  #drawQuorum(): readonly Host[] {
    const { random, hosts, judges } = this.#parts
    const memberships = judges.roster.possible
    const isEnough = (chosen: readonly Host[]): boolean =>
      memberships.every(each => isQuorum(each, id => chosen.some(host => host.id === id)))
    let chosen = random.shuffle(
      hosts.filter(host => host.isDeployed && !host.isLost && memberships.some(each => isElector(each, nodeId(host.id)))),
    )
    for (const host of [...chosen].reverse()) {
      const without = chosen.filter(other => other !== host)
      if (isEnough(without)) chosen = without
    }
    return chosen
  }

  /** What retention still has to do when nothing new comes any more. */
  #kept(): string | undefined {
    const { watch, configuration } = this.#parts
    const bytesMax = configuration.log.retention?.sizeBytes ?? 0
    return bytesMax === 0 ? undefined : watch.overlong(this.#core, bytesMax)
  }

  #pollQuiet(): void {
    const { scheduler } = this.#parts
    this.#quietSince ??= scheduler.nowMs
    this.#parts.quiets()
    scheduler.schedule(pollMs, () => {
      // What still came in made the replicas differ for a moment: the last checks want them equal.
      const sinceMs = scheduler.nowMs - (this.#quietSince ?? 0)
      const missing = this.#missing() ?? this.#kept()
      if (sinceMs >= quietMs && missing === undefined) return this.#parts.over()
      if (sinceMs > quietMs + this.#parts.configuration.drainMs)
        throw new Violation('A51', `the group does not come to rest: ${missing ?? ''}`)
      this.#pollQuiet()
    })
  }
}
