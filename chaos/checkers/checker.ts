/**
 * The vocabulary of the checkers: what they may look at and when they are called. One property a file; a checker keeps what it needs to judge
 * incrementally, draws nothing, changes nothing, and throws a `Violation` at the first thing that may not be.
 * They see all nodes and the true disks, so they notice a mistake long before a client would.
 */
import type { LogStorage, Membership, RaftCore, RaftStatus, Role } from '../../raft/index.ts'
import type { Command, Digest } from '../../src/state/command.ts'
import type { CommandResult } from '../../src/state/result.ts'

/** The slice of a running BrokerNode that checkers read. */
export interface LiveNode {
  readonly log: LogStorage
  readonly raft: {
    readonly role: Role
    readonly term: number
    readonly commitIndex: number
    /** To look at. */
    readonly core: RaftCore
    status(): RaftStatus
  }
  readonly machine: {
    readonly appliedIndex: number
    digest(): Digest
    recomputeDigest(): Digest
    /** Sentences about messages that are in no state, or in two. */
    conservation(): readonly string[]
  }
}

/** A member of the simulated group, up or down. */
export interface NodeView {
  /** Number of the member, from 1. */
  readonly id: number
  /** Counts its process lives, from 1. */
  readonly lifeNumber: number
  /** Its calendar clock now, right or wrong. */
  readonly wallMs: number
  /** Term and vote as its disk holds them. */
  readonly trueVote: TrueVote
  /** What lay on the disk when the present life began. */
  readonly foundAtStart: FoundAtStart
  /** undefined while the process is down. */
  readonly node: LiveNode | undefined
  /** The log as it is on the true disk, what was never synced left out. */
  readonly trueLog: TrueLog
  /** The disk that the machine had before this one; undefined while it has its first. */
  readonly lostDisk?: LostDisk | undefined
}

/** What a disk held when it was lost: what others were told of it by then stays told. */
export interface LostDisk {
  readonly vote: TermAndVote | undefined
  /** The entry of this index and term was on it. */
  held(index: number, term: number): boolean
}

export interface FoundAtStart {
  /** Bytes of a record behind the last whole one, after a power cut. */
  readonly hasTornLog: boolean
  /** Its log was replaced by a snapshot's. */
  readonly hasInstalled: boolean
}

/** Reads what would be left of a node's log if the power went now. */
export interface TrueLog {
  /** The entry of this index and term, and all before it, are whole on the disk. */
  durableTo(index: number, term: number): boolean
  /** How far that has been found true: asking for what comes next is cheap. */
  readonly provedTo: number
  /** The same of entries that may not be committed, and so may be gone again a moment later. */
  holdsNow(index: number, term: number): boolean
}

export interface TermAndVote {
  readonly term: number
  readonly votedFor: number | undefined
}

/** Reads what would be left of a node's hard state if the power went now. */
export interface TrueVote {
  /** undefined while there is none. */
  read(): TermAndVote | undefined
  /** What would be left of it if one of its slots were lost besides; undefined when nothing would. */
  readWorst(): TermAndVote | undefined
  /** Faults have damaged it so often: what it holds may be older than what it held. */
  readonly damages: number
}

/** What can be seen of a node at a glance, after each event of the world. */
export interface Glance {
  readonly role: Role
  readonly term: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly commitIndex: number
  readonly appliedIndex: number
  /** The first entry that this change took out of the log or put another in its place of; 0 = none. */
  readonly rewroteFrom: number
}

/** An entry that some node holds to be committed, and what it did to the reference state. */
export interface CommittedRecord {
  readonly index: number
  readonly term: number
  readonly wallMs: number
  /** undefined for entries without a command. */
  readonly command: Command | undefined
  readonly proposer:
    { readonly node: number; readonly incarnation: number; readonly sequence: number; readonly sentAtMs: number } | undefined
  /** Of a config entry. */
  readonly membership?: Membership | undefined
  /** undefined when apply ignored it: a copy, or no command. */
  readonly result: CommandResult | undefined
}

/** What the entry had the state do; undefined when apply ignored or refused it. */
export function carriedOut({ command, result }: Pick<CommittedRecord, 'command' | 'result'>): Command | undefined {
  return result === undefined || result.kind === 'refused' ? undefined : command
}

export interface Checker {
  readonly name: string
  /** The machine of the node has another disk, with nothing on it: what the node held, and was held to, is gone. Its process is dead. */
  diskLost?(view: NodeView): void
  /** A process life of the node has begun. */
  nodeStarted?(view: NodeView): void
  /** What a glance shows of the node is not what the last one showed. */
  nodeChanged?(view: NodeView, node: LiveNode, now: Glance, before: Glance): void
  /** The node's entries from `index` on are new; what it held from there on before is gone. */
  logChanged?(view: NodeView, node: LiveNode, fromIndex: number): void
  /** The committed log, as the reference replica applied it: each entry once, in order. */
  committed?(record: CommittedRecord): void
  /** Everything is healed, drained and quiet. */
  atEnd?(): void
}
