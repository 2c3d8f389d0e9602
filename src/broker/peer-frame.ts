/**
 * What brokers say to each other inside the application frames of the peer connection, little endian. Proposals on their way to the leader:
 *
 *   0 kind u8 = 1 | 1 flags u8 (1 = restart) | 2 zero u16 | 4 count u32 | 8 term u64 | 16 incarnation u64 | 24 previousSequence u64
 *   | 32 run u32 | 36 headCrc u32 (CRC-32C of bytes 0..35 and the table) | 40 table: count × (length u32, crc u32) | bodies, one behind the other
 *
 * The leader's no (a yes is never said: the gateway sees its own apply):
 *
 *   0 kind u8 = 2 | 1 reason u8 | 2 detail u16 (of `busy`: 1 = full, else 0) | 4 crc u32 (of bytes 0..3 and 8..35) | 8 term u64 | 16 incarnation u64 | 24 sequence u64 | 32 run u32
 *
 * A node's report of itself, for the cluster's status:   0 kind u8 = 3 | 1 zero u8 u16 | 4 crc u32 of the rest | 8 JSON, UTF-8
 *
 * What a node wants of another (a hand-over of the leadership):   0 kind u8 = 4, then as a report
 *
 * Frames travel in order, but a connection may break between two of them. A run is a row of frames of which the first (`restart`) begins at
 * the gateway's oldest proposal still unapplied, and each other names the sequence that went before it, so that the leader notices a lost
 * frame. Runs are numbered upwards within an incarnation: what an earlier run left on the way means nothing any more.
 */
import { crc32c, readU64, viewOf, writeU64 } from '../platform/bytes.ts'
import { assert } from '../platform/assert.ts'

/** An entry's body in parts, with its checksum; the same shape as the log's. */
export interface Body {
  readonly parts: readonly Uint8Array[]
  readonly bytes: number
  /** CRC-32C over all parts, made where the body was made: it goes into the record as it is. */
  readonly crc: number
}

export interface ProposalsFrame {
  readonly kind: 'proposals'
  readonly term: number
  readonly incarnation: number
  readonly run: number
  readonly isRestart: boolean
  /** 0 when `isRestart`. */
  readonly previousSequence: number
  /** On the receiving side each has one part, a view of the frame. */
  readonly bodies: readonly Body[]
}

const refusalReasons = ['wrongTerm', 'busy', 'gap', 'corrupt', 'broken'] as const
/**
 * `broken` is about one proposal, the others about a whole frame. `full`: a pool of the leader has no room, and nothing of this frame, nor of what came
 * behind it in its run, is in the log. A node of the first version reads it as `busy`.
 */
export type FrameRefusalReason = (typeof refusalReasons)[number] | 'full'

export interface FrameRefused {
  readonly kind: 'refused'
  readonly reason: FrameRefusalReason
  /** The refusing node's term. */
  readonly term: number
  /** Of the gateway: an answer to its former life means nothing. */
  readonly incarnation: number
  /** Of the frame: an answer to an earlier run means nothing. */
  readonly run: number
  /** Of the broken proposal; else of the frame's first. */
  readonly sequence: number
}

export interface ReportFrame {
  readonly kind: 'report'
  readonly json: string
}

/** See leadership.ts. */
export interface WishFrame {
  readonly kind: 'wish'
  readonly json: string
}

export type PeerFrame = ProposalsFrame | FrameRefused | ReportFrame | WishFrame

const headBytes = 40
const tableRowBytes = 8
const refusedBytes = 36
const reportHeadBytes = 8
const restartFlag = 1
const fullDetail = 1
/** More proposals than this make more frames. */
export const frameProposalsMax = 4096

/** The frame as buffers: head, then the bodies' own parts, uncopied. */
export function encodeProposals(frame: ProposalsFrame): Uint8Array[] {
  const { bodies } = frame
  assert(bodies.length <= frameProposalsMax, 'frame-proposals', bodies.length)
  const head = new Uint8Array(headBytes + bodies.length * tableRowBytes)
  const view = viewOf(head)
  view.setUint8(0, 1)
  view.setUint8(1, frame.isRestart ? restartFlag : 0)
  view.setUint32(4, bodies.length, true)
  writeU64(view, 8, frame.term)
  writeU64(view, 16, frame.incarnation)
  writeU64(view, 24, frame.previousSequence)
  view.setUint32(32, frame.run, true)
  const buffers: Uint8Array[] = [head]
  let at = headBytes
  for (const body of bodies) {
    view.setUint32(at, body.bytes, true)
    view.setUint32(at + 4, body.crc, true)
    at += tableRowBytes
    for (const part of body.parts) buffers.push(part)
  }
  view.setUint32(36, headCrc(head), true)
  return buffers
}

