/**
 * `raftmq start`: one node. Reads the configuration, starts the node, and ends in order when it is asked to: the first signal lets requests under way
 * finish, the second ends at once. A child of `dev`, `demo` or a test tells its parent when it is ready, and ends when the parent is gone.
 */
import { readFileSync } from 'node:fs'
import { nodeNamed, parseConfig } from '../node/config.ts'
import type { ClusterConfig } from '../node/config.ts'
import { realClock } from '../platform/clock.ts'
import { collectLessOften } from '../platform/collector.ts'
import { cuttable } from '../platform/cuttable-network.ts'
import { realNetwork } from '../platform/network.ts'
import type { Network } from '../platform/network.ts'
import { DirectoryInUse } from '../storage/storage-error.ts'
import { CliError, ExitCode } from './exit.ts'
import type { NodeEvent, NodeWord } from './local-cluster.ts'
import { remark } from './terminal.ts'

export interface StartOptions {
  readonly config: string
  readonly node?: string
}

export async function start(options: StartOptions): Promise<void> {
  const config = readConfig(options.config)
  const node = nodeNamed(config, options.node)
  collectLessOften()
  // Loaded when a node is really started: it brings gRPC and everything below.
  const { startNode } = await import('../node/serve.ts')
  // Wherever the disk's word may have come up: the node is silent from that moment, and says so.
  process.on('uncaughtException', error => {
    if (isStorageError(error)) endAtOnce(node.name, error)
    process.stderr.write(`${error.stack ?? error.message}\n`)
    process.exit(ExitCode.failed)
  })
  const signals = new Signals()
  const peers = peerNetwork()
  const running = await startNode(config, node.name, peers.network).catch((error: unknown) => {
    // While it listens for its parent's end the process would stay, with nothing in it.
    signals.dispose()
    peers.dispose()
    throw new CliError(exitCodeOf(error), `${node.name} could not start: ${(error as Error).message}`)
  })
  running.onLeadership(view => tellParent({ kind: 'leadership', ...view }))
  tellParent({ kind: 'ready', clientPort: running.clientPort, peerPort: running.peerPort })
  const end = await Promise.race([signals.first, running.failed])
  if (end instanceof Error) endAtOnce(node.name, end)
  await running.close()
  signals.dispose()
  // Whatever still holds the process (a client that does not let go of its socket) must not.
  process.exit(ExitCode.ok)
}

/** Nothing is closed in order: what the node holds can't be trusted with it. Its open ports and files would keep the process, and its supervisor waiting. */
function endAtOnce(name: string, error: Error): never {
  process.stderr.write(`${name} stops: ${error.message}\n`)
  process.exit(exitCodeOf(error))
}

/** Reads and checks a configuration file; a problem is a sentence and exit code 2 (program.ts). */
export function readConfig(file: string): ClusterConfig {
  return parseConfig(file, readFileSync(file, 'utf8'), process.env)
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof DirectoryInUse) return ExitCode.conflict
  return isStorageError(error) ? ExitCode.diskFailed : ExitCode.failed
}

/** The disk's fault: by a sentence of ours, or as the system says it. */
function isStorageError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'StorageError' || ('code' in error && ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS'].includes(String(error.code)))
}

/** A parent (demo, tests) may cut its child off from the other nodes; the word comes over the channel between the two processes. */
function peerNetwork(): { readonly network: Network; dispose(): void } {
  if (process.send === undefined) return { network: realNetwork, dispose: () => undefined }
  const network = cuttable(realNetwork, realClock)
  const listener = (word: Partial<NodeWord> | null): void => {
    if (word?.kind === 'cut') network.setCut(word.isCut === true)
  }
  process.on('message', listener)
  return { network, dispose: () => process.off('message', listener) }
}

function tellParent(event: NodeEvent): void {
  if (process.send !== undefined && process.connected) process.send(event)
}

/** The wish to stop: a signal, or the parent's end. A terminal's Ctrl-C reaches children too; those wait for their parent's word. */
class Signals {
  readonly first: Promise<'stop'>
  readonly #listeners: { readonly event: string; readonly listener: () => void }[] = []

  constructor() {
    this.first = new Promise(resolve => {
      let isStopping = false
      const stop = (): void => {
        if (isStopping) process.exit(ExitCode.interrupted)
        isStopping = true
        resolve('stop')
      }
      const isChild = process.send !== undefined
      this.#on('SIGTERM', stop)
      this.#on(
        'SIGINT',
        isChild
          ? () => undefined
          : () => {
              remark('stopping; once more ends it at once')
              stop()
            },
      )
      if (isChild) this.#on('disconnect', stop)
    })
  }

  dispose(): void {
    for (const { event, listener } of this.#listeners) process.removeListener(event, listener)
  }

  #on(event: string, listener: () => void): void {
    process.on(event, listener)
    this.#listeners.push({ event, listener })
  }
}
