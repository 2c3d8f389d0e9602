/**
 * A producer that behaves as the official ones: up to three attempts of 3 s each, with the same message ids, each through another gateway of its route
 * (doors.ts).
 * Twins are two producers with one client id and equal message ids for different messages, as clients in containers really have.
 * An anonymous producer gives no client id, so it makes one attempt only: nothing would recognise its retry.
 */
import { MessageType } from '../../src/state/command.ts'
import type { Refusal, RefusalCode } from '../../src/broker/refusal.ts'
import type { OutgoingMessage, SendAnswer, SendRequest } from '../../src/broker/requests.ts'
import { hasFeature, type TopicPlan } from '../configuration.ts'
import { happens, spread } from '../chance.ts'
import type { Value } from '../ledger.ts'
import type { SimRandom } from '../sim/random.ts'
import type { ClientWorld } from './client-world.ts'
import { Doors } from './doors.ts'
import { Violation } from '../violation.ts'
import { bodyBytesMin, bodyOf, encodeMessage } from './payload.ts'
import { call, type CallOutcome, type Gateway } from './rpc.ts'

export interface ProducerOptions {
  readonly name: string
  /** undefined = anonymous. */
  readonly clientId: string | undefined
}

const attemptsMax = 3
const timeoutMs = 3_000
/** Of the batches of producers that do so. */
const resplitShare = 0.3
/** Sends of one producer under way at once; more wait for none: the tick is skipped. */
const openSendsMax = 4

/** Answers that say for certain: this request has changed nothing and never will. */
const certainRefusals: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'badRequest',
  'topicNotFound',
  'tooManyRequests',
  'messagePropertyConflictWithType',
  'messageBodyTooLarge',
  'payloadTooLarge',
  'illegalMessageGroup',
])

/** What can't be: all topics are there, of the right type, before anybody sends. */
const absent: ReadonlySet<RefusalCode> = new Set<RefusalCode>(['topicNotFound', 'messagePropertyConflictWithType', 'badRequest'])

interface OpenSend {
  readonly request: Omit<SendRequest, 'deadlineMs'>
  readonly values: readonly Value[]
  attempt: number
  /** An attempt ended without proof of its fate. */
  isDoubtful: boolean
}

export class Producer {
  readonly #world: ClientWorld
  readonly #options: ProducerOptions
  readonly #random: SimRandom
  #messageNumber = 0
  readonly #doors: Doors
  #open = 0
  /** By topic and queue: newest acknowledged offset. Shared by all producers of the world. */
  readonly #floors: Map<string, (number | undefined)[]>

  constructor(world: ClientWorld, options: ProducerOptions, floors: Map<string, (number | undefined)[]>) {
    this.#world = world
    this.#options = options
    this.#random = world.stream(`producer/${options.name}`)
    const { name, clientId } = options
    this.#doors = new Doors(world, { name: `producer/${name}`, clientId, consumerGroup: undefined, topic: this.#anyTopic() })
    this.#floors = floors
  }

  start(): void {
    this.#doors.start()
    this.#next()
  }

