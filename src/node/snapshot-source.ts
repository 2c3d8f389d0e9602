/**
 * The snapshot that this node can give: taken when somebody asks and there is none that is fresh, kept for whoever asks next, found again after a restart.
 * Taking one stops nothing: the state is read from the store's own snapshot of the last checkpoint, the log and the sealed index are named in place.
 * Nothing is given that has rotted: every piece is checked as it is read. What was copied for the snapshot goes with it, and another one is taken; what
 * is named in place is mended where it stands, and given then.
 */
import { UnreadableEntry, type StoredEntry } from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { CheckpointStore } from '../state/store.ts'
import type { CommitLog } from '../storage/commit-log.ts'
import { BlockReader, type RotFound } from '../storage/block-reader.ts'
import { openChunkFormat } from '../storage/open-chunk.ts'
import { sealedTag, type QueueIndexFiles } from '../storage/queue-index.ts'
import { readSealedHead } from '../storage/sealed-chunk.ts'
import { SegmentFiles } from '../storage/segment-files.ts'
import { decodeSidecar } from '../storage/sidecar.ts'
import { FileCheck, type BlockFormat } from '../storage/snapshot/file-check.ts'
import { sealedFormat, segmentFormat } from '../storage/snapshot/given-formats.ts'
import { encodeBaseMembership, type SnapshotFile } from '../storage/snapshot/manifest.ts'
import { stateFileFormat } from '../storage/snapshot/state-file.ts'
import {
  findSnapshot,
  readWhole,
  removeOlder,
  removeTree,
  snapshotsName,
  takeSnapshot,
  type TakenSnapshot,
} from '../storage/snapshot/take-snapshot.ts'
import { IndexRot, isDiskError, isNoRoom, StorageError, whatNext } from '../storage/storage-error.ts'
import type { Checkpointer, SavedCheckpoint } from './checkpointer.ts'
import { RoomPause, roomPauseMs } from './room-pause.ts'

export interface SnapshotSourceOptions {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly disk: Disk
  readonly dataDirectory: string
  readonly log: Pick<CommitLog, 'firstIndex' | 'lastId' | 'entry' | 'filesThrough' | 'baseMembership' | 'segments' | 'termRuns' | 'sealOf'>
  readonly directoryId: Uint8Array
  /** A piece of the log has rotted. */
  readonly rotFound: RotFound
  readonly index: Pick<QueueIndexFiles, 'files' | 'scrubBlock' | 'renew'>
  readonly store: CheckpointStore
  readonly checkpointer: Pick<Checkpointer, 'whenSaved'>
  readonly appliedIndex: () => number
  /** False while our state is being rebuilt because it had parted from the others': it has still to pass the place where that was found. */
  readonly isStateTrusted: () => boolean
  /** Tells the state files of one process from those of another. */
  readonly origin: string
  /** A snapshot that lacks more applied entries than this is taken anew. */
  readonly staleEntries: number
  /** Free room that no snapshot is taken of: our own log and checkpoints live on it. */
  readonly roomKeptBytes?: number | undefined
  readonly note: (sentence: string) => void
  /** Our disk failed. */
  readonly fatal: (error: Error) => void
}

/** Why bytes that were asked for don't come. */
export type NotGiven =
  /** They belong to no snapshot that is here any more. */
  | 'gone'
  /** They have rotted on this disk: what is mended is given later. */
  | 'rotten'

const notThere = 'names files that are not there any more'

interface OpenFile {
  readonly path: string
  readonly file: DiskFile
  /** Undefined for a sidecar: whoever reads it throws a damaged one away, and reads the segment. */
  readonly check: FileCheck | undefined
}

export class SnapshotSource {
  readonly #options: SnapshotSourceOptions
  #taken: TakenSnapshot | undefined
  #isTaking = false
  readonly #room: RoomPause
  #isStopped = false
  #open: OpenFile | undefined
  readonly #segmentFiles: SegmentFiles
  readonly #blocks: BlockReader

  constructor(options: SnapshotSourceOptions) {
    this.#options = options
    this.#room = new RoomPause(options.clock)
    this.#segmentFiles = new SegmentFiles(options.disk, `${options.dataDirectory}/log`, 2)
    this.#blocks = new BlockReader(this.#segmentFiles, 1, options.rotFound, options.log)
    this.#taken = findSnapshot(options.disk, this.#directory)
  }

