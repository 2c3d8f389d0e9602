/**
 * How long is a restart over a large log, and how fast does a node without any data catch up? Two nodes of a group of three in this process fill a log;
 * one of them is stopped and started again; then the third, in a process of its own and with an empty directory, fetches everything. Beside it the disk's
 * own rate: as many bytes written by the same process into the same directory, synced as often.
 *
 *     npm run bench:catch-up -- --gigabytes 0.5 [--directory .] [--segment-mebibytes 256] [--rate 4096 (MiB/s)]
 *
 * All that it writes is removed at the end.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodeMessage } from '../chaos/workloads/payload.ts'
import { MessageType } from '../src/state/command.ts'
import { BrokerNode } from '../src/node/broker-node.ts'
import { checkpointAfter, problemOfState } from '../src/node/saved-state.ts'
import type { NodeSettings } from '../src/node/node-settings.ts'
import { realClock } from '../src/platform/clock.ts'
import { realDisk } from '../src/platform/disk.ts'
import { realNetwork } from '../src/platform/network.ts'
import { realRandom } from '../src/platform/random.ts'
import { installSnapshot, type Installed } from '../src/storage/snapshot/install.ts'
import { openStateStore, type StateStore } from '../src/storage/state-store.ts'

const MiB = 1024 * 1024
const portBase = 27_400
const bodyBytes = 64 * 1024
const senders = 32
const clusterName = 'bench'

interface Place {
  readonly directory: string
  readonly segmentBytes: number
  readonly bytesPerSecond: number
}

interface Started {
  readonly node: BrokerNode
  readonly store: StateStore
  readonly startMs: number
}

function settings(number: number, { directory, segmentBytes, bytesPerSecond }: Place): NodeSettings {
  const member = (id: number): NodeSettings['members'][number] => ({
    id,
    name: `n${id}`,
    clientAddress: { host: '127.0.0.1', port: portBase + 100 + id },
    peerAddress: { host: '127.0.0.1', port: portBase + id },
  })
  return {
    number,
    clusterName,
    members: [member(1), member(2), member(3)],
    peerListen: { host: '127.0.0.1', port: portBase + number },
    dataDirectory: join(directory, `n${number}`),
    segmentBytes,
    heartbeatMs: 50,
    electionTimeoutMs: 600,
    inflightBytesMax: 256 * MiB,
    catchUp: { bytesPerSecond, lagEntries: 500 },
  }
}

/** From nothing open to a node that takes part. */
async function start(number: number, place: Place, onInstall: () => void): Promise<Started> {
  const beganMs = performance.now()
  const config = settings(number, place)
  const { store, loaded } = await openStateStore(realDisk, `${config.dataDirectory}/state`)
  const identity = { clusterName, nodeName: `n${number}`, nodeId: number }
  const installed = await new Promise<Installed | undefined>((done, failed) => {
    const { dataDirectory } = config
    const options = { disk: realDisk, clock: realClock, dataDirectory, identity, store, problemOf: problemOfState }
    installSnapshot(options, (error, found) => {
      if (error === undefined) done(found)
      else failed(error)
    })
  })
  const node = BrokerNode.start({
    config,
    seams: { clock: realClock, random: realRandom, disk: realDisk, network: realNetwork },
    checkpoint: checkpointAfter({ store, loaded }, installed),
    digestLarge: (_bytes, done) => setImmediate(done, new Uint8Array(16)),
    note: sentence => console.error(`${(performance.timeOrigin + performance.now()).toFixed(0).slice(-6)} n${number}: ${sentence}`),
    onInstall,
    onFatal: error => {
      throw error
    },
  })
  return { node, store, startMs: performance.now() - beganMs }
}

async function stop({ node, store }: Started): Promise<void> {
  await new Promise<void>(done => node.stop(done))
  await store.close()
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(done => setTimeout(done, 20))
}

/** Sends until the log of the leader is so long. Returns the bytes of bodies. */
async function fill({ node }: Started, bytes: number): Promise<number> {
  const { broker } = node
  const deadline = (): number => realClock.nowMs() + 10_000
  await new Promise<void>(done => {
    broker.createTopic({ clientId: undefined, deadlineMs: deadline(), topic: 'bulk', type: 'normal', queueCount: 4 }, () => done())
  })
  const body = Buffer.alloc(bodyBytes, 'x')
  let sent = 0
  let number = 0
  const send = (done: () => void): void => {
    if (sent >= bytes) return done()
    const messages = [encodeMessage({ topic: 'bulk', messageId: `m${++number}`, tag: undefined, messageGroup: undefined, body })]
    const request = { clientId: 'bench', topic: 'bulk', messageType: MessageType.normal, messageGroup: undefined, messages }
    broker.send({ ...request, deadlineMs: deadline() }, answer => {
      if (answer.kind === 'sent') sent += bodyBytes
      setImmediate(send, done)
    })
  }
  await Promise.all(Array.from({ length: senders }, () => new Promise<void>(done => send(done))))
  return sent
}

