/**
 * What a leader knows of one peer's log, and how it feeds it. Two ways: *probe* sends one append and waits for its answer, to find where the logs
 * agree; *replicate* sends ahead of the answers, bounded by a window; *snapshot* sends no entries, for the peer fetches files (docs/decisions, snapshots).
 * Invariants: durableIndex ≤ matchedIndex < nextIndex; matchedIndex only grows within a session, and nothing ever moves nextIndex below
 * matchedIndex + 1 (etcd raft#149). A late answer can therefore cost a repetition, never an entry.
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex, NodeId, Session } from './ids.ts'
import type { OutgoingAppend } from './output.ts'
import { addInflight, createInflight, freeInflight } from './inflight.ts'
import type { Inflight } from './inflight.ts'

/** An append that stands in the output and has not been taken by the driver yet: what comes in the meantime rides along. */
export type PendingAppend = { -readonly [K in keyof OutgoingAppend]: OutgoingAppend[K] }

export type Flow =
  /** `sentMs`: when the probe left whose answer we wait for; undefined = free to send one. */
  | { readonly kind: 'probe'; sentMs: number | undefined }
  /** `movedMs`: when an answer, or our own question after a missing one, last moved something. */
  | { readonly kind: 'replicate'; readonly inflight: Inflight; movedMs: number }
  /** What it lacks is not in our log any more, or files are faster. `offeredMs`: when it was last told. */
  | { readonly kind: 'snapshot'; offeredMs: number }

/** What the peer wants to read: its own number for it, the index that it will be told, and the round that confirms it. Changed in reads.ts. */
export interface PeerRead {
  readonly incarnation: number
  readonly read: number
  readonly index: LogIndex
  readonly round: number
}

export interface Progress {
  readonly peer: NodeId
  readonly slicesMax: number
  readonly bytesMax: number
  session: Session
  /** Agrees with our log up to here. */
  matchedIndex: LogIndex
  /** … and has it on disk up to here: this is what counts for commit. */
  durableIndex: LogIndex
  /** The next entry to send; in replicate ahead of the answers. */
  nextIndex: LogIndex
  flow: Flow
  /** The commit index that the last append told. A lost one is made good by the next, or by a heartbeat. */
  toldCommitIndex: LogIndex
  pending: PendingAppend | undefined
  /** When we last heard anything of it in our term; our election counts as hearing. */
  contactMs: number
  /** False until the first answer. */
  hasAnswered: boolean
  /** The last round of heartbeats that it has answered, whatever its session: answers of our term prove that it has no higher one. */
  answeredRound: number
  read: PeerRead | undefined
  appliedIndex: LogIndex
  /** Catching up, by rounds: the present one ends at this index and began at that moment (changing.ts). */
  roundIndex: LogIndex
  roundMs: number
  isCaughtUp: boolean
}

export interface ProgressStart {
  readonly session: Session
  readonly nextIndex: LogIndex
  readonly nowMs: number
  readonly slicesMax: number
  readonly bytesMax: number
}

export function createProgress(peer: NodeId, start: ProgressStart): Progress {
  assert(start.nextIndex >= 1, 'progress-next', start.nextIndex)
  const none = 0 as LogIndex
  return {
    peer,
    slicesMax: start.slicesMax,
    bytesMax: start.bytesMax,
    session: start.session,
    matchedIndex: none,
    durableIndex: none,
    nextIndex: start.nextIndex,
    flow: { kind: 'probe', sentMs: undefined },
    toldCommitIndex: none,
    pending: undefined,
    contactMs: start.nowMs,
    hasAnswered: false,
    answeredRound: 0,
    read: undefined,
    appliedIndex: none,
    roundIndex: (start.nextIndex - 1) as LogIndex,
    roundMs: start.nowMs,
    isCaughtUp: false,
  }
}

/** Nothing that was said in an earlier session counts any more, but its durable end is the likeliest place to agree. */
export function openSession(progress: Progress, session: Session): void {
  assert(session !== progress.session, 'session-not-new', session)
  const nextIndex = (progress.durableIndex > 0 ? progress.durableIndex + 1 : progress.nextIndex) as LogIndex
  progress.session = session
  progress.matchedIndex = 0 as LogIndex
  progress.durableIndex = 0 as LogIndex
  startProbe(progress, nextIndex)
}

