/**
 * `raftmq demo` on a terminal: three real processes and official clients at work, and keys to kill, freeze, cut off, restore and verify. What happened
 * scrolls by with real timings; the last line is drawn over. Actions run one after the other, in the order of the keys. Every way out gives the
 * terminal back and ends the nodes.
 */
import { segmentHeaderBytes } from '../storage/segment.ts'
import { ClusterClient, methods, v1 } from './client.ts'
import { keysLines, type DemoAction } from './demo-keys.ts'
import { Narrator, type DemoVerdict } from './demo-narrator.ts'
import { openDemoScreen, type DemoScreen } from './demo-screen.ts'
import { statusLine, type NodeCondition } from './demo-status-line.ts'
import { drain, exitInterrupted, pause, prepare, settledReplicas } from './demo-steps.ts'
import { DemoTraffic } from './demo-traffic.ts'
import type { DemoOptions } from './demo.ts'
import { CliError, ExitCode } from './exit.ts'
import { LocalCluster } from './local-cluster.ts'
import { compareReplicas } from './replica-files.ts'
import { durationShown, paint } from './terminal.ts'

const redrawMs = 1_000
/** After a fault: how long at most until a send is accepted again, and how long those after it are watched. */
const acceptedMsMax = 15_000
const watchMs = 1_000

/** What a fault does to the leader, and what is said of it. */
const faults = {
  kill: { condition: 'down', said: 'killed (SIGKILL)' },
  freeze: { condition: 'frozen', said: 'frozen (SIGSTOP)' },
  cut: { condition: 'cut off', said: 'cut off from the other nodes' },
} as const satisfies Partial<Record<DemoAction, { condition: NodeCondition; said: string }>>

/** What the actions share. */
interface Show {
  readonly cluster: LocalCluster
  readonly traffic: DemoTraffic
  readonly say: Narrator
  readonly conditions: Map<string, NodeCondition>
  readonly signal: AbortSignal
}

export async function liveDemo(options: DemoOptions): Promise<void> {
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new CliError(ExitCode.usage, 'the demo with keys needs a terminal; without one run: raftmq demo --script')
  const screen = openDemoScreen()
  let show: Show | undefined
  let ok = false
  try {
    show = await open(screen)
    ok = await play(show, screen)
  } catch (error) {
    if (!screen.signal.aborted) throw error
  } finally {
    screen.close()
    show?.traffic.close()
    const keep = options.keep === true || (!ok && !screen.signal.aborted)
    if (show !== undefined) await end(show, keep)
    if (keep && show !== undefined) process.stdout.write(`data and logs of the nodes: ${show.cluster.directory}\n`)
  }
  if (screen.signal.aborted) exitInterrupted()
  process.exit(ok ? ExitCode.ok : ExitCode.failed)
}

async function open(screen: DemoScreen): Promise<Show> {
  const say = new Narrator(false, screen.print)
  const conditions = new Map<string, NodeCondition>()
  const startMs = performance.now()
  let isOpen = false
  const cluster = await LocalCluster.start({
    onEvent: (node, event) => {
      if (isOpen && screen.isOpen && event.kind === 'leadership' && event.isLeader)
        say.event('leader', `${node} ${paint('green', 'LEADER')} term ${event.term}`, {})
    },
  })
  const show: Show = { cluster, traffic: new DemoTraffic(), say, conditions, signal: screen.signal }
  try {
    for (const { name } of cluster.nodes) conditions.set(name, 'running')
    say.opening(cluster, performance.now() - startMs)
    isOpen = true
    await prepare(cluster)
    await show.traffic.start(cluster.nodes.map(node => cluster.endpoint(node.name)))
  } catch (error) {
    await end(show, false)
    throw error
  }
  for (const line of keysLines()) screen.print(`  ${line}`)
  screen.print('')
  return show
}

/** Until the person quits; whether everything was as promised. */
async function play(show: Show, screen: DemoScreen): Promise<boolean> {
  let before = 0
  const draw = (): void => {
    const numbers = show.traffic.numbers()
    const sentPerSecond = Math.round(((numbers.acknowledged - before) * 1_000) / redrawMs)
    before = numbers.acknowledged
    const nodes = [...show.conditions].map(([name, condition]) => ({ name, condition }))
    const { leader } = show.cluster
    const { isSending } = show.traffic
    const { acknowledged, lost: onTheWay, errors } = numbers
    screen.setFoot(columns => statusLine({ nodes, leader, isSending, sentPerSecond, acknowledged, onTheWay, errors }, columns))
  }
  const timer = setInterval(draw, redrawMs)
  try {
    for (;;) {
      const action = await screen.nextAction()
      if (action === 'quit') {
        await restore(show)
        return await verify(show)
      }
      await act(show, action)
    }
  } finally {
    clearInterval(timer)
  }
}

async function act(show: Show, action: Exclude<DemoAction, 'quit' | 'abort'>): Promise<void> {
  switch (action) {
    case 'kill':
    case 'freeze':
    case 'cut':
      return strike(show, action)
    case 'handOver':
      return handOver(show)
    case 'restore':
      return restore(show)
    case 'traffic':
      return toggleTraffic(show)
    case 'verify':
      await verify(show)
  }
}

