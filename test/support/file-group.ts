/** A group of three whole nodes in this process, on real files and real sockets: everything of a production node but gRPC. For tests that harm files at rest. */
import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join, relative } from 'node:path'
import { encodeMessage } from '../../chaos/workloads/payload.ts'
import { logIndex, UnreadableEntry } from '../../raft/index.ts'
import { BrokerNode } from '../../src/node/broker-node.ts'
import type { NodeSettings } from '../../src/node/node-settings.ts'
import { realClock } from '../../src/platform/clock.ts'
import { realDisk } from '../../src/platform/disk.ts'
import { realNetwork } from '../../src/platform/network.ts'
import { realRandom } from '../../src/platform/random.ts'
import { MessageType } from '../../src/state/command.ts'
import { checkpointAfter, problemOfState } from '../../src/node/saved-state.ts'
import { installSnapshot, type Installed } from '../../src/storage/snapshot/install.ts'
import { openStateStore } from '../../src/storage/state-store.ts'
import { IndexRot } from '../../src/storage/storage-error.ts'
import { until } from './cluster.ts'

const clusterName = 'files'
const topic = 'bulk'

export const memberNumbers = [1, 2, 3] as const
export type MemberNumber = (typeof memberNumbers)[number]

export interface FileGroupOptions {
  readonly directory: string
  readonly ports: readonly number[]
  /** Small, so that a short run has sealed segments, sealed chunks of the queue index, and an open one of both. */
  readonly segmentBytes?: number
  /** The log is cut back to about so much. */
  readonly retainedBytes?: number
}

interface Life {
  readonly node: BrokerNode
  readonly stop: () => Promise<void>
}

export class FileGroup {
  readonly #options: FileGroupOptions
  readonly #lives = new Map<MemberNumber, Life>()
  /** What each node has said since it was last started, and why it stopped by itself. */
  readonly said = new Map<MemberNumber, string[]>()

  constructor(options: FileGroupOptions) {
    this.#options = options
  }

