/**
 * How long all has been well: every node up and running at its own pace, every link open and as it is configured, no fault at work. Checkers that hold
 * the cluster to what it promises of speed ask here. Judges nothing.
 */
import type { Target } from './faults/fault.ts'

/** Where the machines and the faults tell what they do. */
export class Weather {
  readonly #targets: () => readonly (Target & { readonly isSlow: boolean })[]
  /** Of links: how many faults are at work on them. */
  #links = 0
  /** When something was last done to a machine or a link. */
  lastTroubleMs = 0

  constructor(targets: () => readonly (Target & { readonly isSlow: boolean })[]) {
    this.#targets = targets
  }

  /** Something is done to a machine or a link. */
  trouble(nowMs: number): void {
    this.lastTroubleMs = nowMs
  }

  /** A link is made worse (1), or as it was (-1). */
  link(by: 1 | -1, nowMs: number): void {
    this.#links = Math.max(0, this.#links + by)
    this.trouble(nowMs)
  }

  /** All links are as they were. */
  linksHealed(nowMs: number): void {
    this.#links = 0
    this.trouble(nowMs)
  }

  /** Whether this node can't do its part. */
  isStanding(id: number): boolean {
    return this.#targets().some(target => target.id === id && (!target.isUp || target.isPaused))
  }

  /** 0 while anything is wrong. */
  wellForMs(nowMs: number): number {
    const isWell =
      this.#links === 0 && this.#targets().every(({ isUp, isPaused, isCutOff, isSlow }) => isUp && !isPaused && !isCutOff && !isSlow)
    return isWell ? nowMs - this.lastTroubleMs : 0
  }
}
