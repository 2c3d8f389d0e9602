/**
 * What this node's user wants of Raft besides appends: that the leadership go to another member. One such wish at a time; it is stepped in the next turn,
 * and `done` runs exactly once, in a later turn or when the node stops, never inside the call that asked.
 */
import type { NodeId } from '../core/ids.ts'
import type { TransferEnd } from '../core/output.ts'

export type TransferDone = (end: TransferEnd) => void

interface Wish {
  readonly to: NodeId
  readonly patienceMs: number
  readonly done: TransferDone
  isStepped: boolean
}

export class Wishes {
  #transfer: Wish | undefined

  get hasWaiting(): boolean {
    return this.#transfer?.isStepped === false
  }

  /** False = another one is under way. */
  add(to: NodeId, patienceMs: number, done: TransferDone): boolean {
    if (this.#transfer !== undefined) return false
    this.#transfer = { to, patienceMs, done, isStepped: false }
    return true
  }

  /** The wish that waits; the caller steps it now. */
  take(): { readonly to: NodeId; readonly patienceMs: number } | undefined {
    const wish = this.#transfer
    if (wish === undefined || wish.isStepped) return undefined
    wish.isStepped = true
    return wish
  }

  onEnd(end: TransferEnd): void {
    const wish = this.#transfer
    this.#transfer = undefined
    wish?.done(end)
  }

  /** The node goes. */
  abandon(): void {
    if (this.#transfer !== undefined) this.onEnd({ kind: 'failed', to: this.#transfer.to, reason: 'leadershipLost' })
  }
}
