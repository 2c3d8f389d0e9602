/** One proposal from acceptance to fate, as the proposer keeps it. */
import { crc32cOf } from '../platform/bytes.ts'
import type { Command, Envelope } from '../state/command.ts'
import type { Deadline } from './deadlines.ts'
import type { OutcomeListener } from './outcome.ts'
import type { Body } from './peer-frame.ts'

/** What the proposer needs of the command codec. */
export interface ProposalCodec {
  encode(envelope: Envelope, command: Command): { readonly parts: readonly Uint8Array[]; readonly bytes: number }
  /** Writes another envelope over the one in an encoded command's first part. */
  stamp(firstPart: Uint8Array, envelope: Envelope): void
}

export interface Pending {
  readonly sequence: number
  readonly bytes: number
  readonly listener: OutcomeListener
  /** undefined = not to be sent (again): patience is over. */
  parts: readonly Uint8Array[] | undefined
  /** Checksum of the parts; undefined = not stamped yet. Once it stands, the bytes never change (rule 6). */
  crc: number | undefined
  /** A leader's own word, which nobody may hear from it once it leads no more. */
  readonly onlyInTerm: number | undefined
  /** A leader may hold it, or may have held it. */
  wasSent: boolean
  /** The run in which it was first sent, while that is known to be the only way into a log; 0 = not sent. */
  firstRun: number
  deadline: Deadline | undefined
}

/** Its bytes as they go into the log; stamped with the cluster time of the first forwarding (rule 7). */
export function bodyOf(pending: Pending, codec: ProposalCodec, envelope: () => Envelope): Body | undefined {
  const { parts, bytes } = pending
  if (parts === undefined) return undefined
  const first = parts[0]
  if (pending.crc === undefined && first !== undefined) {
    codec.stamp(first, envelope())
    pending.crc = crc32cOf(parts)
  }
  return { parts, bytes, crc: pending.crc ?? 0 }
}

/** Never sent, and never will be: it has no fate to learn. */
export function isVoid(pending: Pending): boolean {
  return pending.parts === undefined && !pending.wasSent
}
