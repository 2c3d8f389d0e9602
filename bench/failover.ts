/**
 * How long does an unmodified client wait when the leader dies? Three real processes, the official Node client sending at a steady rate, and the
 * leader killed (or frozen) again and again. A pause is the longest time without an accepted send around a kill.
 *
 *     npm run bench:failover -- --kills 20 [--signal SIGKILL|SIGSTOP] [-o json]
 */
import { parseArgs } from 'node:util'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Producer } from 'rocketmq-client-nodejs'
import { cliPath, LocalCluster } from '../src/cli/local-cluster.ts'

const run = promisify(execFile)
const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
const topic = 'failover'
const senders = 16
const pauseBetweenSendsMs = 5

export interface FailoverReport {
  readonly kind: 'failover'
  readonly signal: string
  readonly kills: number
  readonly pausesMs: readonly number[]
  readonly medianMs: number
  readonly p99Ms: number
  readonly worstMs: number
  readonly sent: number
  /** Errors that the producer's user saw. */
  readonly errors: number
  readonly firstErrors: readonly string[]
  /** Accepted sends that are in no queue; negative = more in the queues than accepted. */
  readonly appended: number
}

/** Kills the leader `kills` times under load and reports each pause. */
export async function measureFailover(
  kills: number,
  signal: 'SIGKILL' | 'SIGSTOP',
  progress: (line: string) => void,
): Promise<FailoverReport> {
  const cluster = await LocalCluster.start()
  const accepted: number[] = []
  const errors: string[] = []
  let isStopping = false
  try {
    const endpoints = cluster.endpoint('n1')
    await run(process.execPath, [cliPath(), 'topic', 'create', topic, '-e', endpoints])
    const producers = await Promise.all(
      cluster.nodes.map(async node => {
        const producer = new Producer({ endpoints: cluster.endpoint(node.name), namespace: '', topic, logger: silent })
        await producer.startup()
        return producer
      }),
    )
    const loops = Array.from({ length: senders }, async (_, i) => {
      const producer = producers[i % producers.length]
      for (let n = 0; !isStopping && producer !== undefined; n++) {
        try {
          await producer.send({ topic, body: Buffer.from(`${i}-${n}`) })
          accepted.push(performance.now())
        } catch (error) {
          errors.push(String(error))
        }
        await sleep(pauseBetweenSendsMs)
      }
    })
    await sleep(2_000)
    const pausesMs: number[] = []
    for (let kill = 0; kill < kills; kill++) {
      const leader = await cluster.waitForLeader()
      await sleep(500 + Math.random() * 500)
      const from = performance.now()
      await cluster.signal(leader, signal)
      await sleep(3_000)
      pausesMs.push(longestGap(accepted, from))
      progress(`${signal} of ${leader}: ${pausesMs.at(-1)?.toFixed(0) ?? '?'} ms without an accepted send`)
      if (signal === 'SIGSTOP') await cluster.signal(leader, 'SIGCONT')
      else await cluster.startNode(leader)
      await sleep(1_500)
    }
    isStopping = true
    await Promise.all(loops)
    const { stdout } = await run(process.execPath, [cliPath(), 'topic', 'get', topic, '-o', 'json', '-e', cluster.endpoint('n2')])
    const appended = (JSON.parse(stdout) as { messages: number }).messages
    // A client that was just cut off from a node may fail to say goodbye to it.
    await Promise.allSettled(producers.map(producer => producer.shutdown()))
    const sorted = [...pausesMs].sort((a, b) => a - b)
    const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
    return {
      kind: 'failover',
      signal,
      kills,
      pausesMs: pausesMs.map(Math.round),
      medianMs: at(0.5),
      p99Ms: at(0.99),
      worstMs: at(1),
      sent: accepted.length,
      errors: errors.length,
      firstErrors: errors.slice(0, 3),
      appended,
    }
  } finally {
    isStopping = true
    await cluster.stop()
  }
}

/** The longest time between two accepted sends, the first at or after the last one before `from`. */
function longestGap(accepted: readonly number[], from: number): number {
  let previous = from
  let longest = 0
  for (const at of accepted) {
    if (at < from) continue
    longest = Math.max(longest, at - previous)
    previous = at
  }
  return Math.max(longest, accepted.at(-1) === undefined || previous === from ? performance.now() - from : 0)
}

function sleep(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '20' },
      signal: { type: 'string', default: 'SIGKILL' },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  })
  const signal = values.signal === 'SIGSTOP' ? 'SIGSTOP' : 'SIGKILL'
  const report = await measureFailover(Number(values.kills), signal, line => process.stderr.write(`${line}\n`))
  if (values.output === 'json') process.stdout.write(`${JSON.stringify(report)}\n`)
  else {
    process.stdout.write(
      `${report.signal} × ${report.kills}: median ${report.medianMs} ms, p99 ${report.p99Ms} ms, worst ${report.worstMs} ms without an accepted send\n` +
        `accepted ${report.sent}, errors seen by the user ${report.errors}, messages in the topic ${report.appended}\n`,
    )
  }
  process.exit(0)
}
