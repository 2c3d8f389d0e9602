/** Rot and its repair, as Raft's driver sees it: first the log that was not whole at the start, then holes that are found while it is in use. */
import type { MembershipAt, RepairStorage, SupplyOutcome } from '../../raft/index.ts'
import type { CommitLog } from './commit-log.ts'
import type { Holes } from './holes.ts'
import type { LogRepair } from './log-repair.ts'
import type { FoundLog } from './recovery.ts'

export interface RepairsOptions {
  readonly log: CommitLog
  readonly holes: Holes
  /** The log was rotten at the start. */
  readonly atStart: LogRepair | undefined
  readonly hasTornTail: () => boolean
  readonly hardStateTerm: () => number
  /** It is whole now. */
  readonly mended: (found: FoundLog) => void
}

export class Repairs implements RepairStorage {
  readonly #options: RepairsOptions
  #atStart: LogRepair | undefined

  constructor(options: RepairsOptions) {
    this.#options = options
    this.#atStart = options.atStart
  }

  get isRecovering(): boolean {
    return this.#atStart !== undefined
  }

  /** What was on this disk, of a log that was rotten at the start and still is. */
  get heldThrough(): number | undefined {
    return this.#atStart?.heldThrough
  }

  get hasTornTail(): boolean {
    return this.#options.hasTornTail()
  }

  get isHardStateOld(): boolean {
    return this.#options.hardStateTerm() < this.#options.log.lastId.term
  }

  get memberships(): readonly MembershipAt[] {
    return this.#options.log.memberships()
  }

  get lastWallMs(): number {
    return this.#options.log.lastWallMs
  }

  get wanted(): { readonly fromIndex: number; readonly lastIndex: number } | undefined {
    return this.#atStart === undefined ? this.#options.holes.wanted(this.#options.log) : this.#atStart.wanted
  }

  passOver(fromIndex: number): void {
    if (this.#atStart === undefined) this.#options.holes.passOver(fromIndex)
  }

  startOver(): boolean {
    return this.#atStart?.startOver() ?? false
  }

  supply(fromIndex: number, bytes: Uint8Array, commitIndex: number): SupplyOutcome {
    const { holes, log, mended } = this.#options
    if (this.#atStart === undefined) return holes.supply(log, fromIndex, bytes)
    const outcome = this.#atStart.supply(fromIndex, bytes, commitIndex)
    const { found } = this.#atStart
    if (found === undefined) return outcome
    this.#atStart = undefined
    mended(found)
    return 'mended'
  }
}
