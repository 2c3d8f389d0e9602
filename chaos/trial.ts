/**
 * When everything is healed and done, the cluster is tried once more, in calm: through each node in turn a send, the way of its message to every
 * consumer group, and a read. Nothing may fail now, and the median of each must be what links and disks ask for, not what a forgotten answer, a missed
 * wake or a timeout adds (A53). What only shows as slowness in a storm shows here. Where links lose chunks, or disks are slow at times, that goes on now,
 * and may meet most of a few tries (seed 32004350): there a quarter of them must be quick.
 */
import type { Refusal } from '../src/broker/refusal.ts'
import type { SendAnswer } from '../src/broker/requests.ts'
import { MessageType } from '../src/state/command.ts'
import type { WorldConfiguration } from './configuration.ts'
import type { Host } from './host.ts'
import type { Judges } from './judges.ts'
import type { Ledger, Value } from './ledger.ts'
import type { SimRandom } from './sim/random.ts'
import type { Scheduler } from './sim/scheduler.ts'
import { Violation } from './violation.ts'
import { retryPauses } from './workloads/admin.ts'
import type { GiveBack } from './workloads/client-world.ts'
import { bodyOf, encodeMessage } from './workloads/payload.ts'
import { call } from './workloads/rpc.ts'
import { read } from './workloads/reader.ts'

export interface TrialParts {
  readonly configuration: WorldConfiguration
  readonly scheduler: Scheduler
  readonly random: SimRandom
  readonly hosts: readonly Host[]
  readonly ledger: Ledger
  readonly judges: Judges
  acknowledged(value: Value, place: { readonly queueId: number; readonly offset: number }): void
  say(text: string): void
}

/** What a try sends, and whether every consumer group gives it back once before it acknowledges it. */
interface Try {
  readonly topic: 'orders' | 'accounts'
  readonly messageGroup: string | undefined
  readonly givenBack: GiveBack | undefined
}

const plain: Try = { topic: 'orders', messageGroup: undefined, givenBack: undefined }
/** As long as a push consumer's first pause is at least. */
const awayMs = retryPauses.initialMs
/** Cluster time goes half as fast where it waits for clocks that have fallen behind (seeds 140000002, 140000055). */
const awayMsMax = 3 * awayMs
const givenBack: readonly Try[] = [false, true].flatMap(suspend => [
  { topic: 'orders', messageGroup: undefined, givenBack: { invisibleMs: awayMs, suspend } },
  { topic: 'accounts', messageGroup: 'trial', givenBack: { invisibleMs: awayMs, suspend } },
])
const givenBackRounds = 2

const rounds = 3
/** A group of one or two is tried as often as one of three: the median of a few would be what its disks are at their worst. */
const triesMin = 9
const timeoutMs = 3_000
const lookMs = 2
const bodyBytes = 64
/** Whatever happens, nothing may take this long now. */
const patienceMs = 6_000
/** A quarter of a consumer's poll: so long no message takes where disks and links are even. */
const slowestMsMax = 1_000
/** For a node that has started again, with its state made anew or fetched. */
const restMs = 15_000

export class Trial {
  readonly #parts: TrialParts
  readonly #done: () => void
  readonly #sendMs: number[] = []
  readonly #deliveryMs: number[] = []
  readonly #readMs: number[] = []
  /** In the topics that are there. */
  readonly #givenBack: readonly Try[]
  readonly #givenBackMs: Record<Try['topic'], number[]> = { orders: [], accounts: [] }
  /** What is to be given back, by message id, and which groups have done so. */
  readonly #toGiveBack = new Map<string, { readonly how: GiveBack; readonly by: Set<string> }>()
  /** Of each host, when it began. */
  #lives: readonly number[] = []
  #sends = 0

  constructor(parts: TrialParts, done: () => void) {
    this.#parts = parts
    this.#givenBack = givenBack.filter(({ topic }) => parts.configuration.topics.some(({ name }) => name === topic))
    this.#done = done
  }