  #anyTopic(): string {
    return this.#world.configuration.topics[0]?.name ?? ''
  }

  #next(): void {
    const { scheduler, configuration } = this.#world
    scheduler.schedule(1 + this.#random.exponential(configuration.sendIntervalMs), () => {
      if (!this.#world.isLoading) return this.#doors.close()
      if (this.#open < openSendsMax) this.#begin()
      this.#next()
    })
  }

  #begin(): void {
    const { configuration, ledger, scheduler } = this.#world
    const random = this.#random
    const topic = random.pick(configuration.topics)
    const messageGroup = topic.type === 'fifo' ? `group-${random.integer(0, topic.messageGroups - 1)}` : undefined
    const count = random.integer(1, configuration.messagesPerSendMax)
    const floors = [...(this.#floors.get(topic.name) ?? [])]
    const values: Value[] = []
    const messages: OutgoingMessage[] = []
    for (let i = 0; i < count; i += 1) {
      const messageId = `message-${String((this.#messageNumber += 1)).padStart(6, '0')}`
      const bodyBytes = configuration.hasPlainBodies
        ? configuration.bodyBytesMax
        : Math.round(spread(random, bodyBytesMin, Math.max(configuration.bodyBytesMax, bodyBytesMin + 1)))
      const value = ledger.invoke({
        topic: topic.name,
        messageGroup,
        clientId: this.#options.clientId ?? '',
        messageId,
        bodyBytes,
        invokedAtMs: scheduler.nowMs,
        floors,
      })
      values.push(value)
      const tag = topic.type === 'normal' && !configuration.hasPlainBodies && happens(random, 0.3) ? 'red' : undefined
      messages.push(
        encodeMessage({
          topic: topic.name,
          messageId,
          tag,
          messageGroup,
          body: bodyOf(configuration.seed, value.id, bodyBytes, configuration.hasPlainBodies),
        }),
      )
    }
    this.#open += 1
    const request = { clientId: this.#options.clientId, topic: topic.name, messageType: typeOf(topic), messageGroup, messages }
    const open = { request, values, attempt: 0, isDoubtful: false }
    if (count > 1 && hasFeature(configuration, 'resplits') && request.clientId !== undefined && happens(random, resplitShare))
      this.#sendPart(open, random.integer(1, count - 1))
    else this.#attempt(open)
  }

  /** The first few of a batch go alone; whatever comes of them, all of it follows, and finds these there or not. */
  #sendPart(open: OpenSend, count: number): void {
    const { scheduler, ledger } = this.#world
    ledger.counts.operations += 1
    for (const value of open.values.slice(0, count)) value.attempts += 1
    open.isDoubtful = true
    const request = { ...open.request, messages: open.request.messages.slice(0, count) }
    call<SendAnswer | Refusal>(
      scheduler,
      this.#random,
      this.#doors.pick(this.#random),
      timeoutMs,
      side => side.broker.send({ ...request, deadlineMs: side.deadlineMs }, answer => side.reply(answer)),
      () => this.#attempt(open),
    )
  }

  #attempt(open: OpenSend): void {
    const { scheduler, ledger } = this.#world
    open.attempt += 1
    for (const value of open.values) value.attempts += 1
    ledger.counts.operations += 1
    if (open.attempt > 1) ledger.counts.retriedSends += 1
    const gateway = this.#doors.pickForSend(this.#random, open.attempt === 1 && happens(this.#random, 0.3))
    call<SendAnswer | Refusal>(
      scheduler,
      this.#random,
      gateway,
      timeoutMs,
      side => side.broker.send({ ...open.request, deadlineMs: side.deadlineMs }, answer => side.reply(answer)),
      outcome => this.#onOutcome(open, gateway, outcome),
    )
  }

  #onOutcome(open: OpenSend, gateway: Gateway, outcome: CallOutcome<SendAnswer | Refusal>): void {
    if (outcome.kind === 'answer' && outcome.answer.kind === 'sent') return this.#succeeded(open, outcome.answer)
    this.#doors.failed(gateway)
    const isCertain =
      outcome.kind === 'answer' && outcome.answer.kind === 'refused'
        ? certainRefusals.has(outcome.answer.code)
        : outcome.kind === 'unavailable' && outcome.wasRefused
    if (!isCertain) open.isDoubtful = true
    const first = open.values[0]?.id ?? 0
    const why = outcome.kind === 'answer' && outcome.answer.kind === 'refused' ? outcome.answer.code : outcome.kind
    this.#world.trace.say('client', `send of value ${first} (attempt ${open.attempt}, ${open.values.length} messages): ${why}`)
    if (outcome.kind === 'answer' && outcome.answer.kind === 'refused' && absent.has(outcome.answer.code))
      throw new Violation('A54', `value ${first} is refused with ${outcome.answer.code}; its topic was there before it was sent`)
    const isFinal = outcome.kind === 'answer' && outcome.answer.kind === 'refused' && isCertain && outcome.answer.code !== 'tooManyRequests'
    if (!isFinal && open.attempt < attemptsMax && this.#options.clientId !== undefined) {
      const pauseMs = outcome.kind === 'answer' && outcome.answer.kind === 'refused' && outcome.answer.code === 'tooManyRequests' ? 200 : 0
      this.#world.scheduler.schedule(pauseMs, () => this.#attempt(open))
      return
    }
    this.#open -= 1
    for (const value of open.values) {
      if (open.isDoubtful) this.#world.ledger.unknown(value)
      else this.#world.ledger.failed(value)
    }
  }

  #succeeded(open: OpenSend, answer: SendAnswer): void {
    this.#open -= 1
    for (const [i, value] of open.values.entries()) {
      const entry = answer.entries[i]
      if (entry === undefined) throw new Error('an answer with too few entries')
      const place = { queueId: entry.queueId, offset: entry.offset }
      if (entry.isDuplicate) this.#world.ledger.counts.duplicateAnswers += 1
      this.#world.ledger.ok(value, place)
      this.#world.acknowledged(value, place)
      let floors = this.#floors.get(value.topic)
      if (floors === undefined) this.#floors.set(value.topic, (floors = []))
      floors[place.queueId] = Math.max(floors[place.queueId] ?? -1, place.offset)
    }
  }
}

function typeOf(topic: TopicPlan): (typeof MessageType)['normal' | 'fifo'] {
  return topic.type === 'fifo' ? MessageType.fifo : MessageType.normal
}
