/**
 * A node as a process: LevelDB is opened (its lock guards the data directory), the BrokerNode is started on the real seams, and the port for
 * clients is opened last, when the node can answer. A stop goes backwards, and lets requests under way finish.
 */
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { resolve } from 'node:path'
import type { Logger } from 'pino'
import type { RaftTraceEvent } from '../../raft/index.ts'
import { realClock } from '../platform/clock.ts'
import { realDisk } from '../platform/disk.ts'
import { realNetwork } from '../platform/network.ts'
import type { Network } from '../platform/network.ts'
import { realRandom } from '../platform/random.ts'
import { startRpcServer, type RpcServer } from '../rpc/server.ts'
import { StorageError } from '../storage/storage-error.ts'
import { checkpointAfter, problemOfState } from './saved-state.ts'
import { installSnapshot, type Installed } from '../storage/snapshot/install.ts'
import { openStateStore, type StateStore } from '../storage/state-store.ts'
import { BrokerNode } from './broker-node.ts'
import type { NodeSettings } from './node-settings.ts'
import type { ClusterConfig, NodeConfig } from './config.ts'
import { openDigestWorker } from './digest-worker.ts'
import { nodeLogger } from './node-log.ts'

export interface LeadershipNews {
  readonly term: number
  readonly leader: string | undefined
  readonly isLeader: boolean
}

/** A node that serves. */
export interface RunningNode {
  readonly clientPort: number
  readonly peerPort: number
  /** Calls back at once and at every change. */
  onLeadership(listener: (view: LeadershipNews) => void): void
  /** Resolves when the node had to stop by itself: its disk failed. Never rejects. */
  readonly failed: Promise<Error>
  /** Lets requests under way finish, then stops. Idempotent. */
  close(): Promise<void>
}

/** A target that is caught up takes over within a few syncs; one that is not must not hold a stop up. */
const handOverMsMax = 2_000

/**
 * Starts a node, and starts it again, in this process, whenever it has fetched a snapshot that is to be installed. `network` is what the peers are
 * reached by; a demo hands in one that it can cut.
 */
export async function startNode(config: ClusterConfig, nodeName: string, network: Network = realNetwork): Promise<RunningNode> {
  const self = config.nodes.find(node => node.name === nodeName)
  if (self === undefined) throw new Error(`there is no node ${nodeName} in ${config.file}`)
  const log = nodeLogger(config.logOutput, nodeName)
  const news = new News()
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<Error>(done => {
    fail = done
  })
  let isClosing = false
  let restarting: Promise<void> = Promise.resolve()
  const start = (): Promise<OneRun> => startOnce(config, self, { network, log, news, fail, onInstall })
  const onInstall = (): void => {
    restarting = restart().catch((error: unknown) => fail(error as Error))
  }
  const restart = async (): Promise<void> => {
    await run.close()
    if (!isClosing) run = await start()
  }
  let run = await start()
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    isClosing = true
    await restarting
    await run.close()
    log.info('stopped')
    log.flush()
  }
  return {
    get clientPort() {
      return run.clientPort
    },
    get peerPort() {
      return run.peerPort
    },
    failed,
    onLeadership: listener => news.listen(listener),
    close: () => (closing ??= close()),
  }
}

/** From one start to the next stop. */
interface OneRun {
  readonly clientPort: number
  readonly peerPort: number
  close(): Promise<void>
}

interface RunOwner {
  readonly network: Network
  readonly log: Logger
  readonly news: News
  readonly fail: (error: Error) => void
  readonly onInstall: () => void
}

async function startOnce(config: ClusterConfig, self: NodeConfig, { network, log, news, fail, onInstall }: RunOwner): Promise<OneRun> {
  const checkpoints = await openStateStore(realDisk, `${self.dataDirectory}/state`)
  if (checkpoints.problem !== undefined) log.warn(checkpoints.problem)
  const digests = openDigestWorker()
  let rpc: RpcServer | undefined
  const stalls = stallMeter()
  let node: BrokerNode
  try {
    const installed = await installWaiting(config, self, checkpoints.store)
    if (installed !== undefined) log.info(installed.note)
    node = BrokerNode.start({
      config: settingsOf(config, self),
      seams: { clock: realClock, random: realRandom, disk: realDisk, network },
      checkpoint: checkpointAfter(checkpoints, installed),
      digestLarge: digests.digestLarge,
      processReport: () => ({
        version: packageVersion(),
        processId: process.pid,
        uptimeMs: process.uptime() * 1000,
        rssBytes: process.memoryUsage.rss(),
        loopStallMsMax: stalls.maxMs(),
        clients: rpc?.clientCount ?? 0,
      }),
      trace: event => logTrace(log, event),
      note: sentence => log.info(sentence),
      onLeadership: view => {
        const leader = config.nodes.find(each => each.number === view.leader)?.name
        news.tell({ term: view.term, leader, isLeader: view.isLeader })
      },
      onInstall,
      onFatal: error => {
        log.fatal({ err: error }, 'this node stops: %s', error.message)
        fail(error)
      },
    })
    rpc = await startRpcServer({
      broker: node.broker,
      clock: realClock,
      listen: self.clientListen,
      advertise: self.advertise,
      tls: undefined,
    })
  } catch (error) {
    await checkpoints.store.close()
    throw error instanceof StorageError ? error : asStartError(error, self)
  }
  log.info({ clients: rpc.port, peers: node.raft.port, data: self.dataDirectory }, 'serving')
  const isMember = node.raft.membership().membership.membership.members.some(({ id }) => Number(id) === self.number)
  if (self.isJoining && !isMember) log.info(`no member of the group yet: waiting for raftmq cluster member add ${self.name}`)
  const server = rpc
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    // Another node leads before we go: clients see a slow send, if that.
    await new Promise<void>(done => node.handOver(Math.min(handOverMsMax, config.shutdown.graceMs), done))
    await withTimeout(server.close(), config.shutdown.graceMs)
    await new Promise<void>(done => node.stop(done))
    await checkpoints.store.close()
    await digests.close()
    stalls.stop()
  }
  return { clientPort: server.port, peerPort: node.raft.port, close: () => (closing ??= close()) }
}

