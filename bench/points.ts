/**
 * What the broker does, as a ratio to a bare grpc-js echo server under the same generator in the same run: three node processes, the generator
 * (a process of its own, raw HTTP/2) and the echo server share this machine. `npm run bench` (main.ts) and `raftmq bench` run it.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { cliPath, LocalCluster } from '../src/cli/local-cluster.ts'
import { generate } from './generate.ts'

const run = promisify(execFile)
const topic = 'bench'
const consumerGroup = 'bench-readers'

export interface BenchPoint {
  readonly kind: 'send' | 'cycle'
  /** Sends at half of the highest rate measured through the leader, or with a 4 MiB body every hundredth time. */
  readonly load?: 'half' | 'mixed'
  readonly via: 'leader' | 'follower' | 'spread'
  readonly inflight: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failed: number
  readonly echoPerSecond: number
  readonly ratio: number
  readonly syncsPerSecond: number
  readonly messagesPerSync: number
  /** Of the leader, under this load. */
  readonly syncP99Ms: number
  /** p99 of a send to p99 of a sync, both under this load. */
  readonly p99ToSyncP99: number
  /** Of all nodes, the worst of the last minute: with `mixed`, of this load alone. */
  readonly loopStallMsMax: number
}

export interface Plan {
  readonly kind: 'send' | 'cycle'
  readonly via: BenchPoint['via']
  readonly inflight: number
  readonly load?: 'half' | 'mixed'
}

const largeEvery = 100
const forgetMsMax = 65_000
/** A node that only tells its status has no longer ones, on a machine that is not overloaded. */
const idleStallMsMax = 5

const plans: readonly Plan[] = [
  { kind: 'send', via: 'leader', inflight: 1 },
  { kind: 'send', via: 'leader', inflight: 64 },
  { kind: 'send', via: 'leader', inflight: 512 },
  { kind: 'send', via: 'follower', inflight: 64 },
  { kind: 'send', via: 'spread', inflight: 510 },
  { kind: 'send', via: 'leader', inflight: 64, load: 'half' },
  { kind: 'send', via: 'leader', inflight: 64, load: 'mixed' },
  { kind: 'cycle', via: 'leader', inflight: 64 },
  { kind: 'cycle', via: 'follower', inflight: 64 },
  { kind: 'cycle', via: 'spread', inflight: 64 },
]

/** Runs all points on a fresh cluster. */
export async function runBench(
  chosen: readonly Plan[],
  seconds: number,
  report: (point: BenchPoint) => void,
): Promise<readonly BenchPoint[]> {
  const echo = await startEcho()
  const cluster = await LocalCluster.start()
  try {
    const leader = await cluster.waitForLeader()
    const follower = cluster.nodes.find(node => node.name !== leader)?.name ?? leader
    await cli(cluster.endpoint(leader), ['topic', 'create', topic])
    const targetsOf: Record<BenchPoint['via'], readonly string[]> = {
      leader: [cluster.endpoint(leader)],
      follower: [cluster.endpoint(follower)],
      spread: cluster.nodes.map(node => cluster.endpoint(node.name)),
    }
    const points: BenchPoint[] = []
    for (const plan of chosen) {
      const order = {
        kind: plan.kind,
        topic,
        consumerGroup,
        inflight: plan.inflight,
        bodyBytes: 1024,
        warmupMs: 2_000,
        measureMs: seconds * 1000,
        largeEvery: plan.load === 'mixed' ? largeEvery : 0,
        ratePerSecond: 0,
      }
      const targets = targetsOf[plan.via]
      const echoed = await generate({ ...order, kind: 'send', targets: [echo.target] })
      if (plan.load === 'half') order.ratePerSecond = Math.round((highest(points) ?? (await generate({ ...order, targets })).perSecond) / 2)
      if (plan.load === 'mixed') await stallsForgotten(cluster.endpoint(leader))
      const measured = generate({ ...order, targets })
      const sync = await syncNumbers(cluster.endpoint(leader), leader, 2_000 + seconds * 900)
      const result = await measured
      const point: BenchPoint = {
        kind: plan.kind,
        ...(plan.load === undefined ? {} : { load: plan.load }),
        via: plan.via,
        inflight: plan.inflight,
        perSecond: result.perSecond,
        p50Ms: result.p50Ms,
        p99Ms: result.p99Ms,
        failed: result.failed,
        echoPerSecond: echoed.perSecond,
        ratio: Math.round((result.perSecond / echoed.perSecond) * 1000) / 1000,
        p99ToSyncP99: round(result.p99Ms / Math.max(sync.syncP99Ms, 0.01)),
        ...sync,
      }
      points.push(point)
      report(point)
    }
    return points
  } finally {
    await cluster.stop()
    echo.process.kill()
  }
}

