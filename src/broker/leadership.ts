/**
 * Who should lead: hand-overs that an operator asks for at any node, the one before this node stops, and the one to a member of higher priority.
 *
 * A leader whose disk has become slow hands over to a member whose disk is not; one that is slow gets no leadership for its priority.
 * Priorities choose targets, they never decide elections: whoever is elected leads at once. A leader hands over when a member of higher priority has
 * been well and caught up for the whole of a stable while, and it has led for as long itself; after a failure it waits longer each time.
 * Invariants: one hand-over at a time (Raft refuses a second); every wish ends by its deadline; nothing here is needed for safety or for progress.
 */
import type { Clock } from '../platform/clock.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { encodeWish } from './peer-frame.ts'
import type { BrokerRaft, FollowerHealth } from './raft-view.ts'
import { refuse, type Refusal } from './refusal.ts'
import type { LeaderTransferredAnswer, TransferLeaderRequest } from './admin-requests.ts'
import type { Reply } from './requests.ts'

export interface LeadershipOptions {
  readonly node: number
  readonly nodes: readonly { readonly id: number; readonly name: string; readonly leaderPriority?: number }[]
  readonly raft: BrokerRaft
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** How long a member of higher priority has to be well, and we to lead, before it gets the leadership. */
  readonly stableMs: number
  /** What a sync takes on a node just now, by its own word; undefined = it has not said. */
  readonly syncMsOf: (node: number) => number | undefined
  /** For the operator's log: what is done without being asked for. */
  readonly note?: (sentence: string) => void
}

interface Waiter {
  readonly from: number
  readonly to: number | undefined
  readonly startedMs: number
  readonly reply: (answer: LeaderTransferredAnswer | Refusal) => void
  readonly deadline: Deadline
}

/** What a gateway tells the leader, and the leader's no. */
type Wish =
  | { readonly kind: 'transfer'; readonly id: number; readonly to: number | undefined; readonly patienceMs: number }
  | { readonly kind: 'failed'; readonly id: number; readonly why: string }

const waitersMax = 16
const lookIntervalMs = 1_000
/** A follower that was heard of so lately may get the leadership. */
const contactMsMax = 1_000
/** … and whose log ends at most so many entries before ours. */
const lagMax = 1_000
const backoffMax = 16
/** A sync that takes so long makes a disk slow: every message that a slow leader takes waits for it here, before it is applied and answered … */
const slowSyncMs = 200
/** … if another member's takes so many times less, … */
const slowTimes = 5
/** … and so many looks in a row say so: one long sync is no slow disk. */
const slowLooks = 3
const leaveSlowPatienceMs = 2_000

export class Leadership {
  readonly #options: LeadershipOptions
  readonly #waiters = new Map<number, Waiter>()
  #lastId = 0
  #timer: Deadline | undefined
  #leadsSinceMs: number | undefined
  /** Who of higher priority is well, and since when. */
  #preferred: { readonly node: number; readonly sinceMs: number } | undefined
  #backoff = 1
  #slowLooks = 0

  constructor(options: LeadershipOptions) {
    this.#options = options
  }

