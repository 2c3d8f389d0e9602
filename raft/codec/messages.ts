/**
 * What peers say, to frames and back: the unions of raft/core/message.ts on one side, the protobuf headers of proto/raftmq/v1/peer.proto on the other.
 * Decoding is total: bytes that are no message of ours come back as `malformed` with a sentence, and never throw. Integers are asserted safe here,
 * where they enter. Log records and application bytes are the frame's payload and stay as they are.
 */
import '../../src/platform/protobuf.ts'
import { raftmq } from '#proto/raftmq-v1.js'
import { assertNever } from '../../src/platform/assert.ts'
import type { EntryId, LogIndex, Session, Term } from '../core/ids.ts'
import { originId } from '../core/ids.ts'
import type { Append, Message } from '../core/message.ts'
import { incarnationMax } from '../core/session.ts'
import { frameHead } from './frame.ts'

const proto = raftmq.v1

/** Kinds of frames. The numbers are on the wire. */
export const FrameKind = {
  hello: 1,
  helloRefused: 2,
  ping: 3,
  pong: 4,
  preVote: 16,
  preVoteReply: 17,
  vote: 18,
  voteReply: 19,
  append: 20,
  appendAccepted: 21,
  appendConflict: 22,
  appendRefused: 23,
  heartbeat: 24,
  heartbeatReply: 25,
  timeoutNow: 26,
  snapshotOffer: 27,
  readIndex: 28,
  readIndexReply: 29,
  repairRequest: 40,
  repairRecords: 41,
  application: 32,
} as const

/** Control: votes, heartbeats, snapshot offers and replies. Data: appends and their replies, application frames. Bulk: files, on demand (driver/bulk.ts). */
export type Channel = 'control' | 'data' | 'bulk'

export interface Hello {
  readonly clusterName: string
  readonly node: number
  readonly incarnation: number
  readonly featureLevel: number
  readonly channel: Channel
  /** Whom the dialler means to have reached; 0 in the answer. */
  readonly targetNode: number
  readonly name: string
  /** Of the sender's peer port: `host:port`. */
  readonly address: string
  readonly clientAddress: string
  /** Of the newest committed membership that the sender knows. */
  readonly membershipIndex: number
  /** The sender's data directory, as hex; empty from a build that does not say. */
  readonly directory: string
}

/** A message whose frame needs no records. */
export type PlainMessage = Exclude<Message, Append>

/** An append as it is on the wire: the slice's records are the payload, not yet checked. */
export interface AppendHeader {
  readonly kind: 'append'
  readonly term: Term
  readonly session: Session
  readonly prev: EntryId
  readonly lastIndex: LogIndex
  readonly commitIndex: LogIndex
}

/** Records that the sender's disk holds no more. */
export interface RepairRequest {
  readonly fromIndex: LogIndex
  readonly lastIndex: LogIndex
}

/** The answer: whole records from `fromIndex` on are the payload; none, when there is nothing to give. */
export interface RepairRecords {
  readonly fromIndex: LogIndex
  /** As far as the answerer knows. */
  readonly commitIndex: LogIndex
}

export type PeerFrame =
  | { readonly kind: 'repairRequest'; readonly request: RepairRequest }
  | { readonly kind: 'repairRecords'; readonly answer: RepairRecords; readonly records: Uint8Array }
  | { readonly kind: 'hello'; readonly hello: Hello }
  /** `removedAt`: the committed membership by which the refused one was removed; 0 = another reason. */
  | { readonly kind: 'helloRefused'; readonly reason: string; readonly removedAt: number; readonly isOtherDirectory: boolean }
  | { readonly kind: 'ping' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'message'; readonly message: PlainMessage }
  | { readonly kind: 'append'; readonly append: AppendHeader; readonly records: Uint8Array }
  | { readonly kind: 'application'; readonly bytes: Uint8Array }
  | { readonly kind: 'malformed'; readonly problem: string }

const noBytes = new Uint8Array(0)
const maxNameLength = 255
const directoryIdBytes = 16

