/**
 * `raftmq demo --script`: three real processes, official clients at work, the leader killed twice without warning, and a verdict at the end. Every
 * number is measured in this run; nothing is claimed that was not read from the nodes, their files or the clients' own books.
 */
import { segmentHeaderBytes } from '../storage/segment.ts'
import { Narrator, type DemoVerdict } from './demo-narrator.ts'
import { drain, exitInterrupted, pause, prepare, settledReplicas } from './demo-steps.ts'
import { DemoTraffic } from './demo-traffic.ts'
import { ExitCode } from './exit.ts'
import { LocalCluster } from './local-cluster.ts'
import { compareReplicas } from './replica-files.ts'
import { durationShown } from './terminal.ts'

export interface DemoOptions {
  readonly script?: boolean
  readonly json?: boolean
  readonly keep?: boolean
}

const kills = 2
const trafficBeforeKillMs = 3_000
const watchAfterKillMs = 2_500

export async function demo(options: DemoOptions): Promise<void> {
  if (options.script !== true && options.json !== true) return (await import('./demo-live.ts')).liveDemo(options)
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
    if (interrupted.signal.aborted) exitInterrupted()
    throw error
  }
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