  /** An operator's wish, at any node. `to` undefined: whoever is best. */
  transfer(request: TransferLeaderRequest, reply: Reply<LeaderTransferredAnswer>): void {
    const { raft, node, nodes, clock, deadlines } = this.#options
    const nowMs = clock.nowMs()
    const answerSoon = (answer: LeaderTransferredAnswer | Refusal): void => clock.soon(() => reply(answer))
    const from = raft.leaderId
    if (request.to !== undefined && !nodes.some(({ id }) => id === request.to))
      return answerSoon(refuse('badRequest', 'there is no such node'))
    if (from === undefined) return answerSoon(refuse('haNotAvailable', 'nobody leads at the moment: raftmq cluster status says why'))
    if (from === request.to) return answerSoon({ kind: 'leaderTransferred', from, to: from, elapsedMs: 0 })
    if (this.#waiters.size >= waitersMax) return answerSoon(refuse('tooManyRequests', 'other hand-overs are being waited for'))
    const id = ++this.#lastId
    const deadline = deadlines.at(request.deadlineMs, () => {
      this.#end(id, refuse('proxyTimeout', `node ${from} has not handed over in time; it may still do so`))
    })
    this.#waiters.set(id, { from, to: request.to, startedMs: nowMs, reply, deadline })
    const patienceMs = Math.max(0, request.deadlineMs - nowMs)
    if (from === node) return this.#begin(request.to, patienceMs, [], why => this.#fail(id, why))
    const wish: Wish = { kind: 'transfer', id, to: request.to, patienceMs }
    if (!raft.sendToPeer(from, encodeWish({ kind: 'wish', json: JSON.stringify(wish) })))
      this.#fail(id, 'there is no connection to the leader')
  }

  /** Before this node stops: leads no more, or nobody could take over in time. `done` runs once, later. */
  handOver(patienceMs: number, done: () => void): void {
    const { raft, node, clock, deadlines } = this.#options
    if (!raft.isLeader) return clock.soon(done)
    const id = ++this.#lastId
    const deadline = deadlines.after(patienceMs, () => this.#end(id, refuse('proxyTimeout', 'nobody took over in time')))
    this.#waiters.set(id, { from: node, to: undefined, startedMs: clock.nowMs(), reply: () => done(), deadline })
    this.#begin(undefined, patienceMs, [], why => this.#fail(id, why))
  }

  /** A frame of another node's `Leadership`. */
  onWish(from: number, json: string): void {
    const wish = parseWish(json)
    if (wish?.kind === 'failed') this.#fail(wish.id, wish.why)
    if (wish?.kind !== 'transfer') return
    this.#begin(wish.to, wish.patienceMs, [], why => {
      const answer: Wish = { kind: 'failed', id: wish.id, why }
      this.#options.raft.sendToPeer(from, encodeWish({ kind: 'wish', json: JSON.stringify(answer) }))
    })
  }

  onLeadershipChanged(): void {
    const { raft, clock } = this.#options
    const { leaderId } = raft
    for (const [id, waiter] of this.#waiters) {
      if (leaderId === undefined || leaderId === waiter.from) continue
      const { from, to, startedMs } = waiter
      if (to === undefined || to === leaderId)
        this.#end(id, { kind: 'leaderTransferred', from, to: leaderId, elapsedMs: clock.nowMs() - startedMs })
      else this.#end(id, refuse('preconditionFailed', `node ${leaderId} leads now, not node ${to}`))
    }
    if (raft.isLeader === (this.#leadsSinceMs !== undefined)) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#preferred = undefined
    this.#leadsSinceMs = raft.isLeader ? clock.nowMs() : undefined
    if (raft.isLeader) this.#lookLater()
  }

  close(): void {
    this.#timer?.cancel()
    for (const { deadline } of this.#waiters.values()) deadline.cancel()
    this.#waiters.clear()
  }

  /** Raft is asked; of targets that fail the next best is tried, unless one was named. */
  #begin(to: number | undefined, patienceMs: number, tried: readonly number[], failed: (why: string) => void): void {
    const { raft, clock } = this.#options
    if (!raft.isLeader) return failed('the node that was asked does not lead any more')
    const target = to ?? this.#bestTarget(tried)
    if (target === undefined) return failed('no other node is reachable and caught up')
    const startedMs = clock.nowMs()
    const isTaken = raft.transferLeadership(target, patienceMs, why => {
      if (why === undefined) return
      const leftMs = patienceMs - (clock.nowMs() - startedMs)
      if (to === undefined && leftMs > 0 && raft.isLeader) return this.#begin(to, leftMs, [...tried, target], failed)
      failed(`node ${target} did not take over: ${why}`)
    })
    if (!isTaken) failed('another hand-over is under way')
  }

  #bestTarget(tried: readonly number[]): number | undefined {
    const isOpen = (follower: FollowerHealth): boolean => !tried.includes(follower.node) && this.#isFit(follower)
    const fit = this.#options.raft.followers().filter(isOpen)
    const slowness = ({ node }: FollowerHealth): number => (this.#isSlow(node) ? 1 : 0)
    fit.sort(
      (a, b) =>
        slowness(a) - slowness(b) ||
        this.#priorityOf(b.node) - this.#priorityOf(a.node) ||
        b.matchedIndex - a.matchedIndex ||
        a.node - b.node,
    )
    return fit[0]?.node
  }

  #isFit({ node, sinceContactMs, matchedIndex }: FollowerHealth): boolean {
    const { raft } = this.#options
    return (
      sinceContactMs !== undefined && sinceContactMs < contactMsMax && raft.isConnected(node) && raft.commitIndex - matchedIndex <= lagMax
    )
  }

  #priorityOf(node: number): number {
    return this.#options.nodes.find(({ id }) => id === node)?.leaderPriority ?? 0
  }

