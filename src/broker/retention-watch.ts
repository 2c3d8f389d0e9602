/**
 * The leader decides what is given up, and says so in the log (rule 9; src/state/retention.ts carries it out). In rounds, each a walk over all queues in
 * small pieces:
 *
 *   trim      what is too old, or too much, for its topic or for the whole log; on a filling disk what everybody is done with, or the oldest whatever
 *   carry     what must stay although the segments before `goal` are to go: unfinished messages that their queue has given up, dead letters
 *   trimLog   up to the first segment that something still needs
 *
 * What a follower lacks is kept for it while it was heard of lately, and unless the disk is nearly full: a dead one pins nothing.
 * A round rests on the state at its end, although it took time: positions of queues only rise, and dead letters that came meanwhile are looked at last.
 */
import { UnreadableEntry } from '../../raft/index.ts'
import { bounds, sendMessageAt } from '../state/command-codec.ts'
import type { CarriedMessage, Command, QueueTrim } from '../state/command.ts'
import type { QueueId, QueueOffset, TopicId } from '../state/ids.ts'
import type { KeptMessage, RetainedQueue, RetainedTopic, RetentionView } from '../state/retention-view.ts'
import { IndexRot } from '../storage/storage-error.ts'
import type { Clock } from '../platform/clock.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import type { DiskWatch } from './disk-watch.ts'
import type { Proposer } from './proposer.ts'
import type { BrokerRaft } from './raft-view.ts'
import { offsetAtIndex, offsetAtTime, timeForSize } from './retention-plan.ts'

export interface RetentionSettings {
  /** For topics that have no own; 0 = no limit. */
  readonly ageMs: number
  /** Of the whole log; 0 = no limit. */
  readonly sizeBytes: number
  readonly intervalMs: number
  /** What a follower lacks is kept for so long after it was last heard. */
  readonly followerGraceMs: number
}

/** A segment of this node's log. */
export interface SegmentSpan {
  readonly firstIndex: number
  readonly lastIndex: number
  readonly bytes: number
}

/** What retention asks of this node's log. */
export interface RetainedLog {
  /** Oldest first; the last one is being written. */
  segments(): readonly SegmentSpan[]
  /** Cluster time of an entry that the log holds. */
  wallMsAt(index: number): number
}

export interface RetentionWatchOptions {
  readonly raft: BrokerRaft
  readonly view: { readonly appliedIndex: number; readonly wallMs: number; readonly retention: RetentionView }
  readonly proposer: Proposer
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly disk: DiskWatch
  readonly log: RetainedLog
  readonly settings: RetentionSettings
}

/** Slots and queues looked at before others have their turn. */
const pieceSteps = 256
const pieceMs = 1
/** What one round carries forward at most. */
const carryBytesMax = 4 * 1024 * 1024
const carriedBodiesMax = 1024 * 1024
const keptPerPiece = 256
/** Of what could be carried a round remembers so many, those that stand lowest: they hold the log. */
const candidatesMax = 1_024
const trimsMax = 256
const patienceMs = 2_500

interface Candidate extends KeptMessage {
  readonly topicId: TopicId
  readonly queueId: QueueId
}

/** What one round has found so far. */
interface Round {
  readonly nowMs: number
  /** Applied when it began: a queue that is found empty may get messages behind this while the round goes on, and what is not applied yet is in no queue. */
  readonly throughIndex: number
  /** The log shall begin here, if nothing else holds it: 0 = as it is. */
  readonly sizeIndex: number
  readonly sizeWallMs: number
  readonly isForced: boolean
  readonly isCleaning: boolean
  trims: QueueTrim[]
  /** The lowest entry that a queue begins with. */
  queueIndex: number
  /** The lowest entry that something which could be carried stands in. */
  keptIndex: number
  candidates: Candidate[]
  /** How far each queue of dead letters was looked at. */
  readonly deadLetters: { readonly topicId: TopicId; readonly queueId: QueueId; seen: number }[]
}