export function encodeRefused(frame: FrameRefused): Uint8Array[] {
  const bytes = new Uint8Array(refusedBytes)
  const view = viewOf(bytes)
  view.setUint8(0, 2)
  view.setUint8(1, refusalReasons.indexOf(frame.reason === 'full' ? 'busy' : frame.reason))
  view.setUint16(2, frame.reason === 'full' ? fullDetail : 0, true)
  writeU64(view, 8, frame.term)
  writeU64(view, 16, frame.incarnation)
  writeU64(view, 24, frame.sequence)
  view.setUint32(32, frame.run, true)
  view.setUint32(4, refusedCrc(bytes), true)
  return [bytes]
}

export function encodeReport(frame: ReportFrame): Uint8Array[] {
  return encodeJson(3, frame.json)
}

export function encodeWish(frame: WishFrame): Uint8Array[] {
  return encodeJson(4, frame.json)
}

function encodeJson(kind: 3 | 4, text: string): Uint8Array[] {
  const json = Buffer.from(text)
  const head = new Uint8Array(reportHeadBytes)
  const view = viewOf(head)
  view.setUint8(0, kind)
  view.setUint32(4, crc32c(json), true)
  return [head, json]
}

/** undefined = these bytes are no whole frame of ours. Bodies are views of `bytes`; their checksums are not looked at here. */
export function decodePeerFrame(bytes: Uint8Array): PeerFrame | undefined {
  switch (bytes[0]) {
    case 1:
      return decodeProposals(bytes)
    case 2:
      return decodeRefused(bytes)
    case 3:
      return decodeJson('report', bytes)
    case 4:
      return decodeJson('wish', bytes)
    default:
      return undefined
  }
}

function decodeProposals(bytes: Uint8Array): ProposalsFrame | undefined {
  if (bytes.length < headBytes) return undefined
  const view = viewOf(bytes)
  const count = view.getUint32(4, true)
  const bodiesStart = headBytes + count * tableRowBytes
  if (count > frameProposalsMax || bodiesStart > bytes.length) return undefined
  if (view.getUint32(36, true) !== headCrc(bytes.subarray(0, bodiesStart))) return undefined
  const bodies: Body[] = []
  let at = bodiesStart
  for (let row = headBytes; row < bodiesStart; row += tableRowBytes) {
    const length = view.getUint32(row, true)
    if (at + length > bytes.length) return undefined
    bodies.push({ parts: [bytes.subarray(at, at + length)], bytes: length, crc: view.getUint32(row + 4, true) })
    at += length
  }
  if (at !== bytes.length) return undefined
  const term = readU64(view, 8)
  const incarnation = readU64(view, 16)
  const previousSequence = readU64(view, 24)
  if (!areSafe(term, incarnation, previousSequence)) return undefined
  const run = view.getUint32(32, true)
  return { kind: 'proposals', term, incarnation, run, isRestart: view.getUint8(1) === restartFlag, previousSequence, bodies }
}

function decodeRefused(bytes: Uint8Array): FrameRefused | undefined {
  if (bytes.length !== refusedBytes) return undefined
  const view = viewOf(bytes)
  const basis = refusalReasons[view.getUint8(1)]
  if (basis === undefined || view.getUint32(4, true) !== refusedCrc(bytes)) return undefined
  const reason = basis === 'busy' && view.getUint16(2, true) === fullDetail ? 'full' : basis
  const term = readU64(view, 8)
  const incarnation = readU64(view, 16)
  const sequence = readU64(view, 24)
  if (!areSafe(term, incarnation, sequence)) return undefined
  return { kind: 'refused', reason, term, incarnation, run: view.getUint32(32, true), sequence }
}

function decodeJson(kind: 'report' | 'wish', bytes: Uint8Array): ReportFrame | WishFrame | undefined {
  if (bytes.length < reportHeadBytes) return undefined
  const json = bytes.subarray(reportHeadBytes)
  if (viewOf(bytes).getUint32(4, true) !== crc32c(json)) return undefined
  return { kind, json: Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString() }
}

/** Over the head and table, without the place of the checksum itself. */
function headCrc(head: Uint8Array): number {
  return crc32c(head.subarray(headBytes), crc32c(head.subarray(0, 36)))
}

function refusedCrc(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(8), crc32c(bytes.subarray(0, 4)))
}

function areSafe(a: number, b: number, c: number): boolean {
  return Number.isSafeInteger(a) && Number.isSafeInteger(b) && Number.isSafeInteger(c)
}
