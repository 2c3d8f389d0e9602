/** What nodes tell of themselves, and the group's status made of it. Plain values: they travel between nodes as JSON, and every build must bear another's. */
import type { DiskLevel } from './disk-watch.ts'

export interface DiskReport {
  readonly level: DiskLevel
  readonly totalBytes: number
  readonly freeBytes: number
  /** What the log's segments hold. */
  readonly retainedBytes: number
  readonly segments: number
}

export interface RecoveredReport {
  /** ISO 8601, UTC. */
  readonly at: string
  /** What others had acknowledged behind this entry is lost. */
  readonly lastIndex: number
  /** The entry that made it the only voter. */
  readonly index: number
}

interface EntryReport {
  readonly index: number
  /** 0 = not known. */
  readonly term: number
}

/** A node's Raft, whole (raft.md §6.4): made in src/node/raft-report.ts. */
export interface RaftReport {
  readonly votedFor: number | undefined
  readonly cursors: {
    readonly purged: EntryReport
    /** Of the newest checkpoint: where a restart begins to apply. */
    readonly snapshot: EntryReport
    readonly applied: EntryReport
    readonly commit: EntryReport
    readonly durable: EntryReport
    readonly last: EntryReport
  }
  readonly epochs: { readonly taken: number; readonly durable: number; readonly hardState: number }
  readonly sinceLeaderMs: number | undefined
  readonly membership: {
    readonly index: number
    readonly committedIndex: number
    readonly phase: 'steady' | 'catchUp' | 'joint'
    readonly voters: readonly number[]
    readonly outgoing: readonly number[]
    readonly learners: readonly number[]
    /** Out, and still told so; absent from a build that counts them among the learners. */
    readonly removed?: readonly number[]
    readonly goal: readonly number[]
  }
  readonly transfer: { readonly to: number; readonly phase: string; readonly leftMs: number } | undefined
  readonly isVoteWithheld: boolean
  readonly isVoteConditional: boolean
  readonly pools: readonly { readonly pool: string; readonly bytes: number; readonly bytesMax: number; readonly refused: number }[]
  /** Most frequent first; at most `refusalsToldMax`. */
  readonly refusals: readonly { readonly code: string; readonly count: number }[]
  readonly peers: readonly {
    readonly id: number
    readonly state: string
    readonly session: number
    readonly matchedIndex: number
    readonly durableIndex: number
    readonly appliedIndex: number
    readonly nextIndex: number
    readonly inflightSlices: number
    readonly inflightBytes: number
    readonly lagBytes: number
    readonly sinceContactMs: number | undefined
  }[]
  readonly links: readonly {
    readonly peer: number
    readonly control: boolean
    readonly data: boolean
    readonly waitingBytes: number
    readonly incarnation: number
    readonly lastProblem: string
  }[]
  readonly syncs: number
  readonly entriesPerSync: number
  readonly syncP50Ms: number
  readonly syncP99Ms: number
  /** Of the last few, or of the one under way; absent from a build that does not say. */
  readonly syncLatelyMs?: number
  readonly readsOpen: number
  readonly messagesHeld: number
  readonly proposals: number
  readonly proposalsRejected: number
  readonly proposalsUnknown: number
  readonly stalls: number
  readonly stallMsLongest: number
  readonly fetch: FetchReport | undefined
  readonly damage: { readonly fromIndex: number; readonly lastIndex: number } | undefined
  readonly failure: string | undefined
  readonly clusterTimeMs: number
}

/** Files that a node fetches to catch up. */
export interface FetchReport {
  readonly from: number
  readonly index: number
  readonly bytesHere: number
  readonly bytesTotal: number
}

/** What a node says of itself. Exchanged between nodes once a second; must survive JSON. */
export interface NodeReport {
  readonly node: number
  readonly role: string
  readonly term: number
  readonly leader: number | undefined
  readonly firstIndex: number
  readonly appliedIndex: number
  readonly commitIndex: number
  readonly durableIndex: number
  readonly lastIndex: number
  readonly uncommittedBytes: number
  readonly incarnation: number
  readonly version: string
  /** The highest that this process goes along with. */
  readonly featureLevelMax: number
  readonly processId: number
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly dataDirectory: string
  readonly logBytes: number
  /** undefined = it does not say. */
  readonly disk: DiskReport | undefined
  /** undefined = its build does not say. */
  readonly raft?: RaftReport
  /** The last time that this directory was made the whole group by force (`raftmq recover`). */
  readonly recovered?: RecoveredReport
  readonly clients: number
  readonly loopStallMsMax: number
  /** State digest as hex, at this index. */
  readonly digest: string
  readonly digestIndex: number
  readonly sync: {
    readonly p50Ms: number
    readonly p99Ms: number
    /** Of the last few, or of the one under way; absent from a build that does not say. */
    readonly latelyMs?: number
    readonly perSecond: number
    readonly messagesPerSync: number
  }
  /** Newest first. */
  readonly roleChanges: readonly {
    readonly ageMs: number
    readonly from: string
    readonly to: string
    readonly term: number
    readonly leader: number | undefined
    readonly reason: string
  }[]
}

export interface ClusterNode {
  readonly id: number
  readonly name: string
  readonly clientAddress: { readonly host: string; readonly port: number }
  readonly peerAddress: { readonly host: string; readonly port: number }
  /** The replicated word on it (rule 16). */
  readonly isUp: boolean
  /** The answering node can talk to it now; true for itself. */
  readonly isConnected: boolean
  /** undefined = it never told us. */
  readonly report: NodeReport | undefined
  /** Since the report came. */
  readonly reportAgeMs: number
}

/** Answered at once from what the asked node knows, also when there is no leader. */
export interface ClusterStatusAnswer {
  readonly kind: 'clusterStatus'
  readonly clusterName: string
  readonly answeredBy: number
  readonly leader: number | undefined
  readonly term: number
  readonly commitIndex: number
  readonly clusterTimeMs: number
  /** By id. */
  readonly nodes: readonly ClusterNode[]
  /** What the group has agreed on, as this node has applied it. */
  readonly featureLevel: number
  readonly topicCount: number
  readonly groupCount: number
}
