/** What a RaftNode's user gives it and gets from it: the interface between the log and the state machine above it. */
import type { NodeId, Term } from '../core/ids.ts'
import type { MembershipAt } from '../core/membership.ts'
import type { PeerStatus, RaftStatus, RoleChange } from '../core/status.ts'
import type { Channel } from '../codec/messages.ts'
import type { PoolName, PoolStatus } from './admission.ts'
import type { BulkApp } from './bulk.ts'
import type { StoredEntry } from './log-storage.ts'
import type { DriverMetrics } from './metrics.ts'
import type { PeerLinks } from './peer-slots.ts'

/** Who leads, as far as this node knows. */
export interface LeadershipView {
  readonly term: Term
  readonly leaderId: NodeId | undefined
  readonly isLeader: boolean
  /** We lead, and an entry of our own term is committed: everything that earlier leaders committed is known to be. */
  readonly isReady: boolean
}

/** Who belongs to the group, as far as this node knows. */
export interface MembershipView {
  readonly at: MembershipAt
  readonly isCommitted: boolean
  readonly isRemoved: boolean
  /** … and that because a member knows our number by another data directory. */
  readonly isOtherDirectory: boolean
}

/** Calls into the application. None of them runs inside a call of the application into the node; each may call the node. */
export interface RaftApp {
  /** Committed, and durable here. Each entry once, in order, of every kind. The body is lent for the call. */
  apply(entry: StoredEntry): void
  /** After the applies of one turn. */
  appliedBatch(lastIndex: number): void
  leadershipChanged(view: LeadershipView): void
  /** Another membership is in force, or committed, or we were removed. */
  membershipChanged?(view: MembershipView): void
  /** A frame that a peer's application sent with `sendToPeer`; in order for each connection. The bytes may be kept. */
  peerFrame(from: NodeId, bytes: Uint8Array): void
  /** `sendToPeer` can reach it from here on. */
  peerConnected(peer: NodeId): void
  /** What was sent to it and not answered may be lost. */
  peerDisconnected(peer: NodeId): void
  /**
   * Entries up to here, which are to be applied or must be there before this node takes part, have rotted, and no member that is connected has them any
   * more: only a snapshot leads past them. May be told again.
   */
  unobtainable?(lastIndex: number): void
  /** Files between peers; an application without them never gets nor serves a snapshot. */
  readonly bulk?: BulkApp
  /**
   * The disk failed, or the peer port could not be opened: the node is silent from now on. An `UnreadableEntry`: the log can't be cut where it must be,
   * and the next start finds the rot and mends it.
   */
  fatal(error: Error): void
}

/** For logs, tests and the simulator's timeline. Cheap when absent. */
export type RaftTraceEvent =
  | { readonly kind: 'roleChange'; readonly change: RoleChange }
  /** Reason codes of what the core refused or ignored. */
  | { readonly kind: 'refusal'; readonly code: string }
  | { readonly kind: 'link'; readonly peer: NodeId | undefined; readonly channel: Channel | undefined; readonly what: string }
  | { readonly kind: 'peerDied'; readonly peer: NodeId }
  /** Refused: it came with another data directory than the membership knows. */
  | { readonly kind: 'otherDirectory'; readonly peer: NodeId }
  | { readonly kind: 'stall'; readonly gapMs: number }
  /** As leader: this pool has no room for a proposal. */
  | { readonly kind: 'full'; readonly pool: PoolName; readonly bytes: number }
  | { readonly kind: 'badFrame'; readonly peer: NodeId; readonly problem: string }

export type RaftTrace = (event: RaftTraceEvent) => void

/** A peer as its leader sees it. */
export interface PeerFlowStatus extends PeerStatus {
  /** Record bytes that are not on its disk yet, as far as it has told. */
  readonly lagBytes: number
}

/** The core's view and the driver's numbers. */
export interface RaftNodeStatus extends RaftStatus {
  readonly peers: readonly PeerFlowStatus[]
  readonly incarnation: number
  readonly isFailed: boolean
  /** Why it stopped by itself. */
  readonly failure: string | undefined
  /** Entries that have rotted here and are asked of peers. */
  readonly damage: { readonly fromIndex: number; readonly lastIndex: number } | undefined
  /** What the core refused or ignored since the start, most frequent first. */
  readonly refusals: readonly { readonly code: string; readonly count: number }[]
  readonly links: readonly PeerLinks[]
  readonly syncP50Ms: number
  readonly syncP99Ms: number
  /** Of the last few flushes, or of the one under way if that takes longer already. */
  readonly syncLatelyMs: number
  readonly entriesPerFlush: number
  readonly messagesHeld: number
  /** Reads that have not ended. */
  readonly readsOpen: number
  /** What we have taken on as leader and not finished, and the bounds. */
  readonly pools: readonly PoolStatus[]
  readonly metrics: DriverMetrics
}
