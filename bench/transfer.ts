/**
 * How long is the group without an accepted send when the leadership changes on purpose? Three real processes, official Node clients sending at a steady
 * rate through each node, and the leadership handed over again and again: by an operator's wish, or because the leader is asked to stop (SIGTERM).
 * Beside each pause stands the longest one of the same length of time just before, with nothing going on: what the machine does by itself.
 *
 *     npm run bench:transfer -- --rounds 20 [--how transfer|SIGTERM] [-o json]
 *
 * The official Node client never goes back to a node that refused it once, so a stop meets clients that have seen no other.
 */
import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import { Producer } from 'rocketmq-client-nodejs'
import { ClusterClient, methods, v1 } from '../src/cli/client.ts'
import { cliPath, LocalCluster } from '../src/cli/local-cluster.ts'
import { allUp, longestGap, sleep } from './failover.ts'

const run = promisify(execFile)
const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
const topic = 'transfer'
const sendersPerNode = 4
const pauseBetweenSendsMs = 2
const windowMs = 1_000
const transferPatienceMs = 5_000

export interface TransferReport {
  readonly kind: 'transfer'
  readonly how: 'transfer' | 'SIGTERM'
  readonly rounds: number
  readonly pausesMs: readonly number[]
  /** Just before each, with nothing going on. */
  readonly quietPausesMs: readonly number[]
  readonly medianMs: number
  readonly worstMs: number
  readonly quietMedianMs: number
  readonly sent: number
  /** Errors that the producers' users saw. */
  readonly errors: number
  readonly firstErrors: readonly string[]
}

class Load {
  readonly accepted: number[] = []
  readonly errors: string[] = []
  #isStopping = false
  #lanes: Promise<void>[] = []
  #producers: Producer[] = []

  async start(cluster: LocalCluster): Promise<void> {
    this.#isStopping = false
    this.#producers = await Promise.all(
      cluster.nodes.map(async node => {
        const producer = new Producer({ endpoints: cluster.endpoint(node.name), namespace: '', topic, logger: silent })
        await producer.startup()
        return producer
      }),
    )
    this.#lanes = this.#producers.flatMap(producer => Array.from({ length: sendersPerNode }, () => this.#send(producer)))
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#lanes)
    // A client that was just cut off from a node may fail to say goodbye to it.
    await Promise.allSettled(this.#producers.map(producer => producer.shutdown()))
  }

  async #send(producer: Producer): Promise<void> {
    while (!this.#isStopping) {
      try {
        await producer.send({ topic, body: Buffer.from('x'.repeat(200)) })
        this.accepted.push(performance.now())
      } catch (error) {
        this.errors.push(String(error))
      }
      await sleep(pauseBetweenSendsMs)
    }
  }
}

/** Changes the leader on purpose, `rounds` times under load. */
export async function measureTransfers(
  rounds: number,
  how: TransferReport['how'],
  progress: (line: string) => void,
): Promise<TransferReport> {
  const cluster = await LocalCluster.start()
  const load = new Load()
  const pausesMs: number[] = []
  const quietPausesMs: number[] = []
  try {
    await run(process.execPath, [cliPath(), 'topic', 'create', topic, '-e', cluster.endpoint('n1')])
    await load.start(cluster)
    await sleep(2_000)
    for (let round = 0; round < rounds; round++) {
      const leader = await cluster.waitForLeader()
      quietPausesMs.push(await pauseDuring(load, () => Promise.resolve()))
      pausesMs.push(await pauseDuring(load, () => (how === 'transfer' ? handOver(cluster) : cluster.signal(leader, 'SIGTERM'))))
      progress(`${how} of ${leader}: ${show(pausesMs.at(-1))} ms without an accepted send (${show(quietPausesMs.at(-1))} ms before it)`)
      if (how === 'transfer') continue
      await cluster.startNode(leader)
      await load.stop()
      await allUp(cluster)
      await load.start(cluster)
      await sleep(1_000)
    }
    await load.stop()
  } finally {
    await cluster.stop()
  }
  return {
    ...{ kind: 'transfer', how, rounds, pausesMs: pausesMs.map(Math.round), quietPausesMs: quietPausesMs.map(Math.round) },
    medianMs: quantile(pausesMs, 0.5),
    worstMs: quantile(pausesMs, 1),
    quietMedianMs: quantile(quietPausesMs, 0.5),
    sent: load.accepted.length,
    errors: load.errors.length,
    firstErrors: load.errors.slice(0, 3),
  }
}

/** The longest time without an accepted send within a second from here. */
async function pauseDuring(load: Load, act: () => Promise<unknown>): Promise<number> {
  const fromMs = performance.now()
  const done = act()
  await sleep(windowMs)
  const pauseMs = longestGap(load.accepted, fromMs)
  await done
  return pauseMs
}

async function handOver(cluster: LocalCluster): Promise<void> {
  const client = new ClusterClient([cluster.endpoint('n1')])
  try {
    const answer = await client.unary(methods.transferLeader, { to: '' }, transferPatienceMs)
    if (answer.status?.code !== v1.AdminStatus.Code.OK) throw new Error(`no hand-over: ${answer.status?.message ?? ''}`)
  } finally {
    client.close()
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
}

function show(ms: number | undefined): string {
  return ms?.toFixed(0) ?? '?'
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      how: { type: 'string', default: 'transfer' },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  })
  const how = values.how === 'SIGTERM' ? 'SIGTERM' : 'transfer'
  const report = await measureTransfers(Number(values.rounds), how, line => process.stderr.write(`${line}\n`))
  if (values.output === 'json') process.stdout.write(`${JSON.stringify(report)}\n`)
  else {
    process.stdout.write(
      `${report.how} × ${report.rounds}: median ${report.medianMs} ms, worst ${report.worstMs} ms without an accepted send ` +
        `(quiet: median ${report.quietMedianMs} ms); accepted ${report.sent}, failed ${report.errors}\n`,
    )
  }
  process.exit(0)
}
