/**
 * How full this node's disk is, and what follows. Looked at every second, apart from all deleting: a removal that takes long holds up no look.
 *
 *   clean    messages that every group is done with go before their time
 *   force    the oldest go, whoever still needs them
 *   refuse   no more messages are taken, anywhere in the group, while its leader or a majority of its nodes stand here
 *
 * A level is left when the use is a point below where it began, so that it does not flicker. Acknowledgements and the like go on at every level.
 */
import type { Clock } from '../platform/clock.ts'

export type DiskLevel = 'ok' | 'clean' | 'force' | 'refuse'

/** Shares of the disk, 0 to 1. */
export interface DiskLimits {
  readonly cleanAt: number
  readonly forceCleanAt: number
  readonly refuseAt: number
  /** Less than this free counts as `refuse`, whatever the share. */
  readonly freeBytesMin: number
}

export interface DiskState {
  readonly level: DiskLevel
  readonly totalBytes: number
  readonly freeBytes: number
}

const levels: readonly DiskLevel[] = ['ok', 'clean', 'force', 'refuse']
const hysteresis = 0.01
const lookIntervalMs = 1_000

export function levelOf(
  space: { readonly totalBytes: number; readonly freeBytes: number },
  limits: DiskLimits,
  before: DiskLevel,
): DiskLevel {
  const used = space.totalBytes === 0 ? 0 : 1 - space.freeBytes / space.totalBytes
  const shares: Readonly<Record<DiskLevel, number>> = { ok: 0, clean: limits.cleanAt, force: limits.forceCleanAt, refuse: limits.refuseAt }
  let level: DiskLevel = 'ok'
  for (const each of levels) {
    const isHeld = levels.indexOf(each) <= levels.indexOf(before)
    if (used >= shares[each] - (isHeld ? hysteresis : 0)) level = each
  }
  const freeMin = before === 'refuse' ? limits.freeBytesMin * (1 + hysteresis) : limits.freeBytesMin
  return space.freeBytes < freeMin ? 'refuse' : level
}

export interface DiskWatchOptions {
  readonly clock: Clock
  readonly limits: DiskLimits
  space(): { readonly totalBytes: number; readonly freeBytes: number }
}

export class DiskWatch {
  readonly #options: DiskWatchOptions
  #state: DiskState = { level: 'ok', totalBytes: 0, freeBytes: 0 }
  #lookedAtMs = -Infinity

  constructor(options: DiskWatchOptions) {
    this.#options = options
  }

  /** At most a second old. */
  get state(): DiskState {
    const { clock, limits } = this.#options
    const nowMs = clock.nowMs()
    if (nowMs - this.#lookedAtMs >= lookIntervalMs) {
      this.#lookedAtMs = nowMs
      const { totalBytes, freeBytes } = this.#options.space()
      this.#state = { level: levelOf({ totalBytes, freeBytes }, limits, this.#state.level), totalBytes, freeBytes }
    }
    return this.#state
  }
}
