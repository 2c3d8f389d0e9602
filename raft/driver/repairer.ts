/**
 * Rot and its repair between members: asks the peers, one at a time, for records that this node's disk holds no more, and gives the others what they
 * ask for. No consensus is in it: storage proves every record that comes (storage's RepairStorage), so any member that has it may answer, also
 * one that follows nobody. A member that recovers hears nothing else.
 * Bounds: one question outstanding, one answer of at most about a slice; a peer that does not answer, or has nothing that fits, is passed over.
 */
import type { Clock } from '../../src/platform/clock.ts'
import { encodeRepairRecords, encodeRepairRequest } from '../codec/messages.ts'
import type { RepairRecords, RepairRequest } from '../codec/messages.ts'
import type { LogIndex, NodeId } from '../core/ids.ts'
import { UnreadableEntry } from './log-storage.ts'
import type { LogStorage, RecordBlock, RepairStorage } from './log-storage.ts'
import type { Transport } from './transport.ts'

export interface RepairerOptions {
  readonly clock: Clock
  readonly log: LogStorage
  readonly repair: RepairStorage
  readonly transport: Pick<Transport, 'sendData' | 'isUp'>
  /** The others: a log that has rotted may know only who were members long ago. */
  readonly peers: () => readonly NodeId[]
  readonly answerBytesMax: number
  commitIndex(): LogIndex
  /** Every member that is connected has been asked for these, one after the other, and has none of them. Told after each such round. */
  nobodyHas(wanted: { readonly fromIndex: number; readonly lastIndex: number }): void
  /** Nothing is wanted any more; `wasRecovering`: since the start. */
  mended(wasRecovering: boolean): void
}

/** An answer that takes longer is not waited for. */
const answerMsMax = 1_000

const noRecords: readonly Uint8Array[] = []

export class Repairer {
  readonly #options: RepairerOptions
  #asked: { readonly peer: NodeId; readonly fromIndex: number; readonly atMs: number } | undefined
  /** Whose turn it is. */
  #turn = 0
  /** Who had nothing of what is wanted from here on. */
  #without: { readonly fromIndex: number; readonly peers: Set<NodeId> } = { fromIndex: 0, peers: new Set() }
  /** Where nobody had what is wanted, and what had come before it was forgotten. */
  #startedOverAt = 0

  constructor(options: RepairerOptions) {
    this.#options = options
  }

  /** From time to time: is something wanted, and nobody asked? */
  poll(): void {
    const { repair, clock } = this.#options
    if (repair.wanted === undefined) return
    if (this.#asked !== undefined && clock.nowMs() - this.#asked.atMs < answerMsMax) return
    this.#askNext()
  }

  /** A peer wants records. It hears at least that there are none. */
  onRequest(from: NodeId, request: RepairRequest): void {
    const { transport } = this.#options
    const block = this.#read(request)
    const head = { fromIndex: request.fromIndex, commitIndex: this.#options.commitIndex() }
    const buffers = block?.buffers ?? noRecords
    transport.sendData(from, [encodeRepairRecords(head, buffers), ...buffers])
  }

  /** Records that we asked for, or perhaps did once. */
  onRecords(from: NodeId, records: RepairRecords, bytes: Uint8Array): void {
    const { repair } = this.#options
    if (this.#asked?.peer !== from || this.#asked.fromIndex !== records.fromIndex) return
    this.#asked = undefined
    const wasRecovering = repair.isRecovering
    const outcome = repair.supply(records.fromIndex, bytes, records.commitIndex)
    switch (outcome) {
      case 'mended':
        return this.#options.mended(wasRecovering)
      case 'progress':
        return this.#ask(from)
      case 'refused':
        // The next one is asked at the next look: nobody hurries when all have refused. A log that nobody can mend is replaced: only a plain no counts for that.
        if (bytes.length === 0 || !wasRecovering) this.#hasNone(from, records.fromIndex)
        return
    }
  }

  #hasNone(peer: NodeId, fromIndex: number): void {
    const { repair, peers, transport } = this.#options
    if (this.#without.fromIndex !== fromIndex) this.#without = { fromIndex, peers: new Set() }
    this.#without.peers.add(peer)
    const { wanted } = repair
    if (wanted?.fromIndex !== fromIndex) return
    if (!peers().every(other => this.#without.peers.has(other) || !transport.isUp(other))) return
    this.#without.peers.clear()
    // The beginning may have come from a log that went its own way: whoever spoke last is asked for all of it. Once: then it is as they say.
    if (this.#startedOverAt !== fromIndex && repair.startOver?.() === true) {
      this.#startedOverAt = fromIndex
      return this.#ask(peer)
    }
    this.#startedOverAt = 0
    this.#options.nobodyHas(wanted)
  }

  #askNext(): void {
    const { transport } = this.#options
    const peers = this.#options.peers()
    for (let i = 0; i < peers.length; i++) {
      this.#turn = (this.#turn + 1) % peers.length
      const peer = peers[this.#turn]
      if (peer !== undefined && transport.isUp(peer)) return this.#ask(peer)
    }
  }

  #ask(peer: NodeId): void {
    const { repair, clock, transport } = this.#options
    const { wanted } = repair
    if (wanted === undefined) return
    const { fromIndex, lastIndex } = wanted
    const request = { fromIndex: fromIndex as LogIndex, lastIndex: lastIndex as LogIndex }
    this.#asked = { peer, fromIndex, atMs: clock.nowMs() }
    if (!transport.sendData(peer, [encodeRepairRequest(request)])) this.#asked = undefined
  }

  #read({ fromIndex, lastIndex }: RepairRequest): RecordBlock | undefined {
    const { log, answerBytesMax } = this.#options
    try {
      return log.readBlock(fromIndex, lastIndex, answerBytesMax)
    } catch (error) {
      // Rotten here too: ours is asked for elsewhere, and the peer has others to ask.
      if (error instanceof UnreadableEntry) return undefined
      throw error
    }
  }
}
