/**
 * Where a snapshot is gathered before it is installed: `incoming/`, which mirrors the data directory, and a record of how far each file is on the disk.
 * A crash loses at most what came since the last sync but one; another leader's manifest keeps every file, or beginning of one, that it has in common.
 * Syncs run beside the writes that follow them. What a record of progress says is there stays there: the record of a new manifest is durable before
 * anything of an older one is removed or written over.
 *
 *   incoming/log/…  incoming/queue-index/…  incoming/state     as far as `progress` says, durable
 *   incoming/progress-0, progress-1                             written in turn, each with a counter: one is always whole
 *   incoming/complete                                           everything is here: the next start installs it (install.ts)
 *
 * Progress, little endian:  0 crc u32 of all behind | 4 counter u64 | 12 manifest length u32 | manifest | synced bytes u64 for each file
 */
import { assert, mustExist } from '../../platform/assert.ts'
import { crc32c, readU64, viewOf, writeU64 } from '../../platform/bytes.ts'
import type { Disk, DiskFile } from '../../platform/disk.ts'
import { diskErrorOf } from '../storage-error.ts'
import { decodeManifest, encodeManifest, relativePath } from './manifest.ts'
import type { SnapshotFile, SnapshotManifest } from './manifest.ts'
import { readWhole, removeTree } from './take-snapshot.ts'

export const incomingName = 'incoming'
export const completeName = 'complete'
const headBytes = 16

/** The next bytes that are wanted. */
export interface WantedPiece {
  readonly file: number
  readonly position: number
  readonly bytes: number
}

export class Staging {
  readonly manifest: SnapshotManifest
  /** Encoded once: it goes into every record of progress. */
  readonly #manifestBytes: Uint8Array
  readonly #disk: Disk
  readonly #directory: string
  readonly #syncBytes: number
  /** By file: durable up to here. */
  readonly #synced: number[]
  #counter: number
  #file = 0
  #position = 0
  #open: DiskFile | undefined
  #isSyncing = false
  #isClosed = false
  /** Run when the sync under way has ended. */
  readonly #waiting: (() => void)[] = []
  /** The first error, final: nothing is synced again. */
  #failure: Error | undefined

  private constructor(disk: Disk, directory: string, syncBytes: number, manifest: SnapshotManifest, synced: number[], counter: number) {
    this.#disk = disk
    this.#directory = directory
    this.#syncBytes = syncBytes
    this.manifest = manifest
    this.#manifestBytes = encodeManifest(manifest)
    this.#synced = synced
    this.#counter = counter
    this.#position = synced[0] ?? 0
    this.#skipWhole()
  }

  /** Goes on with what is there, as far as it belongs to this manifest. */
  static open(disk: Disk, dataDirectory: string, manifest: SnapshotManifest, syncBytes = 64 * 1024 * 1024): Staging {
    const directory = `${dataDirectory}/${incomingName}`
    for (const part of ['log', 'queue-index']) disk.makeDirectory(`${directory}/${part}`)
    const before = readProgress(disk, directory)
    const synced = manifest.files.map(file => {
      const known =
        before?.manifest.files.findIndex(other => other.kind === file.kind && other.name === file.name && other.tag === file.tag) ?? -1
      return known < 0 ? 0 : Math.min(before?.synced[known] ?? 0, file.bytes)
    })
    // An earlier fetch in this process may still be writing its next record: ours is a later one, and stands in the other place.
    const counter = (before?.counter ?? 0) + 2
    for (const part of ['/log', '/queue-index', '']) disk.syncDirectory(`${directory}${part}`)
    const progress = disk.open(`${directory}/${progressName(counter)}`, { create: true })
    progress.writeSync(encodeProgress(encodeManifest(manifest), synced, counter), 0)
    progress.syncSync()
    progress.close()
    disk.syncDirectory(directory)
    const kept = new Set(manifest.files.filter((_, i) => (synced[i] ?? 0) > 0).map(relativePath))
    for (const part of ['log', 'queue-index']) {
      for (const name of disk.list(`${directory}/${part}`)) if (!kept.has(`${part}/${name}`)) disk.remove(`${directory}/${part}/${name}`)
    }
    return new Staging(disk, directory, syncBytes, manifest, synced, counter + 1)
  }