const { CONTROL, DATA, BULK } = proto.Hello.Channel
const channelNumbers: Readonly<Record<Channel, raftmq.v1.Hello.Channel>> = { control: CONTROL, data: DATA, bulk: BULK }
const channelNames = new Map<number, Channel>([
  [CONTROL, 'control'],
  [DATA, 'data'],
  [BULK, 'bulk'],
])

export function encodeHello(hello: Hello): Uint8Array {
  const directoryId = Buffer.from(hello.directory, 'hex')
  return frameHead(FrameKind.hello, proto.Hello.encode({ ...hello, directoryId, channel: channelNumbers[hello.channel] }).finish())
}

export function encodeHelloRefused(text: string, { removedAt = 0, isOtherDirectory = false } = {}): Uint8Array {
  const reason = text.slice(0, maxNameLength)
  return frameHead(FrameKind.helloRefused, proto.HelloRefused.encode({ reason, removedAt, otherDirectory: isOtherDirectory }).finish())
}

/** Are you there? */
export function encodePing(): Uint8Array {
  return frameHead(FrameKind.ping, noBytes)
}

export function encodePong(): Uint8Array {
  return frameHead(FrameKind.pong, noBytes)
}

/** The head of an append's frame; the records follow it. They check themselves (header and body CRCs, and the chain). */
export function encodeAppend(append: AppendHeader, records: readonly Uint8Array[]): Uint8Array {
  return frameHead(FrameKind.append, proto.Append.encode(append).finish(), records, true)
}

export function encodeRepairRequest(request: RepairRequest): Uint8Array {
  return frameHead(FrameKind.repairRequest, proto.RepairRequest.encode(request).finish())
}

/** The head of an answer; the records follow it, and check themselves. */
export function encodeRepairRecords(answer: RepairRecords, records: readonly Uint8Array[]): Uint8Array {
  return frameHead(FrameKind.repairRecords, proto.RepairRecords.encode(answer).finish(), records, true)
}

/** The head of an application frame; the bytes follow it. */
export function encodeApplication(buffers: readonly Uint8Array[]): Uint8Array {
  return frameHead(FrameKind.application, noBytes, buffers)
}

export function encodeMessage(message: PlainMessage): Uint8Array {
  return frameHead(FrameKind[message.kind], headerOf(message))
}

function headerOf(message: PlainMessage): Uint8Array {
  switch (message.kind) {
    case 'preVote':
      return proto.PreVote.encode(message).finish()
    case 'preVoteReply':
      return proto.PreVoteReply.encode(message).finish()
    case 'vote':
      return proto.Vote.encode(message).finish()
    case 'voteReply':
      return proto.VoteReply.encode(message).finish()
    case 'appendAccepted':
      return proto.AppendAccepted.encode(message).finish()
    case 'appendConflict':
      return proto.AppendConflict.encode(message).finish()
    case 'appendRefused':
      return proto.AppendRefused.encode(message).finish()
    case 'snapshotOffer':
      return proto.SnapshotOffer.encode(message).finish()
    case 'heartbeat':
      return proto.Heartbeat.encode({ ...message, clusterTimeMs: message.clusterTimeMs ?? null }).finish()
    case 'heartbeatReply':
      return proto.HeartbeatReply.encode(message).finish()
    case 'timeoutNow':
      return proto.TimeoutNow.encode(message).finish()
    case 'readIndex':
      return proto.ReadIndex.encode(message).finish()
    case 'readIndexReply':
      return proto.ReadIndexReply.encode({ ...message, index: message.index ?? null }).finish()
    default:
      return assertNever(message)
  }
}

/** What a frame says. */
export function decodeFrame(kind: number, header: Uint8Array, payload: Uint8Array): PeerFrame {
  if (payload.length > 0 && !hasPayload(kind)) return malformed('a payload where none belongs')
  let frame: PeerFrame
  try {
    frame = decode(kind, header, payload)
  } catch (error) {
    // protobufjs throws RangeError and plain Error on bytes that are no message; the bytes are a peer's, so this is bad input, not a bug.
    return malformed(error instanceof Error ? error.message : 'undecodable')
  }
  return frame
}

function hasPayload(kind: number): boolean {
  return kind === FrameKind.append || kind === FrameKind.application || kind === FrameKind.repairRecords
}

