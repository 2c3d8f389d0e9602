import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { EntryId, LogIndex, Session, Term } from '../core/ids.ts'
import { FrameReader } from './frame.ts'
import type { PeerFrame, PlainMessage } from './messages.ts'
import {
  FrameKind,
  decodeFrame,
  encodeAppend,
  encodeApplication,
  encodeHello,
  encodeHelloRefused,
  encodeMessage,
  encodePing,
} from './messages.ts'

const whole = fc.oneof(fc.nat(), fc.maxSafeNat())
const term = whole as fc.Arbitrary<Term>
const index = whole as fc.Arbitrary<LogIndex>
const session = whole as fc.Arbitrary<Session>
const entry: fc.Arbitrary<EntryId> = fc.record({ term, index })
const time = fc.double({ min: 0, max: 4e12, noNaN: true }).map(x => x + 0)

const anyMessage: fc.Arbitrary<PlainMessage> = fc.oneof(
  fc.record({ kind: fc.constant('preVote' as const), term, last: entry, leaderLost: fc.boolean(), round: whole }),
  fc.record({ kind: fc.constant('preVoteReply' as const), term, granted: fc.boolean(), round: whole, isConditional: fc.boolean() }),
  fc.record({ kind: fc.constant('vote' as const), term, last: entry, isTransfer: fc.boolean() }),
  fc.record({ kind: fc.constant('timeoutNow' as const), term, session }),
  fc.record({ kind: fc.constant('readIndex' as const), term, incarnation: whole, read: whole }),
  fc.record({
    kind: fc.constant('readIndexReply' as const),
    term,
    incarnation: whole,
    read: whole,
    index: fc.option(index, { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('voteReply' as const), term, granted: fc.boolean(), isConditional: fc.boolean(), wallMs: time }),
  fc.record({ kind: fc.constant('appendConflict' as const), term, session, refusedIndex: index, hint: entry }),
  fc.record({ kind: fc.constant('appendRefused' as const), term, session }),
  fc.record({ kind: fc.constant('snapshotOffer' as const), term, session, commitIndex: index }),
  fc.record({
    kind: fc.constant('heartbeat' as const),
    term,
    session,
    commitIndex: index,
    clusterTimeMs: fc.option(time, { nil: undefined }),
    round: whole,
  }),
  fc.record({ kind: fc.constant('heartbeatReply' as const), term, session, round: whole, wallMs: time, appliedIndex: index }),
  fc
    .record({ kind: fc.constant('appendAccepted' as const), term, session, matchedIndex: index, durableIndex: index })
    .map(m => ({ ...m, durableIndex: Math.min(m.durableIndex, m.matchedIndex) as LogIndex })),
)

function readOne(bytes: Uint8Array): PeerFrame {
  let frame: PeerFrame | undefined
  const reader = new FrameReader(1 << 20, (kind, header, payload) => {
    frame = decodeFrame(kind, header, payload)
    return true
  })
  expect(reader.push(bytes)).toBeUndefined()
  if (frame === undefined) throw new Error('no frame came out')
  return frame
}

describe('messages between peers', () => {
  it('survive the way through bytes unchanged', () => {
    fc.assert(
      fc.property(anyMessage, message => {
        expect(readOne(encodeMessage(message))).toEqual({ kind: 'message', message })
      }),
    )
  })

  it('carry log records and application bytes as they are', () => {
    fc.assert(
      fc.property(
        term,
        session,
        entry,
        fc.nat(1000),
        fc.array(fc.uint8Array({ minLength: 1 }), { minLength: 1 }),
        (t, s, prev, more, buffers) => {
          fc.pre(prev.index + more + 1 <= Number.MAX_SAFE_INTEGER)
          const append = {
            kind: 'append' as const,
            term: t,
            session: s,
            prev,
            lastIndex: (prev.index + more + 1) as LogIndex,
            commitIndex: prev.index,
          }
          const bytes = Buffer.concat(buffers)
          expect(readOne(Buffer.concat([encodeAppend(append, buffers), ...buffers]))).toEqual({ kind: 'append', append, records: bytes })
          expect(readOne(Buffer.concat([encodeApplication(buffers), ...buffers]))).toEqual({ kind: 'application', bytes })
        },
      ),
    )
  })

  it('begin with a hello that says who is there', () => {
    const place = { name: 'n3', address: 'h3:9876', clientAddress: 'h3:8081', membershipIndex: 12, directory: '00ff'.repeat(8) }
    const hello = { clusterName: 'c', node: 3, incarnation: 7, featureLevel: 1, channel: 'data' as const, targetNode: 2, ...place }
    expect(readOne(encodeHello(hello))).toEqual({ kind: 'hello', hello })
    expect(readOne(encodeHello({ ...hello, channel: 'control' }))).toEqual({ kind: 'hello', hello: { ...hello, channel: 'control' } })
    expect(readOne(encodeHelloRefused('no'))).toEqual({ kind: 'helloRefused', reason: 'no', removedAt: 0, isOtherDirectory: false })
    const gone = { removedAt: 9, isOtherDirectory: true }
    expect(readOne(encodeHelloRefused('gone', gone))).toEqual({ kind: 'helloRefused', reason: 'gone', ...gone })
    expect(readOne(encodePing())).toEqual({ kind: 'ping' })
  })

  it('are malformed, never an exception, when the bytes are garbage', () => {
    const kinds = [...Object.values(FrameKind), 0, 99, 255]
    fc.assert(
      fc.property(
        fc.constantFrom(...kinds),
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array({ maxLength: 10 }),
        (kind, header, payload) => {
          const frame = decodeFrame(kind, header, payload)
          if (frame.kind === 'malformed') expect(frame.problem.length).toBeGreaterThan(0)
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it('are malformed when an integer is not safe or a claim contradicts itself', () => {
    const big = new Uint8Array([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
    expect(decodeFrame(FrameKind.appendRefused, big, new Uint8Array(0)).kind).toBe('malformed')
    const accepted = encodeMessage({
      kind: 'appendAccepted',
      term: 1 as Term,
      session: 1 as Session,
      matchedIndex: 3 as LogIndex,
      durableIndex: 4 as LogIndex,
    })
    expect(readOne(accepted)).toEqual({ kind: 'malformed', problem: 'durable beyond matched' })
    const append = { kind: 'append' as const, term: 1 as Term, session: 1 as Session, commitIndex: 0 as LogIndex }
    const backwards = encodeAppend({ ...append, prev: { term: 1 as Term, index: 5 as LogIndex }, lastIndex: 4 as LogIndex }, [])
    expect(readOne(backwards).kind).toBe('malformed')
    expect(decodeFrame(FrameKind.vote, new Uint8Array(0), new Uint8Array(3)).kind).toBe('malformed')
  })

  it.each([0, 2 ** 30])('are malformed in a hello of a process that has the incarnation %d', incarnation => {
    const hello = {
      clusterName: 'c',
      node: 3,
      incarnation,
      featureLevel: 1,
      channel: 'data' as const,
      targetNode: 2,
      name: '',
      address: '',
      clientAddress: '',
      membershipIndex: 0,
      directory: '',
    }
    expect(readOne(encodeHello(hello)).kind).toBe('malformed')
  })
})
