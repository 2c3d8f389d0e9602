/**
 * The receives that wait on this node, and the pops made for them (rules 13 to 15).
 *
 * One `Poll` for each (consumer group, topic). It has at most one pop on its way, made for all its waiters together, oldest first. A pop is made
 * only while there may be something: the first time anybody asks (that creates the group and its place), then when the local state says so.
 * When messages arrive while several gateways wait, the one whose turn it is (arrivals mod n) pops at once, the others 3 ms later, and only
 * if something is left. Who waits elsewhere is read off the log: a gateway whose pop was applied lately.
 *
 * Invariants: a waiter is answered once, not after its limit; what a pop brought for a waiter that is gone is released; who could have been given a batch
 * elsewhere hears "nothing" only from a node that is up to date.
 * Bounds: 1 024 waiters of one poll, 100 000 in all.
 */
import type { Clock } from '../platform/clock.ts'
import { bounds } from '../state/command-codec.ts'
import type { PopRequest } from '../state/command.ts'
import type { Delivery } from '../state/result.ts'
import { applyRefusal, patienceRefusal } from './apply-refusal.ts'
import { fullRefusal } from './admission.ts'
import type { Barrier } from './barrier.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { groupByUse } from './group-defaults.ts'
import { type Applied, isUnseenReason, type ProposeOutcome } from './outcome.ts'
import type { Proposer } from './proposer.ts'
import { refuse, type Refusal } from './refusal.ts'
import type { StateView } from './state-view.ts'

/** One waiting receive. */
export interface Waiter {
  readonly request: PopRequest
  /** Until then it waits for messages to arrive … */
  readonly pollUntilMs: number
  /** … and until then for a pop that is on its way. */
  readonly limitMs: number
  /** Its client has gone since, and the call is not ended yet: a pop for it would bring the client back to life. */
  hasLeft(): boolean
  /** What it is given; false = none of it counts (hash collisions), go on waiting. The waiter is served when this returns true. */
  deliver(deliveries: readonly Delivery[], wallMs: number): boolean
  refuse(refusal: Refusal): void
  /** Too late, or nobody there any more. */
  giveBack(deliveries: readonly Delivery[]): void
}

export interface LongPollsOptions {
  readonly node: number
  readonly view: StateView
  readonly proposer: Proposer
  readonly barrier: Barrier
  readonly deadlines: Deadlines
  readonly clock: Clock
}

interface Waiting {
  readonly waiter: Waiter
  readonly poll: Poll
  readonly sinceMs: number
  timer: Deadline | undefined
  isDone: boolean
  /** A pop was made for it that found nothing, and nothing has arrived since. */
  isQuiet: boolean
  /** Some pop for it was applied: what it waits for now is messages, not the cluster. */
  wasPopped: boolean
  /** Its poll time is over; before it is told that there is nothing, this node looks whether it is up to date. */
  isConcluding: boolean
  /** Pops for it whose fate is not known. */
  inPops: number
}

/** A pop on its way. */
interface Pop {
  readonly batch: readonly Waiting[]
}

interface Poll {
  readonly key: string
  readonly consumerGroup: string
  readonly topic: string
  /** Oldest first. */
  waiting: Waiting[]
  /** The one that others wait for. A pop whose patience is over is not: its fate may still come. */
  popping: Pop | undefined
  turnTimer: Deadline | undefined
  isDue: boolean
  /** When a pop of another node was last seen, by node. */
  readonly rivals: Map<number, number>
  ids: string | undefined
  idleSinceMs: number
}

const waitersOfPollMax = 1_024
const waitersMax = 100_000
/** How much later those whose turn it is not look. */
const turnDelayMs = 3
/** A gateway that popped within this time counts as waiting. */
const rivalMs = 30_000
const popPatienceMs = 2_500
/** A node that lags longer is out of the routes. */
const lagMs = 2_500
/** A poll without waiters is forgotten after this. */
const idleMs = 60_000

export class LongPolls {
  readonly #options: LongPollsOptions
  readonly #polls = new Map<string, Poll>()
  /** By the ids that a pop's result carries. */
  readonly #byIds = new Map<string, Poll>()
  /** By topic name, for wakes. */
  readonly #byTopic = new Map<string, Set<Poll>>()
  /** Polls that want a pop in this turn's flush. */
  readonly #due = new Set<Poll>()
  #count = 0
  #isSweeping = false

