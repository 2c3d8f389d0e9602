/**
 * A node that has its log, or most of it, and no state that the log could give again: its checkpoint or queue index was unusable, and retention has deleted
 * the log's beginning. It takes no part (role `recovering`: no vote, no acknowledgement, nothing applied) until it has fetched the state from another
 * node, any that has one, by the ways of a snapshot (catch-up.ts). The log stays: what was acknowledged is in it.
 *
 *   log     [ 184 … 412 ]          ours, as it was
 *   state   at 390, from a peer    what entries up to 390 made of it; the start that follows applies 391 … 412
 *
 * A log that has rotted as well is mended first, and then the node starts again: only a whole one says whether it holds the entry that the state is at.
 */
import type { NodeId, RepairStorage } from '../../raft/index.ts'
import type { Clock, Timer } from '../platform/clock.ts'

export interface StateRescueOptions {
  readonly clock: Clock
  /** The other members, as far as they are known. */
  readonly peers: () => readonly NodeId[]
  readonly isConnectedTo: (peer: NodeId) => boolean
  /** As if it were a leader that offers a snapshot; without effect while another is being fetched. */
  readonly fetchFrom: (peer: NodeId) => void
}

const intervalMs = 200

/** Asks one peer after the other. */
export class StateRescue {
  readonly #options: StateRescueOptions
  #timer: Timer | undefined
  #turn = 0

  constructor(options: StateRescueOptions) {
    this.#options = options
    this.#later()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #later(): void {
    this.#timer = this.#options.clock.setTimer(intervalMs, () => {
      const connected = this.#options.peers().filter(peer => this.#options.isConnectedTo(peer))
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
