/**
 * Three nodes on this machine, each its own process: what `dev`, `demo`, `bench` and the end-to-end tests run. The nodes are started with the same
 * `start` command that an operator uses, on a configuration file written into the cluster's directory. A node tells its parent over the IPC
 * channel when it is ready and when leadership changes, and ends when that channel closes: no orphan survives its parent.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** What a node process says to its parent. */
export type NodeEvent =
  | { readonly kind: 'ready'; readonly clientPort: number; readonly peerPort: number }
  | { readonly kind: 'leadership'; readonly term: number; readonly leader: string | undefined; readonly isLeader: boolean }

/** What its parent says to a node process. */
export interface NodeWord {
  /** Cut off from the other nodes, as by a pulled cable, or no longer so. */
  readonly kind: 'cut'
  readonly isCut: boolean
}

export interface LocalNode {
  readonly name: string
  readonly clientPort: number
  readonly peerPort: number
  readonly dataDirectory: string
  /** undefined while it is not running. */
  readonly pid: number | undefined
}

export interface LocalClusterOptions {
  /** Where data, logs and the configuration go. Default: a fresh temporary directory, removed at `stop`. */
  readonly directory?: string
  /** Ports that are wanted for clients and peers, counted up from here; taken ones are replaced. Default: any free ones. */
  readonly firstClientPort?: number
  readonly firstPeerPort?: number
  readonly nodeCount?: number
  /** More nodes in the configuration that the group does not begin with (`join: true`); they are started when somebody does. */
  readonly spareCount?: number
  /** More lines for the configuration file, under its top level. */
  readonly extraConfig?: string
  readonly onEvent?: (node: string, event: NodeEvent) => void
  readonly onExit?: (node: string, code: number | null, signal: NodeJS.Signals | null) => void
}

/** The built command line, also when this file itself runs from its TypeScript source. */
export function cliPath(): string {
  const here = import.meta.filename
  return here.endsWith('.ts') ? resolve(import.meta.dirname, '../../dist/src/cli/main.js') : resolve(import.meta.dirname, 'main.js')
}

export class LocalCluster {
  readonly directory: string
  readonly configPath: string
  readonly #names: readonly string[]
  readonly #ports: readonly { readonly client: number; readonly peer: number }[]
  readonly #options: LocalClusterOptions
  readonly #isTemporary: boolean
  readonly #processes = new Map<string, ChildProcess>()
  #leader: { name: string; term: number } | undefined
  #leaderWaiters: (() => void)[] = []

  constructor(directory: string, isTemporary: boolean, ports: readonly { client: number; peer: number }[], options: LocalClusterOptions) {
    this.directory = directory
    this.configPath = join(directory, 'cluster.yaml')
    this.#isTemporary = isTemporary
    this.#ports = ports
    this.#names = ports.map((_, i) => `n${i + 1}`)
    this.#options = options
  }

