/**
 * The load generator: a process of its own that keeps a fixed number of operations in flight against one or more targets, and prints one JSON line.
 * Kinds: `send` (SendMessage only) and `cycle` (send, receive, ack; an operation ends when its message is acked).
 */
import { createHistogram } from 'node:perf_hooks'
import { apache } from '#proto/rocketmq-v2.js'
import { frame, openCaller, type Caller } from './http2-caller.ts'

export interface GeneratorOrder {
  readonly kind: 'send' | 'cycle'
  readonly targets: readonly string[]
  readonly topic: string
  readonly consumerGroup: string
  readonly inflight: number
  readonly bodyBytes: number
  readonly warmupMs: number
  readonly measureMs: number
  /** Every so many sends one with a 4 MiB body is mixed in; 0 = never. */
  readonly largeEvery: number
  /** At most so many operations a second; 0 = as fast as they go. */
  readonly ratePerSecond: number
}

export interface GeneratorReport {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly failed: number
  readonly operations: number
}

const v2 = apache.rocketmq.v2
const ok = v2.Code.OK
const idLength = 34
const largeBodyBytes = 4 * 1024 * 1024 - 1024

/** A framed SendMessage whose message id is patched in place for every send: encoding is not what we measure. */
function sendTemplate(topic: string, bodyBytes: number): { framed: Buffer; idAt: number } {
  const marker = 'I'.repeat(idLength)
  const message = v2.SendMessageRequest.encode({
    messages: [
      {
        topic: { name: topic },
        systemProperties: {
          messageId: marker,
          messageType: v2.MessageType.NORMAL,
          bodyEncoding: v2.Encoding.IDENTITY,
          bornTimestamp: { seconds: 1_700_000_000 },
          bornHost: 'bench',
        },
        body: new Uint8Array(bodyBytes).fill(0x61),
      },
    ],
  }).finish()
  const framed = frame(message)
  return { framed, idAt: framed.indexOf(marker, 0, 'latin1') }
}

function run(order: GeneratorOrder): void {
  const runId = Math.floor(Math.random() * 2 ** 40)
    .toString(16)
    .toUpperCase()
    .padStart(10, '0')
  const callers = order.targets.map((target, i) => openCaller(target, `bench@${process.pid}@${i}@${runId}`))
  const small = sendTemplate(order.topic, order.bodyBytes)
  const large = order.largeEvery > 0 ? sendTemplate(order.topic, largeBodyBytes) : small
  const latency = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 })
  let sequence = 0
  let operations = 0
  let failed = 0
  let isMeasuring = false
  let isStopping = false
  let nextSlotMs = performance.now()
  const startedById = new Map<string, { start: number; slot: number }>()

  const finished = (start: number, slot: number): void => {
    if (isMeasuring) {
      operations++
      latency.record(Math.max(1, Math.round((performance.now() - start) * 1000)))
    }
    schedule(slot)
  }

  const schedule = (slot: number): void => {
    if (isStopping) return
    if (order.ratePerSecond === 0) return send(slot)
    const now = performance.now()
    nextSlotMs = Math.max(nextSlotMs + 1000 / order.ratePerSecond, now - 100)
    if (nextSlotMs <= now) send(slot)
    else setTimeout(send, nextSlotMs - now, slot)
  }

  const send = (slot: number): void => {
    const number = sequence++
    const template = order.largeEvery > 0 && number % order.largeEvery === order.largeEvery - 1 ? large : small
    const id = `01${runId}${number.toString(16).toUpperCase().padStart(22, '0')}`
    const framed = Buffer.from(template.framed)
    framed.write(id, template.idAt, 'latin1')
    const start = performance.now()
    const caller = callers[slot % callers.length]
    if (caller === undefined) return
    if (order.kind === 'cycle') startedById.set(id, { start, slot })
    caller.call('SendMessage', framed, 10_000, messages => {
      if (!sendSucceeded(messages)) {
        failed++
        startedById.delete(id)
        setTimeout(schedule, 20, slot)
        return
      }
      if (order.kind === 'send') finished(start, slot)
    })
  }

  const begin = (): void => {
    for (let slot = 0; slot < order.inflight; slot++) schedule(slot)
  }
  if (order.kind === 'send') begin()
  else {
    // A group's place in a topic is made by its first receive, behind what was sent before: a slot whose message stands there would wait for ever.
    setTimeout(begin, settleMs)
    const loops = Math.max(callers.length, Math.min(12, Math.ceil(order.inflight / 8)))
    for (let i = 0; i < loops; i++) {
      const caller = callers[i % callers.length]
      if (caller !== undefined)
        receiveLoop(
          order,
          caller,
          () => isStopping,
          id => {
            const started = startedById.get(id)
            startedById.delete(id)
            if (started !== undefined) finished(started.start, started.slot)
          },
        )
    }
  }

  setTimeout(() => {
    isMeasuring = true
    const from = performance.now()
    setTimeout(() => {
      isMeasuring = false
      isStopping = true
      const report: GeneratorReport = {
        perSecond: Math.round((operations * 1000) / (performance.now() - from)),
        p50Ms: latency.percentile(50) / 1000,
        p99Ms: latency.percentile(99) / 1000,
        maxMs: operations === 0 ? 0 : latency.max / 1000,
        failed,
        operations,
      }
      process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
    }, order.measureMs)
  }, order.warmupMs)
}

/** A receive has surely been applied after this. */
const settleMs = 500

/** Success without a decoder: the reply's first field is status { code: 20000 }. */
const okStatus = Buffer.from([0x08, 0xa0, 0x9c, 0x01])

function sendSucceeded(messages: readonly Buffer[] | undefined): boolean {
  const [reply] = messages ?? []
  return reply !== undefined && reply[0] === 0x0a && reply.subarray(2, 6).equals(okStatus)
}

function receiveLoop(order: GeneratorOrder, caller: Caller, isStopping: () => boolean, acked: (messageId: string) => void): void {
  const request = frame(
    v2.ReceiveMessageRequest.encode({
      group: { name: order.consumerGroup },
      messageQueue: { topic: { name: order.topic }, id: -1, broker: { name: '' } },
      filterExpression: { type: v2.FilterType.TAG, expression: '*' },
      batchSize: 32,
      invisibleDuration: { seconds: 60 },
      autoRenew: false,
      longPollingTimeout: { seconds: 5 },
    }).finish(),
  )
  const receive = (): void => {
    if (isStopping()) return
    caller.call('ReceiveMessage', request, 8_000, replies => {
      let waiting = 1
      const settled = (): void => {
        if (--waiting === 0) {
          if (replies === undefined) setTimeout(receive, 20)
          else receive()
        }
      }
      for (const reply of replies ?? []) {
        const message = v2.ReceiveMessageResponse.decode(reply).message
        const properties = message?.systemProperties
        if (properties?.receiptHandle == null) continue
        waiting++
        const ack = v2.AckMessageRequest.encode({
          group: { name: order.consumerGroup },
          topic: { name: order.topic },
          entries: [{ messageId: properties.messageId ?? '', receiptHandle: properties.receiptHandle }],
        }).finish()
        caller.call('AckMessage', frame(ack), 8_000, answer => {
          const [first] = answer ?? []
          if (first !== undefined && v2.AckMessageResponse.decode(first).status?.code === ok) acked(properties.messageId ?? '')
          settled()
        })
      }
      settled()
    })
  }
  receive()
}

run(JSON.parse(process.argv[2] ?? '{}') as GeneratorOrder)
