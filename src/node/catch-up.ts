/**
 * Catching up by files: the half that fetches; the one that serves is snapshot-server.ts. They talk over a bulk link of their own that the fetcher opens (raft/driver/bulk.ts).
 *
 *   fetcher   ask ──▶ manifest (or `wait`, while the snapshot is being taken) ──▶ read, read, read … (a window of pieces) ──▶ all here: judged, installed
 *   server        ◀── a piece for each read, with its checksum, no faster than `bytesPerSecond`; `gone` when the snapshot is not there any more
 *
 * The fetcher decides everything: it asks for what it lacks, in order, takes only the bytes that come next, and asks again after a second without news. So
 * a piece that is lost, repeated, late or damaged costs time and nothing else; and whoever leads next is asked for the rest.
 * A disk that has no room for it ends the fetch and nothing else: what came is removed, for after a write that failed nobody knows what is there, and after
 * a while it is begun anew. Any other error of the disk ends the node.
 * While it fetches, the node stays a member like any other. What is installed is decided in the last moment, by the core (`judgeSnapshot`).
 */
import type { BulkApp, BulkLink, EntryId, NodeId, SnapshotVerdict } from '../../raft/index.ts'
import type { FetchReport } from '../broker/reports.ts'
import { crc32c } from '../platform/bytes.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import { decodeManifest, withoutLog } from '../storage/snapshot/manifest.ts'
import type { SnapshotManifest } from '../storage/snapshot/manifest.ts'
import { discardIncoming, incomingName, Staging } from '../storage/snapshot/staging.ts'
import type { WantedPiece } from '../storage/snapshot/staging.ts'
import { diskErrorOf, isNoRoom, NoRoom, StorageError, whatNext } from '../storage/storage-error.ts'
import { decodeBulkFrame, encodeBulkFrame, placeKey, windowPieces, type BulkHeader } from './bulk-frame.ts'
import { RoomPause, roomPauseMs } from './room-pause.ts'
import type { SnapshotSource } from './snapshot-source.ts'
import { SnapshotServer } from './snapshot-server.ts'

export interface CatchUpOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly dataDirectory: string
  readonly source: Pick<SnapshotSource, 'present' | 'read'>
  readonly raft: {
    openBulk(peer: NodeId): BulkLink | undefined
    sendBulk(link: BulkLink, buffers: readonly Uint8Array[]): boolean
    judgeSnapshot(last: EntryId): SnapshotVerdict
    snapshotHeld(last: EntryId): void
  }
  /** Our log goes on behind this entry, and can't give the state there: of such a snapshot the state is what is wanted (state-rescue.ts). */
  readonly wantsState: (index: number) => boolean
  /** Our log has a hole that nobody fills: a snapshot at this entry or behind it takes its place, and no other; undefined while it has none. */
  readonly replacesFrom: () => number | undefined
  /** A snapshot at an earlier entry is not worth its bytes. */
  readonly atLeast: () => number
  /** From whom to fetch when this node offers one. */
  readonly giverFor: (offering: NodeId) => NodeId
  /** What a server sends at most; shared by all that fetch. */
  readonly bytesPerSecond: number
  readonly pieceBytes?: number
  readonly syncBytes?: number
  /** Everything is here and the core says `install`: called in the turn of the judgement. The taker silences the node, calls `complete`, and starts anew. */
  readonly install: (staging: Staging) => void
  readonly note: (sentence: string) => void
  readonly fatal: (error: Error) => void
}

export interface CatchUpSettings {
  /** What is sent to those who fetch, at most. */
  readonly bytesPerSecond: number
  /** A member that lacks more applied entries gets files. */
  readonly lagEntries: number
  readonly pieceBytes: number
  /** Synced after so much. */
  readonly syncBytes: number
}

const MiB = 1024 * 1024
export const defaultCatchUp: CatchUpSettings = {
  bytesPerSecond: 256 * MiB,
  lagEntries: 1_000_000,
  pieceBytes: MiB / 4,
  syncBytes: 64 * MiB,
}

const pieceBytesByDefault = 256 * 1024
const waitMs = 200
const patienceMs = 1_000

