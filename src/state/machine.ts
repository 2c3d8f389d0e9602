/**
 * The replicated state machine. The same entries give the same state on every replica: nothing here reads a clock, chance, a file or a setting.
 *
 * With each entry, in this order: a copy of a proposal changes nothing (rule 6); time goes on to the entry's stamp and fires what is due, at most
 * 256 deadlines; a proposal that is late is refused (rule 7); then the command. Business impossibilities are results. Apply throws in three
 * cases, and the node must halt then: a body that does not decode (the leader checked it: this node is too old, or broken), a digest that
 * differs from the leader's (this replica has parted from the others), and a feature level that this node does not support.
 */
import { assert } from '../platform/assert.ts'
import { applyCommand } from './apply.ts'
import { newCarried } from './carried.ts'
import { collectChanges, loadRows, recomputeDigest, tablesOf } from './checkpoint.ts'
import { newClients } from './clients.ts'
import { decodeForApply } from './command-codec.ts'
import type { Command, Digest, DigestCheck, Envelope, RaiseLevel } from './command.ts'
import { newPlaces } from './cursors.ts'
import { fireDue } from './deadlines.ts'
import { evictOld, newDedupe } from './dedupe.ts'
import { DigestSum, digestText, sameDigest } from './digest.ts'
import { newLocks } from './fifo-locks.ts'
import { constantsOf, newestLevel, oldestLevel, tooOldSentence } from './feature-level.ts'
import { newGroups } from './groups.ts'
import { newInFlight } from './in-flight.ts'
import { defaultLimits, lateMs, milestoneEntries, milestonesKept, type StateLimits } from './limits.ts'
import { applyMembership, isOfStranger, newMembership } from './membership.ts'
import { advanceSession, isCopy, newNodes, noteRefusal } from './nodes.ts'
import { advanceTime, newRegisters } from './registers.ts'
import type { CommandResult } from './result.ts'
import type { State } from './state.ts'
import type { CheckpointBatch, LoadedCheckpoint, QueueIndex } from './store.ts'
import { newTopics } from './topics.ts'
import { StateViews } from './views.ts'
import { newWakes } from './wakes.ts'

/** Kinds of entries, as raft has them (raft/core/entry.ts). */
export const entryKinds = { data: 1, noop: 2, config: 3, timeLeap: 4 } as const

export interface AppliedEntry {
  readonly index: number
  readonly term: number
  readonly kind: number
  /** Cluster time that the leader stamped. */
  readonly wallMs: number
  /** A view: nothing of it is kept. */
  readonly body: Uint8Array
}

/** Whose proposal it was, and what came of it. */
export interface Applied {
  readonly node: number
  readonly incarnation: number
  readonly sequence: number
  readonly result: CommandResult
}

export type HaltReason = 'undecodable' | 'digestMismatch' | 'levelTooHigh'

/** The node must stop and say why: going on would make it differ from the others. */
export class StateHalt extends Error {
  readonly reason: HaltReason

  constructor(reason: HaltReason, message: string) {
    super(message)
    this.name = 'StateHalt'
    this.reason = reason
  }
}

/** Rows whose hash is put off before the digest is brought up to date: keeps that work in small pieces. */
const unhashedMax = 4_096

export class StateMachine extends StateViews {
  readonly #state: State
  readonly #sum = new DigestSum()
  #appliedIndex = 0
  #checkpointNumber = 0
  /** The digest at every thousandth index, for comparison. Not state: a node that restarts has none until the next. */
  readonly #milestones = new Map<number, Digest>()

  /** The highest feature level that this node goes along with. */
  readonly #levelMax: number

