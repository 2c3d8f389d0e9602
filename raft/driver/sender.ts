/**
 * Takes the core's messages to the transport: those that rest on a write wait until its epoch is durable (raft.md §2.3), appends get their records from
 * the log just before they leave. What was held when the process stops is dropped with it.
 * An append is checked once more as it leaves: if we lead another term by now, or the entry before it is another one, it would speak for a log that is not
 * ours any more, and is dropped.
 */
import type { Epoch, LogIndex, NodeId, Term } from '../core/ids.ts'
import type { Outgoing, OutgoingAppend } from '../core/output.ts'
import { encodeAppend, encodeMessage } from '../codec/messages.ts'
import { UnreadableEntry } from './log-storage.ts'
import type { LogStorage, RecordBlock } from './log-storage.ts'
import type { DriverMetrics } from './metrics.ts'
import type { Transport } from './transport.ts'

/** What the sender needs of the core. */
export interface SenderCore {
  /** The present term, if we lead it. */
  leadingTerm(): Term | undefined
  /** How far an append really went. */
  sentUpTo(to: NodeId, lastIndex: LogIndex, bytes: number): void
}

export interface SenderOptions {
  readonly core: SenderCore
  readonly log: Pick<LogStorage, 'readBlock'>
  readonly transport: Pick<Transport, 'isUp' | 'sendControl' | 'sendData'>
  readonly metrics: Pick<DriverMetrics, 'appendsDropped'>
  readonly sliceBytesMax: number
}

const noRecords: readonly Uint8Array[] = []

export class Sender {
  readonly #options: SenderOptions
  #held: (Outgoing | OutgoingAppend)[] = []

  constructor(options: SenderOptions) {
    this.#options = options
  }

  /** Messages that wait for the disk. */
  get heldCount(): number {
    return this.#held.length
  }

  /** Sends now, or keeps until `after` is durable. */
  send(message: Outgoing | OutgoingAppend, durable: Epoch): void {
    if (message.after > durable) this.#held.push(message)
    else this.#sendNow(message)
  }

  /** Everything up to this epoch is on disk. */
  release(durable: Epoch): void {
    if (this.#held.length === 0) return
    const held = this.#held
    this.#held = []
    for (const message of held) this.send(message, durable)
  }

  drop(): void {
    this.#held = []
  }

  #sendNow(outgoing: Outgoing | OutgoingAppend): void {
    if (outgoing.kind === 'append') {
      if (!this.#sendAppend(outgoing)) this.#options.metrics.appendsDropped++
      return
    }
    const { to, message } = outgoing
    const frame = encodeMessage(message)
    switch (message.kind) {
      case 'appendAccepted':
      case 'appendConflict':
      case 'appendRefused':
        this.#options.transport.sendData(to, [frame])
        return
      default:
        this.#options.transport.sendControl(to, frame)
    }
  }

  #sendAppend(append: OutgoingAppend): boolean {
    const { core, transport } = this.#options
    const { to, term, session, prev, commitIndex } = append
    if (term !== core.leadingTerm() || !transport.isUp(to)) return false
    if (append.lastIndex === prev.index) {
      const head = encodeAppend({ kind: 'append', term, session, prev, lastIndex: prev.index, commitIndex }, noRecords)
      if (!transport.sendData(to, [head])) return false
      core.sentUpTo(to, prev.index, 0)
      return true
    }
    const block = this.#read((prev.index + 1) as LogIndex, append.lastIndex)
    if (block === undefined) return false
    if (block.prev.index !== prev.index || block.prev.term !== prev.term) return false
    const head = encodeAppend({ kind: 'append', term, session, prev, lastIndex: block.lastIndex, commitIndex }, block.buffers)
    if (!transport.sendData(to, [head, ...block.buffers])) return false
    core.sentUpTo(to, block.lastIndex, block.bytes)
    return true
  }

  /** What has rotted here is sent later: the leader asks again where the peer stands, and by then it is mended. */
  #read(fromIndex: LogIndex, lastIndex: LogIndex): RecordBlock | undefined {
    const { log, sliceBytesMax } = this.#options
    try {
      return log.readBlock(fromIndex, lastIndex, sliceBytesMax)
    } catch (error) {
      if (error instanceof UnreadableEntry) return undefined
      throw error
    }
  }
}