  constructor(options: LongPollsOptions) {
    this.#options = options
    options.proposer.addGatherer(() => {
      for (const poll of this.#due) this.#pop(poll)
      this.#due.clear()
    })
  }

  /** Receives waiting. */
  get count(): number {
    return this.#count
  }

  /** undefined = too many wait. Otherwise a way to take it back: the client is gone. */
  wait(consumerGroup: string, topic: string, waiter: Waiter): (() => void) | undefined {
    const poll = this.#pollOf(consumerGroup, topic)
    if (this.#count >= waitersMax || poll.waiting.length >= waitersOfPollMax) return undefined
    const sinceMs = this.#options.clock.nowMs()
    const waiting: Waiting = {
      waiter,
      poll,
      sinceMs,
      timer: undefined,
      isDone: false,
      isQuiet: false,
      wasPopped: false,
      isConcluding: false,
      inPops: 0,
    }
    poll.waiting.push(waiting)
    this.#count++
    this.#arm(waiting)
    if (this.#mayFind(poll) || this.#isRepeat(poll, waiter.request)) this.#want(poll)
    return () => this.#finish(waiting)
  }

  /** Every applied pop of any node: who else waits where. */
  onPopped(node: number, consumerGroupId: number, topicId: number): void {
    if (node === this.#options.node) return
    const poll = this.#byIds.get(idsOf(consumerGroupId, topicId))
    if (poll === undefined) return
    const nowMs = this.#options.clock.nowMs()
    poll.rivals.set(node, nowMs)
    // We may have lagged when a receive was repeated here: what it was given there is known only now.
    for (let i = poll.waiting.length - 1; i >= 0; i--) {
      const waiting = poll.waiting[i]
      if (waiting === undefined || waiting.sinceMs < nowMs - lagMs) return
      if (waiting.isQuiet || waiting.inPops > 0 || !this.#isRepeat(poll, waiting.waiter.request)) continue
      this.#want(poll)
      return
    }
  }

  /** After the applies of one turn: what has become deliverable? */
  onAppliedBatch(): void {
    for (const wake of this.#options.view.takeWakes()) {
      if (wake.kind === 'place') this.#wake(this.#polls.get(keyOf(wake.consumerGroup, wake.topic)))
      else for (const poll of this.#byTopic.get(wake.topic) ?? []) this.#wake(poll)
    }
  }

  #wake(poll: Poll | undefined): void {
    if (poll === undefined || poll.waiting.length === 0) return
    for (const waiting of poll.waiting) waiting.isQuiet = false
    if (poll.popping !== undefined || poll.isDue || !this.#mayFind(poll)) return
    if (this.#isOurTurn(poll)) return this.#want(poll)
    poll.turnTimer ??= this.#options.deadlines.after(turnDelayMs, () => {
      poll.turnTimer = undefined
      if (this.#mayFind(poll)) this.#want(poll)
    })
  }

  #isOurTurn(poll: Poll): boolean {
    const { view, node, clock } = this.#options
    const since = clock.nowMs() - rivalMs
    let before = 0
    let count = 1
    for (const [rival, seenAtMs] of poll.rivals) {
      if (seenAtMs < since || !view.isNodeUp(rival)) poll.rivals.delete(rival)
      else {
        count++
        if (rival < node) before++
      }
    }
    if (count === 1) return true
    const topicId = view.topic(poll.topic)?.topicId
    return topicId === undefined || view.arrivals(topicId) % count === before
  }

  /** Whether a pop is worth its entry. A group or place that is not here yet is made by the pop. */
  #mayFind({ consumerGroup, topic }: Poll): boolean {
    const { view } = this.#options
    return !view.hasPlace(consumerGroup, topic) || view.mayDeliver(consumerGroup, topic)
  }

  #isRepeat({ consumerGroup, topic }: Poll, { client, attempt }: PopRequest): boolean {
    return attempt !== undefined && this.#options.view.hasBatch(consumerGroup, topic, client, attempt)
  }

  #want(poll: Poll): void {
    if (poll.popping !== undefined || poll.isDue || poll.waiting.length === 0) return
    poll.isDue = true
    poll.turnTimer?.cancel()
    poll.turnTimer = undefined
    this.#due.add(poll)
    this.#options.proposer.requestFlush()
  }

  #pop(poll: Poll): void {
    poll.isDue = false
    for (const waiting of poll.waiting.filter(({ waiter }) => waiter.hasLeft())) this.#refuse(waiting, nothingFound())
    const batch = poll.waiting.filter(waiting => !waiting.isQuiet).slice(0, bounds.requestsMax)
    if (poll.popping !== undefined || batch.length === 0) return
    const { proposer, clock, view } = this.#options
    const { consumerGroup, topic } = poll
    const deadlineMs = clock.nowMs() + popPatienceMs
    if (!view.hasPlace(consumerGroup, topic) && view.topic(topic)?.type === 'fifo' && view.group(consumerGroup) === undefined) {
      // A pop alone would make an ordinary group.
      proposer.propose(groupByUse(consumerGroup, topic, true), deadlineMs, () => undefined)
    }
    const pop: Pop = { batch }
    const requests = batch.map(waiting => waiting.waiter.request)
    const isTaken = proposer.propose({ kind: 'pop', consumerGroup, topic, requests }, deadlineMs, outcome => {
      this.#onOutcome(poll, pop, outcome)
    })
    if (!isTaken) {
      for (const waiting of batch) this.#refuse(waiting, fullRefusal())
      return
    }
    poll.popping = pop
    for (const waiting of batch) waiting.inPops++
  }

  /** May come twice: unknown, and the fate later. */
  #onOutcome(poll: Poll, pop: Pop, outcome: ProposeOutcome): void {
    if (poll.popping === pop) poll.popping = undefined
    if (outcome.kind !== 'unknown') for (const waiting of pop.batch) waiting.inPops--
    if (outcome.kind === 'applied') this.#onApplied(poll, pop, outcome)
    else if (outcome.kind === 'rejected' && outcome.reason === 'broken') {
      for (const waiting of pop.batch)
        this.#refuse(waiting, refuse('internalServerError', 'The leader found a command of this node broken.'))
    }
    this.#goOn(poll)
  }

