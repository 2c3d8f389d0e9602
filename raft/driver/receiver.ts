/**
 * From what came over the wire to events of the core and calls of the application. Records are checked here, before the core hears of them: a slice that
 * reaches it is whole, chained and checksummed. Blocks are kept under their ticket until the core's output has been carried out.
 * A frame that makes no sense closes the link it came over, with a sentence, and changes nothing else.
 */
import type { Clock } from '../../src/platform/clock.ts'
import type { Random } from '../../src/platform/random.ts'
import { assertNever, mustExist } from '../../src/platform/assert.ts'
import { decodeFrame } from '../codec/messages.ts'
import type { AppendHeader } from '../codec/messages.ts'
import type { RaftCore } from '../core/core.ts'
import type { NodeId } from '../core/ids.ts'
import type { Message } from '../core/message.ts'
import type { RaftApp, RaftTrace } from './app.ts'
import type { InboxItem } from './inbox.ts'
import type { LogStorage, RecordBlock } from './log-storage.ts'
import type { Repairer } from './repairer.ts'
import type { Transport } from './transport.ts'

export interface ReceiverOptions {
  readonly core: Pick<RaftCore, 'step'>
  readonly clock: Pick<Clock, 'nowMs'>
  readonly random: Pick<Random, 'next'>
  readonly log: Pick<LogStorage, 'checkBlock'>
  readonly app: Pick<RaftApp, 'peerConnected' | 'peerDisconnected' | 'peerFrame'>
  readonly transport: Pick<Transport, 'closeLink'>
  readonly trace: RaftTrace | undefined
  readonly repairer: Repairer | undefined
}

type FrameItem = Extract<InboxItem, { kind: 'frame' }>

export class Receiver {
  readonly #options: ReceiverOptions
  readonly #blocks = new Map<number, RecordBlock>()
  #lastTicket = 0

  constructor(options: ReceiverOptions) {
    this.#options = options
  }

  /** The records of a slice that was received and whose output is not carried out yet. */
  blockOf(ticket: number): RecordBlock {
    return mustExist(this.#blocks.get(ticket), 'slice-without-records', ticket)
  }

  /** The core's output has been carried out. */
  forgetBlocks(): void {
    this.#blocks.clear()
  }

  take(item: InboxItem): void {
    const { core, clock, app, random, trace } = this.#options
    if (item.kind === 'removed') return core.step({ kind: 'toldRemoved', nowMs: clock.nowMs(), index: item.index })
    if (item.kind === 'snapshotHeld') return core.step({ kind: 'snapshotHeld', nowMs: clock.nowMs(), last: item.last })
    const { peer } = item
    switch (item.kind) {
      case 'frame':
        return this.#takeFrame(item)
      case 'up':
        core.step({ kind: 'peerConnected', nowMs: clock.nowMs(), peer, incarnation: item.incarnation })
        return app.peerConnected(peer)
      case 'down':
        core.step({ kind: 'peerDisconnected', nowMs: clock.nowMs(), peer })
        return app.peerDisconnected(peer)
      case 'died':
        trace?.({ kind: 'peerDied', peer })
        return core.step({ kind: 'peerDied', nowMs: clock.nowMs(), peer, jitter: random.next() })
      default:
        return assertNever(item)
    }
  }

  #takeFrame(item: FrameItem): void {
    const { peer } = item
    const frame = decodeFrame(item.type, item.header, item.payload)
    switch (frame.kind) {
      case 'message':
        return this.#receive(peer, frame.message)
      case 'append':
        return this.#receiveAppend(item, frame.append, frame.records)
      case 'repairRequest':
        return this.#options.repairer?.onRequest(peer, frame.request)
      case 'repairRecords':
        return this.#options.repairer?.onRecords(peer, frame.answer, frame.records)
      case 'application':
        return this.#options.app.peerFrame(peer, frame.bytes)
      case 'malformed':
        return this.#badFrame(item, frame.problem)
      case 'hello':
      case 'helloRefused':
      case 'ping':
      case 'pong':
        // The link's own business, done there.
        return
      default:
        return assertNever(frame)
    }
  }

  #receive(from: NodeId, message: Message): void {
    const { core, clock } = this.#options
    core.step({ kind: 'receive', nowMs: clock.nowMs(), from, message })
  }

  #receiveAppend(item: FrameItem, append: AppendHeader, records: Uint8Array): void {
    const { term, session, prev, lastIndex, commitIndex } = append
    const ticket = ++this.#lastTicket
    if (lastIndex === prev.index) {
      const slice = { prev, lastIndex, runs: [], memberships: [], bytes: 0, lastWallMs: 0, ticket }
      return this.#receive(item.peer, { kind: 'append', term, session, slice, commitIndex })
    }
    const check = this.#options.log.checkBlock(prev, records)
    if (check.kind === 'corrupt') return this.#badFrame(item, check.problem)
    const { block } = check
    if (block.lastIndex !== lastIndex) return this.#badFrame(item, `records end at ${block.lastIndex}, not ${lastIndex}`)
    this.#blocks.set(ticket, block)
    const slice = {
      prev,
      lastIndex,
      runs: block.runs,
      memberships: check.memberships,
      bytes: block.bytes,
      lastWallMs: block.lastWallMs,
      ticket,
    }
    this.#receive(item.peer, { kind: 'append', term, session, slice, commitIndex })
  }

  #badFrame(item: FrameItem, problem: string): void {
    this.#options.trace?.({ kind: 'badFrame', peer: item.peer, problem })
    this.#options.transport.closeLink(item.peer, item.channel, problem)
  }
}
