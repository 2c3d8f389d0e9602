/**
 * Small wishes of many requests, proposed together: all that waits when the last such command is done goes as the next one. One is
 * outstanding at a time, so a loaded node makes few and large commands, an idle one answers at once.
 *
 * Invariant: every item ends exactly once: with its outcome, or with a refusal when its own patience is over. An item whose proposal is
 * surely not in the log waits for the next one as long as it has patience.
 */
import type { Command } from '../state/command.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { type Applied, isUnseen, type ProposeOutcome } from './outcome.ts'
import type { Proposer } from './proposer.ts'
import { refuse, type Refusal } from './refusal.ts'
import { patienceRefusal } from './apply-refusal.ts'

export interface GathererOptions<Item> {
  readonly proposer: Proposer
  readonly deadlines: Deadlines
  readonly nowMs: () => number
  readonly toCommand: (items: readonly Item[]) => Command
  /** Items of one command. */
  readonly batchMax: number
  /** Items that may wait, with those on their way. */
  readonly itemsMax: number
}

/** `applied` and the item's place in the command, or why not. Runs inside apply: be quick. */
export type ItemListener = (applied: Applied | Refusal, place: number) => void

interface Entry<Item> {
  readonly item: Item
  /** Nobody waits: it may stay away a little for company. */
  readonly isLazy: boolean
  /** Of a lazy item: asked when it is about to go. */
  readonly isWanted: (() => boolean) | undefined
  listener: ItemListener | undefined
  deadline: Deadline | undefined
  readonly deadlineMs: number
}

/** Lazy items alone make a command after this. */
const lingerMs = 5
/** How long a lazy item is tried. */
const lazyPatienceMs = 30_000
/** Patience of a command without any waiting request in it. */
const lazyCommandMs = 2_500

export class Gatherer<Item> {
  readonly #options: GathererOptions<Item>
  #waiting: Entry<Item>[] = []
  #outstanding: readonly Entry<Item>[] | undefined
  #linger: Deadline | undefined
  /** Some item that waits is not lazy, or has lingered long enough. */
  #isUrgent = false
  #count = 0

  constructor(options: GathererOptions<Item>) {
    this.#options = options
    options.proposer.addGatherer(() => {
      if (this.#isUrgent) this.#propose()
    })
  }

  /** Items waiting or on their way. */
  get count(): number {
    return this.#count
  }

  /** False = full, nothing was taken. */
  add(item: Item, deadlineMs: number, listener: ItemListener): boolean {
    if (this.#count >= this.#options.itemsMax) return false
    const entry: Entry<Item> = { item, isLazy: false, isWanted: undefined, listener, deadline: undefined, deadlineMs }
    entry.deadline = this.#options.deadlines.at(deadlineMs, () => {
      this.#end(entry, patienceRefusal(this.#options.proposer.hasLeader), 0)
    })
    this.#count++
    this.#waiting.push(entry)
    this.#urge()
    return true
  }

  /**
   * An item that no request waits for; `isWanted` is asked when it is about to go. Over the bound it is dropped: whatever it was to settle
   * settles itself by its deadline.
   */
  addLazy(item: Item, isWanted: () => boolean): void {
    if (this.#count >= this.#options.itemsMax) return
    const deadlineMs = this.#options.nowMs() + lazyPatienceMs
    this.#count++
    this.#waiting.push({ item, isLazy: true, isWanted, listener: undefined, deadline: undefined, deadlineMs })
    if (this.#linger !== undefined || this.#isUrgent) return
    this.#linger = this.#options.deadlines.after(lingerMs, () => {
      this.#linger = undefined
      this.#urge()
    })
  }

  #urge(): void {
    this.#isUrgent = true
    if (this.#outstanding === undefined) this.#options.proposer.requestFlush()
  }

  #propose(): void {
    if (this.#outstanding !== undefined) return
    const { proposer, batchMax, toCommand, nowMs } = this.#options
    const now = nowMs()
    const batch: Entry<Item>[] = []
    let taken = 0
    let deadlineMs = now + lazyCommandMs
    for (; taken < this.#waiting.length && batch.length < batchMax; taken++) {
      const entry = this.#waiting[taken]
      if (entry === undefined || !isAlive(entry, now)) {
        if (entry?.isLazy === true) this.#count--
        continue
      }
      batch.push(entry)
      if (!entry.isLazy) deadlineMs = Math.max(deadlineMs, entry.deadlineMs)
    }
    this.#waiting.splice(0, taken)
    this.#isUrgent = this.#waiting.length > 0
    if (batch.length === 0) return
    this.#outstanding = batch
    const isTaken = proposer.propose(toCommand(batch.map(entry => entry.item)), deadlineMs, outcome => {
      this.#onOutcome(batch, outcome)
    })
    if (isTaken) return
    this.#outstanding = undefined
    for (const entry of batch)
      this.#end(entry, refuse('tooManyRequests', 'This node has too many proposals on their way: come again later.'), 0)
  }

  #onOutcome(batch: readonly Entry<Item>[], outcome: ProposeOutcome): void {
    if (this.#outstanding === batch) this.#outstanding = undefined
    switch (outcome.kind) {
      case 'applied':
        // Apply took nothing of it: the clock has leapt since it was stamped (rule 7).
        if (isUnseen(outcome)) {
          this.#again(batch)
          break
        }
        for (let i = 0; i < batch.length; i++) this.#end(batch[i] as Entry<Item>, outcome, i)
        break
      case 'rejected':
        if (outcome.reason === 'broken') {
          for (const entry of batch) this.#end(entry, refuse('internalServerError', 'The leader found a command of this node broken.'), 0)
        } else this.#again(batch)
        break
      case 'unknown':
        // Whoever waited has been told; the lazy ones wait for the fate, which the next proposal of this node brings at the latest.
        break
    }
    if (this.#waiting.length > 0) this.#urge()
  }

  /** Surely not in the state: it goes with the next command, first of all. */
  #again(batch: readonly Entry<Item>[]): void {
    this.#waiting = [...batch.filter(entry => entry.isLazy || entry.listener !== undefined), ...this.#waiting]
  }

  #end(entry: Entry<Item>, result: Applied | Refusal, place: number): void {
    const { listener } = entry
    if (entry.isLazy) this.#count--
    if (listener === undefined) return
    this.#count--
    entry.listener = undefined
    entry.deadline?.cancel()
    listener(result, place)
  }
}

function isAlive<Item>(entry: Entry<Item>, nowMs: number): boolean {
  return entry.isLazy ? entry.deadlineMs > nowMs && entry.isWanted?.() !== false : entry.listener !== undefined
}