  /** Writes the configuration and starts all nodes; resolves when each one is ready to serve and a leader is known. */
  static async start(options: LocalClusterOptions = {}): Promise<LocalCluster> {
    const isTemporary = options.directory === undefined
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'raftmq-'))
    mkdirSync(directory, { recursive: true })
    const count = (options.nodeCount ?? 3) + (options.spareCount ?? 0)
    const clientPorts = await freePorts(count, options.firstClientPort)
    const peerPorts = await freePorts(count, options.firstPeerPort, clientPorts)
    const ports = clientPorts.map((client, i) => ({ client, peer: peerPorts[i] ?? 0 }))
    const cluster = new LocalCluster(directory, isTemporary, ports, options)
    writeFileSync(cluster.configPath, cluster.#config())
    try {
      const founders = cluster.#names.slice(0, count - (options.spareCount ?? 0))
      await Promise.all(founders.map(name => cluster.startNode(name)))
      await cluster.waitForLeader()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  get nodes(): readonly LocalNode[] {
    return this.#names.map((name, i) => ({
      name,
      clientPort: this.#ports[i]?.client ?? 0,
      peerPort: this.#ports[i]?.peer ?? 0,
      dataDirectory: join(this.directory, name),
      pid: this.#processes.get(name)?.pid,
    }))
  }

  /** `127.0.0.1:port` of a node, for clients. */
  endpoint(name: string): string {
    const node = this.nodes.find(each => each.name === name)
    if (node === undefined) throw new Error(`there is no node ${name}`)
    return `127.0.0.1:${node.clientPort}`
  }

  /** As the running nodes last told it; undefined during an election. */
  get leader(): string | undefined {
    return this.#leader?.name
  }

  /** Resolves when the node is ready to serve; throws when its process ends before, or after 15 s. `environment` overrides its configuration. */
  async startNode(name: string, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const log = openSync(join(this.directory, `${name}.log`), 'a')
    const child = spawn(process.execPath, [cliPath(), 'start', '-c', this.configPath, '--node', name], {
      stdio: ['ignore', log, log, 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '8', ...environment },
    })
    closeSync(log)
    this.#processes.set(name, child)
    child.on('message', message => this.#onEvent(name, message as NodeEvent))
    child.once('exit', (code, signal) => {
      if (this.#processes.get(name) === child) this.#processes.delete(name)
      if (this.#leader?.name === name) this.#leader = undefined
      this.#options.onExit?.(name, code, signal)
    })
    await new Promise<void>((ready, failed) => {
      const timer = setTimeout(
        () => failed(new Error(`${name} was not ready after 15 s; see ${join(this.directory, `${name}.log`)}`)),
        15_000,
      )
      child.on('message', message => {
        if ((message as NodeEvent).kind !== 'ready') return
        clearTimeout(timer)
        ready()
      })
      child.once('exit', code => {
        clearTimeout(timer)
        failed(new Error(`${name} ended with exit code ${code ?? 'none'} before it was ready; see ${join(this.directory, `${name}.log`)}`))
      })
    })
  }

  /** Sends a signal; for the ending ones resolves when the process is gone. */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#processes.get(name)
    if (child === undefined) return
    const isEnding = signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT'
    const gone = isEnding ? new Promise<void>(done => child.once('exit', () => done())) : Promise.resolve()
    child.kill(signal)
    await gone
  }

  /** Pulls the cable between this node and the others, or puts it back. Its clients still reach it. */
  setCut(name: string, isCut: boolean): void {
    this.#processes.get(name)?.send({ kind: 'cut', isCut } satisfies NodeWord)
  }

  async waitForLeader(timeoutMs = 10_000): Promise<string> {
    if (this.#leader !== undefined) return this.#leader.name
    await new Promise<void>((known, failed) => {
      const timer = setTimeout(
        () => failed(new Error(`no leader after ${timeoutMs} ms; the nodes' logs are in ${this.directory}`)),
        timeoutMs,
      )
      this.#leaderWaiters.push(() => {
        clearTimeout(timer)
        known()
      })
    })
    return this.waitForLeader(timeoutMs)
  }

  /** Ends all nodes in order (SIGTERM, after 10 s SIGKILL) and removes a temporary directory unless `keep`. Idempotent. */
  async stop({ keep = false }: { keep?: boolean } = {}): Promise<void> {
    await Promise.all(
      this.#names.map(async name => {
        const child = this.#processes.get(name)
        if (child === undefined) return
        const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
        await this.signal(name, 'SIGTERM')
        clearTimeout(timer)
      }),
    )
    if (this.#isTemporary && !keep) rmSync(this.directory, { recursive: true, force: true })
  }

  #onEvent(name: string, event: NodeEvent): void {
    if (event.kind === 'leadership' && event.isLeader && (this.#leader === undefined || event.term >= this.#leader.term)) {
      this.#leader = { name, term: event.term }
      const waiters = this.#leaderWaiters
      this.#leaderWaiters = []
      for (const known of waiters) known()
    }
    this.#options.onEvent?.(name, event)
  }

  #config(): string {
    const founderCount = this.#names.length - (this.#options.spareCount ?? 0)
    const nodes = this.nodes.map(
      (node, i) =>
        `  - { id: ${node.name}, host: 127.0.0.1, listen: { client: "127.0.0.1:${node.clientPort}", peer: "127.0.0.1:${node.peerPort}" }, data_dir: ${JSON.stringify(node.dataDirectory)}${i < founderCount ? '' : ', join: true'} }`,
    )
    return [
      'version: 1',
      'cluster: { name: local }',
      'nodes:',
      ...nodes,
      ...(this.#options.extraConfig === undefined ? [] : [this.#options.extraConfig]),
      '',
    ].join('\n')
  }
}

/** `count` ports of loopback that nobody listens on: the wanted ones where they are free, others where not. */
async function freePorts(count: number, first: number | undefined, taken: readonly number[] = []): Promise<number[]> {
  const ports: number[] = []
  for (let i = 0; i < count; i++) {
    const wanted = first === undefined ? 0 : first + i
    let port = (await probe(wanted)) ?? (await probe(0))
    while (port !== undefined && (taken.includes(port) || ports.includes(port))) port = await probe(0)
    if (port === undefined) throw new Error('no free port on 127.0.0.1')
    ports.push(port)
  }
  return ports
}

function probe(port: number): Promise<number | undefined> {
  return new Promise(done => {
    const server = createServer()
    server.once('error', () => done(undefined))
    server.listen(port, '127.0.0.1', () => {
      const bound = server.address()
      server.close(() => done(typeof bound === 'object' && bound !== null ? bound.port : undefined))
    })
  })
}
