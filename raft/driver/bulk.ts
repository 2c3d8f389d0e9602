/**
 * Bulk links: connections of their own for whole files, so that a transfer never stands in the way of a heartbeat or an append. Who fetches opens one, over
 * the peer port and with the same greeting; what is said over it is the application's business. At most one each way for a pair: a newer one closes the older.
 * Nothing is resent or redialled here; a link that closes is told once, and the fetcher opens another when it wants to.
 */
import type { NodeId } from '../core/ids.ts'
import { encodeApplication } from '../codec/messages.ts'
import type { Link } from './link.ts'

/** One bulk connection, as its two ends see it. */
export interface BulkLink {
  /** The other end; known from the start on the fetcher's side, from the greeting on the other. */
  readonly peer: NodeId | undefined
  readonly isOpen: boolean
  /** Bytes that have not left. */
  readonly waitingBytes: number
  /** `bulkClosed` follows. */
  close(reason: string): void
}

/** What the application hears of bulk links. Called straight from the network, outside the loop's turns. */
export interface BulkApp {
  /** This leader wants us to fetch a snapshot; repeated while that is so. Called in a turn. */
  snapshotOffered(from: NodeId): void
  /** A link that we opened: it can be sent over. */
  bulkOpened(link: BulkLink): void
  /** The bytes may be kept. */
  bulkFrame(link: BulkLink, bytes: Uint8Array): void
  bulkClosed(link: BulkLink): void
}

export class BulkLinks {
  readonly #links = new Set<Link>()

  add(link: Link): void {
    for (const other of [...this.#links]) {
      if (other.peer === link.peer && other.isDialled === link.isDialled) other.close('a newer connection took its place')
    }
    this.#links.add(link)
  }

  /** Whether it was one of ours. */
  remove(link: Link): boolean {
    return this.#links.delete(link)
  }

  all(): readonly Link[] {
    return [...this.#links]
  }

  /** What is sent waits for nobody; but whether anybody is there is asked, and answered, as on every link. */
  flush(): void {
    for (const link of this.#links) link.flush()
  }

  /** Sends at once. False: not open. */
  send(link: BulkLink, buffers: readonly Uint8Array[]): boolean {
    for (const known of this.#links) {
      if (known !== link || !known.isOpen) continue
      const frame = [encodeApplication(buffers), ...buffers]
      let bytes = 0
      for (const buffer of frame) bytes += buffer.length
      known.send(frame, bytes)
      known.flush()
      return true
    }
    return false
  }
}
