/** What both demos do: make the topic and the group, wait until all is received, wait until the replicas stand still. */
import { methods, ClusterClient, v1 } from './client.ts'
import { demoGroup, demoTopic, type DemoTraffic } from './demo-traffic.ts'
import { CliError, ExitCode } from './exit.ts'
import type { LocalCluster } from './local-cluster.ts'

const drainMsMax = 30_000

/** Makes the demo's topic and group. */
export async function prepare(cluster: LocalCluster): Promise<void> {
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

/** Until everything acknowledged has been received, or patience ends. */
export async function drain(traffic: DemoTraffic, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + drainMsMax
  while (traffic.numbers().lost > 0 && performance.now() < endMs) await pause(100, signal)
  // A copy that was appended twice would come now.
  await pause(500, signal)
}

/** Waits until all nodes have applied the same entries, and says how many messages the topic holds. */
export async function settledReplicas(cluster: LocalCluster): Promise<number> {
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

/** Waits; throws when the signal is given. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
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

/** Ends the process. Not left to its natural end: the official clients' goodbyes and timers would hold it for half a minute. */
export function exitInterrupted(): never {
  process.stderr.write('demo interrupted; the nodes are stopped\n')
  process.exit(ExitCode.interrupted)
}
