/** `raftmq dev`, which `npm start` runs: three nodes as three processes on this machine, and how to talk to them. Ctrl-C stops everything. */
import { resolve } from 'node:path'
import { CliError, ExitCode } from './exit.ts'
import { LocalCluster } from './local-cluster.ts'
import { fileProblem } from './named-files.ts'
import type { OutputFormat } from './terminal.ts'
import { durationShown, paint, print, printJson, remark } from './terminal.ts'

export interface DevOptions {
  readonly data?: string
  readonly output: OutputFormat
}

const firstClientPort = 8081
const firstPeerPort = 7081

export async function dev(options: DevOptions): Promise<void> {
  const startMs = performance.now()
  const stopping = new AbortController()
  const wish = new Promise<void>(stop => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        stopping.abort()
        stop()
      })
  })
  const alive = new Set<string>()
  let allGone: (() => void) | undefined
  const gone = new Promise<'gone'>(done => {
    allGone = () => done('gone')
  })
  const starting = LocalCluster.start({
    ...(options.data === undefined ? {} : { directory: resolve(options.data) }),
    firstClientPort,
    firstPeerPort,
    onEvent: (node, event) => {
      if (event.kind === 'ready') alive.add(node)
    },
    onExit: (node, code, signal) => {
      alive.delete(node)
      if (stopping.signal.aborted) return
      remark(`${node} ended (${signal ?? `exit code ${code ?? 'unknown'}`})${alive.size >= 2 ? '; the others go on' : ''}`)
      if (alive.size === 0) allGone?.()
    },
  })
  const cluster = await starting.catch((error: unknown) => {
    if (stopping.signal.aborted) throw new CliError(ExitCode.interrupted, 'stopped while starting')
    const problem = options.data === undefined ? undefined : fileProblem(error, options.data)
    if (problem !== undefined) throw new CliError(ExitCode.usage, `--data: ${problem}`)
    throw new CliError(ExitCode.failed, (error as Error).message)
  })
  announce(cluster, performance.now() - startMs, options)
  const end = await Promise.race([wish, gone])
  stopping.abort()
  if (end === 'gone') {
    await cluster.stop({ keep: true })
    throw new CliError(ExitCode.failed, `no node is left; their logs are in ${cluster.directory}`)
  }
  await cluster.stop()
  if (options.output === 'table')
    print(options.data === undefined ? 'stopped, data removed' : `stopped; the data is in ${cluster.directory}`)
}

function announce(cluster: LocalCluster, startedInMs: number, options: DevOptions): void {
  const nodes = cluster.nodes
  if (options.output === 'json') {
    printJson({
      kind: 'ready',
      startedInMs,
      leader: cluster.leader ?? null,
      directory: cluster.directory,
      nodes: nodes.map(node => ({
        name: node.name,
        client: `127.0.0.1:${node.clientPort}`,
        peer: `127.0.0.1:${node.peerPort}`,
        processId: node.pid ?? 0,
      })),
    })
    return
  }
  const endpoint = `127.0.0.1:${nodes[0]?.clientPort ?? firstClientPort}`
  const flag = endpoint === '127.0.0.1:8081' ? '' : ` -e ${endpoint}`
  print(
    `${paint('bold', 'raftmq')} · 3 nodes, ready in ${durationShown(startedInMs)} · data in ${cluster.directory}${options.data === undefined ? ' (removed at the end)' : ''}`,
  )
  print('')
  for (const node of nodes) {
    const role = node.name === cluster.leader ? paint('green', 'leader') : 'follower'
    print(`  ${node.name}  clients 127.0.0.1:${node.clientPort}  peers 127.0.0.1:${node.peerPort}  ${role}  (process ${node.pid ?? '-'})`)
  }
  if (nodes.some((node, i) => node.clientPort !== firstClientPort + i || node.peerPort !== firstPeerPort + i))
    print('  some of the usual ports (8081.., 7081..) are taken; free ones are used')
  print('')
  print('Any RocketMQ 5 gRPC client, any node:')
  print(`  endpoints: '${endpoint}'`)
  print(`  npx raftmq topic create hello${flag}`)
  print(`  npx raftmq produce hello "first light"${flag}`)
  print(`  npx raftmq consume hello -g me${flag}`)
  print(`  npx raftmq cluster status${flag}`)
  print('')
  print('Ctrl-C stops everything.')
}
