/**
 * A million deliveries at once. Three real processes; ten groups receive everything of a topic and settle nothing. With all of it in flight a load of
 * sends, receives and acks runs beside; then the nodes are cut off from each other until every delivery's time is over, and are joined again: a million
 * deadlines are due at once. Reported: the longest stall of a node's loop in each part, and how many elections there were after the one that ends the outage.
 *
 *     npm run bench:million -- [--groups 10] [--messages 100000] [--invisible 240] [--seconds 15] [-o json]
 */
import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import { apache } from '#proto/rocketmq-v2.js'
import { cliPath, LocalCluster } from '../src/cli/local-cluster.ts'
import { generate } from './generate.ts'
import type { GeneratorOrder } from './generator.ts'
import { frame, openCaller, type Caller } from './http2-caller.ts'

const run = promisify(execFile)
const v2 = apache.rocketmq.v2
const topic = 'million'
const sendersMax = 16
const messagesPerSend = 50
const receiversPerGroup = 4
const batchSize = 32
/** Nodes tell the longest stall of the last minute. */
const memoryMs = 61_000

export interface MillionReport {
  readonly kind: 'million'
  readonly inFlight: number
  /** While the deliveries came to be in flight. */
  readonly fillStallMs: number
  readonly fillSeconds: number
  /** Beside all of it in flight. */
  readonly loadPerSecond: number
  readonly loadP99Ms: number
  readonly loadStallMs: number
  /** From the end of the outage until no delivery was in flight any more. */
  readonly firedSeconds: number
  readonly dueStallMs: number
  /** Changes of term after the one that ended the outage. */
  readonly electionsWhileDue: number
}

interface Options {
  readonly groups: number
  readonly messages: number
  readonly invisibleSeconds: number
  readonly loadSeconds: number
}

async function measureMillion(options: Options, progress: (line: string) => void): Promise<MillionReport> {
  const cluster = await LocalCluster.start()
  try {
    await cluster.waitForLeader()
    const endpoints = cluster.nodes.map(node => cluster.endpoint(node.name))
    const ask = async (args: readonly string[]): Promise<string> =>
      (
        await run(process.execPath, [cliPath(), ...args], {
          env: { ...process.env, RAFTMQ_ENDPOINT: endpoints.join(';') },
          maxBuffer: 64 << 20,
        })
      ).stdout
    await ask(['topic', 'create', topic])
    await ask(['topic', 'create', 'bench'])
    const callers = endpoints.map((endpoint, i) => openCaller(endpoint, `million@${process.pid}@${i}`))
    const groups = Array.from({ length: options.groups }, (_, i) => `million-${i}`)
    progress(`${options.messages} messages are sent, and received by ${groups.length} groups that settle nothing`)
    // A group's place in the topic is made by its first receive.
    for (const group of groups) await receive(callers[0], group, 1, options.invisibleSeconds)
    await sendAll(callers, options.messages)
    const fillFromMs = performance.now()
    const counts = await Promise.all(groups.map(group => receiveAll(callers, group, options)))
    const inFlight = counts.reduce((sum, count) => sum + count, 0)
    const fillSeconds = (performance.now() - fillFromMs) / 1000
    const fillStallMs = await longestStall(ask)
    progress(`${inFlight} deliveries in flight after ${fillSeconds.toFixed(1)} s, longest stall ${fillStallMs} ms`)

    await new Promise(done => setTimeout(done, memoryMs))
    const order: GeneratorOrder = {
      kind: 'cycle',
      targets: endpoints,
      topic: 'bench',
      consumerGroup: 'bench',
      inflight: 64,
      bodyBytes: 1024,
      warmupMs: 2_000,
      measureMs: options.loadSeconds * 1000,
      largeEvery: 0,
      ratePerSecond: 0,
    }
    const load = await generate(order)
    const loadStallMs = await longestStall(ask)
    progress(`${load.perSecond} cycles/s beside them, p99 ${load.p99Ms} ms, longest stall ${loadStallMs} ms; now the outage`)

    for (const { name } of cluster.nodes) cluster.setCut(name, true)
    const leftMs = Math.max(memoryMs, fillFromMs + (fillSeconds + options.invisibleSeconds) * 1000 - performance.now())
    await new Promise(done => setTimeout(done, leftMs))
    for (const { name } of cluster.nodes) cluster.setCut(name, false)
    const healedMs = performance.now()
    // Answered by a quorum: the outage is over.
    await stillInFlight(ask, groups)
    const termBefore = await termOf(ask)
    while ((await stillInFlight(ask, groups)) > 0) await new Promise(done => setTimeout(done, 250))
    return {
      kind: 'million',
      inFlight,
      fillStallMs,
      fillSeconds: round(fillSeconds),
      loadPerSecond: load.perSecond,
      loadP99Ms: load.p99Ms,
      loadStallMs,
      firedSeconds: round((performance.now() - healedMs) / 1000),
      dueStallMs: await longestStall(ask),
      electionsWhileDue: (await termOf(ask)) - termBefore,
    }
  } finally {
    await cluster.stop()
  }
}

