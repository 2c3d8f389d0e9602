/**
 * The half of a catch-up that serves: a manifest for who asks, and a piece of a file, with its checksum, for each read, all fetchers together no faster than
 * `bytesPerSecond`. What waits is bounded; who asks twice for a piece that waits gets it once; what the rate allows is spent when a piece is sent.
 */
import type { BulkLink } from '../../raft/index.ts'
import { crc32c } from '../platform/bytes.ts'
import type { Clock } from '../platform/clock.ts'
import { encodeManifest } from '../storage/snapshot/manifest.ts'
import { encodeBulkFrame, placeKey, windowPieces, type BulkHeader, type ReadHeader } from './bulk-frame.ts'
import type { SnapshotSource } from './snapshot-source.ts'

export interface SnapshotServerOptions {
  readonly clock: Clock
  readonly source: Pick<SnapshotSource, 'present' | 'read'>
  readonly bytesPerSecond: number
  readonly pieceBytes: number
  readonly send: (link: BulkLink, buffers: readonly Uint8Array[]) => void
}

/** Of all who fetch here: a member and its latest connection, for the largest group. */
export const readsMax = 8 * windowPieces

export class SnapshotServer {
  readonly #options: SnapshotServerOptions
  #isStopped = false
  /** The moment from which on it may send again. */
  #sendFromMs = 0
  /** What was asked for and waits for that moment. */
  readonly #reads: { readonly link: BulkLink; readonly want: ReadHeader }[] = []
  #isServing = false

  constructor(options: SnapshotServerOptions) {
    this.#options = options
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Somebody wants a snapshot, at this entry or a later one. */
  onAsk(link: BulkLink, atLeast = 0): void {
    const taken = this.#options.source.present(atLeast)
    if (taken === undefined) this.#send(link, { kind: 'wait' })
    else this.#send(link, { kind: 'manifest' }, encodeManifest(taken.manifest))
  }

  /** Somebody wants a piece of one. */
  onRead(link: BulkLink, want: ReadHeader): void {
    // Asked again by somebody who has lost patience: it will come.
    if (
      this.#reads.some(waiting => waiting.link === link && placeKey(waiting.want) === placeKey(want) && waiting.want.index === want.index)
    )
      return
    if (this.#reads.length >= readsMax) return
    this.#reads.push({ link, want })
    this.#serve()
  }

  #serve(): void {
    if (this.#isServing || this.#isStopped) return
    const { clock, bytesPerSecond } = this.#options
    for (let next = this.#reads[0]; next !== undefined; next = this.#reads[0]) {
      const { link, want } = next
      const nowMs = clock.nowMs()
      if (link.isOpen && this.#sendFromMs - nowMs >= 1) {
        this.#isServing = true
        clock.setTimer(this.#sendFromMs - nowMs, () => {
          this.#isServing = false
          this.#serve()
        })
        return
      }
      this.#reads.shift()
      if (!link.isOpen) continue
      const bytesMax = Math.min(want.bytes, this.#options.pieceBytes)
      this.#sendFromMs = Math.max(nowMs, this.#sendFromMs) + (bytesMax * 1000) / bytesPerSecond
      const bytes = this.#options.source.read(want.index, want.file, want.position, bytesMax)
      if (bytes === 'gone' || bytes === 'rotten') this.#send(link, { kind: 'gone', why: bytes })
      else this.#send(link, { kind: 'piece', index: want.index, file: want.file, position: want.position, crc: crc32c(bytes) }, bytes)
    }
  }

  #send(link: BulkLink, header: BulkHeader, payload?: Uint8Array): void {
    this.#options.send(link, encodeBulkFrame(header, payload))
  }
}