function malformed(problem: string): PeerFrame {
  return { kind: 'malformed', problem }
}

function decode(kind: number, header: Uint8Array, payload: Uint8Array): PeerFrame {
  switch (kind) {
    case FrameKind.append: {
      const m = proto.Append.decode(header)
      const prev = entryId(m.prev)
      const append: AppendHeader = {
        kind: 'append',
        term: termOf(m.term),
        session: sessionOf(m.session),
        prev,
        lastIndex: indexOf(m.lastIndex),
        commitIndex: indexOf(m.commitIndex),
      }
      if (append.lastIndex < prev.index) return malformed('an append that ends before it begins')
      if (append.lastIndex === prev.index && payload.length > 0) return malformed('records in an empty append')
      return { kind: 'append', append, records: payload }
    }
    case FrameKind.appendAccepted: {
      const m = proto.AppendAccepted.decode(header)
      const matchedIndex = indexOf(m.matchedIndex)
      const durableIndex = indexOf(m.durableIndex)
      if (durableIndex > matchedIndex) return malformed('durable beyond matched')
      return said({ kind: 'appendAccepted', term: termOf(m.term), session: sessionOf(m.session), matchedIndex, durableIndex })
    }
    case FrameKind.heartbeat: {
      const m = proto.Heartbeat.decode(header)
      return said({
        kind: 'heartbeat',
        term: termOf(m.term),
        session: sessionOf(m.session),
        commitIndex: indexOf(m.commitIndex),
        clusterTimeMs: optionalTimeOf(m.clusterTimeMs),
        round: count(m.round, 'round'),
      })
    }
    case FrameKind.heartbeatReply: {
      const m = proto.HeartbeatReply.decode(header)
      return said({
        kind: 'heartbeatReply',
        term: termOf(m.term),
        session: sessionOf(m.session),
        round: count(m.round, 'round'),
        wallMs: timeOf(m.wallMs),
        appliedIndex: indexOf(m.appliedIndex),
      })
    }
    case FrameKind.repairRecords: {
      const m = proto.RepairRecords.decode(header)
      return { kind: 'repairRecords', answer: { fromIndex: indexOf(m.fromIndex), commitIndex: indexOf(m.commitIndex) }, records: payload }
    }
    case FrameKind.application:
      return { kind: 'application', bytes: payload }
    default:
      return decodeRare(kind, header)
  }
}