  start(): void {
    this.#lives = this.#parts.hosts.map(({ lifeNumber }) => lifeNumber)
    const { orders, accounts } = this.#givenBackMs
    for (const times of [this.#sendMs, this.#deliveryMs, this.#readMs, orders, accounts]) times.length = 0
    this.#next(0)
  }

  /** How this group is to give this message back; undefined = not at all, or it has done so. */
  givesBack(consumerGroup: string, value: Value): GiveBack | undefined {
    const wanted = this.#toGiveBack.get(value.messageId)
    if (wanted === undefined || wanted.by.has(consumerGroup)) return undefined
    wanted.by.add(consumerGroup)
    return wanted.how
  }

  /** Rot that nobody had met before is met now, by one of the tries perhaps: its node starts again, as it should, and all is tried once more (seed 34001191). */
  #fails(what: string): void {
    const { hosts, scheduler } = this.#parts
    if (!hosts.some(({ wasHarmed, lifeNumber }, i) => wasHarmed && lifeNumber !== this.#lives[i]))
      throw new Violation('A53', `all is well, and ${what}`)
    scheduler.schedule(restMs, () => this.start())
  }

  /** What links and disks ask for, many times over: a send crosses a few links and two disks, one after the other. */
  get #stepMs(): number {
    const { network, disk } = this.#parts.configuration
    return network.delayMs + network.jitterMs + disk.syncMs + 1
  }

  /** A disk that is slow at times may hold a node up for as long as a send or a read waits, while all is well (seed 32005768). */
  get #hasSlowDisks(): boolean {
    return this.#parts.configuration.disk.spikeShare > 0
  }

  #next(at: number): void {
    const { hosts } = this.#parts
    const host = hosts[at % hosts.length]
    if (host === undefined || at >= Math.max(triesMin, rounds * hosts.length)) return this.#nextGivenBack(0)
    this.#send(host, plain, () => this.#read(host, () => this.#next(at + 1)))
  }

  #nextGivenBack(at: number): void {
    const { hosts } = this.#parts
    const host = hosts[at % hosts.length]
    const attempt = this.#givenBack[at % this.#givenBack.length]
    if (host === undefined || attempt === undefined || at >= givenBackRounds * this.#givenBack.length) return this.#judge()
    this.#send(host, attempt, () => this.#nextGivenBack(at + 1))
  }