async function strike({ cluster, traffic, say, conditions, signal }: Show, action: keyof typeof faults): Promise<void> {
  const name = cluster.leader
  if (name === undefined || conditions.get(name) !== 'running') {
    say.event('note', 'there is no leader now; press r to restore', {})
    return
  }
  const { condition, said } = faults[action]
  const fromMs = performance.now()
  say.event('fault', `${paint('red', name)} ${said}, process ${cluster.nodes.find(node => node.name === name)?.pid ?? 0}`, {})
  conditions.set(name, condition)
  if (action === 'kill') await cluster.signal(name, 'SIGKILL')
  else if (action === 'freeze') await cluster.signal(name, 'SIGSTOP')
  else cluster.setCut(name, true)
  const running = [...conditions.values()].filter(each => each === 'running').length
  if (running * 2 <= conditions.size) {
    say.event('note', `${running} of ${conditions.size} nodes are left: no majority, so sends wait; press r to restore`, {})
    return
  }
  if (!traffic.isSending) return
  await tellPause({ traffic, say, signal }, fromMs)
}

/** Watches the clients after a fault, and says how long no send was accepted. */
async function tellPause({ traffic, say, signal }: Pick<Show, 'traffic' | 'say' | 'signal'>, fromMs: number): Promise<void> {
  const errorsBefore = traffic.numbers().errors
  await pause(watchMs, signal)
  while (!traffic.hasAcceptedSince(performance.now() - watchMs) && performance.now() < fromMs + acceptedMsMax) await pause(100, signal)
  if (!traffic.hasAcceptedSince(fromMs)) {
    say.event('pause', `no send accepted for ${durationShown(acceptedMsMax)}`, {})
    return
  }
  await pause(watchMs, signal)
  const errors = traffic.numbers().errors - errorsBefore
  say.event('pause', `sends accepted again · none was for ${durationShown(traffic.pauseSince(fromMs))} · errors seen: ${errors}`, {})
}

async function handOver(show: Show): Promise<void> {
  const { cluster, conditions, traffic, say } = show
  const running = cluster.nodes.filter(({ name }) => conditions.get(name) === 'running')
  const client = new ClusterClient(running.map(({ name }) => cluster.endpoint(name)))
  const fromMs = performance.now()
  const answer = await client.ask(methods.transferLeader, { to: '' }, () => false).catch((error: unknown) => error as Error)
  client.close()
  if (answer instanceof Error) {
    say.event('note', `the leader was not handed over: ${answer.message}`, {})
    return
  }
  if (answer.status?.code !== v1.AdminStatus.Code.OK) {
    say.event('note', `the leader was not handed over: ${answer.status?.message ?? ''}`, {})
    return
  }
  say.event('handOver', `the leader handed over in ${durationShown(performance.now() - fromMs)}`, {})
  if (traffic.isSending) await tellPause(show, fromMs)
}

/** Everything that was done to nodes is undone. */
async function restore({ cluster, conditions, say }: Show): Promise<void> {
  const out = [...conditions].filter(([, condition]) => condition !== 'running')
  if (out.length === 0) return
  await Promise.all(
    out.map(async ([name, condition]) => {
      const fromMs = performance.now()
      if (condition === 'down') await cluster.startNode(name)
      else if (condition === 'frozen') await cluster.signal(name, 'SIGCONT')
      else cluster.setCut(name, false)
      conditions.set(name, 'running')
      say.event(
        'restored',
        `${name} is back${condition === 'down' ? `, ready after ${durationShown(performance.now() - fromMs)}` : ''}`,
        {},
      )
    }),
  )
}

async function toggleTraffic({ traffic, say }: Show): Promise<void> {
  if (traffic.isSending) await traffic.stopSending()
  else traffic.resumeSending()
  say.event('traffic', traffic.isSending ? 'traffic goes on' : 'traffic stopped', {})
}

/** Stops the traffic, waits until all is received and the replicas stand still, and says what came of it. */
async function verify({ cluster, conditions, traffic, say, signal }: Show): Promise<boolean> {
  const missing = [...conditions].filter(([, condition]) => condition !== 'running').map(([name]) => name)
  if (missing.length > 0) {
    say.event('note', `verify needs all nodes, and ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} out; press r first`, {})
    return false
  }
  say.event('verify', 'verify: traffic stops until everything is received', {})
  const wasSending = traffic.isSending
  await traffic.stopSending()
  await drain(traffic, signal)
  const appended = await settledReplicas(cluster)
  const replicas = compareReplicas(
    cluster.nodes.map(node => node.dataDirectory),
    segmentHeaderBytes,
  )
  const { distinct, ...numbers } = traffic.numbers()
  const appendedTwice = appended - distinct
  const ok = numbers.lost === 0 && appendedTwice === 0 && numbers.outOfOrder === 0 && replicas.isIdentical
  const verdict: DemoVerdict = { kind: 'verdict', ...numbers, appendedTwice, replicasIdentical: replicas.isIdentical, failovers: [], ok }
  say.verdict(verdict, replicas.difference)
  if (wasSending) traffic.resumeSending()
  return ok
}

/** Nodes that stand still do not hear that they are to stop. */
async function end({ cluster, conditions }: Show, keep: boolean): Promise<void> {
  for (const [name, condition] of conditions) if (condition === 'frozen') await cluster.signal(name, 'SIGCONT')
  await cluster.stop({ keep })
}
