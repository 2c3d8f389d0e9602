/** What the transport keeps of each peer: two places for connections, one for each channel that is always there. */
import type { Timer } from '../../src/platform/clock.ts'
import type { NetworkAddress } from '../../src/platform/network.ts'
import type { Channel } from '../codec/messages.ts'
import type { NodeId } from '../core/ids.ts'
import type { Link } from './link.ts'

/** Bulk links come and go (bulk.ts). */
export type SlotChannel = Exclude<Channel, 'bulk'>

export interface Slot {
  readonly channel: SlotChannel
  readonly isOurs: boolean
  link: Link | undefined
  attempts: number
  redial: Timer | undefined
  /** Our last dial since the link closed found nobody listening. */
  wasRefused: boolean
}

export interface Peer {
  readonly id: NodeId
  address: NetworkAddress
  /** No member by what we know: here as long as it keeps a link open. */
  isGuest: boolean
  readonly control: Slot
  readonly data: Slot
  incarnation: number | undefined
  /** The data directory that the membership knows it by; undefined = it has not been written down yet. */
  boundDirectory: string | undefined
  /** The one that its last hello told; empty = it did not say. */
  directory: string
  /** Place of the newest committed membership that its process knew then. */
  membershipIndex: number
  /** A stranger's directory that was told of: once is enough. */
  strangeTold: string | undefined
  /** What its process supports, by its last hello; 0 = not heard. */
  featureLevel: number
  /** `peerUp` was told last, not `peerDown`. */
  isUpTold: boolean
  isDeathTold: boolean
  lastProblem: string | undefined
}

/** A link to its process is open. */
export function isAlive({ control, data }: Peer): boolean {
  return control.link?.isOpen === true || data.link?.isOpen === true
}

export function newSlot(channel: SlotChannel, isOurs: boolean): Slot {
  return { channel, isOurs, link: undefined, attempts: 0, redial: undefined, wasRefused: false }
}

/** What an operator wants to know of the links to one peer. */
export interface PeerLinks {
  readonly peer: NodeId
  readonly control: 'open' | 'closed'
  readonly data: 'open' | 'closed'
  readonly incarnation: number | undefined
  readonly waitingBytes: number
  /** Why the last link closed or was refused. */
  readonly lastProblem: string | undefined
}