  #send(host: Host, attempt: Try, done: () => void): void {
    const { configuration, scheduler, random, ledger } = this.#parts
    const { topic, messageGroup } = attempt
    const beganMs = scheduler.nowMs
    const messageId = `trial-${(this.#sends += 1)}`
    const value = ledger.invoke({ topic, messageGroup, clientId: 'trial', messageId, bodyBytes, invokedAtMs: beganMs, floors: [] })
    if (attempt.givenBack !== undefined) this.#toGiveBack.set(messageId, { how: attempt.givenBack, by: new Set() })
    const body = bodyOf(configuration.seed, value.id, bodyBytes, configuration.hasPlainBodies)
    const messages = [encodeMessage({ topic, messageId, tag: undefined, messageGroup, body })]
    const messageType = messageGroup === undefined ? MessageType.normal : MessageType.fifo
    const request = { clientId: 'trial', topic, messageType, messageGroup, messages }
    call<SendAnswer | Refusal>(
      scheduler,
      random,
      host,
      timeoutMs,
      side => side.broker.send({ ...request, deadlineMs: side.deadlineMs }, answer => side.reply(answer)),
      outcome => {
        const { answer } = outcome.kind === 'answer' ? outcome : { answer: undefined }
        const place = answer?.kind === 'sent' ? answer.entries[0] : undefined
        if (place === undefined && answer?.kind === 'refused' && answer.code === 'proxyTimeout' && this.#hasSlowDisks) {
          ledger.unknown(value)
          return done()
        }
        if (place === undefined) {
          ledger.unknown(value)
          return this.#fails(`a send through ${host.name} ends as ${answer?.kind === 'refused' ? answer.code : outcome.kind}`)
        }
        ledger.ok(value, place)
        this.#parts.acknowledged(value, place)
        if (attempt.givenBack === undefined) this.#sendMs.push(scheduler.nowMs - beganMs)
        const times = attempt.givenBack === undefined ? this.#deliveryMs : this.#givenBackMs[topic]
        this.#await(value, place, scheduler.nowMs, tookMs => {
          times.push(tookMs)
          done()
        })
      },
    )
  }

  /** Until every group of the topic is done with it. */
  #await(
    value: Value,
    place: { readonly queueId: number; readonly offset: number },
    sinceMs: number,
    done: (tookMs: number) => void,
  ): void {
    const { configuration, scheduler, judges } = this.#parts
    const late = configuration.consumerGroups.find(
      group => group.topics.includes(value.topic) && !judges.deliveries.isDone(group.name, value.topic, place.queueId, place.offset),
    )
    const tookMs = scheduler.nowMs - sinceMs
    if (late === undefined) return done(tookMs)
    if (tookMs > patienceMs) return this.#fails(`group ${late.name} has waited ${patienceMs} ms for a message that is there`)
    scheduler.schedule(lookMs, () => this.#await(value, place, sinceMs, done))
  }

  #read(host: Host, done: () => void): void {
    const { scheduler, judges } = this.#parts
    const beganMs = scheduler.nowMs
    read({ scheduler, say: text => this.#parts.say(text), committed: () => judges.reference.commitIndex }, host, end => {
      if (end.kind === 'ready') this.#readMs.push(scheduler.nowMs - beganMs)
      else if (end.reason !== 'deadline' || !this.#hasSlowDisks) return this.#fails(`a read at ${host.name} ends as ${end.reason}`)
      done()
    })
  }

  #judge(): void {
    const step = this.#stepMs
    const { raft, disk, network } = this.#parts.configuration
    const share = disk.spikeShare > 0 || network.lossShare > 0 ? 1 / 4 : 1 / 2
    expectQuick('a send', this.#sendMs, share, 20 + 10 * step)
    expectQuick('a message', this.#deliveryMs, share, 40 + 30 * step)
    for (const [topic, times] of Object.entries(this.#givenBackMs))
      expectQuick(`a message of ${topic} that is given back once`, times, share, awayMsMax + 2 * (40 + 30 * step))
    // One that waits for the next receive, or for the end of a poll, shows in none of these where it is rare.
    if (!this.#hasSlowDisks && network.lossShare === 0) expectQuick('a message', this.#deliveryMs, 1, slowestMsMax + 60 * step)
    // A read may wait for the round of heartbeats after the one under way.
    expectQuick('a read', this.#readMs, share, 20 + 10 * step + 2 * raft.heartbeatIntervalMs)
    this.#parts.say(
      `tried: sends ${show(this.#sendMs)} ms, messages ${show(this.#deliveryMs)} ms, reads ${show(this.#readMs)} ms, what is given back ${show(this.#givenBackMs.orders)} and ${show(this.#givenBackMs.accounts)} ms; a step takes ${step.toFixed(1)} ms`,
    )
    this.#done()
  }
}

/** The time that this share of them does not exceed. */
function quantileOf(times: readonly number[], share: number): number {
  return [...times].sort((left, right) => left - right)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
}

export function expectQuick(what: string, times: readonly number[], share: number, boundMs: number): void {
  const tookMs = quantileOf(times, share)
  if (tookMs <= boundMs) return
  const which = share < 1 / 2 ? 'at its quickest quarter' : share < 1 ? 'in the median' : 'at its slowest'
  throw new Violation('A53', `all is well, and ${what} takes ${tookMs.toFixed(1)} ms ${which}, not ${boundMs.toFixed(1)}`)
}

function show(times: readonly number[]): string {
  return `${quantileOf(times, 1 / 2).toFixed(1)} (${Math.max(...times).toFixed(1)})`
}