function decodeRare(kind: number, header: Uint8Array): PeerFrame {
  switch (kind) {
    case FrameKind.appendConflict: {
      const m = proto.AppendConflict.decode(header)
      return said({
        kind: 'appendConflict',
        term: termOf(m.term),
        session: sessionOf(m.session),
        refusedIndex: indexOf(m.refusedIndex),
        hint: entryId(m.hint),
      })
    }
    case FrameKind.snapshotOffer: {
      const m = proto.SnapshotOffer.decode(header)
      const offered = { term: termOf(m.term), session: sessionOf(m.session), commitIndex: indexOf(m.commitIndex) }
      return said({ kind: 'snapshotOffer', ...offered })
    }
    case FrameKind.appendRefused: {
      const m = proto.AppendRefused.decode(header)
      return said({ kind: 'appendRefused', term: termOf(m.term), session: sessionOf(m.session) })
    }
    case FrameKind.readIndex: {
      const m = proto.ReadIndex.decode(header)
      const [incarnation, read] = [count(m.incarnation, 'incarnation'), count(m.read, 'read')]
      return said({ kind: 'readIndex', term: termOf(m.term), incarnation, read })
    }
    case FrameKind.readIndexReply: {
      const m = proto.ReadIndexReply.decode(header)
      const [incarnation, read] = [count(m.incarnation, 'incarnation'), count(m.read, 'read')]
      const index = m.index === null || m.index === undefined ? undefined : indexOf(m.index)
      return said({ kind: 'readIndexReply', term: termOf(m.term), incarnation, read, index })
    }
    case FrameKind.timeoutNow: {
      const m = proto.TimeoutNow.decode(header)
      return said({ kind: 'timeoutNow', term: termOf(m.term), session: sessionOf(m.session) })
    }
    case FrameKind.preVote: {
      const m = proto.PreVote.decode(header)
      const round = count(m.round, 'round')
      return said({ kind: 'preVote', term: termOf(m.term), last: entryId(m.last), leaderLost: m.leaderLost, round })
    }
    case FrameKind.preVoteReply: {
      const m = proto.PreVoteReply.decode(header)
      const round = count(m.round, 'round')
      return said({ kind: 'preVoteReply', term: termOf(m.term), granted: m.granted, round, isConditional: m.isConditional })
    }
    case FrameKind.vote: {
      const m = proto.Vote.decode(header)
      return said({ kind: 'vote', term: termOf(m.term), last: entryId(m.last), isTransfer: m.isTransfer })
    }
    case FrameKind.voteReply: {
      const m = proto.VoteReply.decode(header)
      return said({ kind: 'voteReply', term: termOf(m.term), granted: m.granted, isConditional: m.isConditional, wallMs: timeOf(m.wallMs) })
    }
    case FrameKind.repairRequest: {
      const m = proto.RepairRequest.decode(header)
      const request = { fromIndex: indexOf(m.fromIndex), lastIndex: indexOf(m.lastIndex) }
      return request.lastIndex < request.fromIndex ? malformed('a wish that ends before it begins') : { kind: 'repairRequest', request }
    }
    case FrameKind.hello:
      return decodeHello(header)
    case FrameKind.helloRefused: {
      const m = proto.HelloRefused.decode(header)
      const reason = m.reason.slice(0, maxNameLength)
      return { kind: 'helloRefused', reason, removedAt: indexOf(m.removedAt), isOtherDirectory: m.otherDirectory }
    }
    case FrameKind.ping:
      return header.length === 0 ? { kind: 'ping' } : malformed('a ping with a header')
    case FrameKind.pong:
      return header.length === 0 ? { kind: 'pong' } : malformed('a pong with a header')
    default:
      return malformed(`unknown frame kind ${kind}`)
  }
}

function decodeHello(header: Uint8Array): PeerFrame {
  const m = proto.Hello.decode(header)
  const channel = channelNames.get(m.channel)
  if (channel === undefined) return malformed('a hello for no channel')
  if (m.node < 1 || m.node > 65_535) return malformed('a hello from no node')
  // A session has to hold it; 0 would say that it is not known.
  if (m.incarnation < 1 || m.incarnation >= incarnationMax) return malformed('a hello from no process')
  const hello: Hello = {
    clusterName: m.clusterName.slice(0, maxNameLength),
    node: m.node,
    incarnation: count(m.incarnation, 'incarnation'),
    featureLevel: m.featureLevel,
    channel,
    targetNode: m.targetNode,
    name: m.name.slice(0, maxNameLength),
    address: m.address.slice(0, maxNameLength),
    clientAddress: m.clientAddress.slice(0, maxNameLength),
    membershipIndex: indexOf(m.membershipIndex),
    directory: Buffer.from(m.directoryId.subarray(0, directoryIdBytes)).toString('hex'),
  }
  return { kind: 'hello', hello }
}

function said(message: PlainMessage): PeerFrame {
  return { kind: 'message', message }
}

/** A u64 as it may come from anywhere. The message of the error becomes the `problem` of a malformed frame. */
function count(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${what} is out of range`)
  return value
}

function termOf(value: number): Term {
  return count(value, 'term') as Term
}

function indexOf(value: number): LogIndex {
  return count(value, 'index') as LogIndex
}

function sessionOf(value: number): Session {
  return count(value, 'session') as Session
}

function timeOf(value: number): number {
  if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) throw new RangeError('time is out of range')
  return value
}

function optionalTimeOf(value: number | null | undefined): number | undefined {
  return value === null || value === undefined ? undefined : timeOf(value)
}

function entryId(id: { term?: number | null; index?: number | null } | null | undefined): EntryId {
  if (id === null || id === undefined) return originId
  return { term: termOf(id.term ?? 0), index: indexOf(id.index ?? 0) }
}
