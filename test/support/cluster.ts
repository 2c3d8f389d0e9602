/** A cluster of real processes and the command line, for tests. The build has been made by `npm test` (pretest). */
import { execFile } from 'node:child_process'
import { cliPath, LocalCluster, type LocalClusterOptions } from '../../src/cli/local-cluster.ts'

export { LocalCluster }

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `raftmq` as its user would; never throws for an exit code. */
export function raftmq(endpoint: string, args: readonly string[], input?: string): Promise<CliResult> {
  return new Promise(done => {
    const child = execFile(
      process.execPath,
      [cliPath(), ...args],
      { maxBuffer: 256 * 1024 * 1024, env: { ...process.env, RAFTMQ_ENDPOINT: endpoint } },
      (error, stdout, stderr) => {
        done({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
      },
    )
    if (input !== undefined) child.stdin?.end(input)
  })
}

/** A cluster with these topics: name → type. */
export async function clusterWithTopics(
  topics: Readonly<Record<string, 'normal' | 'fifo'>>,
  options: LocalClusterOptions & { readonly queues?: number } = {},
): Promise<LocalCluster> {
  const cluster = await LocalCluster.start(options)
  for (const [topic, type] of Object.entries(topics)) {
    const result = await raftmq(cluster.endpoint('n1'), ['topic', 'create', topic, '--type', type, '--queues', String(options.queues ?? 4)])
    if (result.code !== 0) throw new Error(`topic create ${topic} failed: ${result.stderr}`)
  }
  return cluster
}

export const silentLogger = {
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (): void => undefined,
  debug: (): void => undefined,
}

/** Waits until `condition` holds, looking every 20 ms; throws with `what` after `timeoutMs`. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 15_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise(done => setTimeout(done, 20))
  }
}
