/** Carries out a plan: strikes each fault at its time, undoes it when its time is over, and undoes everything before the drain. */
import type { Auditor } from './audit.ts'
import { faultCatalog, type FaultKind } from './faults/catalog.ts'
import type { FaultPowers, LinkWeather, Operator, Target, Undo } from './faults/fault.ts'
import { hostName } from './start-node.ts'
import type { PlanItem } from './schedule.ts'
import type { LinkProfile, SimNetwork } from './sim/network.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'
import type { Weather } from './weather.ts'

export interface FaultRunnerParts {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly random: SimRandom
  readonly auditor: Auditor
  readonly targets: readonly Target[]
  readonly profile: LinkProfile
  readonly syncMs: number
  readonly weather: Weather
  readonly operator: Operator
  leader(): Target | undefined
  say(who: string, text: string): void
}

/** How a node outside of the bare quorum is broken. */
const breakages = ['dead', 'paused', 'cut off', 'deaf', 'mute'] as const

export class FaultRunner {
  readonly #parts: FaultRunnerParts
  readonly #frail: Target
  readonly #active = new Map<string, Undo>()
  readonly #counts = new Map<FaultKind, number>()
  /** By directed link: how many faults cut it. */
  readonly #cuts = new Map<string, number>()
  readonly #handOutListeners = new Set<(target: Target) => void>()
  #isOver = false

  constructor(parts: FaultRunnerParts) {
    this.#parts = parts
    this.#frail = parts.random.stream('frail disk').pick(parts.targets)
  }

  /** How often each kind of fault really struck. */
  counts(): Readonly<Partial<Record<FaultKind, number>>> {
    return Object.fromEntries(this.#counts)
  }

  /** A node begins to hand out a batch. */
  handsOut(id: number): void {
    const target = this.#parts.targets.find(other => other.id === id)
    if (target !== undefined) for (const listener of [...this.#handOutListeners]) listener(target)
  }

  schedule(plan: readonly PlanItem[]): void {
    for (const item of plan) this.#parts.scheduler.schedule(item.atMs, () => this.#strike(item))
  }

  /** Undoes what is active, opens every link, starts and wakes every node; nothing strikes after this. */
  heal(): void {
    this.#undoAll()
    this.#parts.network.heal()
    this.#healOnly(this.#parts.targets)
  }

  /** Heals these nodes and the links between them. Each of the others is broken in some way, and stays so until `heal`. */
  healCore(core: readonly Target[], outside: readonly Target[], random: SimRandom): void {
    this.#undoAll()
    this.#parts.network.heal()
    this.#healOnly(core)
    for (const target of outside) {
      const how = random.pick(breakages)
      this.#parts.say('world', `node-${target.id} stays broken: ${how}`)
      if (how === 'dead') target.crash('power')
      else if (how === 'paused') target.pause()
      for (const other of core) {
        if (how === 'cut off' || how === 'deaf') this.#cut(other.id, target.id, 1)
        if (how === 'cut off' || how === 'mute') this.#cut(target.id, other.id, 1)
      }
    }
  }

  #undoAll(): void {
    this.#isOver = true
    for (const undo of this.#active.values()) undo()
    this.#active.clear()
    this.#cuts.clear()
    this.#parts.weather.linksHealed(this.#parts.scheduler.nowMs)
  }

  #healOnly(nodes: readonly Target[]): void {
    const { network, profile } = this.#parts
    const calm = { ...profile, lossPpm: 0, duplicatePpm: 0, latePpm: 0, cutPpm: 0 }
    for (const from of nodes) {
      for (const to of nodes) if (from !== to) network.setProfile(hostName(from.id), hostName(to.id), calm)
      from.slowDisk(1)
      from.isCutOff = false
      from.resume()
      from.start()
    }
  }

  #strike(item: PlanItem): void {
    if (this.#isOver) return
    const { scheduler } = this.#parts
    const say = (who: string, text: string): void => this.#parts.say(who, text)
    const undo = faultCatalog[item.kind].strike(this.#powers(item))
    if (undo === undefined) return
    say('fault', `${item.key} for ${item.durationMs} ms: ${faultCatalog[item.kind].about}`)
    this.#counts.set(item.kind, (this.#counts.get(item.kind) ?? 0) + 1)
    this.#active.set(item.key, undo)
    scheduler.schedule(item.durationMs, () => {
      if (!this.#active.delete(item.key)) return
      say('fault', `${item.key} is over`)
      undo()
    })
  }

  #powers(item: PlanItem): FaultPowers {
    const { scheduler, network, random, auditor, targets, profile, syncMs, weather, operator } = this.#parts
    return {
      operator,
      targets,
      frail: this.#frail,
      leader: () => this.#parts.leader(),
      random: random.stream('fault', item.key),
      syncMs,
      disconnect: (from, to) => this.#cut(from, to, 1),
      connect: (from, to) => this.#cut(from, to, -1),
      reset: (left, right) => {
        weather.trouble(scheduler.nowMs)
        network.resetConnections(hostName(left), hostName(right))
      },
      weather: (left, right, change) => {
        weather.link(change === undefined ? -1 : 1, scheduler.nowMs)
        const changed = change === undefined ? profile : withWeather(profile, change)
        network.setProfile(hostName(left), hostName(right), changed)
        network.setProfile(hostName(right), hostName(left), changed)
      },
      after: (delayMs, run) =>
        void scheduler.schedule(delayMs, () => {
          if (!this.#isOver) run()
        }),
      onHandOut: listener => {
        this.#handOutListeners.add(listener)
        return () => this.#handOutListeners.delete(listener)
      },
      watch: onChange =>
        auditor.watch((view, now, before) => {
          const target = targets.find(other => other.id === view.id)
          if (target !== undefined) onChange(target, now, before)
        }),
    }
  }

  #cut(from: number, to: number, by: 1 | -1): void {
    const key = `${from}>${to}`
    const cuts = Math.max(0, (this.#cuts.get(key) ?? 0) + by)
    this.#cuts.set(key, cuts)
    this.#parts.weather.link(by, this.#parts.scheduler.nowMs)
    this.#parts.network.setLink(hostName(from), hostName(to), cuts > 0 ? 'drop' : 'up')
  }
}

function withWeather(profile: LinkProfile, weather: LinkWeather): LinkProfile {
  return {
    ...profile,
    delayMs: profile.delayMs + weather.extraDelayMs,
    flipPpm: Math.round((weather.flipShare ?? 0) * 1e6),
    lossPpm: Math.max(profile.lossPpm, Math.round(weather.lossShare * 1e6)),
  }
}
