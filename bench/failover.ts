/**
 * How long does an unmodified client wait when the leader dies? Three real processes, the official Node client sending at a steady rate, and the
 * leader killed (or frozen) again and again. A pause is the longest time without an accepted send around a kill.
 *
 *     npm run bench:failover -- --kills 20 [--signal SIGKILL|SIGSTOP] [--old-producers] [-o json]
 *
 * Each kill meets producers that have seen no other: this client remembers for ever which endpoints failed it, so that after two kills of different
 * nodes the third is the only one it tries. `--old-producers` keeps the same ones, and their users see errors at such a kill.
 */
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Producer } from 'rocketmq-client-nodejs'
import { CallFailed, ClusterClient, methods, v2 } from '../src/cli/client.ts'
import { cliPath, LocalCluster } from '../src/cli/local-cluster.ts'

const run = promisify(execFile)
const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
const topic = 'failover'
const senders = 16
const pauseBetweenSendsMs = 5
const allUpMsMax = 20_000

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
  /** Messages in the topic: at least what was sent; more when an answer was lost on the way. */
  readonly appended: number
}

/** Kills the leader `kills` times under load and reports each pause. */
export async function measureFailover(
  kills: number,
  signal: 'SIGKILL' | 'SIGSTOP',
  keepsProducers: boolean,
  progress: (line: string) => void,
): Promise<FailoverReport> {
  const cluster = await LocalCluster.start()
  const accepted: number[] = []
  const errors: string[] = []
  let isStopping = false
  try {
    const endpoints = cluster.endpoint('n1')
    await run(process.execPath, [cliPath(), 'topic', 'create', topic, '-e', endpoints])
    const startProducers = (): Promise<Producer[]> =>
      Promise.all(
        cluster.nodes.map(async node => {
          const producer = new Producer({ endpoints: cluster.endpoint(node.name), namespace: '', topic, logger: silent })
          await producer.startup()
          return producer
        }),
      )
    let producers = await startProducers()
    const retired: Promise<unknown>[] = []
    const loops = Array.from({ length: senders }, async (_, i) => {
      for (let n = 0; !isStopping; n++) {
        const producer = producers[i % producers.length]
        if (producer === undefined) return
        try {
          await producer.send({ topic, body: Buffer.from(`${i}-${n}`) })
          accepted.push(performance.now())
        } catch (error) {
          errors.push(String(error))
        }
        await sleep(pauseBetweenSendsMs)
      }
    })
    // A call that sits on a frozen node lasts its own deadline: what counts then is a send through a node that lives.
    const doors = signal === 'SIGSTOP' ? cluster.nodes.map(node => new Door(cluster.endpoint(node.name), node.name)) : []
    const doorLoops = doors.map(door => door.run(() => isStopping))
    await sleep(2_000)
    const pausesMs: number[] = []
    for (let kill = 0; kill < kills; kill++) {
      const leader = await cluster.waitForLeader()
      await sleep(500 + Math.random() * 500)
      const from = performance.now()
      await cluster.signal(leader, signal)
      await sleep(3_000)
      const alive = doors.filter(door => door.node !== leader)
      pausesMs.push(alive.length === 0 ? longestGap(accepted, from) : Math.max(...alive.map(door => longestGap(door.acceptedAtMs, from))))
      progress(`${signal} of ${leader}: ${pausesMs.at(-1)?.toFixed(0) ?? '?'} ms without an accepted send`)
      if (signal === 'SIGSTOP') await cluster.signal(leader, 'SIGCONT')
      else await cluster.startNode(leader)
      await sleep(1_500)
      if (!keepsProducers) {
        await allUp(cluster)
        const old = producers
        producers = await startProducers()
        // After the sends that are under way.
        retired.push(sleep(5_000).then(() => Promise.allSettled(old.map(producer => producer.shutdown()))))
      }
    }
    isStopping = true
    await Promise.all([...loops, ...doorLoops])
    const { stdout } = await run(process.execPath, [cliPath(), 'topic', 'get', topic, '-o', 'json', '-e', cluster.endpoint('n2')])
    const appended = (JSON.parse(stdout) as { messages: number }).messages
    // A client that was just cut off from a node may fail to say goodbye to it.
    await Promise.allSettled([...retired, ...producers.map(producer => producer.shutdown())])
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
      sent: accepted.length + doors.reduce((sum, door) => sum + door.acceptedAtMs.length, 0),
      errors: errors.length,
      firstErrors: errors.slice(0, 3),
      appended,
    }
  } finally {
    isStopping = true
    await cluster.stop()
  }
}

/** Waits until every node is in the routes again: a client that starts before knows only some of them. */
export async function allUp(cluster: LocalCluster): Promise<void> {
  const untilMs = performance.now() + allUpMsMax
  const arguments_ = [cliPath(), 'cluster', 'status', '-o', 'json', '-e', cluster.nodes.map(({ name }) => cluster.endpoint(name)).join(';')]
  for (;;) {
    const { stdout } = await run(process.execPath, arguments_)
    if ((JSON.parse(stdout) as { nodes: readonly { isUp: boolean }[] }).nodes.every(({ isUp }) => isUp)) return
    if (performance.now() > untilMs) throw new Error(`not all nodes are up ${allUpMsMax} ms after one was started again`)
    await sleep(500)
  }
}

/** One send after the other through one node only. */
class Door {
  readonly node: string
  readonly acceptedAtMs: number[] = []
  readonly #client: ClusterClient

  constructor(endpoint: string, node: string) {
    this.node = node
    this.#client = new ClusterClient([endpoint])
  }

  async run(isStopping: () => boolean): Promise<void> {
    for (let n = 0; !isStopping(); n++) {
      const messageId = `01${randomBytes(16).toString('hex').toUpperCase()}`
      const systemProperties = { messageId, messageType: v2.MessageType.NORMAL, bodyEncoding: v2.Encoding.IDENTITY }
      const message = { topic: { name: topic }, systemProperties, body: Buffer.from(`${this.node}-${n}`) }
      try {
        const answer = await this.#client.unary(methods.sendMessage, { messages: [message] }, 3_000)
        if (answer.status?.code === v2.Code.OK) this.acceptedAtMs.push(performance.now())
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error
      }
      await sleep(pauseBetweenSendsMs)
    }
    this.#client.close()
  }
}

/** The longest time between two accepted sends, the first at or after the last one before `from`. */
export function longestGap(accepted: readonly number[], from: number): number {
  let previous = from
  let longest = 0
  for (const at of accepted) {
    if (at < from) continue
    longest = Math.max(longest, at - previous)
    previous = at
  }
  return Math.max(longest, accepted.at(-1) === undefined || previous === from ? performance.now() - from : 0)
}

export function sleep(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '20' },
      signal: { type: 'string', default: 'SIGKILL' },
      'old-producers': { type: 'boolean', default: false },
      output: { type: 'string', short: 'o', default: 'text' },
    },
  })
  const signal = values.signal === 'SIGSTOP' ? 'SIGSTOP' : 'SIGKILL'
  const report = await measureFailover(Number(values.kills), signal, values['old-producers'], line => process.stderr.write(`${line}\n`))
  if (values.output === 'json') process.stdout.write(`${JSON.stringify(report)}\n`)
  else {
    process.stdout.write(
      `${report.signal} × ${report.kills}: median ${report.medianMs} ms, p99 ${report.p99Ms} ms, worst ${report.worstMs} ms without an accepted send\n` +
        `accepted ${report.sent}, errors seen by the user ${report.errors}, messages in the topic ${report.appended}\n`,
    )
  }
  process.exit(0)
}
