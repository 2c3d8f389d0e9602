/**
 * The snapshot that this node can give: taken when somebody asks and there is none that is fresh, kept for whoever asks next, found again after a restart.
 * Taking one stops nothing: the state is read from the store's own snapshot of the last checkpoint, the log and the sealed index are named in place.
 */
import { UnreadableEntry, type StoredEntry } from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'
import type { Disk, DiskFile } from '../platform/disk.ts'
import type { CheckpointStore } from '../state/store.ts'
import type { CommitLog } from '../storage/commit-log.ts'
import type { QueueIndexFiles } from '../storage/queue-index.ts'
import { encodeBaseMembership, type SnapshotFile } from '../storage/snapshot/manifest.ts'
import { StateCheck } from '../storage/snapshot/state-check.ts'
import { findSnapshot, removeTree, takeSnapshot, type TakenSnapshot } from '../storage/snapshot/take-snapshot.ts'
import { isDiskError, isNoRoom, StorageError, whatNext } from '../storage/storage-error.ts'
import type { Checkpointer, SavedCheckpoint } from './checkpointer.ts'

export interface SnapshotSourceOptions {
  readonly disk: Disk
  readonly dataDirectory: string
  readonly log: Pick<CommitLog, 'firstIndex' | 'entry' | 'filesThrough' | 'baseMembership'>
  readonly index: Pick<QueueIndexFiles, 'files'>
  readonly store: CheckpointStore
  readonly checkpointer: Pick<Checkpointer, 'whenSaved'>
  readonly appliedIndex: () => number
  /** Tells the state files of one process from those of another. */
  readonly origin: string
  /** A snapshot that lacks more applied entries than this is taken anew. */
  readonly staleEntries: number
  readonly note: (sentence: string) => void
  /** Our disk failed. */
  readonly fatal: (error: Error) => void
}

export class SnapshotSource {
  readonly #options: SnapshotSourceOptions
  #taken: TakenSnapshot | undefined
  #isTaking = false
  #isStopped = false
  #open: { readonly path: string; readonly file: DiskFile; readonly check: StateCheck | undefined } | undefined

  constructor(options: SnapshotSourceOptions) {
    this.#options = options
    this.#taken = findSnapshot(options.disk, this.#directory)
  }

  /** A fresh one; undefined while it is being taken: ask again. */
  present(): TakenSnapshot | undefined {
    if (this.#taken !== undefined && this.#isFresh(this.#taken)) return this.#taken
    if (!this.#isTaking && !this.#isStopped) {
      this.#isTaking = true
      this.#options.checkpointer.whenSaved(saved => this.#take(saved))
    }
    return undefined
  }

  /** Bytes of a file of the snapshot at `index`; undefined when it is not there any more. */
  read(index: number, number: number, position: number, bytesMax: number): Uint8Array | undefined {
    const file = this.#taken?.manifest.index === index ? this.#taken.manifest.files[number] : undefined
    if (file === undefined || this.#isStopped || position >= file.bytes) return undefined
    const path = this.#pathOf(file)
    const bytes = new Uint8Array(Math.min(bytesMax, file.bytes - position))
    const opened = this.#use(path, file)
    if (opened === undefined) return undefined
    if (opened.check?.isWhole(position, position + bytes.length) === false) {
      this.#throwAway()
      return undefined
    }
    return opened.file.readSync(bytes, position) === bytes.length ? bytes : undefined
  }

  stop(): void {
    this.#isStopped = true
    this.#open?.file.close()
    this.#open = undefined
  }

  get #directory(): string {
    return `${this.#options.dataDirectory}/snapshots`
  }

  /** Its log is still there, and it is not too old. */
  #isFresh({ manifest }: TakenSnapshot): boolean {
    const { log, appliedIndex, staleEntries } = this.#options
    return manifest.index >= log.firstIndex && appliedIndex() - manifest.index <= staleEntries && this.#isThere(manifest)
  }

  #isThere(manifest: TakenSnapshot['manifest']): boolean {
    return manifest.files.every(file => file.kind === 'state' || this.#options.disk.exists(this.#pathOf(file)))
  }

  #pathOf(file: TakenSnapshot['manifest']['files'][number]): string {
    const { dataDirectory } = this.#options
    if (file.kind === 'log') return `${dataDirectory}/log/${file.name}`
    const isCopied = file.kind === 'state' || file.name.endsWith('.open')
    return isCopied ? `${this.#taken?.directory ?? this.#directory}/${file.name}` : `${dataDirectory}/queue-index/${file.name}`
  }

  #use(path: string, { kind, bytes }: SnapshotFile): { readonly file: DiskFile; readonly check: StateCheck | undefined } | undefined {
    if (this.#open?.path === path) return this.#open
    this.#open?.file.close()
    this.#open = undefined
    if (!this.#options.disk.exists(path)) return undefined
    const file = this.#options.disk.open(path, { create: false })
    this.#open = { path, file, check: kind === 'state' ? new StateCheck(file, bytes) : undefined }
    return this.#open
  }

  /** Its state has rotted on our disk: whoever fetches it is told that it is gone, and the next who asks has another one taken. */
  #throwAway(): void {
    const { disk, note } = this.#options
    const { manifest, directory } = mustExist(this.#taken, 'rotten-snapshot')
    note(`the snapshot at entry ${manifest.index} has rotted on this disk; thrown away, another one is taken when it is needed`)
    this.#open?.file.close()
    this.#open = undefined
    this.#taken = undefined
    removeTree(disk, directory)
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
      const file = disk.open(path, { create: false })
      const sidecarBytes = file.sizeBytes()
      file.close()
      return [segment, { kind: 'log', name: sidecar, bytes: sidecarBytes, tag: `${prevCrc}-${sidecarBytes}` }]
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
    if (this.#isStopped || appliedIndex < log.firstIndex) {
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
    takeSnapshot(disk, this.#directory, { manifest, rows: store.rows(), copies }, (error, taken) => {
      this.#isTaking = false
      if (taken !== undefined) this.#taken = taken
      if (error !== undefined) return this.#notTaken(appliedIndex, error)
      this.#options.note(`a snapshot at entry ${appliedIndex} is there`)
    })
  }

  /** For want of room, or of a file that was sealed meanwhile, others wait; an error of our own disk will not stay the only one. */
  #notTaken(appliedIndex: number, error: Error): void {
    const { note, fatal } = this.#options
    const sentence = `the snapshot at entry ${appliedIndex} could not be taken: ${error.message}`
    if (isNoRoom(error) || !isDiskError(error)) note(sentence)
    else fatal(new StorageError(`${sentence}; ${whatNext(error)}`, this.#directory, error))
  }
}
