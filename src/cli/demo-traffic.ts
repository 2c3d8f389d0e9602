/**
 * The demo's users: official Node clients, unmodified, that send at a steady rate in several message groups and consume what they sent. They keep
 * the books that the verdict is read from: what was acknowledged, what came, in which order, and every wait between two accepted sends.
 */
import type { MessageView, Producer, PushConsumer } from 'rocketmq-client-nodejs'

export const demoTopic = 'demo-fifo'
export const demoGroup = 'demo-group'
const messageGroups = 8
const pauseBetweenSendsMs = 30
/** The Node client pins a message group to one node of its route: while that node is down its user has to send again. */
const pauseAfterErrorMs = 200

export interface TrafficNumbers {
  readonly acknowledged: number
  readonly received: number
  /** Acknowledged and not received. */
  readonly lost: number
  /** Received a second time: allowed after a failover, counted for honesty. */
  readonly redelivered: number
  /** First receipts that came after a later one of their message group. */
  readonly outOfOrder: number
  /** Distinct messages that were ever received. */
  readonly distinct: number
  /** Errors that the users of the clients saw. */
  readonly errors: number
}

const silent = { info: (): void => undefined, warn: (): void => undefined, error: (): void => undefined, debug: (): void => undefined }

export class DemoTraffic {
  readonly #acknowledged = new Set<string>()
  readonly #received = new Map<string, number>()
  readonly #lastOfGroup = new Map<string, number>()
  readonly #acceptedAtMs: number[] = []
  #outOfOrder = 0
  #redelivered = 0
  #errors = 0
  #isSending = true
  #producers: Producer[] = []
  #consumer: PushConsumer | undefined
  #lanes: Promise<void>[] = []
  /** Of each message group the number that is sent next. */
  readonly #next = Array.from({ length: messageGroups }, () => 0)

  /** Connects the clients, each producer to another node, and starts to send. Throws when the client's package is not installed. */
  async start(endpoints: readonly string[]): Promise<void> {
    const official = await import('rocketmq-client-nodejs')
    this.#producers = endpoints.map(
      endpoint => new official.Producer({ endpoints: endpoint, namespace: '', topic: demoTopic, logger: silent }),
    )
    this.#consumer = new official.PushConsumer({
      endpoints: endpoints[0] ?? '',
      namespace: '',
      consumerGroup: demoGroup,
      subscriptions: new Map([[demoTopic, '*']]),
      logger: silent,
      messageListener: {
        consume: message => {
          this.#take(message)
          return Promise.resolve(official.ConsumeResult.SUCCESS)
        },
      },
    })
    await Promise.all([...this.#producers.map(producer => producer.startup()), this.#consumer.startup()])
    this.resumeSending()
  }

  /** Goes on after `stopSending`. */
  resumeSending(): void {
    this.#isSending = true
    this.#lanes = Array.from({ length: messageGroups }, (_, lane) => this.#send(lane))
  }

  get isSending(): boolean {
    return this.#isSending
  }

  /** Ends the sending; what is on its way is awaited. */
  async stopSending(): Promise<void> {
    this.#isSending = false
    await Promise.all(this.#lanes)
  }

  /** Lets the clients go. Not awaited to the end: a push consumer's goodbye waits for its last long poll. */
  close(): void {
    for (const producer of this.#producers) void producer.shutdown().catch(() => undefined)
    void this.#consumer?.shutdown().catch(() => undefined)
  }

  /** The longest wait between two accepted sends from `fromMs` on, until now. */
  pauseSince(fromMs: number): number {
    let previous = fromMs
    let longest = 0
    for (const at of this.#acceptedAtMs) {
      if (at < fromMs) continue
      longest = Math.max(longest, at - previous)
      previous = at
    }
    return longest
  }

  /** Whether a send was accepted at or after that moment. */
  hasAcceptedSince(ms: number): boolean {
    return (this.#acceptedAtMs.at(-1) ?? 0) >= ms
  }

  numbers(): TrafficNumbers {
    let lost = 0
    for (const id of this.#acknowledged) if (!this.#received.has(id)) lost++
    return {
      acknowledged: this.#acknowledged.size,
      received: [...this.#acknowledged].filter(id => this.#received.has(id)).length,
      lost,
      redelivered: this.#redelivered,
      outOfOrder: this.#outOfOrder,
      distinct: this.#received.size,
      errors: this.#errors,
    }
  }

  async #send(lane: number): Promise<void> {
    const messageGroup = `group-${lane + 1}`
    const producer = this.#producers[lane % this.#producers.length]
    while (this.#isSending && producer !== undefined) {
      const n = this.#next[lane] ?? 0
      this.#next[lane] = n + 1
      const body = Buffer.from(JSON.stringify({ messageGroup, n }))
      while (!(await this.#sendOnce(producer, messageGroup, body)) && this.#isAlive()) await sleep(pauseAfterErrorMs)
      await sleep(pauseBetweenSendsMs)
    }
  }

  #isAlive(): boolean {
    return this.#isSending
  }

  async #sendOnce(producer: Producer, messageGroup: string, body: Buffer): Promise<boolean> {
    try {
      const receipt = await producer.send({ topic: demoTopic, messageGroup, body })
      this.#acknowledged.add(receipt.messageId)
      this.#acceptedAtMs.push(performance.now())
      return true
    } catch {
      this.#errors++
      return false
    }
  }

  #take(message: MessageView): void {
    const times = this.#received.get(message.messageId) ?? 0
    this.#received.set(message.messageId, times + 1)
    if (times > 0) {
      this.#redelivered++
      return
    }
    const { messageGroup, n } = JSON.parse(message.body.toString()) as { messageGroup: string; n: number }
    const last = this.#lastOfGroup.get(messageGroup) ?? -1
    if (n < last) this.#outOfOrder++
    this.#lastOfGroup.set(messageGroup, Math.max(last, n))
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}