  #lookLater(): void {
    this.#timer = this.#options.deadlines.after(lookIntervalMs, () => {
      if (!this.#options.raft.isLeader) return
      this.#lookLater()
      if (!this.#maybeLeaveSlowDisk()) this.#maybePrefer()
    })
  }

  #isSlow(node: number): boolean {
    return (this.#options.syncMsOf(node) ?? 0) >= slowSyncMs
  }

  /** Our disk is slow and another member's is not: it leads better. Entries are committed by the others' disks meanwhile, so the hand-over waits for none. */
  #maybeLeaveSlowDisk(): boolean {
    const { node, syncMsOf, note } = this.#options
    const best = this.#isSlow(node) ? this.#bestTarget([]) : undefined
    const theirMs = best === undefined ? undefined : syncMsOf(best)
    if (best === undefined || theirMs === undefined || theirMs * slowTimes > (syncMsOf(node) ?? 0)) {
      this.#slowLooks = 0
      return false
    }
    this.#slowLooks++
    if (this.#slowLooks < slowLooks) return true
    this.#slowLooks = 0
    note?.(
      `a sync takes ${Math.round(syncMsOf(node) ?? 0)} ms on this leader's disk and ${Math.round(theirMs)} ms on that of node ${best}: handing the leadership over to it`,
    )
    this.#begin(best, leaveSlowPatienceMs, [], () => undefined)
    return true
  }

  #maybePrefer(): void {
    const { node, clock, stableMs } = this.#options
    const nowMs = clock.nowMs()
    const best = this.#bestTarget([])
    if (best === undefined || this.#isSlow(best) || this.#priorityOf(best) <= this.#priorityOf(node)) {
      this.#preferred = undefined
      return
    }
    if (this.#preferred?.node !== best) this.#preferred = { node: best, sinceMs: nowMs }
    const waitMs = stableMs * this.#backoff
    if (nowMs - this.#preferred.sinceMs < waitMs || nowMs - (this.#leadsSinceMs ?? nowMs) < stableMs) return
    this.#preferred = undefined
    this.#begin(best, stableMs, [], () => {
      this.#backoff = Math.min(backoffMax, this.#backoff * 2)
    })
  }

  #fail(id: number, why: string): void {
    this.#options.clock.soon(() => this.#end(id, refuse('preconditionFailed', why)))
  }

  #end(id: number, answer: LeaderTransferredAnswer | Refusal): void {
    const waiter = this.#waiters.get(id)
    if (waiter === undefined) return
    this.#waiters.delete(id)
    waiter.deadline.cancel()
    waiter.reply(answer)
  }
}

/** Peers of one cluster run one program: the frame's checksum vouches for the rest. */
function parseWish(json: string): Wish | undefined {
  try {
    return JSON.parse(json) as Wish
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
