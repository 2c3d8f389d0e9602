/**
 * The way of a command into the log, whoever leads (DESIGN §4, rules 6, 7 and 17). Use cases propose here and are told the fate; only this
 * file and the gate know where the leader is.
 *
 *     propose ─▶ pending (numbered; stamped when first sent) ─▶ leader is us: gate ─▶ Raft
 *                   │                                    └▶ leader is a peer: frame ─▶ its gate ─▶ its Raft
 *                   ◀── own apply: ours applied, and all our earlier ones that were not are surely overtaken
 *
 * Invariants:
 * · pending is in order of sequence; what was sent in the present run is a prefix of it.
 * · A proposal is never stamped or numbered twice: what is sent again is the same bytes.
 * · A run begins with a leader, a link or a stall, always at the oldest proposal still unapplied; after its patience a proposal is not sent
 *   again, but stays until its fate is known.
 * · Fates come from our own apply only. A leader's word is never taken for a fate, but for `broken`, which the leader did not append.
 */
import { assert } from '../platform/assert.ts'
import type { Clock } from '../platform/clock.ts'
import type { Command } from '../state/command.ts'
import type { CommandResult } from '../state/result.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { tracedListener, type OutcomeListener, type ProposalTrace } from './outcome.ts'
import { encodeProposals, frameProposalsMax, type FrameRefusalReason, type FrameRefused } from './peer-frame.ts'
import { bodyOf, isVoid, type Pending, type ProposalCodec } from './pending.ts'
import type { GateRaft, OwnProposal, ProposalGate } from './proposal-gate.ts'
import { defaultLimits, fatelessFactor, type ProposerLimits, voidsMax } from './proposer-limits.ts'

/** What the proposer needs of RaftNode. */
export interface ProposerRaft extends GateRaft {
  readonly leaderId: number | undefined
  /** False = not connected. The buffers are the network's from then on. */
  sendToPeer(peer: number, buffers: readonly Uint8Array[]): boolean
  /** Estimate of the cluster's time here. */
  clusterTimeMs(): number
}

export interface ProposerOptions {
  readonly node: number
  readonly incarnation: number
  readonly raft: ProposerRaft
  readonly gate: ProposalGate
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly codec: ProposalCodec
  readonly limits?: Partial<ProposerLimits>
  /** Hears each outcome just before its listener does. */
  readonly trace?: ProposalTrace
}

interface Ready extends OwnProposal {
  readonly pending: Pending
}

export interface ProposerStatus {
  readonly pendingCount: number
  readonly pendingBytes: number
  readonly lastSequence: number
  /** How often everything unapplied was sent again. */
  readonly restarts: number
  /** How often the leader had no room for what we sent. */
  readonly fullRefusals: number
}

export class Proposer {
  readonly #options: ProposerOptions
  readonly #limits: ProposerLimits
  /** Ascending sequences; the live ones begin at `#head`. */
  #pending: Pending[] = []
  #head = 0
  /** Index in `#pending` of the first that the present run has not sent. */
  #next = 0
  #bytes = 0
  /** Pending ones that may still be sent: somebody waits for them. */
  #live = 0
  /** Pending ones that are void, behind one that is not. */
  #voids = 0
  #lastSequence = 0
  /** Last sequence sent in the present run; undefined = the next frame restarts. */
  #lastSent: number | undefined
  #run = 0
  /** The leadership that the present run is for. */
  #term = 0
  #leaderId: number | undefined
  #isFlushScheduled = false
  /** A flush that waits for the end of a pause. */
  #pausedFlush: Deadline | undefined
  #pauseUntilMs = -Infinity
  #stallTimer: Deadline | undefined
  #stallMs: number
  #hasProgressed = false
  #restarts = 0
  /** The leader's last word was that it has no room. */
  #isLeaderFull = false
  #fullRefusals = 0
  readonly #gatherers: (() => void)[] = []

  constructor(options: ProposerOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#stallMs = this.#limits.stallMs
  }