  /** A fresh one, at this entry or a later one; undefined while it is being taken, or our state has not come so far: ask again. */
  present(atLeast = 0): TakenSnapshot | undefined {
    if (!this.#options.isStateTrusted()) return undefined
    if (this.#taken !== undefined && this.#taken.manifest.index >= atLeast && this.#isFresh(this.#taken)) return this.#taken
    if (!this.#isTaking && !this.#isStopped && this.#room.isOver && this.#options.appliedIndex() >= atLeast) {
      this.#isTaking = true
      this.#options.checkpointer.whenSaved(saved => this.#take(saved))
    }
    return undefined
  }

  /** Bytes of a file of the snapshot at `index`, or why they don't come. */
  read(index: number, number: number, position: number, bytesMax: number): Uint8Array | NotGiven {
    const file = this.#taken?.manifest.index === index ? this.#taken.manifest.files[number] : undefined
    if (file === undefined || this.#isStopped || position >= file.bytes) return 'gone'
    const bytes = new Uint8Array(Math.min(bytesMax, file.bytes - position))
    const opened = this.#use(file)
    if (opened === 'gone' || opened === 'rotten') return opened
    if (opened.check?.isWhole(position, position + bytes.length) === false) {
      return isCopied(file) ? this.#throwAway('has rotted on this disk') : 'rotten'
    }
    return opened.file.readSync(bytes, position) === bytes.length ? bytes : this.#throwAway(notThere)
  }

  stop(): void {
    this.#isStopped = true
    this.#close()
  }

  get #directory(): string {
    return `${this.#options.dataDirectory}/${snapshotsName}`
  }

  /** Its log is still there, and it is not too old. Nor ahead of us: then it was made of a state that was given up here, and we can't speak for it. */
  #isFresh({ manifest }: TakenSnapshot): boolean {
    const { log, appliedIndex, staleEntries } = this.#options
    const missing = appliedIndex() - manifest.index
    return manifest.index >= log.firstIndex && missing >= 0 && missing <= staleEntries && this.#isThere(manifest)
  }

  #isThere(manifest: TakenSnapshot['manifest']): boolean {
    return manifest.files.every(file => this.#options.disk.exists(this.#pathOf(file)))
  }

  #pathOf(file: TakenSnapshot['manifest']['files'][number]): string {
    const { dataDirectory } = this.#options
    if (file.kind === 'log') return `${dataDirectory}/log/${file.name}`
    return isCopied(file) ? `${this.#taken?.directory ?? this.#directory}/${file.name}` : `${dataDirectory}/queue-index/${file.name}`
  }

  #use(file: SnapshotFile): OpenFile | NotGiven {
    const path = this.#pathOf(file)
    if (this.#open?.path === path) return this.#open
    this.#close()
    const { disk } = this.#options
    if (!disk.exists(path)) return this.#throwAway(notThere)
    const format = file.name.endsWith('.idx') ? undefined : this.#formatOf(file, path)
    if (format === 'gone' || format === 'rotten') return format
    const opened = disk.open(path, { create: false })
    this.#open = { path, file: opened, check: format && new FileCheck(opened, file.bytes, format) }
    return this.#open
  }

  #formatOf(file: SnapshotFile, path: string): BlockFormat | NotGiven {
    const { disk, log, index, directoryId, note } = this.#options
    if (file.kind === 'state') return stateFileFormat
    if (file.kind === 'log') {
      const segment = log.segments.find(({ name }) => name === file.name)
      const throughIndex = mustExist(this.#taken, 'snapshot-read').manifest.index
      if (segment === undefined || segment.endPosition < file.bytes) return this.#throwAway(notThere)
      return segmentFormat({ segment, throughIndex, files: this.#segmentFiles, blocks: this.#blocks, directoryId, note })
    }
    if (isCopied(file)) return openChunkFormat
    try {
      const chunk = readSealedHead(disk, path)
      // Made anew since, with other bounds.
      if (sealedTag(chunk) !== file.tag) return this.#throwAway(notThere)
      return sealedFormat(chunk, index)
    } catch (error) {
      if (!(error instanceof IndexRot)) throw error
      // Told in its own way.
      index.scrubBlock({ chunk: Number(file.name.slice(0, 12)), block: 0 })
      return 'rotten'
    }
  }

  #close(): void {
    this.#open?.file.close()
    this.#open = undefined
    this.#segmentFiles.closeAll()
  }

  /** Whoever fetches it is told that it is gone, and the next who asks has another one taken. */
  #throwAway(why: string): 'gone' {
    const { disk, note } = this.#options
    const { manifest, directory } = mustExist(this.#taken, 'rotten-snapshot')
    note(`the snapshot at entry ${manifest.index} ${why}; thrown away, another one is taken when it is needed`)
    this.#close()
    this.#taken = undefined
    removeTree(disk, directory)
    return 'gone'
  }

  /** Segments, and what spares the receiver from reading the sealed ones at every start. */
  #logFiles(throughIndex: number): SnapshotFile[] {
    const { disk, dataDirectory, log } = this.#options
    const segments = log.filesThrough(throughIndex)
    return segments.flatMap(({ name, bytes, prevCrc }, i): SnapshotFile[] => {
      const segment: SnapshotFile = { kind: 'log', name, bytes, tag: `${prevCrc}` }
      const sidecar = name.replace(/\.log$/, '.idx')
      const path = `${dataDirectory}/log/${sidecar}`
      if (i === segments.length - 1 || !disk.exists(path)) return [segment]
      const content = readWhole(disk, path)
      if (decodeSidecar(content) === undefined) return [segment]
      return [segment, { kind: 'log', name: sidecar, bytes: content.length, tag: `${prevCrc}-${content.length}` }]
    })
  }

