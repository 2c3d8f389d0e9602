/**
 * How long all has been well: every node up and running at its own pace, every link open and as it is configured, no fault at work. Checkers that hold
 * the cluster to what it promises of speed ask here. Judges nothing.
 */
import type { Target } from './faults/fault.ts'

/** A machine and its disk. */
export interface Machine extends Target {
  /** Its disk was lost, and the group goes by what was on it. */
  readonly isLost: boolean
  /** A fault has made its disk slow. */
  readonly isSlow: boolean
  /** What a sync usually takes on it. */
  readonly diskSyncMs: number
  /** When what its disk began while it hung will be done: a sync takes its time, also when the disk hangs no longer. */
  readonly diskHungUntilMs: number
}

/** A slower one holds up whoever waits for it. */
const slowSyncMs = 500

/** Where the machines and the faults tell what they do. */
export class Weather {
  readonly #targets: () => readonly Machine[]
  /** Of links: how many faults are at work on them. */
  #links = 0
  /** When something was last done to a machine or a link. */
  #lastTroubleMs = 0

  constructor(targets: () => readonly Machine[]) {
    this.#targets = targets
  }

  /** Something is done to a machine or a link. */
  trouble(nowMs: number): void {
    this.#lastTroubleMs = nowMs
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

  /** Whose disk takes half a second and more for a sync, since when, if nothing else is wrong. */
  onlySlowDisk(): { readonly id: number; readonly syncMs: number; readonly sinceMs: number } | undefined {
    if (this.#links !== 0) return undefined
    const machines = this.#targets()
    const slow = machines.filter(({ isSlow }) => isSlow)
    const [only] = slow
    if (slow.length !== 1 || only === undefined || only.diskSyncMs < slowSyncMs) return undefined
    if (!machines.every(({ isUp, isPaused, isCutOff, isLost }) => isUp && !isPaused && !isCutOff && !isLost)) return undefined
    return { id: only.id, syncMs: only.diskSyncMs, sinceMs: this.#lastTroubleMs }
  }

  /** When the last thing that was done to a machine or a link was over, or will be. */
  get troubledUntilMs(): number {
    return this.#targets().reduce((latest, { diskHungUntilMs }) => Math.max(latest, diskHungUntilMs), this.#lastTroubleMs)
  }

  /** 0 while anything is wrong. */
  wellForMs(nowMs: number): number {
    // Whoever takes the place of one that was lost has its time from then on.
    if (this.#targets().some(({ isLost }) => isLost)) this.trouble(nowMs)
    const isWell =
      this.#links === 0 && this.#targets().every(({ isUp, isPaused, isCutOff, isSlow }) => isUp && !isPaused && !isCutOff && !isSlow)
    return isWell ? Math.max(0, nowMs - this.troubledUntilMs) : 0
  }
}