export class RetentionWatch {
  readonly #options: RetentionWatchOptions
  #timer: Deadline | undefined
  #open = 0
  /** When each follower was last heard, by our clock. */
  readonly #heardMs = new Map<number, number>()

  constructor(options: RetentionWatchOptions) {
    this.#options = options
  }

  onLeadershipChanged(): void {
    this.close()
    this.#heardMs.clear()
    if (this.#options.raft.isLeader) this.#later(this.#options.settings.intervalMs, () => this.#begin())
  }

  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #later(delayMs: number, next: () => void): void {
    this.#timer = this.#options.deadlines.after(delayMs, () => {
      if (this.#options.raft.isLeader) this.#unlessUnreadable(next)
    })
  }

  /** What has rotted on this disk is being mended, or the node is about to start again: the round is begun anew later. */
  #unlessUnreadable(next: () => void): void {
    try {
      next()
    } catch (error) {
      if (!(error instanceof UnreadableEntry) && !(error instanceof IndexRot)) throw error
      this.#later(this.#options.settings.intervalMs, () => this.#begin())
    }
  }

  #begin(): void {
    const { view, log, settings, disk, raft, clock } = this.#options
    for (const { node, sinceContactMs } of raft.followers()) {
      const known = this.#heardMs.get(node) ?? clock.nowMs()
      this.#heardMs.set(node, sinceContactMs === undefined ? known : Math.max(known, clock.nowMs() - sinceContactMs))
    }
    if (this.#open > 0) return this.#later(settings.intervalMs, () => this.#begin())
    const { level } = disk.state
    const isForced = level === 'force' || level === 'refuse'
    const segments = log.segments()
    let sizeIndex = settings.sizeBytes === 0 ? 0 : beginOfLast(segments, settings.sizeBytes)
    // A filling disk: one segment more than the limits want.
    if (level !== 'ok')
      sizeIndex = Math.max(sizeIndex, segments.find(({ firstIndex }) => firstIndex > view.retention.logFirst)?.firstIndex ?? 0)
    if (sizeIndex <= view.retention.logFirst) sizeIndex = 0
    const round: Round = {
      nowMs: view.wallMs,
      throughIndex: view.appliedIndex,
      sizeIndex,
      sizeWallMs: sizeIndex === 0 ? 0 : log.wallMsAt(sizeIndex),
      isForced,
      isCleaning: level === 'clean',
      trims: [],
      queueIndex: Infinity,
      keptIndex: Infinity,
      candidates: [],
      deadLetters: [],
    }
    this.#go(this.#walk(round), round)
  }

  #go(walk: Iterator<undefined>, round: Round): void {
    for (let steps = 0; steps < pieceSteps; steps++) {
      if (walk.next().done === true) return this.#finish(round)
    }
    this.#later(pieceMs, () => this.#go(walk, round))
  }

  /** Stops after each thing that costs a read or two. */
  *#walk(round: Round): Generator<undefined> {
    const { retention } = this.#options.view
    for (const id of retention.topicIds()) {
      const topic = retention.topic(id)
      if (topic === undefined) continue
      this.#planTopic(round, topic)
      yield undefined
      // Looked up anew after each piece: what was true before it may be gone.
      for (let i = 0; i < topic.queues.length; i++) {
        const queue = retention.topic(id)?.queues[i]
        if (queue === undefined) break
        const { queueId, first, next } = queue
        if (topic.isDeadLetter) {
          const seen = { topicId: id, queueId, seen: first }
          round.deadLetters.push(seen)
          for (; seen.seen < next; seen.seen++) {
            this.#noteDeadLetter(round, id, queueId, seen.seen)
            yield undefined
          }
        } else if (first < next) round.queueIndex = Math.min(round.queueIndex, retention.slot(id, queueId, first as QueueOffset).logIndex)
        yield* this.#walkUnfinished(round, id, queueId)
      }
    }
  }

  /** All of them: behind many that were carried already one may stand that was not. */
  *#walkUnfinished(round: Round, topicId: TopicId, queueId: QueueId): Generator<undefined> {
    const { retention } = this.#options.view
    for (let from = 0; ;) {
      if (retention.topic(topicId) === undefined) return
      const kept = retention.unfinishedBelowFirst(topicId, queueId, keptPerPiece, from)
      for (const each of kept) this.#noteKept(round, { ...each, topicId, queueId })
      yield undefined
      const last = kept.at(-1)
      if (last === undefined || kept.length < keptPerPiece) return
      from = last.offset + 1
    }
  }

  #planTopic(round: Round, topic: RetainedTopic): void {
    const { view, settings } = this.#options
    const { retention } = view
    const ageMs = topic.retention.ageMs === 0 ? settings.ageMs : topic.retention.ageMs
    const { sizeBytes } = topic.retention
    const sizeMs = sizeBytes === 0 ? undefined : timeForSize(retention, topic.queues, sizeBytes, round.nowMs)
    const beforeMs = Math.max(ageMs === 0 ? 0 : round.nowMs - ageMs, sizeMs ?? 0)
    for (const queue of topic.queues) {
      if (round.trims.length >= trimsMax) return
      let offset = beforeMs === 0 ? queue.first : offsetAtTime(retention, queue, beforeMs)
      if (round.sizeIndex > 0) offset = Math.max(offset, this.#offsetForLog(round, topic, queue))
      // Twice its time is enough for a message that nobody finishes.
      const tooOldMs = round.isForced ? round.sizeWallMs : ageMs === 0 ? 0 : round.nowMs - 2 * ageMs
      const stale = tooOldMs === 0 ? [] : retention.unfinishedBelowFirst(queue.topicId, queue.queueId, keptPerPiece)
      const lastStale = stale.findLast(({ storedAtMs }) => storedAtMs < tooOldMs)
      const forcedBelow = round.isForced && offset > queue.first ? offset : lastStale === undefined ? 0 : lastStale.offset + 1
      if (offset > queue.first || forcedBelow > 0) {
        const { topicId, queueId } = queue
        round.trims.push({ topicId, queueId, offset: offset as QueueOffset, forcedBelow })
      }
    }
  }

  /** Where the queue must begin so that the log may begin at `sizeIndex`. */
  #offsetForLog(round: Round, topic: RetainedTopic, queue: RetainedQueue): number {
    const { retention } = this.#options.view
    const offset = topic.isDeadLetter ? offsetAtTime(retention, queue, round.sizeWallMs) : offsetAtIndex(retention, queue, round.sizeIndex)
    if (!round.isCleaning) return offset
    // What nobody reads is kept for its time.
    return Math.min(offset, retention.firstUnfinished(queue.topicId, queue.queueId) ?? queue.first)
  }

  #noteDeadLetter(round: Round, topicId: TopicId, queueId: QueueId, offset: number): void {
    const { retention } = this.#options.view
    const queue = retention.topic(topicId)?.queues[queueId]
    if (queue === undefined || offset < queue.first) return
    const { logIndex, ordinal, storedAtMs } = retention.slot(topicId, queueId, offset as QueueOffset)
    this.#noteKept(round, { topicId, queueId, offset: offset as QueueOffset, logIndex, ordinal, storedAtMs })
  }

  #noteKept(round: Round, candidate: Candidate): void {
    round.keptIndex = Math.min(round.keptIndex, candidate.logIndex)
    round.candidates.push(candidate)
    if (round.candidates.length >= 2 * candidatesMax) round.candidates = byIndex(round.candidates).slice(0, candidatesMax)
  }

  #finish(round: Round): void {
    const { view, log, settings } = this.#options
    const { retention } = view
    // At once, without a break: what came to the dead letters since they were walked over.
    for (const { topicId, queueId, seen } of round.deadLetters) {
      const next = retention.topic(topicId)?.queues.at(queueId)?.next ?? 0
      for (let offset = seen; offset < next; offset++) this.#noteDeadLetter(round, topicId, queueId, offset)
    }
    const known = new Set(round.deadLetters.map(({ topicId }) => topicId))
    for (const id of retention.topicIds()) {
      const topic = retention.topic(id)
      if (topic?.isDeadLetter !== true || known.has(id)) continue
      for (const { queueId, first, next } of topic.queues) {
        for (let offset = first; offset < next; offset++) this.#noteDeadLetter(round, id, queueId, offset)
      }
    }
    if (round.trims.length > 0) this.#propose({ kind: 'trim', queues: round.trims })
    const segments = log.segments()
    const goal = beginOfSegment(segments, Math.min(round.queueIndex, round.throughIndex + 1, this.#followerIndex(round) + 1))
    this.#carry(round, goal)
    const index = Math.min(goal, beginOfSegment(segments, round.keptIndex))
    if (index > retention.logFirst) this.#propose({ kind: 'trimLog', index })
    this.#later(settings.intervalMs, () => this.#begin())
  }

  /** All that lives has applied this far. */
  #followerIndex(round: Round): number {
    const { raft, clock, settings } = this.#options
    let index = raft.commitIndex
    if (round.isForced) return index
    for (const { node, appliedIndex } of raft.followers()) {
      if (clock.nowMs() - (this.#heardMs.get(node) ?? clock.nowMs()) <= settings.followerGraceMs) index = Math.min(index, appliedIndex)
    }
    return index
  }

  /** Repeats what stands below `goal` at the end of the log, oldest first, as far as the budget goes. */
  #carry(round: Round, goal: number): void {
    const logFirst = this.#options.log.segments()[0]?.firstIndex ?? 0
    const wanted = byIndex(round.candidates).filter(({ logIndex }) => logIndex >= logFirst && logIndex < goal)
    // No more than one command may hold.
    wanted.length = Math.min(wanted.length, bounds.carriedMax)
    let items: CarriedMessage[] = []
    let total = 0
    let bytes = 0
    for (const { topicId, queueId, offset, logIndex, ordinal } of wanted) {
      if (total >= carryBytesMax) break
      const body = this.#options.raft.entryBody(logIndex)
      // Rotten here: it keeps its place in the log, and is carried when it is mended.
      const found = body === undefined ? undefined : sendMessageAt(body, ordinal)
      if (found === undefined) continue
      // Copied: the log's memory is lent for this turn only.
      const message = { ...found, dedupeKey: undefined, bytes: found.bytes.slice(), bodyMd5: found.bodyMd5.slice() }
      items.push({ topicId, queueId, offset, message })
      bytes += message.bytes.length
      total += message.bytes.length
      if (bytes < carriedBodiesMax) continue
      this.#propose({ kind: 'carry', items })
      items = []
      bytes = 0
    }
    if (items.length > 0) this.#propose({ kind: 'carry', items })
  }

  #propose(command: Command): void {
    const { proposer, clock, raft } = this.#options
    let isOpen = true
    const done = (): void => {
      // Its fate may come after "unknown".
      if (isOpen) this.#open--
      isOpen = false
    }
    const isTaken = proposer.propose(command, clock.nowMs() + patienceMs, done, raft.term)
    if (isTaken) this.#open++
  }
}

function byIndex(candidates: readonly Candidate[]): Candidate[] {
  return [...candidates].sort((a, b) => a.logIndex - b.logIndex)
}

/** First entry of the newest segments that together have at most so many bytes; the one being written is always among them. */
function beginOfLast(segments: readonly SegmentSpan[], bytesMax: number): number {
  let bytes = 0
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i]
    if (segment === undefined) break
    bytes += segment.bytes
    if (bytes > bytesMax) return segments[Math.min(i + 1, segments.length - 1)]?.firstIndex ?? 0
  }
  return 0
}

/** First entry of the segment that holds `index`, or of the last one. */
function beginOfSegment(segments: readonly SegmentSpan[], index: number): number {
  return segments.findLast(({ firstIndex }) => firstIndex <= index)?.firstIndex ?? 0
}
