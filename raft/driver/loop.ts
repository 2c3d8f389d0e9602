/**
 * The event loop of one node. Everything that happens (a frame, a finished sync, a proposal, a timer) only asks for a turn; a turn runs when what was
 * already waiting has come in, and does, in this order:
 *
 *   frames: control first, then data → durable → proposals and wishes → tick → one drain of the core's output: persists into the log, messages to the
 *   connections → one flush, if the disk is idle → one write per connection → apply a slice
 *
 * So one flush carries everything that waited for the disk, and one write per peer everything the turn had to say. The leader's records leave before the
 * flush that makes them durable here has begun.
 * Stalls: if the process was away for longer than two heartbeats, the core hears what the calendar shows now, then what waits in the sockets, and only then
 * that time has passed; after more than ten seconds the connections are dropped unread, and proposals that waited are refused (DESIGN rule 7).
 * After the first error of the disk the node is silent: no vote, no acknowledgement, no heartbeat leaves it any more.
 */
import type { Clock, Timer } from '../../src/platform/clock.ts'
import type { Random } from '../../src/platform/random.ts'
import { crc32c } from '../../src/platform/bytes.ts'
import { assert, mustExist } from '../../src/platform/assert.ts'
import type { RaftConfig } from '../core/config.ts'
import type { RaftCore } from '../core/core.ts'
import { EntryKind } from '../core/entry.ts'
import type { Epoch } from '../core/ids.ts'
import { encodeMembership } from '../core/membership.ts'
import type { Member } from '../core/membership.ts'
import type { Refusal } from '../core/refusal.ts'
import type { LeadershipView, RaftApp, RaftTrace } from './app.ts'
import { Applier } from './applier.ts'
import { Inbox } from './inbox.ts'
import { UnreadableEntry } from './log-storage.ts'
import type { EntryBody, HardStateStorage, LogStorage, RepairStorage } from './log-storage.ts'
import { MembershipWatch } from './membership-watch.ts'
import type { DriverMetrics } from './metrics.ts'
import { Persistence } from './persistence.ts'
import type { OwnAppend } from './persistence.ts'
import { Reads } from './reads.ts'
import { Receiver } from './receiver.ts'
import { Repairer } from './repairer.ts'
import { Sender } from './sender.ts'
import { Submissions } from './submissions.ts'
import type { Batch } from './submissions.ts'
import type { PeerAddress, Transport } from './transport.ts'
import { Wishes } from './wishes.ts'

export interface LoopOptions {
  readonly config: RaftConfig
  readonly core: RaftCore
  readonly clock: Clock
  readonly random: Random
  readonly log: LogStorage
  readonly hardState: HardStateStorage
  readonly app: RaftApp
  readonly metrics: DriverMetrics
  readonly transport: Transport
  /** Without it rot is fatal. */
  readonly repair: RepairStorage | undefined
  readonly trace: RaftTrace | undefined
  /** We, in our own words. */
  readonly self: Member
  /** Where to dial while no membership is known. */
  readonly join: readonly PeerAddress[]
}

/** Data frames are taken for at most this long in one turn. */
const dataSliceMsMax = 2
/** … unless so much waits: then all of it, before the sockets are read again, so that what waits here stays bounded. */
const inboxBytesMax = 8 * 1024 * 1024
/** After a gap like this nothing that waits is read (rule 7). */
const absenceMsMax = 10_000
/** How often the connections are looked after. */
const linkCheckIntervalMs = 100

const emptyBody: EntryBody = { parts: [], bytes: 0, crc: 0 }

export class Loop {
  readonly inbox = new Inbox()
  readonly submissions: Submissions
  readonly wishes = new Wishes()
  readonly reads = new Reads()
  readonly persistence: Persistence
  readonly sender: Sender
  readonly applier: Applier
  readonly #options: LoopOptions
  readonly #stallMs: number
  #isTurnRequested = false
  #isInTurn = false
  #isStopped = false
  #failure: string | undefined
  readonly #refusals = new Map<string, number>()
  #timer: Timer | undefined
  #timerDueMs = Infinity
  #lastWakeMs: number
  /** After a stall the tick waits for the next turn … */
  #isTickHeld = false
  /** … but not for a second one: a process that is late every time would never hear what time it is (catalogue B160). */
  #wasTickHeld = false
  #lastLinkCheckMs = -Infinity
  #steppedEpoch = 0 as Epoch
  /** Proposed in this turn, until the output is drained. */
  readonly #batches = new Map<number, Batch>()
  readonly #receiver: Receiver
  readonly #repairer: Repairer | undefined
  #view: LeadershipView
  readonly #membershipWatch: MembershipWatch
  /** As the storage knows it: both only ever go from true to false. */
  #isVoteConditional: boolean
  #isVoteWithheld: boolean

