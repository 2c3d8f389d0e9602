import { describe, expect, it } from 'vitest'
import type { Epoch, LogIndex, NodeId, Session, Term } from '../core/ids.ts'
import type { Outgoing, OutgoingAppend } from '../core/output.ts'
import type { RecordBlock } from './log-storage.ts'
import { UnreadableEntry } from './log-storage.ts'
import { Sender } from './sender.ts'

const peer = 2 as NodeId
const epoch = (n: number) => n as Epoch
const place = (index: number, of: number) => ({ index: index as LogIndex, term: of as Term })

function anAppend(change: Partial<OutgoingAppend> = {}): OutgoingAppend {
  const range = { prev: place(3, 2), lastIndex: 6 as LogIndex, commitIndex: 3 as LogIndex }
  return { kind: 'append', to: peer, after: epoch(0), term: 2 as Term, session: 1 as Session, ...range, ...change }
}

function aReply(after: number): Outgoing {
  const message = { kind: 'voteReply', term: 2 as Term, granted: true, isConditional: false, wallMs: 0 } as const
  return { kind: 'message', to: peer, after: epoch(after), message }
}

/** A sender at its seams: what the log gives for a read, whether we lead, whether there is a connection; and what left. */
function aSender(read: (from: LogIndex, last: LogIndex) => RecordBlock | undefined, leads: () => number | undefined = () => 2) {
  const seen = { control: 0, data: [] as number[], sent: [] as string[], isUp: true, takes: true, metrics: { appendsDropped: 0 } }
  const sender = new Sender({
    core: {
      leadingTerm: () => leads() as Term | undefined,
      sentUpTo: (to, lastIndex, bytes) => void seen.sent.push(`${to}: ..${lastIndex}, ${bytes} bytes`),
    },
    log: { readBlock: (from, last) => read(from, last) },
    transport: {
      isUp: () => seen.isUp,
      sendControl: () => {
        seen.control++
      },
      sendData: (_, buffers) => {
        if (seen.takes) seen.data.push(buffers.length)
        return seen.takes
      },
    },
    metrics: seen.metrics,
    sliceBytesMax: 1_000,
  })
  return { sender, seen }
}

function aBlock(change: Partial<RecordBlock> = {}): RecordBlock {
  return {
    prev: place(3, 2),
    lastIndex: 5 as LogIndex,
    runs: [{ firstIndex: 4 as LogIndex, term: 2 as Term }],
    bytes: 200,
    lastWallMs: 0,
    buffers: [new Uint8Array(200)],
    ...change,
  }
}

describe('an append', () => {
  it('leaves with the records that are read for it, and tells how far they reach', () => {
    const { sender, seen } = aSender(() => aBlock())
    sender.send(anAppend(), epoch(0))
    expect([seen.data, seen.sent]).toEqual([[2], ['2: ..5, 200 bytes']])
  })

  it('without entries reads nothing', () => {
    const { sender, seen } = aSender(() => {
      throw new Error('read')
    })
    sender.send(anAppend({ lastIndex: 3 as LogIndex }), epoch(0))
    expect([seen.data, seen.sent]).toEqual([[1], ['2: ..3, 0 bytes']])
  })

  const reads: readonly (readonly [string, () => RecordBlock | undefined])[] = [
    ['was deleted meanwhile', () => undefined],
    [
      'can not be read',
      (): undefined => {
        throw new UnreadableEntry('entry 4 is rotten')
      },
    ],
    ['stands behind another entry by now', () => aBlock({ prev: place(3, 1) })],
    ['begins elsewhere by now', () => aBlock({ prev: place(4, 2) })],
  ]
  it.each(reads)('whose first entry %s is not sent, not even without its entries, and counts as dropped', (_, read) => {
    const { sender, seen } = aSender(read)
    sender.send(anAppend(), epoch(0))
    expect([seen.data, seen.sent, seen.metrics.appendsDropped]).toEqual([[], [], 1])
  })

  it('passes on any other error of the log', () => {
    const { sender } = aSender(() => {
      throw new Error('EIO')
    })
    expect(() => {
      sender.send(anAppend(), epoch(0))
    }).toThrow('EIO')
  })

  it.each([
    ['leads no more', undefined],
    ['leads a later term', 3],
  ] as const)('of a node that %s is dropped', (_, leadingTerm) => {
    const { sender, seen } = aSender(
      () => aBlock(),
      () => leadingTerm,
    )
    sender.send(anAppend(), epoch(0))
    expect([seen.data, seen.metrics.appendsDropped]).toEqual([[], 1])
  })

  it('that no connection takes was not sent', () => {
    const { sender, seen } = aSender(() => aBlock())
    seen.takes = false
    sender.send(anAppend(), epoch(0))
    sender.send(anAppend({ lastIndex: 3 as LogIndex }), epoch(0))
    seen.isUp = false
    sender.send(anAppend(), epoch(0))
    expect([seen.sent, seen.metrics.appendsDropped]).toEqual([[], 3])
  })
})

describe('a message that rests on a write', () => {
  it('leaves when that is on disk, in the order in which it came, and not before', () => {
    const { sender, seen } = aSender(() => aBlock())
    sender.send(aReply(3), epoch(2))
    sender.send(aReply(5), epoch(2))
    expect([seen.control, sender.heldCount]).toEqual([0, 2])
    sender.release(epoch(4))
    expect([seen.control, sender.heldCount]).toEqual([1, 1])
    sender.release(epoch(5))
    expect([seen.control, sender.heldCount]).toEqual([2, 0])
  })

  it('is dropped with the process', () => {
    const { sender, seen } = aSender(() => aBlock())
    sender.send(aReply(3), epoch(2))
    sender.drop()
    sender.release(epoch(9))
    expect(seen.control).toBe(0)
  })
})
