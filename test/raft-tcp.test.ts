/** Three Raft nodes in one process on everything that is real: TCP on the loopback, files in a temporary directory, the machine's clock. */
import * as fs from 'node:fs'
import * as os from 'node:os'
import * as path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as net from 'node:net'
import type { EntryBody, Member, ProposeOutcome } from '../raft/index.ts'
import { EntryKind, RaftNode, defaultRaftConfig, firstMembership, formatAddress, logIndex, nodeId } from '../raft/index.ts'
import { crc32c } from '../src/platform/bytes.ts'
import { realClock } from '../src/platform/clock.ts'
import { realDisk } from '../src/platform/disk.ts'
import { realNetwork } from '../src/platform/network.ts'
import { realRandom } from '../src/platform/random.ts'
import { logLimits } from '../src/storage/log-limits.ts'
import type { OpenedLog } from '../src/storage/open-log.ts'
import { openLog } from '../src/storage/open-log.ts'

interface Running {
  readonly node: RaftNode
  readonly opened: OpenedLog
  readonly applied: string[]
  readonly frames: string[]
  readonly fatal: Error[]
}

const ids = [1, 2, 3].map(nodeId)

describe('three Raft nodes on TCP and a real disk', () => {
  let directory: string
  let ports: number[]
  const running = new Map<number, Running>()

  function start(id: number): Running {
    const own = nodeId(id)
    const identity = { clusterName: 'test', nodeName: `n${id}`, nodeId: id }
    const dataDirectory = path.join(directory, `n${id}`)
    const opened = openLog({ disk: realDisk, clock: realClock, random: realRandom, dataDirectory, identity, limits: logLimits(1 << 20) })
    const state: Omit<Running, 'node'> = { opened, applied: [], frames: [], fatal: [] }
    const address = (member: number): { host: string; port: number } => ({ host: '127.0.0.1', port: ports[member - 1] ?? 0 })
    const member = (each: number): Member => ({
      id: nodeId(each),
      name: `n${each}`,
      address: formatAddress(address(each)),
      clientAddress: '',
    })
    const node = RaftNode.start({
      config: defaultRaftConfig(own, firstMembership(ids.map(member))),
      recovered: { ...opened.recovered, appliedIndex: logIndex(0) },
      clock: realClock,
      random: realRandom,
      network: realNetwork,
      listen: address(id),
      self: member(id),
      clusterName: 'test',
      log: opened.log,
      hardState: opened.hardState,
      app: {
        apply: entry => {
          if (entry.kind === EntryKind.data) state.applied.push(Buffer.from(entry.body).toString().slice(0, 20))
        },
        appliedBatch: () => undefined,
        leadershipChanged: () => undefined,
        peerFrame: (from, bytes) => state.frames.push(`${from}: ${Buffer.from(bytes).toString()}`),
        peerConnected: () => undefined,
        peerDisconnected: () => undefined,
        fatal: error => state.fatal.push(error),
      },
    })
    const whole = { ...state, node }
    running.set(id, whole)
    return whole
  }

  async function stop(id: number): Promise<void> {
    const one = running.get(id)
    if (one === undefined) return
    running.delete(id)
    one.node.stop()
    await new Promise<void>(resolve => one.opened.log.close(() => one.opened.hardState.close(() => resolve())))
  }

  function leader(): Running | undefined {
    return [...running.values()].find(({ node }) => node.role === 'leader')
  }

  beforeEach(async () => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'raftmq-raft-'))
    ports = await freePorts(3)
    for (const id of ids) start(id)
    await until(() => leader() !== undefined)
  })

  afterEach(async () => {
    for (const id of ids) await stop(id)
    fs.rmSync(directory, { recursive: true, force: true })
  })

  it('replicate, fail over, catch up after a restart and hold the same bytes', async () => {
    const first = leader()
    if (first === undefined) throw new Error('no leader')
    const outcomes: ProposeOutcome[] = []
    const note = (outcome: ProposeOutcome): void => void outcomes.push(outcome)
    for (let i = 0; i < 500; i++) expect(first.node.propose(EntryKind.data, [body(`${i} `, 10_000)], note)).toBeUndefined()
    await until(() => outcomes.length === 500)
    expect(outcomes.filter(({ kind }) => kind !== 'applied')).toEqual([])
    await until(() => [...running.values()].every(({ applied }) => applied.length === 500))

    const started = performance.now()
    await stop(first.node.id)
    await until(() => leader()?.node.propose(EntryKind.data, [body('after', 5)], note) === undefined && leader() !== undefined)
    await until(() => outcomes.length === 501)
    expect(performance.now() - started).toBeLessThan(2_000)
    const back = start(first.node.id)
    await until(() => back.applied.length === 501)
    const logs = [...running.values()].map(({ opened: { log } }) => {
      const block = log.readBlock(logIndex(1), log.lastId.index, Infinity)
      return Buffer.concat(block?.buffers ?? [])
    })
    expect(logs[0]?.length).toBeGreaterThan(5_000_000)
    for (const log of logs) expect(log.equals(logs[0] ?? log)).toBe(true)
    const allOpen = (): boolean =>
      [...running.values()].every(({ node }) => node.status().links.every(({ control, data }) => control === 'open' && data === 'open'))
    await until(allOpen)
    expect(leader()?.node.status().metrics.flushes).toBeGreaterThan(0)
  })

  it('carry application frames in order, large ones too, and close on strangers', async () => {
    const [one, two] = [running.get(1), running.get(2)]
    if (one === undefined || two === undefined) throw new Error('not started')
    await until(() => one.node.isConnectedTo(nodeId(2)) && two.node.isConnectedTo(nodeId(1)))
    expect(one.node.sendToPeer(nodeId(2), [Buffer.from('a'), Buffer.from('b')])).toBe(true)
    expect(one.node.sendToPeer(nodeId(2), [Buffer.alloc(3_000_000, 'x')])).toBe(true)
    expect(two.node.sendToPeer(nodeId(1), [Buffer.from('back')])).toBe(true)
    await until(() => two.frames.length === 2 && one.frames.length === 1)
    expect(two.frames.map(frame => frame.length)).toEqual([5, 3_000_003])
    expect(one.frames).toEqual(['2: back'])

    const term = one.node.term
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
      Buffer.alloc(5_000),
    ]) {
      const socket = net.connect(ports[0] ?? 0, '127.0.0.1', () => socket.write(bytes))
      let isClosed = false
      socket.on('error', () => undefined).on('close', () => (isClosed = true))
      await until(() => isClosed)
    }
    expect(one.node.term).toBe(term)
    expect(one.fatal).toEqual([])
  })
})

function body(text: string, length: number): EntryBody {
  const bytes = Buffer.from(text.padEnd(length, '.'))
  return { parts: [bytes], bytes: bytes.length, crc: crc32c(bytes) }
}

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error('did not happen within 10 s')
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>(
          resolve =>
            void net.createServer().listen(0, '127.0.0.1', function (this: net.Server) {
              resolve(this)
            }),
        ),
    ),
  )
  const ports = servers.map(server => (server.address() as net.AddressInfo).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}
