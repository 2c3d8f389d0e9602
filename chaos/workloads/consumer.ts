/**
 * A consumer of one group and topic: receive, work, settle; again and again, each time through any gateway of its route (doors.ts). It repeats an attempt id
 * when a receive came to no end, as the official push consumers do; it sometimes gives a message back, forgets one, sends one to the dead letters,
 * works longer than the message stays invisible, or loses the stream in the middle of a batch. A FIFO consumer leaves the rest of a message group
 * alone when one of it was not done.
 */
import type { Refusal } from '../../src/broker/refusal.ts'
import type { AckAnswer, ChangeInvisibleAnswer, ForwardToDeadLetterQueueAnswer, ReceivedBatch } from '../../src/broker/requests.ts'
import { happens } from '../chance.ts'
import { hasFeature, type ConsumerGroupPlan } from '../configuration.ts'
import type { SimRandom } from '../sim/random.ts'
import { Violation } from '../violation.ts'
import type { ClientWorld, GiveBack, ReceivedValue } from './client-world.ts'
import { Doors } from './doors.ts'
import { call, type CallOutcome, type Gateway, type GatewayLife, type ServerSide } from './rpc.ts'

const pollMs = 4_000
const callTimeoutMs = 3_000
const settleAttemptsMax = 8
/** One stream in this many breaks before its end. */
const brokenStreamShare = 0.01

/** A batch as the wire carried it, before anybody has judged it. */
interface WireBatch {
  readonly kind: 'batch'
  readonly messages: readonly {
    readonly bytes: Uint8Array
    readonly receiptHandle: string
    readonly queueId: number
    readonly offset: number
    readonly attempt: number
  }[]
}

export class Consumer {
  readonly #world: ClientWorld
  readonly #group: ConsumerGroupPlan
  readonly #topic: string
  readonly #clientId: string
  readonly #random: SimRandom
  readonly #doors: Doors
  #attemptNumber = 0
  /** To be repeated: the last receive came to no end. */
  #attemptId: string | undefined
  #isStopped = false
  #isDead = false
  /** By gateway: the process that it is connected to. */
  readonly #connected = new Map<number, GatewayLife>()
  /** Ends the receive that is open, on the gateway's side. */
  #cancel: (() => void) | undefined

