/**
 * `raftmq demo --script`: three real processes, official clients at work, the leader killed twice without warning, and a verdict at the end. Every
 * number is measured in this run; nothing is claimed that was not read from the nodes, their files or the clients' own books.
 */
import { segmentHeaderBytes } from '../storage/segment.ts'
import { methods, ClusterClient, v1 } from './client.ts'
import { compareReplicas } from './replica-files.ts'
import { DemoTraffic, demoGroup, demoTopic } from './demo-traffic.ts'
import { CliError, ExitCode } from './exit.ts'
import { LocalCluster } from './local-cluster.ts'
import { count, durationShown, paint, print } from './terminal.ts'

export interface DemoOptions {
  readonly script?: boolean
  readonly json?: boolean
  readonly keep?: boolean
}

export interface DemoVerdict {
  readonly kind: 'verdict'
  readonly acknowledged: number
  readonly received: number
  readonly lost: number
  readonly appendedTwice: number
  readonly outOfOrder: number
  readonly replicasIdentical: boolean
  readonly redelivered: number
  readonly errors: number
  readonly failovers: readonly { readonly killed: string; readonly leader: string; readonly pausedMs: number }[]
  readonly ok: boolean
}

const kills = 2
const trafficBeforeKillMs = 3_000
const watchAfterKillMs = 2_500
const drainMsMax = 30_000

export async function demo(options: DemoOptions): Promise<void> {
  const say = new Narrator(options.json === true)
  const traffic = new DemoTraffic()
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  process.once('SIGTERM', () => interrupted.abort())
  const startMs = performance.now()
  let isOpen = false
  const cluster = await LocalCluster.start({
    onEvent: (node, event) => {
      if (isOpen && event.kind === 'leadership' && event.isLeader)
        say.event('leader', `${node} LEADER term ${event.term}`, { node, term: event.term })
    },
  })
  try {
    say.opening(cluster, performance.now() - startMs)
    isOpen = true
    await prepare(cluster)
    await traffic.start(cluster.nodes.map(node => cluster.endpoint(node.name)))
    const failovers: DemoVerdict['failovers'][number][] = []
    for (let i = 0; i < kills; i++) failovers.push(await killLeader(cluster, traffic, say, interrupted.signal))
    await pause(trafficBeforeKillMs, interrupted.signal)
    await traffic.stopSending()
    await drain(traffic, interrupted.signal)
    const appended = await settledReplicas(cluster)
    traffic.close()
    await cluster.stop({ keep: true })
    // A segment's header names the data directory it is in; behind it replicas are the same.
    const replicas = compareReplicas(
      cluster.nodes.map(node => node.dataDirectory),
      segmentHeaderBytes,
    )
    const { distinct, ...numbers } = traffic.numbers()
    const appendedTwice = appended - distinct
    const ok = numbers.lost === 0 && appendedTwice === 0 && numbers.outOfOrder === 0 && replicas.isIdentical && numbers.acknowledged > 0
    say.verdict({ kind: 'verdict', ...numbers, appendedTwice, replicasIdentical: replicas.isIdentical, failovers, ok }, replicas.difference)
    await cluster.stop({ keep: options.keep === true || !ok })
    if (!ok || options.keep === true) say.note(`data and logs of the nodes: ${cluster.directory}`)
    process.exit(ok ? ExitCode.ok : ExitCode.failed)
  } catch (error) {
    traffic.close()
    await cluster.stop()
    if (interrupted.signal.aborted) throw new CliError(ExitCode.interrupted, 'demo interrupted; the nodes are stopped')
    throw error
  }
}

async function prepare(cluster: LocalCluster): Promise<void> {
  const client = new ClusterClient(cluster.nodes.map(node => cluster.endpoint(node.name)))
  const topic = await client.ask(methods.createTopic, { name: demoTopic, type: v1.TopicType.TOPIC_TYPE_FIFO, queueCount: 4 }, () => false)
  const group = await client.ask(
    methods.ensureGroup,
    {
      name: demoGroup,
      settings: { isFifo: true, maxAttempts: 17, backoff: { exponential: { initialMs: 1_000, maxMs: 10_000, multiplier: 2 } } },
      start: { first: true },
      topics: [demoTopic],
    },
    () => false,
  )
  client.close()
  for (const status of [topic.status, group.status])
    if (status?.code !== v1.AdminStatus.Code.OK)
      throw new CliError(ExitCode.failed, `the demo's topic could not be made: ${status?.message ?? ''}`)
}

async function killLeader(
  cluster: LocalCluster,
  traffic: DemoTraffic,
  say: Narrator,
  signal: AbortSignal,
): Promise<DemoVerdict['failovers'][number]> {
  await pause(trafficBeforeKillMs, signal)
  say.numbers(traffic)
  const killed = await cluster.waitForLeader()
  const pid = cluster.nodes.find(node => node.name === killed)?.pid ?? 0
  const killedMs = performance.now()
  say.event('killed', `${killed} killed (SIGKILL, process ${pid})`, { node: killed, processId: pid })
  await cluster.signal(killed, 'SIGKILL')
  const leader = await cluster.waitForLeader()
  await pause(watchAfterKillMs, signal)
  if (!traffic.hasAcceptedSince(killedMs)) await pause(watchAfterKillMs, signal)
  const pausedMs = Math.round(traffic.pauseSince(killedMs))
  say.event('failover', `sends accepted again · writes paused ${pausedMs} ms`, {
    leader,
    pausedMs,
  })
  const restartMs = performance.now()
  await cluster.startNode(killed)
  say.event('restarted', `${killed} is back, ready after ${durationShown(performance.now() - restartMs)}`, { node: killed })
  return { killed, leader, pausedMs }
}

