/**
 * A node that can't go on with what its own disk holds, and what other nodes have is no cure entry by entry.
 *
 * It may have its log, or most of it, and no state that the log could give again. Either its checkpoint or queue index was unusable, and retention has
 * deleted the log's beginning: found at the start. Or entries that it has still to apply have rotted, and all others have deleted theirs: found at work; then it
 * goes on as a member, for all that it has acknowledged is in its log, and fetches a state from behind that place.
 *
 * With the beginning deleted it takes no part (role `recovering`: no vote, no acknowledgement, nothing applied) until it has fetched the state from another
 * node, any that has one, by the ways of a snapshot (catch-up.ts). The log stays: what was acknowledged is in it.
 *
 *   log     [ 184 … 412 ]          ours, as it was
 *   state   at 390, from a peer    what entries up to 390 made of it; the start that follows applies 391 … 412
 *
 * A log that has rotted as well is mended first, and then the node starts again: only a whole one says whether it holds the entry that the state is at.
 *
 * Or its log has rotted, found at the start, where all others have deleted theirs. Then log and state come from another node, in place of all that is here:
 *
 *   log     [ 1 … 40 ][ rotten ][ 60 … 90 ]      ours: what was acknowledged is in it, up to 90
 *   peers                       [ 55 … 131 ]     nothing before 55
 *   snapshot at 90 or later                      committed, and so all that ours acknowledged and others have counted; below 90 nothing is taken
 */
import type { NodeId, RepairStorage } from '../../raft/index.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Random } from '../platform/random.ts'

export interface StateRescueOptions {
  readonly clock: Clock
  readonly random: Pick<Random, 'next'>
  /** The others: a log that is not whole may know only who were members long ago. */
  readonly peers: () => readonly NodeId[]
  readonly isConnectedTo: (peer: NodeId) => boolean
  /** As if it were a leader that offers a snapshot; without effect while another is being fetched. */
  readonly fetchFrom: (peer: NodeId) => void
  readonly appliedIndex: () => number
  /** The rot that was found at the start is mended. */
  readonly isLogWhole: () => boolean
  /** Where our log ends on disk. */
  readonly writtenIndex: () => number
  /** The start that made us found a snapshot that could not be installed: who gave that one may give it again. */
  readonly wasSnapshotRefused: boolean
}

const intervalMs = 200

/** Asks one peer after the other, and each process begins with another one: the first may have given what was of no use. */
export class StateRescue {
  readonly #options: StateRescueOptions
  #timer: Timer | undefined
  #turn = 0
  /** Up to here the log does not give the state; undefined when it does. */
  #lostThrough: number | undefined
  /** The log itself is to be replaced: by one that goes at least as far as ours went. */
  #heldThrough: number | undefined

  constructor(options: StateRescueOptions) {
    this.#options = options
  }

  /** A state behind this entry is needed. False: that was known. */
  begin(lostThrough: number): boolean {
    if (this.#lostThrough !== undefined && this.#lostThrough >= lostThrough) return false
    this.#lostThrough = lostThrough
    this.#maybeStart()
    return true
  }

  /** The log has a hole that nobody can fill, and may hold acknowledged entries up to here. */
  beginAnew(heldThrough: number): void {
    this.#heldThrough = heldThrough
    this.#maybeStart()
  }

  /** A snapshot takes the place of our log if it is at this entry, or behind it; undefined while our log goes on. */
  get replacesFrom(): number | undefined {
    return this.#options.isLogWhole() ? undefined : this.#heldThrough
  }

  /** A snapshot that is older helps nothing. */
  get atLeast(): number {
    return this.replacesFrom ?? (this.#lostThrough === undefined ? 0 : this.#lostThrough + 1)
  }

  /** Whether a state at this entry helps: behind the place that the log can't pass, and no further than it reaches. */
  wants(index: number): boolean {
    return this.#lostThrough !== undefined && index > this.#lostThrough && index <= this.#options.writtenIndex()
  }

  /** From whom to fetch when this node offers a snapshot: as a rule from itself. Every member has the same state, and one of them a whole one. */
  giverFor(offering: NodeId): NodeId {
    if (!this.#options.wasSnapshotRefused) return offering
    const connected = this.#connected
    return connected[this.#drawBelow(connected.length)] ?? offering
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#lostThrough = undefined
    this.#heldThrough = undefined
  }

  get #isOver(): boolean {
    return this.replacesFrom === undefined && this.#options.appliedIndex() >= (this.#lostThrough ?? 0)
  }

  get #connected(): readonly NodeId[] {
    return this.#options.peers().filter(peer => this.#options.isConnectedTo(peer))
  }

  #drawBelow(count: number): number {
    return Math.floor(this.#options.random.next() * count)
  }

  #maybeStart(): void {
    if (this.#timer !== undefined) return
    this.#turn = this.#drawBelow(this.#options.peers().length)
    this.#later()
  }

  #later(): void {
    this.#timer = this.#options.clock.setTimer(intervalMs, () => {
      // Somebody had it after all.
      if (this.#isOver) return this.stop()
      const connected = this.#connected
      const peer = connected[this.#turn++ % Math.max(1, connected.length)]
      if (peer !== undefined) this.#options.fetchFrom(peer)
      this.#later()
    })
  }
}

/** The repair of the log, without the word that the node may take part again: `mended` runs instead. */
export function repairBefore(repair: RepairStorage, mended: () => void): RepairStorage {
  return {
    isRecovering: true,
    get wanted() {
      return repair.isRecovering ? repair.wanted : undefined
    },
    get memberships() {
      return repair.memberships
    },
    get hasTornTail() {
      return repair.hasTornTail
    },
    get isHardStateOld() {
      return repair.isHardStateOld
    },
    get lastWallMs() {
      return repair.lastWallMs
    },
    supply(fromIndex, bytes, commitIndex) {
      const outcome = repair.supply(fromIndex, bytes, commitIndex)
      if (outcome !== 'mended') return outcome
      mended()
      return 'progress'
    },
  }
}