/** Forgets what was in flight and looks for agreement from `nextIndex − 1` down. */
export function startProbe(progress: Progress, nextIndex: LogIndex): void {
  progress.nextIndex = Math.max(nextIndex, progress.matchedIndex + 1) as LogIndex
  assert(progress.pending === undefined, 'probe-beside-pending', progress.peer)
  progress.flow = { kind: 'probe', sentMs: undefined }
}

/** No entries until it has a snapshot, or turns out to hold more than we thought. */
export function startSnapshot(progress: Progress, nowMs: number): void {
  assert(progress.pending === undefined, 'snapshot-beside-pending', progress.peer)
  progress.flow = { kind: 'snapshot', offeredMs: nowMs }
}

/** Whether such an answer moves `nextIndex` under an append that stands unsent in the output. */
export function outrunsPending(progress: Progress, matchedIndex: LogIndex): boolean {
  return progress.pending !== undefined && (progress.flow.kind !== 'replicate' || matchedIndex >= progress.nextIndex)
}

/** The peer accepted: its log agrees up to `matchedIndex` and is durable up to `durableIndex`. Returns whether that is news. */
export function onMatched(progress: Progress, matchedIndex: LogIndex, durableIndex: LogIndex, nowMs: number): boolean {
  assert(durableIndex <= matchedIndex, 'durable-beyond-matched', durableIndex, matchedIndex)
  assert(!outrunsPending(progress, matchedIndex), 'match-under-pending', progress.peer, matchedIndex)
  const isNews = matchedIndex > progress.matchedIndex || durableIndex > progress.durableIndex
  if (matchedIndex > progress.matchedIndex) progress.matchedIndex = matchedIndex
  if (durableIndex > progress.durableIndex) progress.durableIndex = durableIndex
  if (progress.flow.kind !== 'replicate') {
    progress.flow = { kind: 'replicate', inflight: createInflight(progress.slicesMax, progress.bytesMax), movedMs: nowMs }
    progress.nextIndex = (progress.matchedIndex + 1) as LogIndex
  } else {
    // By what is on its disk: a peer whose disk hangs would else be sent, and hold in memory, all that the others commit.
    freeInflight(progress.flow.inflight, progress.durableIndex)
    if (isNews) progress.flow.movedMs = nowMs
    if (progress.nextIndex <= progress.matchedIndex) progress.nextIndex = (progress.matchedIndex + 1) as LogIndex
  }
  const { inflight } = progress.flow
  // What it holds and has not on its disk, of what we have forgotten to have sent: nobody knows how much. A whole window, until it is there.
  if (progress.durableIndex < progress.matchedIndex && inflight.count === 0) {
    addInflight(inflight, progress.matchedIndex, progress.bytesMax)
  }
  return isNews
}

/** Whether a refusal of `refusedIndex` still says something: not about what has matched since, nor of an earlier probe. */
export function isCurrentConflict(progress: Progress, refusedIndex: LogIndex): boolean {
  if (refusedIndex <= progress.matchedIndex || progress.flow.kind === 'snapshot') return false
  return progress.flow.kind === 'replicate' ? refusedIndex < progress.nextIndex : refusedIndex === progress.nextIndex - 1
}

/** The driver handed entries up to `lastIndex` to the connection. A probe's `nextIndex` waits for the answer, a window's goes ahead. */
export function onSent(progress: Progress, lastIndex: LogIndex, bytes: number): void {
  const pending = progress.pending
  assert(pending !== undefined, 'sent-nothing-pending', progress.peer)
  assert(lastIndex >= pending.prev.index, 'sent-before-prev', lastIndex, pending.prev.index)
  assert(lastIndex <= pending.lastIndex, 'sent-beyond-asked', lastIndex, pending.lastIndex)
  progress.pending = undefined
  if (progress.flow.kind !== 'replicate' || lastIndex < progress.nextIndex) return
  addInflight(progress.flow.inflight, lastIndex, bytes)
  progress.nextIndex = (lastIndex + 1) as LogIndex
}