  #onApplied(poll: Poll, { batch }: Pop, { result, wallMs }: Applied): void {
    if (result.kind === 'popped') {
      this.#learnIds(poll, idsOf(result.consumerGroupId, result.topicId))
      batch.forEach((waiting, i) => {
        waiting.wasPopped = true
        const deliveries = result.deliveries[i] ?? []
        if (deliveries.length === 0) waiting.isQuiet = !result.hasMore
        else if (waiting.isDone) waiting.waiter.giveBack(deliveries)
        else if (waiting.waiter.deliver(deliveries, wallMs)) this.#finish(waiting)
      })
    } else if (result.kind === 'refused' && !isUnseenReason(result.reason)) {
      for (const waiting of batch) this.#refuse(waiting, applyRefusal(result.reason, poll.topic))
    }
  }

  /** A pop has ended: another one, if anybody waits who may find something; who has waited long enough goes. */
  #goOn(poll: Poll): void {
    const nowMs = this.#options.clock.nowMs()
    const mayFind = this.#mayFind(poll)
    let isWanted = false
    for (const waiting of [...poll.waiting]) {
      // A repeated receive has its batch waiting, whatever else there is: if no pop of it came through, another one must.
      const isRepeat = !mayFind && !waiting.wasPopped && this.#isRepeat(poll, waiting.waiter.request)
      if ((mayFind || isRepeat) && !waiting.isQuiet) isWanted = true
      else if (waiting.inPops === 0 && nowMs >= waiting.waiter.pollUntilMs) this.#conclude(waiting)
    }
    if (isWanted) this.#want(poll)
  }

  /** At the end of its poll time a waiter goes, unless a pop for it is on its way or about to be made: that may take until its limit. */
  #arm(waiting: Waiting): void {
    const { waiter, poll } = waiting
    waiting.timer = this.#options.deadlines.at(waiter.pollUntilMs, () => {
      const isBeingServed = waiting.inPops > 0 || (!waiting.isQuiet && !waiting.wasPopped && (poll.isDue || poll.popping !== undefined))
      if (!isBeingServed) return this.#conclude(waiting)
      this.#armLimit(waiting)
    })
  }

  #armLimit(waiting: Waiting): void {
    waiting.timer = this.#options.deadlines.at(waiting.waiter.limitMs, () => {
      this.#refuse(waiting, waiting.wasPopped ? nothingFound() : patienceRefusal(this.#options.proposer.hasLeader))
    })
  }

  /**
   * The poll time is over and this node has nothing for it. That alone proves nothing (rule 13): the receive may repeat one whose batch was given out by
   * another gateway, in entries that have not come here. "No message" would end that attempt for its client, and with it the batch. So whoever could have
   * such a batch, and for whom no pop has looked, waits until this node has seen all that there was.
   */
  #conclude(waiting: Waiting): void {
    const { proposer, barrier } = this.#options
    const { waiter } = waiting
    if (waiting.isConcluding) return
    if (waiting.wasPopped) return this.#refuse(waiting, nothingFound())
    if (waiter.request.attempt === undefined) {
      return this.#refuse(waiting, proposer.hasLeader ? nothingFound() : patienceRefusal(false))
    }
    waiting.isConcluding = true
    const isTaken = barrier.pass(waiter.limitMs, refusal => this.#onUpToDate(waiting, refusal))
    if (!isTaken) this.#refuse(waiting, fullRefusal())
  }

  #onUpToDate(waiting: Waiting, refusal: Refusal | undefined): void {
    const { waiter, poll } = waiting
    if (waiting.isDone) return
    if (refusal !== undefined) return this.#refuse(waiting, refusal)
    if (waiting.wasPopped || !this.#isRepeat(poll, waiter.request)) return this.#refuse(waiting, nothingFound())
    waiting.isQuiet = false
    this.#armLimit(waiting)
    this.#want(poll)
  }

  #refuse(waiting: Waiting, refusal: Refusal): void {
    if (waiting.isDone) return
    this.#finish(waiting)
    waiting.waiter.refuse(refusal)
  }

  #finish(waiting: Waiting): void {
    if (waiting.isDone) return
    const { poll } = waiting
    waiting.isDone = true
    waiting.timer?.cancel()
    poll.waiting.splice(poll.waiting.indexOf(waiting), 1)
    this.#count--
    if (poll.waiting.length > 0) return
    poll.idleSinceMs = this.#options.clock.nowMs()
    poll.turnTimer?.cancel()
    poll.turnTimer = undefined
  }

  #learnIds(poll: Poll, ids: string): void {
    if (poll.ids === ids) return
    if (poll.ids !== undefined) this.#byIds.delete(poll.ids)
    poll.ids = ids
    this.#byIds.set(ids, poll)
  }

  #pollOf(consumerGroup: string, topic: string): Poll {
    const key = keyOf(consumerGroup, topic)
    const known = this.#polls.get(key)
    if (known !== undefined) return known
    const poll: Poll = {
      key,
      consumerGroup,
      topic,
      waiting: [],
      popping: undefined,
      turnTimer: undefined,
      isDue: false,
      rivals: new Map(),
      ids: undefined,
      idleSinceMs: this.#options.clock.nowMs(),
    }
    this.#polls.set(key, poll)
    const ofTopic = this.#byTopic.get(topic)
    if (ofTopic === undefined) this.#byTopic.set(topic, new Set([poll]))
    else ofTopic.add(poll)
    this.#sweepLater()
    return poll
  }

  #sweepLater(): void {
    if (this.#isSweeping) return
    this.#isSweeping = true
    this.#options.deadlines.after(idleMs, () => {
      this.#isSweeping = false
      const since = this.#options.clock.nowMs() - idleMs
      for (const poll of this.#polls.values()) {
        if (poll.waiting.length === 0 && poll.popping === undefined && poll.idleSinceMs <= since) this.#forget(poll)
      }
      if (this.#polls.size > 0) this.#sweepLater()
    })
  }

  #forget(poll: Poll): void {
    this.#polls.delete(poll.key)
    if (poll.ids !== undefined) this.#byIds.delete(poll.ids)
    const ofTopic = this.#byTopic.get(poll.topic)
    ofTopic?.delete(poll)
    if (ofTopic?.size === 0) this.#byTopic.delete(poll.topic)
  }
}

function nothingFound(): Refusal {
  return refuse('messageNotFound', 'No message arrived in time.')
}

function keyOf(consumerGroup: string, topic: string): string {
  return `${consumerGroup}\n${topic}`
}

function idsOf(consumerGroupId: number, topicId: number): string {
  return `${consumerGroupId}:${topicId}`
}