  /**
   * False = over a bound, and nothing was taken. Otherwise `listener` hears the outcome, never inside this call. With `onlyInTerm` it is the word of
   * the leader of that term, which we are: it is not sent again once we lead no more.
   */
  propose(command: Command, deadlineMs: number, listener: OutcomeListener, onlyInTerm?: number): boolean {
    const { pendingCountMax, pendingBytesMax } = this.#limits
    if (this.#live >= pendingCountMax || this.#bytes >= pendingBytesMax) return false
    // Only an own apply takes the fateless away, so one proposal must always be let through.
    if (this.#live > 0 && this.#pending.length - this.#head - this.#voids >= pendingCountMax * fatelessFactor) return false
    const { node, incarnation, codec, deadlines, trace } = this.#options
    const sequence = ++this.#lastSequence
    const { parts, bytes } = codec.encode({ node, incarnation, sequence, sentAtMs: 0 }, command)
    const pending: Pending = {
      sequence,
      bytes,
      listener: tracedListener(sequence, listener, trace),
      parts,
      crc: undefined,
      onlyInTerm,
      wasSent: false,
      firstRun: 0,
      deadline: undefined,
    }
    pending.deadline = deadlines.at(deadlineMs, () => {
      this.#onPatienceOver(pending)
    })
    this.#pending.push(pending)
    this.#live++
    this.#bytes += bytes
    this.#scheduleFlush()
    return true
  }

  get hasLeader(): boolean {
    return this.#options.raft.leaderId !== undefined
  }

  /** `gather` runs right before every flush and may propose: so what many requests of one turn want becomes one command. In the order of adding. */
  addGatherer(gather: () => void): void {
    this.#gatherers.push(gather)
  }

  /** Asks for a flush in this turn, for the sake of the gatherers. */
  requestFlush(): void {
    this.#scheduleFlush()
  }

  /** An entry was applied here. Tells the fate of ours up to it. */
  onApplied(
    applied: { node: number; incarnation: number; sequence: number; result: CommandResult },
    logIndex: number,
    wallMs: number,
  ): void {
    const { node, incarnation } = this.#options
    if (applied.node !== node || applied.incarnation !== incarnation) return
    assert(applied.sequence <= this.#lastSequence, 'applied-future-sequence', applied.sequence, this.#lastSequence)
    this.#hasProgressed = true
    this.#isLeaderFull = false
    for (
      let first = this.#pending[this.#head];
      first !== undefined && first.sequence <= applied.sequence;
      first = this.#pending[this.#head]
    ) {
      this.#head++
      this.#forget(first)
      if (first.sequence === applied.sequence) first.listener({ kind: 'applied', logIndex, wallMs, result: applied.result })
      else if (isVoid(first)) this.#voids--
      else first.listener({ kind: 'rejected', reason: 'overtaken' })
    }
    if (this.#next < this.#head) this.#next = this.#head
    this.#compact()
  }

  onLeadershipChanged(): void {
    this.#lookAtLeadership()
  }

  /** Raft may know of a change before it has told: nothing of the old run may go to a new leader. */
  #lookAtLeadership(): void {
    const { term, leaderId } = this.#options.raft
    if (term === this.#term && leaderId === this.#leaderId) return
    this.#term = term
    this.#leaderId = leaderId
    this.#isLeaderFull = false
    this.#pauseUntilMs = -Infinity
    this.#dropOutlived(term, leaderId === this.#options.node)
    this.#restart()
  }

  #dropOutlived(term: number, isLeader: boolean): void {
    for (const pending of this.#pending.slice(this.#head)) {
      if (pending.onlyInTerm === undefined || pending.parts === undefined || (isLeader && pending.onlyInTerm === term)) continue
      pending.deadline?.cancel()
      this.#onPatienceOver(pending)
    }
  }

  onPeerConnected(peer: number): void {
    if (peer !== this.#options.raft.leaderId) return
    this.#pauseUntilMs = -Infinity
    this.#restart()
  }

  onPeerDisconnected(peer: number): void {
    // What was on its way may be lost; the new link begins anew.
    if (peer === this.#options.raft.leaderId) this.#lastSent = undefined
  }

  /** The leader's no to a frame, or to one broken proposal. */
  onFrameRefused(from: number, frame: FrameRefused): void {
    const { raft, incarnation } = this.#options
    if (frame.incarnation !== incarnation || from !== raft.leaderId) return
    if (frame.reason === 'broken') {
      this.#onBroken(frame.sequence)
      return
    }
    // What was still on its way of an earlier run is refused too, and means nothing.
    if (frame.run !== this.#run) return
    if (frame.reason === 'full') this.#takeBack(frame.sequence)
    if (frame.reason !== 'gap') this.#pause(frame.reason)
    this.#restart()
  }

  /** The leader has no room, and took nothing of the present run from this sequence on: what was never sent before is surely in no log. */
  #takeBack(fromSequence: number): void {
    for (const pending of this.#pending.slice(this.#head, this.#next)) {
      if (pending.sequence < fromSequence || pending.firstRun !== this.#run) continue
      pending.wasSent = false
      pending.firstRun = 0
      if (pending.parts !== undefined) continue
      this.#voids++
      pending.listener({ kind: 'rejected', reason: 'full' })
    }
    this.#dropVoid()
  }

  status(): ProposerStatus {
    return {
      pendingCount: this.#pending.length - this.#head,
      pendingBytes: this.#bytes,
      lastSequence: this.#lastSequence,
      restarts: this.#restarts,
      fullRefusals: this.#fullRefusals,
    }
  }

  /** Begins a new run at the oldest unapplied proposal. */
  #restart(): void {
    if (this.#next > this.#head) this.#restarts++
    this.#next = this.#head
    this.#lastSent = undefined
    if (this.#head < this.#pending.length) this.#scheduleFlush()
  }

  #pause(reason?: FrameRefusalReason): void {
    const { refusedPauseMs, fullPauseMs } = this.#limits
    if (reason === 'full') {
      this.#isLeaderFull = true
      this.#fullRefusals++
    }
    this.#pauseUntilMs = this.#options.clock.nowMs() + (reason === 'full' ? fullPauseMs : refusedPauseMs)
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return
    const { clock, deadlines } = this.#options
    if (this.#pauseUntilMs > clock.nowMs()) {
      if (this.#pausedFlush !== undefined) return
      this.#pausedFlush = deadlines.at(this.#pauseUntilMs, () => {
        this.#pausedFlush = undefined
        this.#scheduleFlush()
      })
      return
    }
    this.#isFlushScheduled = true
    // One turn's proposals make one frame.
    clock.soon(() => {
      for (const gather of this.#gatherers) gather()
      this.#isFlushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const { raft } = this.#options
    this.#lookAtLeadership()
    this.#armStallTimer()
    while (this.#next < this.#pending.length) {
      const leader = raft.leaderId
      if (leader === undefined) return
      const { batch, end } = this.#gatherBatch()
      if (batch.length === 0) {
        this.#next = end
        return
      }
      if (!this.#send(leader, batch)) return
      for (const { pending } of batch) {
        if (!pending.wasSent) pending.firstRun = this.#run
        pending.wasSent = true
      }
      this.#next = end
    }
  }

  /** What goes in one frame: from `#next` on, leaving out what nobody waits for any more. */
  #gatherBatch(): { batch: Ready[]; end: number } {
    const { codec, node, incarnation, raft } = this.#options
    const batch: Ready[] = []
    let bytes = 0
    let end = this.#next
    for (; end < this.#pending.length && batch.length < frameProposalsMax; end++) {
      const pending = this.#pending[end]
      if (pending?.parts === undefined) continue
      if (bytes > 0 && bytes + pending.bytes > this.#limits.frameBytesMax) break
      const { sequence } = pending
      const body = bodyOf(pending, codec, () => ({ node, incarnation, sequence, sentAtMs: Math.floor(raft.clusterTimeMs()) }))
      if (body === undefined) continue
      batch.push({ sequence, body, pending })
      bytes += pending.bytes
    }
    return { batch, end }
  }

  #send(leader: number, batch: readonly Ready[]): boolean {
    const { raft, node, incarnation, gate } = this.#options
    const last = batch[batch.length - 1]
    assert(last !== undefined, 'empty-batch')
    if (leader === node) {
      // A refusal may come at once or later; an earlier run's means nothing any more.
      if (this.#lastSent === undefined) this.#run++
      const run = this.#run
      const fate = { isRefused: false }
      gate.acceptOwn(node, incarnation, batch, reason => {
        fate.isRefused = true
        if (run !== this.#run) return
        this.#pause(reason)
        this.#restart()
      })
      if (fate.isRefused) return false
    } else {
      if (this.#lastSent === undefined) this.#run++
      const buffers = encodeProposals({
        kind: 'proposals',
        term: raft.term,
        incarnation,
        run: this.#run,
        isRestart: this.#lastSent === undefined,
        previousSequence: this.#lastSent ?? 0,
        bodies: batch.map(({ body }) => body),
      })
      if (!raft.sendToPeer(leader, buffers)) {
        // Not connected, or no room on the link.
        this.#pause()
        this.#scheduleFlush()
        return false
      }
    }
    this.#lastSent = last.sequence
    return true
  }

  #armStallTimer(): void {
    if (this.#stallTimer !== undefined || this.#head === this.#pending.length) return
    this.#hasProgressed = false
    this.#stallTimer = this.#options.deadlines.after(this.#stallMs, () => {
      this.#stallTimer = undefined
      if (this.#hasProgressed) this.#stallMs = this.#limits.stallMs
      else if (this.#head < this.#pending.length) {
        this.#stallMs = Math.min(this.#stallMs * 2, this.#limits.stallMs * 8)
        this.#restart()
      }
      this.#armStallTimer()
    })
  }

  #onPatienceOver(pending: Pending): void {
    pending.deadline = undefined
    this.#stopSending(pending)
    if (!pending.wasSent) this.#voids++
    const cause = this.#options.raft.leaderId === undefined ? 'noLeader' : 'noAnswer'
    const reason = this.#isLeaderFull ? 'full' : 'unsent'
    pending.listener(pending.wasSent ? { kind: 'unknown', cause } : { kind: 'rejected', reason })
    this.#dropVoid()
  }

  #onBroken(sequence: number): void {
    for (let i = this.#head; i < this.#pending.length; i++) {
      const pending = this.#pending[i]
      if (pending?.sequence !== sequence) continue
      if (pending.parts === undefined) return
      this.#forget(pending)
      pending.wasSent = false
      this.#voids++
      pending.listener({ kind: 'rejected', reason: 'broken' })
      this.#dropVoid()
      return
    }
  }

  /** Takes its bytes and its deadline off the books. */
  #forget(pending: Pending): void {
    this.#stopSending(pending)
    pending.deadline?.cancel()
    pending.deadline = undefined
  }

  #stopSending(pending: Pending): void {
    if (pending.parts === undefined) return
    pending.parts = undefined
    this.#bytes -= pending.bytes
    this.#live--
  }

  /** What was never sent and will not be needs no fate: it goes as soon as it is the oldest, or one of too many. */
  #dropVoid(): void {
    for (let first = this.#pending[this.#head]; first !== undefined && isVoid(first); first = this.#pending[this.#head]) {
      this.#head++
      this.#voids--
    }
    if (this.#next < this.#head) this.#next = this.#head
    if (this.#voids > voidsMax && this.#voids * 2 > this.#pending.length - this.#head) this.#dropAllVoid()
    this.#compact()
  }

  #dropAllVoid(): void {
    const sent = this.#pending.slice(this.#head, this.#next).filter(pending => !isVoid(pending))
    const unsent = this.#pending.slice(this.#next).filter(pending => !isVoid(pending))
    this.#pending = [...sent, ...unsent]
    this.#head = 0
    this.#next = sent.length
    this.#voids = 0
  }

  #compact(): void {
    if (this.#head < 1024 && this.#head < this.#pending.length) return
    this.#pending.splice(0, this.#head)
    this.#next -= this.#head
    this.#head = 0
  }
}
