/**
 * What the leader sees to on its own: who is up (rule 16), that time passes (rule 8), that the replicas are alike (rule 11), and, where it may, that the
 * feature level follows what the members support.
 * Nobody else proposes these. What a leader says of nodes it says as the leader of its term: sent again by a deposed one, cut off or paused until
 * then, it would declare healthy nodes down (docs/bugs-found.md, 1).
 *
 * A node is down when nothing was heard of it for 2 s, or when its applies are that far behind; it is up again after 5 s of contact in which it
 * kept up. A new leader begins to count anew, so a change of leader marks nobody down by itself.
 */
import type { Clock } from '../platform/clock.ts'
import type { Command } from '../state/command.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { levelOutlook } from './finalize-upgrade.ts'
import type { Proposer } from './proposer.ts'
import type { BrokerRaft, FollowerHealth } from './raft-view.ts'
import type { StateView } from './state-view.ts'

export interface NodeWatchOptions {
  readonly node: number
  readonly raft: BrokerRaft
  readonly view: StateView
  readonly proposer: Proposer
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** Finalise an upgrade as soon as every member supports it; else an operator does. A group without topics has nothing to go back to: always. */
  readonly finalizesUpgrades: boolean
}

const downAfterMs = 2_000
const upAfterMs = 5_000
const watchIntervalMs = 200
const stalledMs = 5 * watchIntervalMs
/** A follower whose applies are this far behind the commit keeps its clients waiting. */
const lagMs = downAfterMs
/** Client work fires what is due by itself: a tick waits this long for it. */
const tickDelayMs = 10
const digestIntervalMs = 10_000
const patienceMs = 2_500

interface Watched {
  /** Since when everything has been well; undefined = it is not. */
  wellSinceMs: number | undefined
  /** When this leadership began to look, or last saw it well. */
  lastWellMs: number
}

export class NodeWatch {
  readonly #options: NodeWatchOptions
  readonly #watched = new Map<number, Watched>()
  /** Commit indexes of the last seconds, to tell how old what a follower has applied is. */
  #commits: { atMs: number; index: number }[] = []
  #timer: Deadline | undefined
  #tickTimer: Deadline | undefined
  #tickDueMs = Infinity
  /** Node changes and the like on their way. */
  readonly #open = new Set<string>()
  #lastLookMs = -Infinity
  #leader: number | undefined
  /** The last leader before the present one: we counted from when we lost it. */
  #lost: { readonly node: number; readonly atMs: number } | undefined
  #lastDigestMs = -Infinity
  #lastDigestIndex = 0

  constructor(options: NodeWatchOptions) {
    this.#options = options
  }

  onLeadershipChanged(): void {
    const { raft, clock } = this.#options
    if (this.#leader !== undefined && this.#leader !== raft.leaderId) this.#lost = { node: this.#leader, atMs: clock.nowMs() }
    this.#leader = raft.leaderId
    this.#watched.clear()
    this.#commits = []
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#options.raft.isLeader) return this.#stopTicking()
    this.#look()
    this.onAppliedBatch()
  }

  /** The next deadline may be another one now. */
  onAppliedBatch(): void {
    const { raft, view, clock, deadlines } = this.#options
    if (!raft.isLeader) return
    const { nextDeadlineMs } = view
    if (nextDeadlineMs === undefined) return this.#stopTicking()
    const atMs = clock.nowMs() + Math.max(0, nextDeadlineMs - raft.clusterTimeMs()) + tickDelayMs
    // A timer that comes too early looks again.
    if (this.#tickTimer !== undefined && this.#tickDueMs <= atMs) return
    this.#tickTimer?.cancel()
    this.#tickDueMs = atMs
    this.#tickTimer = deadlines.at(atMs, () => {
      this.#stopTicking()
      this.#tick()
    })
  }

  close(): void {
    this.#timer?.cancel()
    this.#stopTicking()
  }