  constructor(options: LoopOptions) {
    this.#options = options
    const { clock, random, log, hardState, metrics, config, core, transport, app, trace } = options
    this.#stallMs = 2 * config.heartbeatIntervalMs
    this.#lastWakeMs = clock.nowMs()
    this.submissions = new Submissions(config.sliceBytesMax)
    this.persistence = new Persistence({
      clock,
      log,
      hardState,
      metrics,
      bodiesOf: persist => this.#bodiesOf(persist),
      blockOf: ticket => this.#receiver.blockOf(ticket),
      progressed: () => this.requestTurn(),
      failed: error => this.fail(error),
    })
    this.#repairer = this.#makeRepairer()
    this.#receiver = new Receiver({ core, clock, random, log, app, transport, trace, repairer: this.#repairer })
    const node = core.inspect()
    this.sender = new Sender({
      core: {
        leadingTerm: () => (node.role.kind === 'leader' ? node.term : undefined),
        sentUpTo: (to, lastIndex, bytes) => core.sentUpTo(to, lastIndex, bytes),
      },
      log,
      transport,
      metrics,
      sliceBytesMax: config.sliceBytesMax,
    })
    this.applier = new Applier({ clock, log, appliedIndex: node.appliedIndex, apply: entry => app.apply(entry) })
    this.#membershipWatch = new MembershipWatch({ ...options, wish: change => this.submissions.addChange(change, undefined) })
    // An idle leader flushes nothing: it would go on leading with a disk that is gone.
    log.whenPoisoned?.(error => this.fail(error))
    hardState.whenPoisoned?.(error => this.fail(error))
    this.#view = this.#currentView()
    const status = core.status(clock.nowMs())
    this.#isVoteConditional = status.isVoteConditional
    this.#isVoteWithheld = status.isVoteWithheld
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Stopped by an error, not by a call. */
  get isFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Its sentence. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Reason codes of what the core refused or ignored, most frequent first. */
  refusals(): { readonly code: string; readonly count: number }[] {
    return [...this.#refusals].map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1))
  }

  /** Said no in the core's place, for what needs no turn to be refused. */
  refuse(code: Refusal): void {
    this.#countRefusal(code)
  }

  #countRefusal(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1)
    this.#options.trace?.({ kind: 'refusal', code })
  }

  /** A member said who and where it is. */
  introduced(member: Member): void {
    this.#membershipWatch.introduced(member)
  }

  /** A member said that we are out of the group, and why, by the membership that it knows. */
  toldOut(index: number, isOtherDirectory: boolean): void {
    this.#membershipWatch.toldOut(index, isOtherDirectory)
  }

  /** Asks for a turn as soon as what is waiting has come in. */
  requestTurn(): void {
    if (this.#isTurnRequested || this.#isStopped) return
    this.#isTurnRequested = true
    this.#options.clock.soon(() => this.#turn())
  }

  /** Something waits for the connections. What a turn says leaves at its own end. */
  wantsFlush(): void {
    if (!this.#isInTurn) this.requestTurn()
  }

  /** Something called us: has the process been away? */
  wake(): void {
    const { clock, metrics, trace, transport } = this.#options
    const nowMs = clock.nowMs()
    const gapMs = nowMs - this.#lastWakeMs
    this.#lastWakeMs = nowMs
    if (gapMs <= this.#stallMs || this.#isStopped) return
    metrics.stalls++
    metrics.stallMsLongest = Math.max(metrics.stallMsLongest, gapMs)
    this.#isTickHeld = true
    trace?.({ kind: 'stall', gapMs })
    if (gapMs <= absenceMsMax) return
    this.inbox.dropFrames()
    this.submissions.rejectWaiting('notLeader')
    transport.dropAll(`this process was away for ${Math.round(gapMs)} ms`)
  }

  /** Nothing runs after this. */
  stop(cause: 'stopped' | 'storageFailed'): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#timer?.cancel()
    this.persistence.stop()
    this.sender.drop()
    this.#options.transport.stop()
    this.submissions.abandon(cause)
    this.wishes.abandon()
    this.reads.abandon(cause)
  }

  /** The disk failed, or the peer port can't be had: silence, and one sentence. */
  fail(error: Error): void {
    if (this.#isStopped) return
    this.#failure = error.message
    this.stop('storageFailed')
    this.#options.app.fatal(error)
  }

  #turn(): void {
    this.#isTurnRequested = false
    if (this.#isStopped) return
    this.wake()
    this.#isInTurn = true
    try {
      this.#carryOutTurn()
    } catch (error) {
      // A read of the log that fails inside a turn is the disk's fault, like a failed flush, and so is rot where the log is to be cut: there is no going
      // on without that. Everything else is a bug of ours and ends the process.
      if (!(error instanceof UnreadableEntry) && !(error instanceof Error && error.name === 'StorageError')) throw error
      this.fail(error)
    } finally {
      this.#isInTurn = false
    }
  }

  #carryOutTurn(): void {
    const { metrics, transport, core, clock } = this.#options
    metrics.turns++
    if (this.#isTickHeld) core.step({ kind: 'woke', nowMs: clock.nowMs(), wallMs: clock.wallMs() })
    for (const item of this.inbox.takeControl()) this.#receiver.take(item)
    this.#takeData()
    this.#stepDurable()
    this.#stepProposals()
    this.#stepWishes()
    this.#maybeTick()
    this.#drain()
    this.persistence.start()
    transport.flush()
    this.#tellLeadership()
    this.#membershipWatch.tell()
    this.#apply()
    this.reads.settle(this.applier.appliedIndex, this.#options.clock.nowMs())
    this.#tellTrust()
    transport.flush()
    if (!this.inbox.isEmpty || this.submissions.hasWaiting || this.wishes.hasWaiting || this.reads.hasWaiting) this.requestTurn()
    this.arm()
  }

  #takeData(): void {
    const { clock } = this.#options
    const endMs = this.inbox.dataBytes > inboxBytesMax ? Infinity : clock.nowMs() + dataSliceMsMax
    for (let item = this.inbox.takeData(); item !== undefined; item = this.inbox.takeData()) {
      this.#receiver.take(item)
      if (this.#isStopped || clock.nowMs() >= endMs) return
    }
  }

  #stepDurable(): void {
    const epoch = this.persistence.durableEpoch
    if (epoch <= this.#steppedEpoch) return
    this.#steppedEpoch = epoch
    const { core, clock } = this.#options
    core.step({ kind: 'durable', nowMs: clock.nowMs(), epoch })
    this.sender.release(epoch)
    this.persistence.noteDurable(core.inspect().durability.durableIndex)
  }

  #stepProposals(): void {
    const { core, clock, metrics } = this.#options
    for (let batch = this.submissions.take(); batch !== undefined; batch = this.submissions.take()) {
      metrics.proposals++
      const { ticket, kind: entryKind, bodies, bytes } = batch
      this.#batches.set(ticket, batch)
      core.step({ kind: 'propose', nowMs: clock.nowMs(), ticket, entryKind, count: bodies.length, bytes })
    }
    for (let wish = this.submissions.takeChange(); wish !== undefined; wish = this.submissions.takeChange()) {
      core.step({ kind: 'changeMembership', nowMs: clock.nowMs(), ...wish })
    }
  }

  #stepWishes(): void {
    const { core, clock } = this.#options
    const nowMs = clock.nowMs()
    const wish = this.wishes.take()
    if (wish !== undefined) core.step({ kind: 'transfer', nowMs, to: wish.to, giveUpMs: nowMs + wish.patienceMs })
    const question = this.reads.take()
    if (question !== undefined) core.step({ kind: 'readIndex', nowMs, ...question })
  }

  #maybeTick(): void {
    const { core, clock, random, transport } = this.#options
    this.#wasTickHeld = this.#isTickHeld && !this.#wasTickHeld
    this.#isTickHeld = false
    if (this.#wasTickHeld) return this.requestTurn()
    const nowMs = clock.nowMs()
    if (nowMs - this.#lastLinkCheckMs >= linkCheckIntervalMs) {
      this.#lastLinkCheckMs = nowMs
      transport.check()
      this.#membershipWatch.maybeRecordMoves()
      this.#repairer?.poll()
    }
    if (nowMs >= core.output.deadlineMs) core.step({ kind: 'tick', nowMs, wallMs: clock.wallMs(), jitter: random.next() })
  }

  /** Carries out what the core wants, in the order of its duties (core/output.ts). */
  #drain(): void {
    const { core, metrics, trace } = this.#options
    const { output } = core
    for (const persist of output.persists) this.persistence.carryOut(persist)
    this.#receiver.forgetBlocks()
    this.#batches.clear()
    const durable = this.persistence.durableEpoch
    // By index: handing over an append may put the next one behind the last.
    for (let i = 0; i < output.messages.length; i++) this.sender.send(mustExist(output.messages[i], 'message'), durable)
    for (const outcome of output.outcomes) {
      if (outcome.kind === 'rejected') metrics.proposalsRejected++
      else if (outcome.kind === 'unknown') metrics.proposalsUnknown++
      this.submissions.onOutcome(outcome)
    }
    for (const end of output.transfers) this.wishes.onEnd(end)
    for (const end of output.reads) this.reads.onEnd(end)
    for (const code of output.refusals) this.#countRefusal(code)
    if (trace !== undefined) {
      for (const change of output.roleChanges) trace({ kind: 'roleChange', change })
    }
    const offeredBy = output.snapshotOfferedBy
    core.clearOutput()
    if (offeredBy !== undefined) this.#options.app.bulk?.snapshotOffered(offeredBy)
  }

  #apply(): void {
    const { core, app, metrics } = this.#options
    const { applyTo } = core.output
    const count = this.applier.applySlice(applyTo)
    if (count === 0) return
    metrics.entriesApplied += count
    const { appliedIndex } = this.applier
    core.step({ kind: 'applied', index: appliedIndex })
    app.appliedBatch(appliedIndex)
    this.submissions.onApplied(appliedIndex)
    if (appliedIndex < applyTo && !this.applier.isStuck) this.requestTurn()
  }

  #tellLeadership(): void {
    const view = this.#currentView()
    const last = this.#view
    if (view.term === last.term && view.leaderId === last.leaderId && view.isLeader === last.isLeader && view.isReady === last.isReady)
      return
    this.#view = view
    this.#options.app.leadershipChanged(view)
  }