/** A snapshot that was fetched whole takes the place of log, index and state before any of them is looked at. */
function installWaiting(config: ClusterConfig, self: NodeConfig, store: StateStore): Promise<Installed | undefined> {
  const { dataDirectory, name: nodeName, number: nodeId } = self
  const identity = { clusterName: config.clusterName, nodeName, nodeId }
  return new Promise((done, failed) => {
    installSnapshot({ disk: realDisk, clock: realClock, dataDirectory, identity, store, problemOf: problemOfState }, (error, installed) => {
      if (error === undefined) done(installed)
      else failed(error)
    })
  })
}

/** How often the leader looks for what may go. */
const retentionIntervalMs = 5_000
/** What a member lacks is kept for so long after it was last heard; then it needs a snapshot, and pins nothing. */
const retentionFollowerGraceMs = 10 * 60_000

function settingsOf(config: ClusterConfig, self: NodeConfig): NodeSettings {
  return {
    number: self.number,
    clusterName: config.clusterName,
    members: config.nodes.map(node => ({
      id: node.number,
      name: node.name,
      clientAddress: node.advertise,
      peerAddress: node.peerAddress,
      leaderPriority: node.leaderPriority,
      isJoining: node.isJoining,
    })),
    preferLeaderAfterMs: config.raft.preferLeaderAfterMs,
    peerListen: self.peerListen,
    dataDirectory: self.dataDirectory,
    segmentBytes: config.log.segmentBytes,
    scrubBytesPerSecond: config.log.scrubBytesPerSecond,
    retention: {
      ...config.log.retention,
      intervalMs: retentionIntervalMs,
      followerGraceMs: retentionFollowerGraceMs,
      disk: config.log.disk,
    },
    heartbeatMs: config.raft.heartbeatMs,
    electionTimeoutMs: config.raft.electionTimeoutMs,
    inflightBytesMax: config.limits.inflightBytes,
    upgrade: config.upgrade,
  }
}

/** Remembers the last word for who comes late. */
class News {
  readonly #listeners: ((view: LeadershipNews) => void)[] = []
  #last: LeadershipNews = { term: 0, leader: undefined, isLeader: false }

  tell(view: LeadershipNews): void {
    this.#last = view
    for (const listener of this.#listeners) listener(view)
  }

  listen(listener: (view: LeadershipNews) => void): void {
    this.#listeners.push(listener)
    listener(this.#last)
  }
}

/** What an operator wants at 3 a.m.: role changes and links at info, the rest for those who ask for it. */
function logTrace(log: Logger, event: RaftTraceEvent): void {
  switch (event.kind) {
    case 'roleChange':
      return log.info({ term: event.change.term, from: event.change.from, to: event.change.to }, event.change.reason)
    case 'peerDied':
      return log.warn({ peer: event.peer }, 'the process of a peer is gone')
    case 'otherDirectory':
      return log.warn(
        { peer: event.peer },
        'a peer came with another data directory than the one that votes under its number, and is not let in; if that one is lost: raftmq cluster member replace NODE',
      )
    case 'stall':
      return log.warn({ gapMs: Math.round(event.gapMs) }, 'the event loop stood still')
    case 'badFrame':
      return log.warn({ peer: event.peer, problem: event.problem }, 'a frame from a peer is damaged; connection closed')
    case 'link':
      return log.debug({ peer: event.peer, channel: event.channel }, event.what)
    // Many in a second, perhaps: status counts them.
    case 'full':
      return log.debug({ pool: event.pool, bytes: event.bytes }, 'no room for a proposal')
    case 'refusal':
      return log.debug({ code: event.code }, 'refused')
  }
}

/** The longest stall of the event loop in the last minute, in whole milliseconds. */
function stallMeter(): { maxMs(): number; stop(): void } {
  const delays = monitorEventLoopDelay({ resolution: 10 })
  delays.enable()
  let previousMs = 0
  const timer = setInterval(() => {
    previousMs = delays.max / 1e6
    delays.reset()
  }, 30_000)
  timer.unref()
  return {
    // The meter's own timer adds its resolution.
    maxMs: () => Math.max(0, Math.round(Math.max(previousMs, delays.max / 1e6) - 10)),
    stop: () => {
      clearInterval(timer)
      delays.disable()
    },
  }
}

let version: string | undefined

function packageVersion(): string {
  version ??= readVersion()
  return version
}

function readVersion(): string {
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      return (JSON.parse(readFileSync(resolve(import.meta.dirname, place), 'utf8')) as { version: string }).version
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return '0.0.0'
}

function asStartError(error: unknown, self: NodeConfig): Error {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'EADDRINUSE') return error as Error
  return new Error(`port ${self.clientListen.port} of ${self.clientListen.host} is taken; choose another listen.client for ${self.name}`, {
    cause: error,
  })
}

async function withTimeout(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(done => {
    timer = setTimeout(done, timeoutMs)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