type Ask = (args: readonly string[]) => Promise<string>

interface StatusNode {
  readonly term: number
  readonly loopStallMaxMs: number
}

async function statusOf(ask: Ask): Promise<readonly StatusNode[]> {
  return (JSON.parse(await ask(['cluster', 'status', '-o', 'json'])) as { nodes: readonly StatusNode[] }).nodes
}

async function longestStall(ask: Ask): Promise<number> {
  return round(Math.max(...(await statusOf(ask)).map(node => node.loopStallMaxMs)))
}

async function termOf(ask: Ask): Promise<number> {
  return Math.max(...(await statusOf(ask)).map(node => node.term))
}

async function stillInFlight(ask: Ask, groups: readonly string[]): Promise<number> {
  for (const group of groups) {
    const { topics } = JSON.parse(await ask(['group', 'lag', group, '-o', 'json'])) as { topics: readonly { inFlight: number }[] }
    const inFlight = topics.reduce((sum, each) => sum + each.inFlight, 0)
    if (inFlight > 0) return inFlight
  }
  return 0
}

async function sendAll(callers: readonly Caller[], messages: number): Promise<void> {
  let next = 0
  const sender = async (caller: Caller): Promise<void> => {
    while (next < messages) {
      const first = next
      const count = Math.min(messagesPerSend, messages - first)
      next += count
      const request = v2.SendMessageRequest.encode({
        messages: Array.from({ length: count }, (_, i) => ({
          topic: { name: topic },
          systemProperties: {
            messageId: `01${(first + i).toString(16).toUpperCase().padStart(32, '0')}`,
            messageType: v2.MessageType.NORMAL,
            bodyEncoding: v2.Encoding.IDENTITY,
            bornTimestamp: { seconds: 1_700_000_000 },
            bornHost: 'bench',
          },
          body: new Uint8Array(16),
        })),
      }).finish()
      const replies = await call(caller, 'SendMessage', frame(request))
      const status = replies?.[0] === undefined ? undefined : v2.SendMessageResponse.decode(replies[0]).status
      if (status?.code !== v2.Code.OK) throw new Error(`a send failed: ${status?.message ?? 'no answer'}`)
    }
  }
  await Promise.all(Array.from({ length: sendersMax }, (_, i) => sender(mustCaller(callers, i))))
}

async function receiveAll(callers: readonly Caller[], group: string, { messages, invisibleSeconds }: Options): Promise<number> {
  let received = 0
  const receiver = async (caller: Caller): Promise<void> => {
    while (received < messages) {
      const count = await receive(caller, group, batchSize, invisibleSeconds)
      received += count
      if (count === 0) return
    }
  }
  await Promise.all(Array.from({ length: receiversPerGroup }, (_, i) => receiver(mustCaller(callers, i))))
  return received
}

async function receive(caller: Caller | undefined, group: string, count: number, invisibleSeconds: number): Promise<number> {
  const request = v2.ReceiveMessageRequest.encode({
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1, broker: { name: '' } },
    filterExpression: { type: v2.FilterType.TAG, expression: '*' },
    batchSize: count,
    invisibleDuration: { seconds: invisibleSeconds },
    autoRenew: false,
    longPollingTimeout: { seconds: 1 },
  }).finish()
  const replies = await call(caller, 'ReceiveMessage', frame(request))
  return (replies ?? []).filter(reply => v2.ReceiveMessageResponse.decode(reply).message != null).length
}

function call(caller: Caller | undefined, method: string, framed: Buffer): Promise<readonly Buffer[] | undefined> {
  return new Promise(done => (caller === undefined ? done(undefined) : caller.call(method, framed, 20_000, done)))
}

function mustCaller(callers: readonly Caller[], i: number): Caller {
  const caller = callers[i % callers.length]
  if (caller === undefined) throw new Error('no endpoint')
  return caller
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

const { values } = parseArgs({
  options: {
    groups: { type: 'string', default: '10' },
    messages: { type: 'string', default: '100000' },
    invisible: { type: 'string', default: '240' },
    seconds: { type: 'string', default: '15' },
    output: { type: 'string', short: 'o', default: 'text' },
  },
})
const report = await measureMillion(
  {
    groups: Number(values.groups),
    messages: Number(values.messages),
    invisibleSeconds: Number(values.invisible),
    loadSeconds: Number(values.seconds),
  },
  line => console.error(line),
)
if (values.output === 'json') console.log(JSON.stringify(report))
else for (const [name, value] of Object.entries(report)) console.log(`${name.padEnd(20)} ${value}`)
process.exit(0)