/** The third node, in its own process: says when it has applied what the group had committed when it began. */
async function fetcher(place: Place, goal: number): Promise<void> {
  const beganMs = performance.now()
  let restarts = 0
  let present: Started | undefined
  const onInstall = (): void => {
    restarts++
    const old = present
    present = undefined
    const again = async (): Promise<void> => {
      if (old !== undefined) await stop(old)
      present = await start(3, place, onInstall)
    }
    setImmediate(() => void again())
  }
  present = await start(3, place, onInstall)
  await until(() => (present?.node.machine.appliedIndex ?? 0) >= goal)
  process.send?.({ ms: performance.now() - beganMs, restarts })
  await stop(present)
}

/** MiB per second of this disk, written as a fetch does it. */
function diskRate(directory: string, bytes: number): number {
  const file = realDisk.open(join(directory, 'rate'), { create: true })
  const piece = Buffer.alloc(MiB, 'y')
  const beganMs = performance.now()
  for (let position = 0; position < bytes; position += MiB) {
    file.writeSync(piece, position)
    if (position % (64 * MiB) === 0) file.syncSync()
  }
  file.syncSync()
  const ms = performance.now() - beganMs
  file.close()
  realDisk.remove(join(directory, 'rate'))
  return bytes / MiB / (ms / 1000)
}

async function measure(bytes: number, place: Place): Promise<void> {
  const one = await start(1, place, () => undefined)
  let two = await start(2, place, () => undefined)
  await until(() => one.node.raft.role === 'leader' || two.node.raft.role === 'leader')
  const leader = one.node.raft.role === 'leader' ? one : two
  const filledMs = performance.now()
  const sent = await fill(leader, bytes)
  console.log(`log              ${(sent / MiB).toFixed(0)} MiB in ${((performance.now() - filledMs) / 1000).toFixed(1)} s`)
  if (leader === two) console.log('restart          not measured: the other node leads')
  else {
    await until(() => two.node.machine.appliedIndex === one.node.machine.appliedIndex)
    await stop(two)
    two = await start(2, place, () => undefined)
    const beganMs = performance.now()
    await until(() => two.node.raft.leaderId !== undefined && two.node.machine.appliedIndex >= one.node.machine.appliedIndex)
    console.log(`restart          opens in ${two.startMs.toFixed(0)} ms, serves ${(performance.now() - beganMs).toFixed(0)} ms later`)
  }
  const before = diskRate(place.directory, Math.min(sent, 1024 * MiB))
  const goal = leader.node.raft.commitIndex
  const child = fork(process.argv[1] ?? '', [...process.argv.slice(2), '--fetcher', JSON.stringify({ place, goal })])
  const told = await new Promise<{ ms: number; restarts: number }>((done, failed) => {
    child.once('message', message => done(message as { ms: number; restarts: number }))
    child.once('exit', code => failed(new Error(`the third node ended with ${code}`)))
  })
  const rate = sent / MiB / (told.ms / 1000)
  const after = diskRate(place.directory, Math.min(sent, 1024 * MiB))
  const disk = (before + after) / 2
  console.log(`caught up        in ${(told.ms / 1000).toFixed(1)} s, ${told.restarts} installs: ${rate.toFixed(0)} MiB/s`)
  console.log(`the disk itself  ${before.toFixed(0)} and ${after.toFixed(0)} MiB/s: catch-up is ${(rate / disk).toFixed(2)} of it`)
  await stop(one)
  await stop(two)
}

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '0.5' },
    directory: { type: 'string', default: '.' },
    'segment-mebibytes': { type: 'string', default: '256' },
    rate: { type: 'string', default: '4096' },
    fetcher: { type: 'string' },
  },
})
if (values.fetcher !== undefined) {
  const { place, goal } = JSON.parse(values.fetcher) as { place: Place; goal: number }
  await fetcher(place, goal)
} else {
  const directory = mkdtempSync(join(values.directory, 'catch-up-'))
  try {
    const segmentBytes = Number(values['segment-mebibytes']) * MiB
    await measure(Number(values.gigabytes) * 1024 * MiB, { directory, segmentBytes, bytesPerSecond: Number(values.rate) * MiB })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