  /** In the moment of a saved checkpoint: what belongs to it is fixed here, before anything goes on. */
  #take(saved: SavedCheckpoint): void {
    try {
      this.#begin(saved)
    } catch (error) {
      this.#isTaking = false
      if (error instanceof UnreadableEntry) return this.#options.note(error.message)
      if (!(error instanceof Error) || !('code' in error)) throw error
      this.#notTaken(saved.appliedIndex, error)
    }
  }

  #begin({ appliedIndex, digest }: SavedCheckpoint): void {
    const { disk, dataDirectory, log, index, store, origin } = this.#options
    // A log whose end is being mended does not reach to the state yet: whoever asks, asks again.
    if (this.#isStopped || appliedIndex < log.firstIndex || appliedIndex > log.lastId.index) {
      this.#isTaking = false
      return
    }
    const entry: StoredEntry = log.entry(appliedIndex as StoredEntry['index'])
    const indexFiles = index.files()
    const own = `${origin}-${appliedIndex}`
    const files = [
      { kind: 'state' as const, name: 'state', bytes: 0, tag: own },
      ...indexFiles.map(({ name, bytes, tag, isSealed }) => ({ kind: 'index' as const, name, bytes, tag: isSealed ? tag : own })),
      ...this.#logFiles(appliedIndex),
    ]
    const copies = indexFiles
      .filter(file => !file.isSealed)
      .map(({ name, bytes }) => ({ path: `${dataDirectory}/queue-index/${name}`, name, bytes }))
    const place = { format: 1 as const, term: entry.term, index: appliedIndex, lastWallMs: entry.wallMs, digest }
    const manifest = { ...place, membership: encodeBaseMembership(log.baseMembership), files }
    const parts = { manifest, rows: store.rows(), copies, roomKeptBytes: this.#options.roomKeptBytes }
    takeSnapshot(disk, this.#directory, parts, (error, taken) => {
      if (taken !== undefined) return this.#exchange(taken)
      this.#isTaking = false
      if (error instanceof IndexRot) {
        index.renew(appliedIndex)
        return this.#options.note(`the snapshot at entry ${appliedIndex} could not be taken: ${error.message}; written anew from memory`)
      }
      if (error !== undefined) this.#notTaken(appliedIndex, error)
    })
  }

  /** It is given from now on. No other is taken while the earlier ones go. */
  #exchange(taken: TakenSnapshot): void {
    const { disk, note, fatal } = this.#options
    const { index } = taken.manifest
    this.#close()
    this.#taken = taken
    this.#room.end()
    note(`a snapshot at entry ${index} is there`)
    removeOlder(disk, this.#directory, index, error => {
      this.#isTaking = false
      if (error === undefined) return
      const sentence = `an earlier snapshot could not be removed: ${error.message}`
      // Some file systems need room to give room. The next snapshot finds it.
      if (isNoRoom(error)) note(`${sentence}; it goes with the next one`)
      else fatal(new StorageError(`${sentence}; ${whatNext(error)}`, this.#directory, error))
    })
  }

  /** For want of room, or of a file that was sealed meanwhile, others wait; an error of our own disk will not stay the only one. */
  #notTaken(appliedIndex: number, error: Error): void {
    const { note, fatal } = this.#options
    const sentence = `the snapshot at entry ${appliedIndex} could not be taken: ${error.message}`
    if (isNoRoom(error)) {
      if (this.#room.begin())
        note(`${sentence}; what there was of it is removed, make room on this disk: it is tried again every ${roomPauseMs / 1_000} s`)
    } else if (!isDiskError(error)) note(sentence)
    else fatal(new StorageError(`${sentence}; ${whatNext(error)}`, this.#directory, error))
  }
}

/** It stands beside the snapshot's state, as it was when the snapshot was taken. */
function isCopied({ kind, name }: SnapshotFile): boolean {
  return kind === 'state' || name.endsWith('.open')
}