  /** Starts a node; what it can't do it says. */
  async start(number: MemberNumber): Promise<void> {
    const said: string[] = []
    this.said.set(number, said)
    await this.#begin(number, said).catch((error: unknown) => {
      if (!(error instanceof Error)) throw error
      said.push(`stops: ${error.message}`)
    })
  }

  async startAll(): Promise<void> {
    await Promise.all(memberNumbers.map(number => this.start(number)))
  }

  async stopAll(): Promise<void> {
    const lives = [...this.#lives.values()]
    this.#lives.clear()
    await Promise.all(lives.map(life => life.stop()))
  }

  async stop(number: MemberNumber): Promise<void> {
    const life = this.#lives.get(number)
    this.#lives.delete(number)
    await life?.stop()
  }

  node(number: MemberNumber): BrokerNode | undefined {
    return this.#lives.get(number)?.node
  }

  get leader(): BrokerNode | undefined {
    return [...this.#lives.values()].map(({ node }) => node).find(({ raft }) => raft.role === 'leader')
  }

  directoryOf(number: MemberNumber): string {
    return join(this.#options.directory, `n${number}`)
  }

  /** Paths below a node's directory. */
  filesOf(number: MemberNumber): string[] {
    const root = this.directoryOf(number)
    const walk = (directory: string): string[] =>
      readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
        const path = join(directory, entry.name)
        return entry.isDirectory() ? walk(path) : [relative(root, path)]
      })
    return walk(root)
      .filter(path => statSync(join(root, path)).size > 0)
      .sort()
  }

  copyFrom(directory: string): void {
    rmSync(this.#options.directory, { recursive: true, force: true })
    mkdirSync(this.#options.directory, { recursive: true })
    cpSync(directory, this.#options.directory, { recursive: true })
  }

  async createTopic(): Promise<void> {
    await until(() => this.leader !== undefined, 'a leader')
    const request = { clientId: undefined, deadlineMs: realClock.nowMs() + 5_000, topic, type: 'normal' as const, queueCount: 2 }
    await new Promise<void>((done, failed) => {
      this.leader?.broker.createTopic(request, answer =>
        answer.kind === 'refused' ? failed(new Error(`createTopic: ${JSON.stringify(answer)}`)) : done(),
      )
    })
  }

  /** Sends messages, some at a time; all are acknowledged when this returns. */
  async send(texts: readonly string[]): Promise<void> {
    for (let i = 0; i < texts.length; i += 16) await Promise.all(texts.slice(i, i + 16).map(text => this.#sendOne(text)))
  }

  async #sendOne(text: string): Promise<void> {
    const messages = [
      encodeMessage({ topic, messageId: text.slice(0, 20), tag: undefined, messageGroup: undefined, body: Buffer.from(text) }),
    ]
    const request = { clientId: 'files', topic, messageType: MessageType.normal, messageGroup: undefined, messages }
    for (const end = realClock.nowMs() + 15_000; realClock.nowMs() < end;) {
      await until(() => this.leader !== undefined, 'a leader')
      const kind = await new Promise<string>(done => {
        const gateway = this.leader?.broker
        if (gateway === undefined) done('no leader')
        else gateway.send({ ...request, deadlineMs: realClock.nowMs() + 2_000 }, answer => done(answer.kind))
      })
      if (kind === 'sent') return
    }
    throw new Error(`${text.slice(0, 20)} was not taken`)
  }

  /** What a node has in its queues, by queue and offset; undefined while something of it can't be read. */
  messages(number: MemberNumber): Map<string, string> | undefined {
    const node = this.node(number)
    const view = node?.machine.retention
    const found = new Map<string, string>()
    if (node === undefined || view === undefined) return undefined
    for (const topicId of view.topicIds()) {
      for (const { queueId, first, next } of view.topic(topicId)?.queues ?? []) {
        for (let offset = first; offset < next; offset++) {
          const text = textAt(node, () => view.slot(topicId, queueId, offset as never).logIndex)
          if (text === undefined) return undefined
          found.set(`${queueId}@${offset}`, text)
        }
      }
    }
    return found
  }

  /** Its whole log; undefined while something of it can't be read. */
  allLogBytes(number: MemberNumber): Uint8Array | undefined {
    const log = this.node(number)?.log
    return log && this.logBytes(number, log.firstIndex, log.lastId.index)
  }

  /** The log from `first` to `last`, all in one; undefined while something of it can't be read. */
  logBytes(number: MemberNumber, first: number, last: number): Uint8Array | undefined {
    const log = this.node(number)?.log
    if (log === undefined || first < log.firstIndex || last > log.lastId.index) return undefined
    const parts: Uint8Array[] = []
    try {
      for (let index = first; index <= last;) {
        const block = log.readBlock(logIndex(index), logIndex(last), 1 << 20)
        if (block === undefined) return undefined
        parts.push(...block.buffers)
        index = block.lastIndex + 1
      }
    } catch (error) {
      if (error instanceof UnreadableEntry) return undefined
      throw error
    }
    return Buffer.concat(parts)
  }

  async #begin(number: MemberNumber, said: string[]): Promise<void> {
    const config = this.#settings(number)
    const { store, loaded, problem } = await openStateStore(realDisk, `${config.dataDirectory}/state`)
    if (problem !== undefined) said.push(problem)
    const life: { node: BrokerNode | undefined; closing: Promise<void> | undefined } = { node: undefined, closing: undefined }
    const stop = (): Promise<void> => (life.closing ??= close())
    const close = async (): Promise<void> => {
      await new Promise<void>(done => (life.node === undefined ? done() : life.node.stop(done)))
      await store.close()
    }
    const restart = (): void => {
      if (this.#lives.get(number)?.stop !== stop) return
      void stop()
        .then(() => this.#begin(number, said))
        .catch((error: unknown) => said.push(`stops: ${String(error)}`))
    }
    try {
      const identity = { clusterName, nodeName: `n${number}`, nodeId: number }
      const { dataDirectory } = config
      const installed = await new Promise<Installed | undefined>((done, failed) => {
        installSnapshot({ disk: realDisk, clock: realClock, dataDirectory, identity, store, problemOf: problemOfState }, (error, found) =>
          error === undefined ? done(found) : failed(error),
        )
      })
      if (installed !== undefined) said.push(installed.note)
      life.node = BrokerNode.start({
        config,
        seams: { clock: realClock, random: realRandom, disk: realDisk, network: realNetwork },
        checkpoint: checkpointAfter({ store, loaded }, installed),
        digestLarge: (_bytes, done) => setImmediate(done, new Uint8Array(16)),
        note: sentence => said.push(sentence),
        onInstall: () => setImmediate(restart),
        onFatal: error => said.push(`stops: ${error.message}`),
      })
      this.#lives.set(number, { node: life.node, stop })
    } catch (error) {
      await store.close()
      throw error
    }
  }

  #settings(number: number): NodeSettings {
    const { directory, ports, segmentBytes = 64 * 1024, retainedBytes } = this.#options
    const member = (id: number): NodeSettings['members'][number] => ({
      id,
      name: `n${id}`,
      clientAddress: { host: '127.0.0.1', port: 1_000 + id },
      peerAddress: { host: '127.0.0.1', port: ports[id - 1] ?? 0 },
    })
    const disk = { cleanAt: 1, forceCleanAt: 1, refuseAt: 1, freeBytesMin: 0 }
    return {
      number,
      clusterName,
      members: memberNumbers.map(member),
      peerListen: member(number).peerAddress,
      dataDirectory: join(directory, `n${number}`),
      segmentBytes,
      chunkLogBytes: segmentBytes,
      heartbeatMs: 30,
      electionTimeoutMs: 200,
      inflightBytesMax: 16 * 1024 * 1024,
      ...(retainedBytes === undefined
        ? {}
        : { retention: { ageMs: 0, sizeBytes: retainedBytes, intervalMs: 100, followerGraceMs: 60_000, disk } }),
    }
  }
}

function textAt(node: BrokerNode, index: () => number): string | undefined {
  try {
    return Buffer.from(node.log.entry(logIndex(index())).body).toString('latin1')
  } catch (error) {
    if (error instanceof UnreadableEntry || error instanceof IndexRot) return undefined
    throw error
  }
}

/** Ports that nobody listens on, now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<Server>(done => {
          const server = createServer().listen(0, '127.0.0.1', () => done(server))
        }),
    ),
  )
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => new Promise(done => server.close(done))))
  return ports
}