interface Fetch {
  readonly from: NodeId
  link: BulkLink | undefined
  staging: Staging | undefined
  /** The last piece that was asked for. */
  asked: WantedPiece | undefined
  outstanding: number
  isWriting: boolean
  /** Asked for, here, and not with the disk yet, by place: pieces may overtake each other. At most a window of them. */
  readonly arrived: Map<string, Uint8Array>
  heardMs: number
  timer: Timer | undefined
}

export class CatchUp implements BulkApp {
  readonly #options: CatchUpOptions
  #fetch: Fetch | undefined
  #isStopped = false
  readonly #room: RoomPause
  readonly #server: SnapshotServer

  constructor(options: CatchUpOptions) {
    this.#options = options
    const { clock, source, bytesPerSecond, raft } = options
    this.#room = new RoomPause(clock)
    const send = (link: BulkLink, buffers: readonly Uint8Array[]): void => void raft.sendBulk(link, buffers)
    this.#server = new SnapshotServer({ clock, source, bytesPerSecond, pieceBytes: this.#pieceBytes, send })
  }

  stop(): void {
    this.#isStopped = true
    this.#server.stop()
    this.#fetch?.timer?.cancel()
    if (this.#fetch !== undefined) letGo(this.#fetch)
    this.#fetch = undefined
  }

  /** What is being fetched, and how much of it is here. */
  get progress(): FetchReport | undefined {
    const { from, staging } = this.#fetch ?? {}
    if (from === undefined || staging === undefined) return undefined
    const { index, files } = staging.manifest
    return { from, index, bytesHere: staging.bytesHere, bytesTotal: files.reduce((sum, file) => sum + file.bytes, 0) }
  }

  snapshotOffered(from: NodeId): void {
    this.fetchFrom(this.#options.giverFor(from))
  }

  /** Without effect while another is being fetched, and comes, and for a while after there was no room for one. */
  fetchFrom(from: NodeId): void {
    const { clock, raft } = this.#options
    if (this.#isStopped || !this.#room.isOver) return
    const present = this.#fetch
    if (present?.from === from || (present !== undefined && clock.nowMs() - present.heardMs < 2 * patienceMs)) return
    if (present !== undefined) this.#end(present, 'another leader offers one')
    const started = {
      from,
      link: undefined,
      staging: undefined,
      asked: undefined,
      outstanding: 0,
      isWriting: false,
      arrived: new Map<string, Uint8Array>(),
    }
    const fetch: Fetch = { ...started, heardMs: clock.nowMs(), timer: undefined }
    this.#fetch = fetch
    fetch.link = raft.openBulk(from)
    this.#watch(fetch)
  }

  bulkOpened(link: BulkLink): void {
    if (this.#fetch?.link === link) this.#ask(link)
  }

  bulkClosed(link: BulkLink): void {
    if (this.#fetch?.link === link) this.#end(this.#fetch, 'the connection closed')
  }

  bulkFrame(link: BulkLink, bytes: Uint8Array): void {
    if (this.#isStopped) return
    const frame = decodeBulkFrame(bytes)
    if (frame === undefined) return link.close('a frame of files that makes no sense')
    const { header, payload } = frame
    if (header.kind === 'ask') return this.#server.onAsk(link, header.atLeast)
    if (header.kind === 'read') return this.#server.onRead(link, header)
    const fetch = this.#fetch
    if (fetch?.link !== link) return
    if (header.kind === 'manifest') return this.#onManifest(fetch, payload)
    if (header.kind === 'gone')
      return this.#end(fetch, header.why === 'rotten' ? 'a part of it has rotted there' : 'it is not there any more')
    if (header.kind !== 'piece') return
    if (fetch.staging === undefined || header.index !== fetch.staging.manifest.index) return
    if (crc32c(payload) !== header.crc || fetch.arrived.size >= windowPieces) return
    // Also what has overtaken its predecessors was heard: a slow server is none that is gone.
    this.#heard(fetch)
    fetch.arrived.set(placeKey(header), payload)
    this.#takeNext(fetch)
  }

  #onManifest(fetch: Fetch, bytes: Uint8Array): void {
    const { note } = this.#options
    if (fetch.staging !== undefined) return
    const manifest = decodeManifest(bytes)
    if (manifest === undefined) return this.#end(fetch, 'its manifest makes no sense')
    const wanted = this.#wantedOf(manifest)
    if (wanted === undefined) return this.#end(fetch, 'it is not needed any more')
    fetch.staging = this.#openStaging(fetch, wanted)
    if (fetch.staging === undefined) return
    const total = wanted.files.reduce((sum, file) => sum + file.bytes, 0)
    note(`fetching a snapshot at entry ${manifest.index} from node ${fetch.from}: ${total} bytes, ${fetch.staging.bytesHere} of them here`)
    this.#heard(fetch)
    if (fetch.staging.isWhole) this.#finish(fetch, fetch.staging)
    else this.#askMore(fetch, fetch.staging)
  }

  /** Whether there is room is asked before the first byte: else all of it would come again and again, to be thrown away. */
  #openStaging(fetch: Fetch, wanted: SnapshotManifest): Staging | undefined {
    const { disk, dataDirectory, syncBytes } = this.#options
    let staging: Staging | undefined
    const failed = diskErrorOf(() => {
      staging = Staging.open(disk, dataDirectory, wanted, syncBytes)
      const { bytesLacking } = staging
      const { freeBytes } = disk.space(dataDirectory)
      if (bytesLacking > freeBytes) throw new NoRoom(`${bytesLacking} bytes are to come, ${freeBytes} are free`, dataDirectory)
    })
    if (failed === undefined) return staging
    this.#failed(fetch, failed)
    return undefined
  }

  #askMore(fetch: Fetch, staging: Staging): void {
    while (fetch.outstanding < windowPieces && fetch.link !== undefined) {
      const want = staging.wanted(fetch.asked, this.#pieceBytes)
      if (want === undefined) return
      fetch.asked = want
      fetch.outstanding++
      this.#send(fetch.link, { kind: 'read', index: staging.manifest.index, ...want })
    }
  }

  #takeNext(fetch: Fetch): void {
    const { staging } = fetch
    if (staging === undefined) return
    if (fetch.isWriting) return
    const pieces: Uint8Array[] = []
    let first: WantedPiece | undefined
    for (let next = staging.wanted(undefined, this.#pieceBytes); next !== undefined; next = staging.wanted(next, this.#pieceBytes)) {
      first ??= next
      const bytes = next.file === first.file ? fetch.arrived.get(placeKey(next)) : undefined
      if (bytes?.length !== next.bytes) break
      fetch.arrived.delete(placeKey(next))
      pieces.push(bytes)
    }
    if (pieces.length === 0) return
    fetch.isWriting = true
    fetch.outstanding -= pieces.length
    this.#heard(fetch)
    const failed = diskErrorOf(() => staging.add(pieces, error => this.#onWritten(fetch, staging, error)))
    if (failed !== undefined) return this.#onWritten(fetch, staging, failed)
    // The network works while the disk does.
    this.#askMore(fetch, staging)
  }

  #onWritten(fetch: Fetch, staging: Staging, error: Error | undefined): void {
    fetch.isWriting = false
    if (this.#fetch !== fetch || error !== undefined) staging.close()
    if (error !== undefined) return this.#failed(fetch, error)
    if (this.#fetch !== fetch) return
    if (staging.isWhole) return this.#finish(fetch, staging)
    this.#askMore(fetch, staging)
    this.#takeNext(fetch)
  }

  /** A node that is full for a snapshot may still vote and serve; one whose disk is broken may not. */
  #failed(fetch: Fetch, error: Error): void {
    if (this.#fetch === fetch) this.#leave(fetch, 'it could not be written')
    if (!isNoRoom(error)) return this.#brokeDown(`writing the snapshot of node ${fetch.from}`, error)
    // Another fetch goes on where this one ended: what is there is its own, and it meets the full disk itself.
    if (this.#isStopped || this.#fetch?.staging !== undefined) return
    const { disk, dataDirectory, note } = this.#options
    // Nothing of the failed write is used again: records of progress go first. What is still being synced is gone by name, and with its file.
    const notRemoved = diskErrorOf(() => discardIncoming(disk, dataDirectory))
    if (notRemoved !== undefined && !isNoRoom(notRemoved)) return this.#brokeDown('removing what came of a snapshot', notRemoved)
    if (this.#room.begin()) {
      const what = notRemoved === undefined ? 'what came of it is removed' : `what came of it can't be removed yet (${notRemoved.message})`
      const next = `make room on this disk: it is tried again every ${roomPauseMs / 1_000} s, and until then this node lags`
      note(`there is no room for the snapshot of node ${fetch.from} (${error.message}); ${what}, ${next}`)
    }
  }

  #brokeDown(what: string, cause: Error): void {
    const path = `${this.#options.dataDirectory}/${incomingName}`
    this.#options.fatal(new StorageError(`${path}: ${what} failed (${cause.message}); ${whatNext(cause)}`, path, cause))
  }

  #finish(fetch: Fetch, staging: Staging): void {
    const { manifest } = staging
    this.#room.end()
    const isWanted = this.#wantedOf(manifest)?.files.length === manifest.files.length
    this.#end(fetch, isWanted ? 'it is whole' : 'it is not needed any more')
    if (isWanted) this.#options.install(staging)
  }

  /** All of it, its state without the log, or nothing. */
  #wantedOf(manifest: SnapshotManifest): SnapshotManifest | undefined {
    const { raft, wantsState, replacesFrom } = this.#options
    const from = replacesFrom()
    if (from !== undefined) return manifest.index >= from ? manifest : undefined
    const last = { index: manifest.index, term: manifest.term } as EntryId
    const verdict = raft.judgeSnapshot(last)
    if (verdict === 'install') return manifest
    if (wantsState(manifest.index)) return withoutLog(manifest)
    if (verdict === 'held') raft.snapshotHeld(last)
    return undefined
  }

  #heard(fetch: Fetch): void {
    fetch.heardMs = this.#options.clock.nowMs()
  }

  /** Nothing came for a while: what was asked for may be lost. For much longer: the link is given up. */
  #watch(fetch: Fetch): void {
    const { clock } = this.#options
    fetch.timer = clock.setTimer(fetch.staging === undefined ? waitMs : patienceMs, () => {
      if (this.#fetch !== fetch) return
      const silentMs = clock.nowMs() - fetch.heardMs
      if (fetch.staging === undefined) {
        if (silentMs > 20 * patienceMs) return this.#end(fetch, 'no manifest came')
        if (fetch.link?.isOpen === true) this.#ask(fetch.link)
      } else if (silentMs >= patienceMs && !fetch.isWriting) {
        if (silentMs > 5 * patienceMs) return this.#end(fetch, 'nothing came any more')
        fetch.asked = undefined
        fetch.outstanding = 0
        fetch.arrived.clear()
        this.#askMore(fetch, fetch.staging)
      }
      this.#watch(fetch)
    })
  }

  /** What is here stays, for the next attempt. */
  #end(fetch: Fetch, why: string): void {
    if (this.#fetch !== fetch) return
    this.#options.note(`fetching the snapshot of node ${fetch.from} ends: ${why}`)
    this.#leave(fetch, why)
  }

  #leave(fetch: Fetch, why: string): void {
    this.#fetch = undefined
    fetch.timer?.cancel()
    letGo(fetch)
    fetch.link?.close(why)
  }

  get #pieceBytes(): number {
    return this.#options.pieceBytes ?? pieceBytesByDefault
  }

  #ask(link: BulkLink): void {
    this.#send(link, { kind: 'ask', atLeast: this.#options.atLeast() })
  }

  #send(link: BulkLink, header: BulkHeader): void {
    this.#options.raft.sendBulk(link, encodeBulkFrame(header))
  }
}

/** A write under way ends first, and then the file is closed (`#onWritten`). */
function letGo({ isWriting, staging }: Fetch): void {
  if (isWriting) staging?.abandon()
  else staging?.close()
}
