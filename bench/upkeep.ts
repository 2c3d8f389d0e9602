/**
 * What does a group's upkeep cost its clients? Three real processes under a steady load of sends; first left alone, then with segments of 8 MiB that are
 * deleted as they fill (retention), and meanwhile a member is replaced by an empty one, which gets a snapshot and the log (snapshots, catch-up, membership).
 *
 *     npm run bench:upkeep -- [--rate 2000] [--seconds 15] [-o json]
 */
import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import { cliPath, LocalCluster } from '../src/cli/local-cluster.ts'
import { generate } from './generate.ts'
import type { GeneratorOrder, GeneratorReport } from './generator.ts'

const run = promisify(execFile)
const topic = 'upkeep'
/** Segments of 8 MiB, and never more than a few of them: at the usual rate one is deleted every other second. */
const smallLog = 'log: { segment_size: 8MiB, retention: { size: 64MiB } }'
/** The log is as long as retention lets it be before anything is measured. */
const fillSeconds = 30

export interface UpkeepReport {
  readonly kind: 'upkeep'
  readonly ratePerSecond: number
  readonly quietP50Ms: number
  readonly quietP99Ms: number
  readonly upkeepP50Ms: number
  readonly upkeepP99Ms: number
  /** Upkeep ÷ quiet. */
  readonly p99Ratio: number
  readonly replaceSeconds: number
  readonly failed: number
}

async function measureUpkeep(ratePerSecond: number, seconds: number, progress: (line: string) => void): Promise<UpkeepReport> {
  const quiet = await onCluster('log: { segment_size: 256MiB }', 0, async cluster => generate(orderFor(cluster, ratePerSecond, seconds)))
  progress(`left alone: p50 ${quiet.p50Ms} ms, p99 ${quiet.p99Ms} ms`)
  return onCluster(smallLog, 1, async cluster => {
    await generate(orderFor(cluster, ratePerSecond, fillSeconds))
    progress('the log is as long as it may be; n3 is replaced by n4')
    const load = generate(orderFor(cluster, ratePerSecond, seconds))
    const fromMs = performance.now()
    await cluster.startNode('n4')
    await cli(cluster, ['cluster', 'member', 'replace', 'n3', 'n4', '-c', cluster.configPath])
    const replaceSeconds = Math.round((performance.now() - fromMs) / 100) / 10
    progress(`replaced after ${replaceSeconds} s`)
    const busy: GeneratorReport = await load
    return {
      kind: 'upkeep',
      ratePerSecond,
      quietP50Ms: quiet.p50Ms,
      quietP99Ms: quiet.p99Ms,
      upkeepP50Ms: busy.p50Ms,
      upkeepP99Ms: busy.p99Ms,
      p99Ratio: Math.round((busy.p99Ms / quiet.p99Ms) * 100) / 100,
      replaceSeconds,
      failed: quiet.failed + busy.failed,
    }
  })
}

async function onCluster<T>(extraConfig: string, spareCount: number, measure: (cluster: LocalCluster) => Promise<T>): Promise<T> {
  const cluster = await LocalCluster.start({ nodeCount: 3, spareCount, extraConfig })
  try {
    await cluster.waitForLeader()
    await cli(cluster, ['topic', 'create', topic])
    return await measure(cluster)
  } finally {
    await cluster.stop()
  }
}

async function cli(cluster: LocalCluster, args: readonly string[]): Promise<void> {
  await run(process.execPath, [cliPath(), ...args], { env: { ...process.env, RAFTMQ_ENDPOINT: cluster.endpoint('n1') } })
}

/** Through the two nodes that stay. */
function orderFor(cluster: LocalCluster, ratePerSecond: number, seconds: number): GeneratorOrder {
  return {
    kind: 'send',
    targets: ['n1', 'n2'].map(name => cluster.endpoint(name)),
    topic,
    consumerGroup: topic,
    inflight: 64,
    bodyBytes: 1024,
    warmupMs: 2_000,
    measureMs: seconds * 1000,
    largeEvery: 0,
    ratePerSecond,
  }
}

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '15' },
    output: { type: 'string', short: 'o', default: 'text' },
  },
})
const report = await measureUpkeep(Number(values.rate), Number(values.seconds), line => console.error(line))
if (values.output === 'json') console.log(JSON.stringify(report))
else for (const [name, value] of Object.entries(report)) console.log(`${name.padEnd(20)} ${value}`)
process.exit(report.failed > 0 ? 1 : 0)