  constructor(world: ClientWorld, group: ConsumerGroupPlan, topic: string, number: number) {
    this.#world = world
    this.#group = group
    this.#topic = topic
    this.#clientId = clientIdOf(group.name, number)
    const name = `consumer/${group.name}/${topic}/${number}`
    this.#random = world.stream(name)
    this.#doors = new Doors(world, {
      name,
      clientId: this.#clientId,
      consumerGroup: group.name,
      topic,
      onUse: (gateway, life) => this.#connect(gateway, life),
    })
  }

  start(): void {
    this.#doors.start()
    this.#again(this.#random.next() * 500)
  }

  stop(): void {
    this.#isStopped = true
    this.#doors.close()
  }

  isOf(consumerGroup: string, number: number): boolean {
    return this.#clientId === clientIdOf(consumerGroup, number)
  }

  get clientId(): string {
    return this.#clientId
  }

  /** The process is gone, with all that it has in hand; gateways see its connections close. */
  die(): void {
    this.#isStopped = true
    this.#isDead = true
    this.#doors.close()
    const { scheduler, trace } = this.#world
    trace.say('client', `${this.#clientId} dies`)
    for (const { process, broker } of this.#connected.values())
      scheduler.schedule(this.#random.next() * 20, () => broker.clientDisconnected(this.#clientId), process)
    this.#cancel?.()
  }

  /** A gateway sees the connection when the first call comes. */
  #connect(gateway: Gateway, life: GatewayLife): void {
    if (this.#isDead || !hasFeature(this.#world.configuration, 'deaths') || this.#connected.get(gateway.id) === life) return
    this.#connected.set(gateway.id, life)
    life.broker.clientConnected(this.#clientId)
  }

  #again(delayMs: number): void {
    this.#world.scheduler.schedule(delayMs, () => {
      if (!this.#isStopped) this.#receive()
    })
  }

  #gateway(): Gateway {
    return this.#doors.pick(this.#random)
  }

  #receive(): void {
    const { scheduler, ledger } = this.#world
    this.#attemptId ??= `attempt-${this.#clientId}-${this.#topic}-${(this.#attemptNumber += 1)}`
    const attemptId = this.#attemptId
    const max = this.#random.pick([1, 4, 16])
    const gateway = this.#gateway()
    const breaksStream =
      !this.#world.isDraining && happens(this.#random, brokenStreamShare) && hasFeature(this.#world.configuration, 'brokenStreams')
    ledger.counts.receives += 1
    ledger.counts.operations += 1
    call<WireBatch | Refusal>(
      scheduler,
      this.#random,
      gateway,
      pollMs + callTimeoutMs,
      side => {
        this.#connect(gateway, side.life)
        const handle = side.broker.receive(
          {
            clientId: this.#clientId,
            deadlineMs: side.deadlineMs,
            consumerGroup: this.#group.name,
            topic: this.#topic,
            filter: { kind: 'all' },
            max,
            invisibleMs: this.#group.invisibleMs,
            autoRenew: this.#group.autoRenew,
            attemptId,
            pollMs,
          },
          answer => {
            side.onCancel = undefined
            this.#cancel = undefined
            if (answer.kind === 'refused') return side.reply(answer)
            this.#world.handsOut(gateway.id)
            stream(scheduler, side, answer, breaksStream)
          },
        )
        side.onCancel = () => handle.cancel()
        this.#cancel = () => scheduler.schedule(this.#random.next() * 20, () => handle.cancel(), side.life.process)
      },
      outcome => this.#onReceived(gateway, attemptId, outcome),
      pollMs + callTimeoutMs,
    )
  }

  #onReceived(gateway: Gateway, attemptId: string, outcome: CallOutcome<WireBatch | Refusal>): void {
    this.#world.trace.say('client', `${attemptId} through node-${gateway.id}: ${describe(outcome)}`)
    if (this.#isDead) return
    if (outcome.kind !== 'answer') return this.#again(10 + this.#random.next() * 100)
    if (outcome.answer.kind === 'refused') {
      const { code } = outcome.answer
      if (code === 'topicNotFound' || code === 'consumerGroupNotFound')
        throw new Violation('A54', `${attemptId} is refused with ${code}; both were there before it began`)
      const isEmpty = code === 'messageNotFound'
      if (isEmpty) this.#attemptId = undefined
      return this.#again(isEmpty ? 1 : 50 + this.#random.next() * 200)
    }
    this.#attemptId = undefined
    const deliveries = outcome.answer.messages.map(message => {
      const value = this.#world.delivered(this.#group.name, this.#topic, message.queueId, message.offset, message.bytes)
      return { value, topic: this.#topic, ...message }
    })
    this.#world.ledger.counts.deliveries += deliveries.length
    this.#work(deliveries, 0, new Set())
  }

  /** One after another; `leftOut` are message groups of which something in this batch was not done. */
  #work(deliveries: readonly ReceivedValue[], at: number, leftOut: Set<string>): void {
    const delivery = deliveries[at]
    if (delivery === undefined) return this.#again(0)
    const isDraining = this.#world.isDraining
    const workMs = isDraining ? 0 : this.#random.next() * this.#group.workMsMax
    this.#world.scheduler.schedule(workMs, () => {
      if (this.#isDead) return
      const { messageGroup } = delivery.value
      const mustLeaveOut = this.#group.isFifo && messageGroup !== undefined && leftOut.has(messageGroup)
      if (mustLeaveOut) this.#leaveOut(delivery)
      else if (!this.#settle(delivery) && messageGroup !== undefined) leftOut.add(messageGroup)
      this.#work(deliveries, at + 1, leftOut)
    })
  }

  /** Not worked on. What is renewed for us as long as we live must be given back; anything else comes back by itself. */
  #leaveOut(delivery: ReceivedValue): void {
    if (this.#group.autoRenew) this.#giveBack(delivery, 1)
  }

  /** Whether the message is done with. */
  #settle(delivery: ReceivedValue): boolean {
    const { counts } = this.#world.ledger
    const { nackShare, forgetShare, deadLetterShare } = this.#group
    const asked = this.#world.givesBack(this.#group.name, delivery.value)
    if (asked !== undefined) {
      counts.nacks += 1
      this.#giveBack(delivery, 1, asked)
      return false
    }
    const draw = this.#world.isDraining ? 1 : this.#random.next()
    if (draw < nackShare) {
      counts.nacks += 1
      this.#giveBack(delivery, 1)
      return false
    }
    if (draw < nackShare + forgetShare) {
      counts.forgotten += 1
      return false
    }
    if (draw < nackShare + forgetShare + deadLetterShare) {
      counts.forwards += 1
      this.#forward(delivery, 1)
      return true
    }
    counts.acks += 1
    this.#acknowledge(delivery, 1)
    return true
  }

  #acknowledge(delivery: ReceivedValue, attempt: number): void {
    this.#world.ledger.counts.operations += 1
    const entries = [{ messageId: delivery.value.messageId, receiptHandle: delivery.receiptHandle }]
    call<AckAnswer | Refusal>(
      this.#world.scheduler,
      this.#random,
      this.#gateway(),
      callTimeoutMs,
      side => side.broker.ack({ ...this.#asked(side), entries }, answer => side.reply(answer)),
      outcome => {
        if (outcome.kind === 'answer' && outcome.answer.kind === 'acked') {
          const refusal = outcome.answer.refusals[0]
          if (refusal === undefined) return this.#world.settled(this.#group.name, delivery)
          if (refusal.code === 'invalidReceiptHandle') return
        } else if (outcome.kind === 'answer' && outcome.answer.kind === 'refused' && outcome.answer.code === 'invalidReceiptHandle') return
        this.#retry(attempt, () => this.#acknowledge(delivery, attempt + 1))
      },
    )
  }

  #giveBack(delivery: ReceivedValue, attempt: number, asked?: GiveBack): void {
    this.#world.ledger.counts.operations += 1
    const { receiptHandle } = delivery
    const { invisibleMs, suspend } = asked ?? { invisibleMs: this.#random.pick([0, 100, 1_000]), suspend: false }
    call<ChangeInvisibleAnswer | Refusal>(
      this.#world.scheduler,
      this.#random,
      this.#gateway(),
      callTimeoutMs,
      side => {
        const request = { ...this.#asked(side), messageId: delivery.value.messageId, receiptHandle, invisibleMs, suspend }
        side.broker.changeInvisible(request, answer => side.reply(answer))
      },
      outcome => {
        if (!isSettled(outcome)) this.#retry(attempt, () => this.#giveBack(delivery, attempt + 1, asked))
      },
    )
  }

  #forward(delivery: ReceivedValue, attempt: number): void {
    this.#world.ledger.counts.operations += 1
    const { receiptHandle } = delivery
    call<ForwardToDeadLetterQueueAnswer | Refusal>(
      this.#world.scheduler,
      this.#random,
      this.#gateway(),
      callTimeoutMs,
      side => {
        const request = { ...this.#asked(side), messageId: delivery.value.messageId, receiptHandle }
        side.broker.forwardToDeadLetterQueue(request, answer => side.reply(answer))
      },
      outcome => {
        if (!isSettled(outcome)) this.#retry(attempt, () => this.#forward(delivery, attempt + 1))
      },
    )
  }

  #retry(attempt: number, again: () => void): void {
    // What is renewed for us would never come again.
    if (this.#isDead) return
    if (attempt < settleAttemptsMax || this.#group.autoRenew) this.#world.scheduler.schedule(20 + this.#random.next() * 200, again)
  }

  #asked(side: ServerSide<never>): { clientId: string; deadlineMs: number; consumerGroup: string; topic: string } {
    return { clientId: this.#clientId, deadlineMs: side.deadlineMs, consumerGroup: this.#group.name, topic: this.#topic }
  }
}

function clientIdOf(consumerGroup: string, number: number): string {
  return `consumer-${consumerGroup}-${number}`
}

function describe(outcome: CallOutcome<WireBatch | Refusal>): string {
  if (outcome.kind !== 'answer') return outcome.kind
  const { answer } = outcome
  return answer.kind === 'refused' ? answer.code : `got ${answer.messages.map(({ queueId, offset }) => `${queueId}@${offset}`).join(' ')}`
}

/** Done, or the handle is none any more: no use in asking again. */
function isSettled(outcome: CallOutcome<{ readonly kind: string } | Refusal>): boolean {
  if (outcome.kind !== 'answer') return false
  const { answer } = outcome
  return !isRefusal(answer) || answer.code === 'invalidReceiptHandle'
}

function isRefusal(answer: { readonly kind: string } | Refusal): answer is Refusal {
  return answer.kind === 'refused'
}

/** The gateway's side of the stream: reads each message, then says what became of them (rule 14). */
function stream(scheduler: ClientWorld['scheduler'], side: ServerSide<WireBatch | Refusal>, batch: ReceivedBatch, breaks: boolean): void {
  const messages: WireBatch['messages'][number][] = []
  for (let i = 0; i < batch.count && batch.isReadable(i); i += 1) {
    const { receiptHandle, bytes, queueId, offset, attempt } = batch.read(i)
    // Copied: the log lends its bytes for this turn only.
    messages.push({ receiptHandle, bytes: bytes.slice(), queueId, offset, attempt })
  }
  const sent = breaks ? batch.count >> 1 : messages.length
  scheduler.schedule(
    0.1,
    () => {
      if (sent === batch.count) batch.confirm()
      else batch.release(sent)
      side.reply({ kind: 'batch', messages: messages.slice(0, sent) })
    },
    side.life.process,
  )
}