  #currentView(): LeadershipView {
    const { role, term, commitIndex } = this.#options.core.inspect()
    const isLeader = role.kind === 'leader'
    return { term, leaderId: role.leaderId, isLeader, isReady: isLeader && commitIndex >= role.firstOwnIndex }
  }

  #makeRepairer(): Repairer | undefined {
    const { clock, log, repair, transport, config, core, app } = this.#options
    if (repair === undefined) return undefined
    return new Repairer({
      clock,
      log,
      repair,
      transport,
      peers: () => transport.neighbours,
      answerBytesMax: config.sliceBytesMax,
      commitIndex: () => core.inspect().commitIndex,
      nobodyHas: ({ fromIndex, lastIndex }) => {
        repair.passOver?.(fromIndex)
        const isNeeded = repair.isRecovering || (this.applier.isStuck && this.applier.appliedIndex < lastIndex)
        if (isNeeded) app.unobtainable?.(lastIndex)
      },
      mended: wasRecovering => {
        if (wasRecovering) this.#leaveRecovery(repair)
        this.requestTurn()
      },
    })
  }

  /** The log is whole: the core hears what is in it, and from now on we take part. */
  #leaveRecovery({ lastWallMs, hasTornTail, isHardStateOld, memberships }: RepairStorage): void {
    const { clock, random, log, core } = this.#options
    const { lastId: last, termRuns: runs } = log
    const whole = { last, runs, memberships, lastWallMs, hasTornTail, isHardStateOld }
    core.step({ kind: 'repaired', nowMs: clock.nowMs(), ...whole, jitter: random.next() })
    this.applier.restart(core.inspect().appliedIndex)
    const { isVoteConditional, isVoteWithheld } = core.status(clock.nowMs())
    this.#isVoteConditional = isVoteConditional
    this.#isVoteWithheld = isVoteWithheld
  }

  /** What the core does not doubt any more, storage may forget. */
  #tellTrust(): void {
    if (!this.#isVoteConditional && !this.#isVoteWithheld) return
    const { core, clock, hardState } = this.#options
    const { isVoteConditional, isVoteWithheld } = core.status(clock.nowMs())
    if (this.#isVoteConditional && !isVoteConditional) hardState.trustRestored?.('tail')
    if (this.#isVoteWithheld && !isVoteWithheld) hardState.trustRestored?.('vote')
    this.#isVoteConditional = isVoteConditional
    this.#isVoteWithheld = isVoteWithheld
  }

  #bodiesOf(persist: OwnAppend): { readonly bodies: readonly EntryBody[]; readonly bytes: number } {
    const batch = this.#batches.get(persist.ticket)
    if (batch !== undefined) return batch
    assert(persist.count === 1, 'proposal-without-bodies', persist.ticket)
    assert((persist.entryKind === EntryKind.config) === (persist.membership !== undefined), 'config-without-membership', persist.ticket)
    if (persist.membership === undefined) return { bodies: [emptyBody], bytes: this.#options.log.recordBytes(0) }
    const body = encodeMembership(persist.membership)
    return { bodies: [{ parts: [body], bytes: body.length, crc: crc32c(body) }], bytes: this.#options.log.recordBytes(body.length) }
  }

  /** One timer, at the core's next deadline. An earlier one that is set already will do: it only asks for a turn. */
  arm(): void {
    if (this.#isStopped) return
    const { core, clock } = this.#options
    const dueMs = core.output.deadlineMs
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = clock.setTimer(Math.max(0, dueMs - clock.nowMs()), () => {
      this.#timer = undefined
      this.wake()
      this.requestTurn()
    })
  }
}