  get isWhole(): boolean {
    return this.#file === this.manifest.files.length
  }

  /** Of all bytes. */
  get bytesHere(): number {
    let bytes = 0
    for (let i = 0; i < this.#file; i++) bytes += this.manifest.files[i]?.bytes ?? 0
    return bytes + this.#position
  }

  /** Still to come. */
  get bytesLacking(): number {
    let bytes = 0
    for (let i = this.#file; i < this.manifest.files.length; i++)
      bytes += (this.manifest.files[i]?.bytes ?? 0) - (i === this.#file ? this.#position : (this.#synced[i] ?? 0))
    return bytes
  }

  /** What is wanted behind a piece that was asked for already, or what comes next; undefined at the end. */
  wanted(after: WantedPiece | undefined, bytesMax: number): WantedPiece | undefined {
    let file = after?.file ?? this.#file
    let position = after === undefined ? this.#position : after.position + after.bytes
    for (; file < this.manifest.files.length; file++) {
      const { bytes } = mustExist(this.manifest.files[file], 'manifest-file', file)
      if (position < bytes) return { file, position, bytes: Math.min(bytesMax, bytes - position) }
      position = this.#synced[file + 1] ?? 0
    }
    return undefined
  }

  /** Takes the next bytes, all of one file. One call outstanding; `done` never runs inside it. */
  add(pieces: readonly Uint8Array[], done: (error: Error | undefined) => void): void {
    const wanted = mustExist(this.manifest.files[this.#file], 'staging-whole', this.#file)
    let end = this.#position
    for (const piece of pieces) end += piece.length
    assert(end <= wanted.bytes, 'piece-beyond-file', end, wanted.bytes)
    this.#open ??= this.#disk.open(this.#pathOf(wanted), { create: true })
    const file = this.#open
    const at = this.#position
    this.#position = end
    const isEnd = this.#position === wanted.bytes
    file.write(at, pieces, error => {
      this.#failure ??= error
      if (isEnd) return this.#whenSynced(() => this.#endFile(file, done))
      // A sync vouches for what was written before it began; the next pieces need not wait for it.
      if (!this.#isSyncing && this.#failure === undefined && end - (this.#synced[this.#file] ?? 0) >= this.#syncBytes)
        this.#sync(file, end, ignore)
      done(this.#failure)
    })
  }

  /** No progress is noted any more: a record that came later would tell of files that may be removed by then. `close` follows, when the write has ended. */
  abandon(): void {
    this.#isClosed = true
  }

  /** What is under way ends; no progress is noted any more. */
  close(): void {
    this.#isClosed = true
    this.#closeFile()
  }

  /** Says durably that everything is here: from now on a start installs it. */
  complete(): void {
    assert(this.isWhole, 'complete-too-early', this.#file)
    for (const part of ['/log', '/queue-index', '']) this.#disk.syncDirectory(`${this.#directory}${part}`)
    const file = this.#disk.open(`${this.#directory}/${completeName}.tmp`, { create: true })
    file.writeSync(this.#manifestBytes, 0)
    file.syncSync()
    file.close()
    this.#disk.rename(`${this.#directory}/${completeName}.tmp`, `${this.#directory}/${completeName}`)
    this.#disk.syncDirectory(this.#directory)
  }

  /** All of the file is written, and no sync is under way. */
  #endFile(file: DiskFile, done: (error: Error | undefined) => void): void {
    if (this.#failure !== undefined) return done(this.#failure)
    this.#sync(file, this.#position, error => {
      if (error !== undefined) return done(error)
      this.#closeFile()
      this.#file++
      this.#position = this.#synced[this.#file] ?? 0
      this.#skipWhole()
      done(undefined)
    })
  }

  #closeFile(): void {
    const file = this.#open
    this.#open = undefined
    if (file !== undefined) this.#whenSynced(() => file.close())
  }

  #whenSynced(then: () => void): void {
    if (this.#isSyncing) this.#waiting.push(then)
    else then()
  }

  /** Syncs the file that is being written, and puts on record that it is durable up to `position`. */
  #sync(file: DiskFile, position: number, done: (error: Error | undefined) => void): void {
    assert(!this.#isSyncing, 'staging-syncing', position)
    this.#isSyncing = true
    const end = (error: Error | undefined): void => {
      this.#isSyncing = false
      this.#failure ??= error
      done(error)
      for (const next of this.#waiting.splice(0)) next()
    }
    file.sync(error => {
      if (error !== undefined || this.#isClosed) return end(error)
      this.#synced[this.#file] = position
      const failed = diskErrorOf(() => this.#noteProgress(end))
      if (failed !== undefined) end(failed)
    })
  }

  #noteProgress(done: (error: Error | undefined) => void): void {
    // The names must be there before the record that counts on them.
    for (const part of ['/log', '/queue-index']) this.#disk.syncDirectory(`${this.#directory}${part}`)
    this.#disk.syncDirectory(this.#directory)
    const progress = this.#disk.open(`${this.#directory}/${progressName(this.#counter)}`, { create: true })
    progress.writeAndSync(0, [encodeProgress(this.#manifestBytes, this.#synced, this.#counter++)], error => {
      progress.close()
      done(error)
    })
  }

  #skipWhole(): void {
    while (this.#file < this.manifest.files.length && this.#position === this.manifest.files[this.#file]?.bytes) {
      this.#file++
      this.#position = this.#synced[this.#file] ?? 0
    }
  }

  #pathOf(file: SnapshotFile): string {
    return `${this.#directory}/${relativePath(file)}`
  }
}

/** Removes what was gathered. */
export function discardIncoming(disk: Disk, dataDirectory: string): void {
  const directory = `${dataDirectory}/${incomingName}`
  for (const name of [completeName, 'progress-0', 'progress-1'])
    if (disk.exists(`${directory}/${name}`)) disk.remove(`${directory}/${name}`)
  if (disk.list(directory).length > 0) disk.syncDirectory(directory)
  for (const part of ['/log', '/queue-index']) removeTree(disk, `${directory}${part}`)
  if (disk.exists(`${directory}/state`)) disk.remove(`${directory}/state`)
}

function progressName(counter: number): string {
  return `progress-${counter % 2}`
}

function ignore(): void {
  // The failure tells the next piece.
}

interface Progress {
  readonly manifest: SnapshotManifest
  readonly synced: readonly number[]
  readonly counter: number
}

function encodeProgress(text: Uint8Array, synced: readonly number[], counter: number): Uint8Array {
  const bytes = new Uint8Array(headBytes + text.length + synced.length * 8)
  const view = viewOf(bytes)
  writeU64(view, 4, counter)
  view.setUint32(12, text.length, true)
  bytes.set(text, headBytes)
  for (const [i, position] of synced.entries()) writeU64(view, headBytes + text.length + i * 8, position)
  view.setUint32(0, crc32c(bytes.subarray(4)), true)
  return bytes
}

function readProgress(disk: Disk, directory: string): Progress | undefined {
  let newest: Progress | undefined
  for (const name of ['progress-0', 'progress-1']) {
    if (!disk.exists(`${directory}/${name}`)) continue
    const found = decodeProgress(readWhole(disk, `${directory}/${name}`))
    if (found !== undefined && found.counter > (newest?.counter ?? -1)) newest = found
  }
  return newest
}

/** A record may stand in front of the end of an older, longer one: its own lengths say where it ends. */
function decodeProgress(bytes: Uint8Array): Progress | undefined {
  if (bytes.length < headBytes) return undefined
  const view = viewOf(bytes)
  const textEnd = headBytes + view.getUint32(12, true)
  if (textEnd > bytes.length) return undefined
  const manifest = decodeManifest(bytes.subarray(headBytes, textEnd))
  const end = textEnd + (manifest?.files.length ?? 0) * 8
  if (manifest === undefined || end > bytes.length || crc32c(bytes.subarray(4, end)) !== view.getUint32(0, true)) return undefined
  const synced = manifest.files.map((_, i) => readU64(view, textEnd + i * 8))
  return { manifest, synced, counter: readU64(view, 4) }
}