/** Sends per second through the leader at most, as far as it has been measured. */
function highest(points: readonly BenchPoint[]): number | undefined {
  const rates = points.filter(({ kind, via, load }) => kind === 'send' && via === 'leader' && load === undefined)
  return rates.length === 0 ? undefined : Math.max(...rates.map(({ perSecond }) => perSecond))
}

async function cli(endpoint: string, args: readonly string[]): Promise<string> {
  return (await run(process.execPath, [cliPath(), ...args], { env: { ...process.env, RAFTMQ_ENDPOINT: endpoint } })).stdout
}

interface StatusNode {
  readonly name: string
  readonly loopStallMaxMs: number
  readonly syncP99Ms: number
  readonly syncsPerSecond: number
  readonly messagesPerSync: number
}

async function statusOf(endpoint: string): Promise<readonly StatusNode[]> {
  return (JSON.parse(await cli(endpoint, ['cluster', 'status', '-o', 'json'])) as { nodes: readonly StatusNode[] }).nodes
}

/** Waits until the nodes, which tell the worst of the last minute, are past what stalled before. */
async function stallsForgotten(endpoint: string): Promise<void> {
  const untilMs = performance.now() + forgetMsMax
  while (performance.now() < untilMs && (await statusOf(endpoint)).some(({ loopStallMaxMs }) => loopStallMaxMs > idleStallMsMax))
    await new Promise(done => setTimeout(done, 1_000))
}

/** The leader's own numbers and everybody's stalls, asked near the end of the load. */
async function syncNumbers(
  endpoint: string,
  leader: string,
  afterMs: number,
): Promise<Pick<BenchPoint, 'syncsPerSecond' | 'messagesPerSync' | 'syncP99Ms' | 'loopStallMsMax'>> {
  await new Promise(done => setTimeout(done, afterMs))
  const nodes = await statusOf(endpoint)
  const node = nodes.find(each => each.name === leader)
  return {
    syncsPerSecond: Math.round(node?.syncsPerSecond ?? 0),
    messagesPerSync: round(node?.messagesPerSync ?? 0),
    syncP99Ms: node?.syncP99Ms ?? 0,
    loopStallMsMax: Math.max(...nodes.map(each => each.loopStallMaxMs)),
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

async function startEcho(): Promise<{ target: string; process: ChildProcess }> {
  const child = fork(resolve(import.meta.dirname, 'echo-server.js'), { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const line = await new Promise<string>(done => child.stdout?.once('data', (chunk: Buffer) => done(chunk.toString())))
  return { target: `127.0.0.1:${(JSON.parse(line) as { port: number }).port}`, process: child }
}

function pointLine(point: BenchPoint): string {
  return [
    (point.load ?? point.kind).padEnd(6),
    point.via.padEnd(9),
    String(point.inflight).padStart(4),
    `${point.perSecond}/s`.padStart(9),
    `p50 ${point.p50Ms.toFixed(1)}`.padStart(10),
    `p99 ${point.p99Ms.toFixed(1)} ms`.padStart(13),
    `echo ${point.echoPerSecond}/s`.padStart(13),
    `ratio ${point.ratio.toFixed(2)}`.padStart(11),
    `${point.syncsPerSecond} syncs/s × ${point.messagesPerSync}`.padStart(20),
    point.load === 'half' ? `  p99 is ${point.p99ToSyncP99} × sync p99 (${point.syncP99Ms} ms)` : '',
    point.load === 'mixed' ? `  longest stall ${point.loopStallMsMax} ms` : '',
    point.failed > 0 ? `  ${point.failed} FAILED` : '',
  ].join(' ')
}

function nameOf(plan: Plan): string {
  return `${plan.load ?? plan.kind} ${plan.via} ${plan.inflight}`
}

export function pointNames(): readonly string[] {
  return plans.map(nameOf)
}

/** Those whose line begins so. */
export function plansFor(only: string): readonly Plan[] {
  return plans.filter(plan => nameOf(plan).startsWith(only))
}

/** Runs the points and prints a line for each. */
export async function printBench(options: {
  readonly isJson: boolean
  readonly seconds: number
  readonly chosen: readonly Plan[]
}): Promise<void> {
  await runBench(options.chosen, options.seconds, point =>
    process.stdout.write(`${options.isJson ? JSON.stringify(point) : pointLine(point)}\n`),
  )
}