/** Until everything acknowledged has been received, or patience ends. */
async function drain(traffic: DemoTraffic, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + drainMsMax
  while (traffic.numbers().lost > 0 && performance.now() < endMs) await pause(100, signal)
  // A copy that was appended twice would come now.
  await pause(500, signal)
}

/** Waits until all nodes have applied the same entries, and says how many messages the topic holds. */
async function settledReplicas(cluster: LocalCluster): Promise<number> {
  const endpoints = cluster.nodes.map(node => cluster.endpoint(node.name))
  const endMs = performance.now() + 10_000
  for (;;) {
    const answers = await Promise.all(endpoints.map(endpoint => ask(endpoint)))
    const places = new Set(answers.map(answer => `${answer.last} ${answer.applied}`))
    if (places.size === 1 || performance.now() > endMs) return answers[0]?.messages ?? 0
    await new Promise(done => setTimeout(done, 100))
  }
}

async function ask(endpoint: string): Promise<{ last: number; applied: number; messages: number }> {
  const client = new ClusterClient([endpoint])
  const status = await client.ask(methods.clusterStatus, { local: true }, () => false)
  const own = status.nodes.find(node => node.id === status.answeredBy)
  const topic = await client.ask(methods.getTopic, { name: demoTopic }, () => false)
  client.close()
  return { last: own?.lastIndex ?? 0, applied: own?.appliedIndex ?? 0, messages: topic.topic?.messages ?? 0 }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, stopped) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      done()
    }, ms)
    const abort = (): void => {
      clearTimeout(timer)
      stopped(new Error('interrupted'))
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

/** Live lines for people, or the same events as JSON lines. */
class Narrator {
  readonly #isJson: boolean
  readonly #startMs = performance.now()

  constructor(isJson: boolean) {
    this.#isJson = isJson
  }

  opening(cluster: LocalCluster, readyMs: number): void {
    const nodes = cluster.nodes.map(node => ({ name: node.name, client: cluster.endpoint(node.name), processId: node.pid ?? 0 }))
    if (this.#isJson) return print(JSON.stringify({ kind: 'ready', readyMs: Math.round(readyMs), leader: cluster.leader, nodes }))
    print(`${paint('bold', 'raftmq demo')} · 3 nodes in one group, ready in ${durationShown(readyMs)} · data in ${cluster.directory}`)
    print('')
    for (const node of nodes)
      print(
        `  ${node.name}  clients ${node.client}  process ${node.processId}  ${node.name === cluster.leader ? paint('green', 'LEADER') : 'follower'}`,
      )
    print('')
    print(`  topic ${demoTopic} · group ${demoGroup} · official Node clients: 3 producers, 8 message groups, 1 push consumer`)
    print('')
  }

  event(kind: string, text: string, fields: Readonly<Record<string, unknown>>): void {
    const atMs = Math.round(performance.now() - this.#startMs)
    if (this.#isJson) print(JSON.stringify({ kind, atMs, ...fields }))
    else print(`  ${clock(atMs)}  ${text}`)
  }

  numbers(traffic: DemoTraffic): void {
    const { acknowledged, received, errors } = traffic.numbers()
    this.event('traffic', `acknowledged ${count(acknowledged)} · received ${count(received)} · repeated by their user ${errors}`, {
      acknowledged,
      received,
      errors,
    })
  }

  note(text: string): void {
    if (!this.#isJson) print(text)
  }

  verdict(verdict: DemoVerdict, difference: string): void {
    if (this.#isJson) return print(JSON.stringify(verdict))
    const line = (name: string, value: string, isGood: boolean): void =>
      print(`  ${isGood ? paint('green', 'ok  ') : paint('red', 'FAIL')}  ${name.padEnd(34)} ${value}`)
    print('')
    line(
      'acknowledged and received',
      `${count(verdict.received)} of ${count(verdict.acknowledged)}`,
      verdict.received === verdict.acknowledged,
    )
    line('acknowledged and lost', String(verdict.lost), verdict.lost === 0)
    line('appended twice', String(verdict.appendedTwice), verdict.appendedTwice === 0)
    line('out of order in their group', String(verdict.outOfOrder), verdict.outOfOrder === 0)
    line('replicas byte for byte identical', verdict.replicasIdentical ? 'yes' : difference, verdict.replicasIdentical)
    print('')
    for (const { killed, leader, pausedMs } of verdict.failovers)
      print(`  ${killed} killed, ${leader} took over: no accepted send for ${pausedMs} ms`)
    print(`  sends that their user had to repeat: ${verdict.errors} (the Node client pins a message group to one node, here a dead one)`)
    print(`  redelivered ${verdict.redelivered} (a delivery whose acknowledgement was cut off comes again; that is no second append)`)
    print('')
    print(verdict.ok ? paint('green', 'Nothing acknowledged was lost.') : paint('red', 'The verdict is NOT ok.'))
  }
}

function clock(ms: number): string {
  const seconds = (ms / 1000).toFixed(3).padStart(6, '0')
  return `00:${seconds}`
}
