/**
 * The bytes of a data entry's body: envelope, then the command. Encoding splices: message bytes stay where they are and become parts of their own.
 * Decoding is strict: unknown kinds, wrong bounds, bytes missing or left over are a problem in one sentence, never an exception, and what
 * decodes encodes to the same bytes. Bodies: codec/read-commands.ts.
 *
 * Envelope, little endian, 24 bytes:  0 kind u8 | 1 format u8 | 2 node u16 | 4 incarnation u32 | 8 sequence u64 | 16 sentAtMs u64
 */
import { viewOf, writeU64 } from '../platform/bytes.ts'
import { commandFormat, CommandKind, envelopeBytes } from './codec/bounds.ts'
import { ByteReader } from './codec/byte-reader.ts'
import { ByteWriter } from './codec/byte-writer.ts'
import { carriedPlaceBytes, readCommand, readMessage } from './codec/read-commands.ts'
import { writeCommand } from './codec/write-commands.ts'
import type { Command, Envelope, SendMessage } from './command.ts'
import { bounds } from './codec/bounds.ts'
import { newestLevel } from './feature-level.ts'

export { bounds, envelopeBytes }

export interface EncodedCommand {
  /** Stand one behind the other in the entry. The first begins with the envelope. Message bytes are the caller's own. */
  readonly parts: readonly Uint8Array[]
  /** Bytes of all parts. */
  readonly bytes: number
}

export type DecodedCommand =
  | { readonly ok: true; readonly envelope: Envelope; readonly command: Command }
  /** A sentence about what is wrong, beginning with "a command is refused:". */
  | { readonly ok: false; readonly problem: string }

export function encodeCommand(envelope: Envelope, command: Command): EncodedCommand {
  const out = new ByteWriter(
    command.kind === 'send'
      ? envelopeBytes + 280 + command.messages.length * 60
      : command.kind === 'carry'
        ? 64 + command.items.length * 74
        : 256,
  )
  out
    .u8(CommandKind[command.kind])
    .u8(commandFormat)
    .u16(envelope.node)
    .u32(envelope.incarnation)
    .u64(envelope.sequence)
    .u64(envelope.sentAtMs)
  const spliceAt: number[] = []
  writeCommand(out, command, spliceAt)
  const messages = messagesOf(command)
  if (messages.length === 0) return { parts: [out.slice(0, out.at)], bytes: out.at }
  const parts: Uint8Array[] = []
  let bytes = out.at
  let from = 0
  for (let i = 0; i < spliceAt.length; i++) {
    const to = spliceAt[i] as number
    const message = messages[i] as SendMessage
    parts.push(out.slice(from, to), message.bytes)
    bytes += message.bytes.length
    from = to
  }
  return { parts, bytes }
}

const noMessages: readonly SendMessage[] = []

/** Whose bytes are spliced in. */
function messagesOf(command: Command): readonly SendMessage[] {
  if (command.kind === 'send') return command.messages
  return command.kind === 'carry' ? command.items.map(({ message }) => message) : noMessages
}

/** Writes another envelope over the one in an encoded command's first part: a proposal that gets its sequence later. The kind stays. */
export function stampEnvelope(firstPart: Uint8Array, envelope: Envelope): void {
  const view = viewOf(firstPart)
  view.setUint16(2, envelope.node, true)
  view.setUint32(4, envelope.incarnation, true)
  writeU64(view, 8, envelope.sequence)
  writeU64(view, 16, envelope.sentAtMs)
}

/** One reader for all: decoding is synchronous and does not call back. */
const shared = new ByteReader()

export function decodeCommand(body: Uint8Array): DecodedCommand {
  return decode(body, true)
}

/** Like decodeCommand, but messages of a send have no bytes and no MD5: all that apply needs. */
export function decodeForApply(body: Uint8Array): DecodedCommand {
  return decode(body, false)
}

/** The leader's question before it appends (rule 8): undefined, or what is wrong. */
export function checkCommand(body: Uint8Array): string | undefined {
  const decoded = decode(body, false)
  if (!decoded.ok) return decoded.problem
  const { command } = decoded
  // It decodes everywhere, so that an older build can say why it stops; but nobody raises a group above what its leader's build knows.
  if (command.kind === 'raiseLevel' && command.level > newestLevel)
    return `a command is refused: there is no feature level ${command.level}`
  return undefined
}

/** Who proposed the command in this body; undefined when it is no command. */
export function decodeEnvelope(body: Uint8Array): Envelope | undefined {
  const reader = shared.open(body)
  reader.u16()
  const envelope = readEnvelopeRest(reader)
  return reader.problem === undefined ? envelope : undefined
}

/** Message `ordinal` of a send, as views of its entry's body: what a gateway delivers. Undefined when the body is no send (or carry) or has no such message. */
export function sendMessageAt(body: Uint8Array, ordinal: number): SendMessage | undefined {
  const reader = shared.open(body)
  const kind = reader.u8()
  reader.skip(envelopeBytes - 1)
  if (kind === CommandKind.send) {
    reader.name(bounds.nameBytesMax)
    reader.u8()
    if (reader.flag()) reader.skip(8)
  } else if (kind !== CommandKind.carry) return undefined
  const placeBytes = kind === CommandKind.carry ? carriedPlaceBytes : 0
  if (ordinal >= reader.u16()) return undefined
  for (let i = 0; i < ordinal; i++) {
    reader.skip(placeBytes + 56)
    reader.skip(reader.u32())
  }
  reader.skip(placeBytes)
  const message = readMessage(reader, true)
  return reader.problem === undefined ? message : undefined
}

function decode(body: Uint8Array, withBytes: boolean): DecodedCommand {
  const reader = shared.open(body)
  const kind = reader.u8()
  if (reader.u8() !== commandFormat) reader.fail('its format is unknown')
  const envelope = readEnvelopeRest(reader)
  const command = readCommand(reader, kind, withBytes)
  const problem = reader.problem
  reader.close()
  if (command === undefined) return { ok: false, problem: `a command is refused: ${problem ?? 'it cannot be read'}` }
  return { ok: true, envelope, command }
}

function readEnvelopeRest(reader: ByteReader): Envelope {
  return {
    node: reader.within(reader.u16(), 1, 65_535, 'its node has no number'),
    incarnation: reader.u32(),
    sequence: reader.within(reader.u64(), 1, Number.MAX_SAFE_INTEGER, 'its sequence is 0'),
    sentAtMs: reader.u64(),
  }
}