  constructor(options: { index: QueueIndex; limits?: StateLimits; levelMax?: number }) {
    const state = newState(options.index, options.limits ?? defaultLimits)
    super(state)
    this.#state = state
    this.#levelMax = Math.min(options.levelMax ?? newestLevel, newestLevel)
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /** Undefined for entries that are no command, and for copies of a proposal that was taken before. Throws only StateHalt. */
  apply(entry: AppliedEntry): Applied | undefined {
    assert(this.#appliedIndex === 0 || entry.index === this.#appliedIndex + 1, 'apply-in-order', this.#appliedIndex, entry.index)
    this.#state.logIndex = entry.index
    this.#state.entryBytes = entry.body.length
    let applied: Applied | undefined
    if (entry.kind === entryKinds.data) applied = this.#applyData(entry)
    else this.#applyOther(entry)
    this.#appliedIndex = entry.index
    if (entry.index % milestoneEntries === 0) this.#keepMilestone(entry.index)
    else if (this.#state.inFlight.rows.unhashedCount + this.#state.dedupe.rows.unhashedCount > unhashedMax) this.#settleSum()
    return applied
  }

  /** The newest config entry that was applied: its place and its body. */
  get membership(): { readonly index: number; readonly body: Uint8Array } | undefined {
    const { index, body } = this.#state.membership.row
    return index === 0 ? undefined : { index, body: Buffer.from(body) }
  }

  /** Brought up to date, then read. */
  digest(): Digest {
    this.#settleSum()
    return this.#sum.read()
  }

  /** From all rows anew: slow, for auditors. */
  recomputeDigest(): Digest {
    return recomputeDigest(this.#state)
  }

  /** The last milestone here, for the leader to propose a digestCheck of. */
  get lastMilestone(): { readonly index: number; readonly digest: Digest } | undefined {
    let last: { index: number; digest: Digest } | undefined
    for (const [index, digest] of this.#milestones) last = { index, digest }
    return last
  }

  /** Rows that the next checkpoint would write, about. */
  get unsavedRows(): number {
    let count = 0
    for (const table of tablesOf(this.#state)) count += table.changedCount
    return count
  }

  /** What changed since the last one; the caller saves it whole or stops the node. */
  takeCheckpoint(): CheckpointBatch {
    const digest = this.digest()
    const { puts, deletes } = collectChanges(this.#state)
    return { number: ++this.#checkpointNumber, appliedIndex: this.#appliedIndex, digest, puts, deletes }
  }

  /** Fills a new machine. Throws StateHalt when the group has gone beyond this node's feature level. A sentence when the checkpoint is not what was saved: throw the machine away and rebuild from the log. */
  restore(checkpoint: LoadedCheckpoint): string | undefined {
    assert(this.#appliedIndex === 0, 'restore-into-new-machine', this.#appliedIndex)
    const problem = loadRows(this.#state, checkpoint)
    if (problem !== undefined) return problem
    this.#adoptLevel(this.#state.registers.row.featureLevel)
    this.#appliedIndex = checkpoint.appliedIndex
    this.#checkpointNumber = checkpoint.number
    return undefined
  }

  #applyData(entry: AppliedEntry): Applied | undefined {
    const decoded = decodeForApply(entry.body)
    if (!decoded.ok) throw new StateHalt('undecodable', `entry ${entry.index} cannot be applied: ${decoded.problem}`)
    const { envelope, command } = decoded
    if (isCopy(this.#state, envelope)) return undefined
    this.#advance(entry)
    const { node, incarnation, sequence } = envelope
    if (isOfStranger(this.#state, envelope)) {
      noteRefusal(this.#state, envelope, this.#state.membership.memberIds.has(node))
      return { node, incarnation, sequence, result: { kind: 'refused', reason: 'notMember' } }
    }
    advanceSession(this.#state, envelope)
    return { node, incarnation, sequence, result: this.#run(entry, envelope, command) }
  }

  #applyOther(entry: AppliedEntry): void {
    const isKnown = entry.kind === entryKinds.noop || entry.kind === entryKinds.config || entry.kind === entryKinds.timeLeap
    if (!isKnown) throw new StateHalt('undecodable', `entry ${entry.index} is of kind ${entry.kind}, which this version does not know`)
    this.#advance(entry)
    if (entry.kind === entryKinds.config) applyMembership(this.#state, entry)
  }

  #run(entry: AppliedEntry, envelope: Envelope, command: Command): CommandResult {
    if (entry.wallMs - envelope.sentAtMs > lateMs) return { kind: 'refused', reason: 'late' }
    if (command.kind === 'digestCheck') this.#compare(command)
    if (command.kind === 'raiseLevel') this.#raise(command)
    return applyCommand(this.#state, envelope, command)
  }

  #advance(entry: AppliedEntry): void {
    advanceTime(this.#state.registers, entry.wallMs, entry.kind === entryKinds.timeLeap)
    evictOld(this.#state)
    fireDue(this.#state)
  }

  #compare(check: DigestCheck): void {
    const ours = this.#milestones.get(check.atIndex)
    if (ours === undefined || sameDigest(ours, check.digest)) return
    throw new StateHalt(
      'digestMismatch',
      `this replica's state at entry ${check.atIndex} has the digest ${digestText(ours)}, the leader's had ${digestText(check.digest)}: its data must be rebuilt from a peer`,
    )
  }

  #raise({ level }: RaiseLevel): void {
    const { registers } = this.#state
    if (level <= registers.row.featureLevel) return
    this.#adoptLevel(level)
    registers.row.featureLevel = level
    registers.table.changed(registers.row)
  }

  #adoptLevel(level: number): void {
    if (level > this.#levelMax) throw new StateHalt('levelTooHigh', tooOldSentence(level, this.#levelMax))
    this.#state.constants = constantsOf(level)
  }

  #keepMilestone(index: number): void {
    this.#milestones.set(index, this.digest())
    this.#milestones.delete(index - milestoneEntries * milestonesKept)
  }

  #settleSum(): void {
    for (const table of tablesOf(this.#state)) table.settle(this.#sum)
  }
}

function newState(index: QueueIndex, limits: StateLimits): State {
  const topics = newTopics()
  const groups = newGroups()
  return {
    limits,
    constants: constantsOf(oldestLevel),
    index,
    registers: newRegisters(),
    topics,
    groups,
    places: newPlaces(topics, groups),
    inFlight: newInFlight(limits.rowsMax),
    locks: newLocks(limits.rowsMax + 1),
    dedupe: newDedupe(limits.dedupeRowsMax),
    clients: newClients(),
    nodes: newNodes(),
    membership: newMembership(),
    wakes: newWakes(),
    carried: newCarried(topics),
    logIndex: 0,
    entryBytes: 0,
  }
}
