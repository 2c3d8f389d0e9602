/** What a broker node is started with: plain values, the seams it stands on, and who hears of it. Types only, but for finding ourselves among the members. */
import type { RaftConfig, RaftTrace } from '../../raft/index.ts'
import type { BrokerNodeInfo, DigestLarge } from '../broker/broker.ts'
import type { DiskLimits } from '../broker/disk-watch.ts'
import type { ProposalTrace } from '../broker/outcome.ts'
import type { RetentionSettings } from '../broker/retention-watch.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import type { Network, NetworkAddress } from '../platform/network.ts'
import type { Random } from '../platform/random.ts'
import type { CheckpointStore, LoadedCheckpoint } from '../state/store.ts'
import type { CatchUpSettings } from './catch-up.ts'

/** A member of the group, as every node is configured with it. */
export interface MemberSettings extends BrokerNodeInfo {
  /** Where the other members dial it. */
  readonly peerAddress: NetworkAddress
  /** Not among those that the group begins with: it waits until it is taken in. */
  readonly isJoining?: boolean
}

/** Plain values; src/node/config.ts makes them from a file, a simulated world from its seed. */
export interface NodeSettings {
  /** Our number among the members. */
  readonly number: number
  readonly clusterName: string
  readonly members: readonly MemberSettings[]
  /** Where our own peer port is opened. */
  readonly peerListen: NetworkAddress
  readonly dataDirectory: string
  readonly segmentBytes: number
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  /** Requests on their way through this node, in bytes. */
  readonly inflightBytesMax: number
  /** A member of higher priority leads after being well for so long; undefined = the default. */
  readonly preferLeaderAfterMs?: number
  /** What is kept, and what a full disk is; undefined = everything is kept for ever. */
  readonly retention?: RetentionSettings & { readonly disk: DiskLimits }
  /** Log bytes of a chunk of the queue index; undefined = the default. */
  readonly chunkLogBytes?: number
  readonly upgrade?: UpgradeSettings
  /** How far behind a member gets files, and how; undefined = the defaults. Simulated worlds take tiny pieces. */
  readonly catchUp?: Partial<CatchUpSettings>
  /** How fast the log is read again in search of rot; undefined = never. */
  readonly scrubBytesPerSecond?: number
  /** A round of that begins at the earliest so long after the one before; undefined = the default. */
  readonly scrubRoundMsMin?: number
  /** How Raft cuts and pipelines what it sends, and how much a leader takes on; undefined = the defaults. Simulated worlds take tiny slices and pools. */
  readonly replication?: Partial<
    Pick<
      RaftConfig,
      | 'sliceBytesMax'
      | 'inflightSlicesMax'
      | 'inflightBytesMax'
      | 'unwrittenBytesMax'
      | 'uncommittedBytesMax'
      | 'unappliedBytesMax'
      | 'farewellMs'
    >
  >
}

export interface UpgradeSettings {
  /** Goes along with no feature level above this: the node stands in for an older build. */
  readonly levelMax?: number
  /** Who ends an upgrade: an operator, or the leader as soon as every member supports the new level. Undefined = manual. */
  readonly finalize?: 'manual' | 'auto'
}

export interface Seams {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly network: Network
}

/** Who leads, by number. */
export interface LeadershipNews {
  readonly term: number
  readonly leader: number | undefined
  readonly isLeader: boolean
}

export interface BrokerNodeOptions {
  readonly config: NodeSettings
  readonly seams: Seams
  readonly checkpoint: {
    readonly store: CheckpointStore
    readonly loaded: LoadedCheckpoint | undefined
    /** A snapshot that was to be installed now was of no use: another node is asked for the next one. */
    readonly wasSnapshotRefused?: boolean
  }
  readonly digestLarge: DigestLarge
  /** What only the process knows of itself, for status. */
  readonly processReport?: () => ProcessReport
  readonly trace?: RaftTrace
  /** Hears how each proposal of this node ends. */
  readonly proposalTrace?: ProposalTrace
  /** Sentences for the operator about what the start found and did. */
  readonly note?: (sentence: string) => void
  readonly onLeadership?: (view: LeadershipNews) => void
  /** The node has stopped to be started again, `installSnapshot` first: a snapshot is complete, or what it has made of its log is to be made anew. */
  readonly onInstall: () => void
  /** The node can't go on: it is silent from now on, and the process ends with this sentence. At most once. */
  readonly onFatal: (error: Error) => void
}

export interface ProcessReport {
  readonly version: string
  readonly processId: number
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly loopStallMsMax: number
  readonly clients: number
}

/** Ourselves, as every member is configured. */
export function mustFindSelf(config: NodeSettings): MemberSettings {
  const self = config.members.find(member => member.id === config.number)
  if (self === undefined) throw new Error(`node ${config.number} is not among the members`)
  return self
}
