/** What a peer sends is checked before the core hears of it; what makes no sense closes its link and changes nothing. */
import { describe, expect, it } from 'vitest'
import { encodeAppend, FrameKind } from '../codec/messages.ts'
import { framePrefixBytes } from '../codec/frame.ts'
import type { Event } from '../core/event.ts'
import type { LogIndex, NodeId, Session, Term } from '../core/ids.ts'
import type { BlockCheck } from './log-storage.ts'
import { Receiver } from './receiver.ts'

const place = (index: number, of: number) => ({ index: index as LogIndex, term: of as Term })

/** A receiver at its seams: what the log says of the records; and what came of them. */
function aReceiver(check: BlockCheck) {
  const seen = { events: [] as Event[], closed: [] as string[] }
  const receiver = new Receiver({
    core: { step: event => void seen.events.push(event) },
    clock: { nowMs: () => 0 },
    random: { next: () => 0.5 },
    log: { checkBlock: () => check },
    app: { peerConnected: () => undefined, peerDisconnected: () => undefined, peerFrame: () => undefined },
    transport: { closeLink: (peer, channel, problem) => void seen.closed.push(`${peer} ${channel}: ${problem}`) },
    trace: undefined,
    repairer: undefined,
  })
  return { receiver, seen }
}

/** Records up to entry 5, behind entry 3. */
const good: BlockCheck = {
  kind: 'ok',
  block: {
    prev: place(3, 2),
    lastIndex: 5 as LogIndex,
    runs: [{ firstIndex: 4 as LogIndex, term: 2 as Term }],
    bytes: 200,
    lastWallMs: 9,
    buffers: [new Uint8Array(200)],
  },
  memberships: [],
}

/** An append of two records, whose header calls `lastIndex` the last. */
function anAppend(lastIndex: number) {
  const records = [new Uint8Array(200)]
  const range = { prev: place(3, 2), lastIndex: lastIndex as LogIndex, commitIndex: 3 as LogIndex }
  const head = encodeAppend({ kind: 'append', term: 2 as Term, session: 1 as Session, ...range }, records)
  const payload = records[0] ?? new Uint8Array(0)
  return {
    kind: 'frame',
    peer: 2 as NodeId,
    channel: 'data',
    type: FrameKind.append,
    header: head.subarray(framePrefixBytes),
    payload,
  } as const
}

describe('records', () => {
  it('that check reach the core as a slice, and are kept under its ticket', () => {
    const { receiver, seen } = aReceiver(good)
    receiver.take(anAppend(5))
    expect(seen.events).toMatchObject([{ kind: 'receive', from: 2, message: { kind: 'append', slice: { lastIndex: 5, ticket: 1 } } }])
    expect(receiver.blockOf(1).bytes).toBe(200)
    expect(seen.closed).toEqual([])
  })

  it.each([4, 6])('that do not end where their header says close the link, and the core hears of nothing (%i)', lastIndex => {
    const { receiver, seen } = aReceiver(good)
    receiver.take(anAppend(lastIndex))
    expect([seen.events, seen.closed]).toEqual([[], [`2 data: records end at 5, not ${lastIndex}`]])
  })

  it('that are damaged close the link, and the core hears of nothing', () => {
    const { receiver, seen } = aReceiver({ kind: 'corrupt', problem: 'entry 4 fails its checksum' })
    receiver.take(anAppend(5))
    expect([seen.events, seen.closed]).toEqual([[], ['2 data: entry 4 fails its checksum']])
  })
})
