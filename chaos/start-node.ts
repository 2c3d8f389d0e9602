/**
 * The production node as a simulated machine runs it: its configuration from the seed's, its seams, and an ear for all that it tells.
 */
import { createHash } from 'node:crypto'
import { formatAddress } from '../raft/index.ts'
import type { MemberInfo } from '../src/broker/admin-requests.ts'
import type { Disk } from '../src/platform/disk.ts'
import { BrokerNode } from '../src/node/broker-node.ts'
import type { BrokerNodeOptions, MemberSettings, NodeSettings } from '../src/node/node-settings.ts'
import { newestLevel } from '../src/state/feature-level.ts'
import { hasFeature, type WorldConfiguration } from './configuration.ts'
import type { HostWorld } from './host-world.ts'
import type { Host } from './host.ts'
import type { MachineClock } from './sim/clock.ts'
import type { DiskLatency } from './sim/disk.ts'
import type { LinkProfile } from './sim/network.ts'
import type { SimRandom } from './sim/random.ts'
import type { SimProcess } from './sim/scheduler.ts'
import { tapped } from './wire-tap.ts'

export const dataDirectory = '/data'
const peerPort = 9_000
const clientPort = 8_000

export function hostName(id: number): string {
  return `node-${id}`
}

function member(id: number): MemberSettings {
  const host = hostName(id)
  return { id, name: host, clientAddress: { host, port: clientPort }, peerAddress: { host, port: peerPort } }
}

/** As an operator names it. */
export function memberInfo({ id }: { readonly id: number }): MemberInfo {
  const { name, clientAddress, peerAddress } = member(id)
  return { id, name, peerAddress: formatAddress(peerAddress), clientAddress: formatAddress(clientAddress) }
}

/** Those that the group began with; who came later is configured with itself besides. */
function configured(id: number, founders: number): readonly MemberSettings[] {
  const first = Array.from({ length: founders }, (_, i) => member(i + 1))
  return id <= founders ? first : [...first, { ...member(id), isJoining: true }]
}

export type ProcessClock = ReturnType<MachineClock['forProcess']>

/** What a process life stands on. */
export interface ProcessSeams {
  readonly process: SimProcess
  readonly clock: ProcessClock
  readonly disk: Disk
  readonly random: SimRandom
  readonly checkpoint: BrokerNodeOptions['checkpoint']
}

/** `restart`: the node has stopped to be started again. */
export function startNode(world: HostWorld, host: Host, seams: ProcessSeams, restart: () => void): BrokerNode {
  const { process, clock, disk, random, checkpoint } = seams
  const { configuration, network } = world
  const { raft, log, catchUp } = configuration
  const node: BrokerNode = BrokerNode.start({
    config: {
      number: host.id,
      clusterName: 'simulated',
      members: configured(host.id, configuration.nodes),
      peerListen: member(host.id).peerAddress,
      dataDirectory,
      segmentBytes: log.segmentBytes,
      // A snapshot is not to be needed here: what a member lacks is kept as long as a seed takes.
      ...(log.retention === undefined ? {} : { retention: { ...log.retention, followerGraceMs: 3_600_000, disk: diskNeverFull } }),
      chunkLogBytes: log.chunkBytes,
      ...(hasFeature(configuration, 'frailDisk') ? scrubbing : {}),
      heartbeatMs: raft.heartbeatIntervalMs,
      electionTimeoutMs: raft.electionTimeoutMs,
      inflightBytesMax: 16 * 1024 * 1024,
      upgrade: { levelMax: host.isOldBuild ? newestLevel - 1 : newestLevel, finalize: 'auto' },
      catchUp,
      replication: {
        sliceBytesMax: raft.sliceBytesMax,
        inflightSlicesMax: raft.inflightSlicesMax,
        ...(raft.farewellMs === undefined ? {} : { farewellMs: raft.farewellMs }),
        ...poolsOf(raft.poolBytesMax),
      },
    },
    seams: {
      clock,
      random,
      disk,
      network: tapped(network.forProcess(process, host.name), {
        said: message => world.said(host, message),
        mends: answer => world.mends(host, answer),
      }),
    },
    checkpoint,
    digestLarge: (bytes, done) => {
      const digest = createHash('md5').update(bytes).digest()
      clock.soon(() => done(digest))
    },
    note: sentence => world.noted(host, sentence),
    trace: event => world.traced(host, event),
    proposalTrace: (sequence, outcome) => {
      const { incarnation } = node.raft.core.inspect()
      world.fate(host, { node: host.id, incarnation, sequence }, outcome)
    },
    onInstall: () => clock.soon(() => restart()),
    onFatal: error => world.fatal(host, error),
  })
  return node
}

function poolsOf(bytesMax = 0): NodeSettings['replication'] {
  return bytesMax === 0 ? {} : { unwrittenBytesMax: bytesMax, uncommittedBytesMax: bytesMax, unappliedBytesMax: bytesMax }
}

/** A round takes a few seconds. */
const scrubbing = { scrubBytesPerSecond: 100_000, scrubRoundMsMin: 4_000 }

const diskNeverFull = { cleanAt: 1, forceCleanAt: 1, refuseAt: 1, freeBytesMin: 0 }

/** How long a machine's disk takes in this seed. */
export function diskLatency({ disk }: WorldConfiguration): DiskLatency {
  return { writeMs: disk.syncMs / 20, syncMs: disk.syncMs, spikePpm: Math.round(disk.spikeShare * 1e6), spikeMs: disk.spikeMs }
}

/** What the links of this seed are like while nobody disturbs them. */
export function linkProfile({ network }: WorldConfiguration): LinkProfile {
  const ppm = (share: number): number => Math.round(share * 1e6)
  return {
    delayMs: network.delayMs,
    jitterMs: network.jitterMs,
    lossPpm: ppm(network.lossShare),
    duplicatePpm: ppm(network.duplicateShare),
    latePpm: ppm(network.reorderShare),
    lateMs: network.delayMs * 20 + 50,
    cutPpm: ppm(network.reorderShare),
  }
}

export function slower(latency: DiskLatency, factor: number): DiskLatency {
  return { ...latency, writeMs: latency.writeMs * factor, syncMs: latency.syncMs * factor }
}
