/**
 * Listens to what a node says to its peers, at the moment when the words leave it: from then on nothing can take them back, so what they rest on must
 * be on the disk by now. Sees messages of Raft, and the head of an answer that mends a log; records and application frames are skipped unread. Changes nothing.
 */
import { decodeFrame, FrameKind, type PeerFrame } from '../raft/index.ts'
import { byteAt, u16At, u32At } from '../src/platform/bytes.ts'
import type { Connection, Network } from '../src/platform/network.ts'

export type Said = Extract<PeerFrame, { readonly kind: 'message' }>['message']

/** The head of an answer with records for a log that has rotted. */
export type Mending = Extract<PeerFrame, { readonly kind: 'repairRecords' }>['answer']

/** Who hears it. */
export interface Ear {
  said(message: Said): void
  mends(answer: Mending): void
}

/** u32 length of what follows | u8 kind | u8 flags | u16 header length | u32 checksum */
const prefixBytes = 12
const noBytes = new Uint8Array(0)

/** The network, with an ear on every connection's writes. */
export function tapped(network: Network, ear: Ear): Network {
  return {
    listen: (address, accept, ready) => network.listen(address, connection => accept(tap(connection, ear)), ready),
    dial: (address, handlers) => tap(network.dial(address, handlers), ear),
  }
}

function tap(connection: Connection, ear: Ear): Connection {
  return {
    write(buffers) {
      hear(buffers, ear)
      connection.write(buffers)
    },
    get bufferedBytes() {
      return connection.bufferedBytes
    },
    close: () => connection.close(),
  }
}

/** A write is whole frames: of each, prefix and header in one buffer, then the payload's buffers. */
function hear(buffers: readonly Uint8Array[], ear: Ear): void {
  let payloadLeft = 0
  for (const buffer of buffers) {
    if (payloadLeft > 0) {
      payloadLeft -= buffer.length
      continue
    }
    const headerBytes = u16At(buffer, 6)
    payloadLeft = u32At(buffer, 0) - headerBytes
    const kind = byteAt(buffer, 4)
    if (payloadLeft > 0 && kind !== FrameKind.repairRecords) continue
    const frame = decodeFrame(kind, buffer.subarray(prefixBytes, prefixBytes + headerBytes), noBytes)
    if (frame.kind === 'message') ear.said(frame.message)
    if (frame.kind === 'repairRecords') ear.mends(frame.answer)
  }
}