  #stopTicking(): void {
    this.#tickTimer?.cancel()
    this.#tickTimer = undefined
    this.#tickDueMs = Infinity
  }

  #tick(): void {
    const { raft, view } = this.#options
    if (!raft.isLeader) return
    const { nextDeadlineMs } = view
    if (nextDeadlineMs !== undefined && nextDeadlineMs <= raft.clusterTimeMs()) this.#propose('tick', { kind: 'tick' })
    else this.onAppliedBatch()
  }

  #look(): void {
    const { raft, deadlines } = this.#options
    this.#timer = deadlines.after(watchIntervalMs, () => {
      if (raft.isLeader) this.#look()
    })
    const nowMs = this.#options.clock.nowMs()
    // We stood still ourselves: that nothing was heard meanwhile says nothing about the others.
    if (nowMs - this.#lastLookMs > stalledMs) this.#watched.clear()
    this.#lastLookMs = nowMs
    this.#commits.push({ atMs: nowMs, index: raft.commitIndex })
    while (this.#commits.length > 1 && (this.#commits[1]?.atMs ?? 0) <= nowMs - lagMs) this.#commits.shift()
    for (const follower of raft.followers()) this.#judge(follower, nowMs)
    this.#judgeSelf()
    this.#checkDigest(nowMs)
    this.#maybeRaiseLevel()
  }

  #judge(follower: FollowerHealth, nowMs: number): void {
    const { node } = follower
    let watched = this.#watched.get(node)
    if (watched === undefined) {
      const lostAtMs = this.#lost?.node === node && follower.sinceContactMs === undefined ? this.#lost.atMs : nowMs
      this.#watched.set(node, (watched = { wellSinceMs: undefined, lastWellMs: lostAtMs }))
    }
    const { sinceContactMs } = follower
    const isHeard = sinceContactMs !== undefined && sinceContactMs < downAfterMs
    if (isHeard && follower.appliedIndex >= this.#indexBeforeLag(nowMs)) {
      watched.lastWellMs = nowMs - sinceContactMs
      watched.wellSinceMs ??= nowMs
    } else watched.wellSinceMs = undefined
    const isUp = this.#options.view.isNodeUp(node)
    if (isUp && nowMs - watched.lastWellMs >= downAfterMs) this.#proposeNode(node, false)
    if (!isUp && watched.wellSinceMs !== undefined && nowMs - watched.wellSinceMs >= upAfterMs) this.#proposeNode(node, true)
  }

  /** What was committed `lagMs` ago; 0 until we have looked for so long. */
  #indexBeforeLag(nowMs: number): number {
    const oldest = this.#commits[0]
    return oldest !== undefined && oldest.atMs <= nowMs - lagMs ? oldest.index : 0
  }

  /** We lead, so we are up. */
  #judgeSelf(): void {
    const { node, view } = this.#options
    if (!view.isNodeUp(node)) this.#proposeNode(node, true)
  }

  #proposeNode(node: number, isUp: boolean): void {
    this.#propose(`node ${node}`, { kind: 'nodeChanged', node, isUp })
  }

  #checkDigest(nowMs: number): void {
    const milestone = this.#options.view.lastMilestone
    if (milestone === undefined || milestone.index === this.#lastDigestIndex || nowMs - this.#lastDigestMs < digestIntervalMs) return
    this.#lastDigestIndex = milestone.index
    this.#lastDigestMs = nowMs
    this.#propose('digest', { kind: 'digestCheck', atIndex: milestone.index, digest: milestone.digest })
  }

  #maybeRaiseLevel(): void {
    const { view, raft, finalizesUpgrades } = this.#options
    if (!finalizesUpgrades && !view.isNewGroup) return
    const outlook = levelOutlook(raft)
    if (outlook.kind === 'known' && outlook.level > view.featureLevel) this.#propose('level', { kind: 'raiseLevel', level: outlook.level })
  }

  /** One of a kind at a time. */
  #propose(what: string, command: Command): void {
    const { proposer, clock, raft } = this.#options
    if (this.#open.has(what)) return
    const isTaken = proposer.propose(
      command,
      clock.nowMs() + patienceMs,
      outcome => {
        this.#open.delete(what)
        if (outcome.kind !== 'unknown') this.onAppliedBatch()
      },
      raft.term,
    )
    if (isTaken) this.#open.add(what)
  }
}
