/**
 * Installing a snapshot, at a start, before anything of the data directory is read. As long as `incoming/complete` is there the start does all of this
 * again, so a crash between any two steps changes nothing:
 *
 *   the rows are read and checked, each block and all of them by the digest that the giver's state had, heads of segments and the queue index too → its queue index is renamed
 *   → its segments get our directory id in their header, and their name in `log/` → directories synced
 *   → durable mark lowered to nothing, term raised to the log's → segments, index and base that are not the snapshot's removed, base written → directories synced
 *   → rows saved as a new generation of the state store → `complete` removed
 *
 * Whether it may be installed was decided when `complete` was written: its index was above our commit and its last entry not in our log, and nothing has
 * been acknowledged since. A vote in the log's term, and the reasons for reserve, are kept. One without a log is for a node that has lost its state alone:
 * its last entry is in our log, which stays as it is, with all that is known of it.
 */
import type { Clock } from '../../platform/clock.ts'
import type { Disk } from '../../platform/disk.ts'
import type { CheckpointRead, CheckpointWrite } from '../checkpoint-codec.ts'
import { readDataDirectory } from '../data-directory.ts'
import type { DataIdentity } from '../data-directory.ts'
import { directoryIdInHardState, HardStateFile, readHardState } from '../hard-state.ts'
import type { HardStateFileOptions } from '../hard-state.ts'
import { recoverQueueIndex } from '../queue-index-recovery.ts'
import { baseName, encodeBase, writeBaseSync } from '../log-base.ts'
import { decodeSegmentHeader, encodeSegmentHeader, segmentHeaderBytes } from '../segment.ts'
import type { SegmentHeader } from '../segment.ts'
import { forgetParted } from '../parted.ts'
import { StorageError } from '../storage-error.ts'
import { decodeBaseMembership, decodeManifest, relativePath } from './manifest.ts'
import type { SnapshotFile, SnapshotManifest } from './manifest.ts'
import { completeName, discardIncoming, incomingName } from './staging.ts'
import { readRows } from './state-file.ts'
import { readWhole } from './take-snapshot.ts'

export interface InstallOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly dataDirectory: string
  readonly identity: DataIdentity
  /** Why the rows are not the state that their digest says; undefined when they are. Asked before anything of ours is given up. */
  readonly problemOf: (checkpoint: CheckpointRead) => string | undefined
  readonly store: { save(batch: CheckpointWrite, done: (error: Error | undefined) => void): void }
}

export interface Installed {
  /** undefined: it was damaged, or not what it said, and has been thrown away. */
  readonly checkpoint: CheckpointRead | undefined
  readonly note: string
}

/** `done` runs at once with nothing when there is nothing to install. */
export function installSnapshot(options: InstallOptions, done: (error: Error | undefined, installed: Installed | undefined) => void): void {
  const { disk, dataDirectory, store } = options
  if (!disk.exists(completePath(dataDirectory))) return done(undefined, undefined)
  const manifest = findComplete(disk, dataDirectory)
  const isBegun = manifest?.files.some(file => file.bytes > 0 && !disk.exists(incomingPath(dataDirectory, file))) === true
  const isUsable = manifest !== undefined && (isBegun || areFilesUsable(disk, dataDirectory, manifest))
  const read = isUsable ? readCheckpoint(disk, dataDirectory, manifest) : undefined
  const problem = read && options.problemOf(read)
  const checkpoint = problem === undefined ? read : undefined
  if (manifest === undefined || checkpoint === undefined) {
    // Our own log has made room for this one: it stays, and the state is made from it, or fetched once more.
    if (manifest !== undefined && isBegun) putInPlace(options, manifest)
    discardIncoming(disk, dataDirectory)
    const why = problem === undefined ? 'is damaged' : `was damaged where it was taken (${problem})`
    const note = `${dataDirectory}/${incomingName}: the snapshot there ${why}; it is thrown away, another one is fetched if it is needed`
    return done(undefined, { checkpoint: undefined, note })
  }
  putInPlace(options, manifest)
  store.save({ ...checkpoint, puts: checkpoint.rows, deletes: [] }, error => {
    if (error !== undefined) return done(error, undefined)
    forgetParted(disk, dataDirectory)
    discardIncoming(disk, dataDirectory)
    const what = manifest.files.some(isSegment) ? 'a snapshot' : 'the state of another node'
    done(undefined, { checkpoint, note: `${what} at entry ${manifest.index} has been installed; the log goes on behind it` })
  })
}

/** The snapshot that waits to be installed. */
export function findComplete(disk: Disk, dataDirectory: string): SnapshotManifest | undefined {
  const path = completePath(dataDirectory)
  return disk.exists(path) ? decodeManifest(readWhole(disk, path)) : undefined
}

function completePath(dataDirectory: string): string {
  return `${dataDirectory}/${incomingName}/${completeName}`
}

/** What has rotted here since it was fetched is found before anything is given up for it: heads of segments, and the queue index. */
function areFilesUsable(disk: Disk, dataDirectory: string, { files, index }: SnapshotManifest): boolean {
  const segments = files.filter(isSegment)
  if (!segments.every(file => readSegmentHeader(disk, incomingPath(dataDirectory, file)).kind === 'ok')) return false
  const hasNoIndex = !files.some(({ kind }) => kind === 'index')
  return hasNoIndex || recoverQueueIndex(disk, `${dataDirectory}/${incomingName}/queue-index`, index).kind === 'usable'
}

function incomingPath(dataDirectory: string, file: SnapshotFile): string {
  return `${dataDirectory}/${incomingName}/${relativePath(file)}`
}

function readSegmentHeader(disk: Disk, path: string): SegmentHeader {
  const file = disk.open(path, { create: false })
  const header = new Uint8Array(segmentHeaderBytes)
  const count = file.readSync(header, 0)
  file.close()
  return decodeSegmentHeader(header.subarray(0, count))
}

function readCheckpoint(disk: Disk, dataDirectory: string, manifest: SnapshotManifest): CheckpointRead | undefined {
  const path = `${dataDirectory}/${incomingName}/state`
  const bytes = manifest.files.find(file => file.kind === 'state')?.bytes ?? 0
  const file = disk.open(path, { create: true })
  const rows = readRows(file, bytes)
  file.close()
  return rows === undefined ? undefined : { number: 1, appliedIndex: manifest.index, digest: manifest.digest, rows }
}

function putInPlace({ disk, clock, dataDirectory, identity }: InstallOptions, manifest: SnapshotManifest): void {
  const directoryId = readDataDirectory(disk, dataDirectory, identity, () => directoryIdInHardState(disk, dataDirectory))?.directoryId
  const found = directoryId === undefined ? undefined : readHardState(disk, dataDirectory, directoryId)
  if (directoryId === undefined || found?.kind !== 'found') {
    throw new StorageError(
      `${dataDirectory}: a snapshot waits to be installed, but the directory's identity or hard state is gone`,
      dataDirectory,
    )
  }
  // Without a log ours goes on, and so does all that the hard state says of it.
  const hasLog = manifest.files.some(isSegment)
  const parts = hasLog ? ['log', 'queue-index'] : ['queue-index']
  for (const part of parts) disk.makeDirectory(`${dataDirectory}/${part}`)
  for (const file of manifest.files) {
    const source = incomingPath(dataDirectory, file)
    if (file.kind === 'state' || !disk.exists(source)) continue
    if (isSegment(file)) adopt(disk, source, file.bytes, directoryId)
    disk.rename(source, `${dataDirectory}/${relativePath(file)}`)
  }
  // From here on it is seen that there is no way back (`isBegun`): only now may go what nobody could give again.
  for (const part of parts) for (const place of [dataDirectory, `${dataDirectory}/${incomingName}`]) disk.syncDirectory(`${place}/${part}`)
  if (hasLog) takeOver({ disk, clock, dataDirectory, directoryId, record: found.record }, manifest.term)
  const wanted = new Set(manifest.files.map(relativePath))
  for (const part of parts) {
    for (const name of disk.list(`${dataDirectory}/${part}`))
      if (!wanted.has(`${part}/${name}`)) disk.remove(`${dataDirectory}/${part}/${name}`)
  }
  if (hasLog) writeBase(disk, dataDirectory, manifest, directoryId)
  for (const part of parts) disk.syncDirectory(`${dataDirectory}/${part}`)
}

/**
 * A mark above the new end would look like lost entries, and a term below that of its last one like a lost vote: of the terms between, in which others have
 * written this log, we have heard nothing, and given no vote in any. The constructor writes both slots.
 */
function takeOver(options: HardStateFileOptions, logTerm: number): void {
  const { record } = options
  const votedFor = record.term < logTerm ? undefined : record.votedFor
  const term = Math.max(record.term, logTerm)
  new HardStateFile({ ...options, record: { ...record, term, votedFor, mark: 0, markLink: undefined } }).close(() => undefined)
}

function isSegment(file: SnapshotFile): boolean {
  return file.kind === 'log' && file.name.endsWith('.log')
}

/** Our own log has made room: without this segment there is neither, and without what is in `incoming` a start would not even know. */
function beyondHelp(path: string, problem: string): StorageError {
  return new StorageError(
    `${path}: its header ${problem}, and our own log has made room for it; replace this member, with an empty directory`,
    path,
  )
}

/** A segment becomes ours: our directory's id in its header, and nothing behind its last record. */
function adopt(disk: Disk, path: string, bytes: number, directoryId: Uint8Array): void {
  const decoded = readSegmentHeader(disk, path)
  const file = disk.open(path, { create: false })
  if (decoded.kind === 'bad') throw beyondHelp(path, decoded.problem)
  file.writeSync(encodeSegmentHeader(decoded.prev, directoryId), 0)
  if (file.sizeBytes() > bytes) file.truncateSync(bytes)
  file.syncSync()
  file.close()
}

function writeBase(disk: Disk, dataDirectory: string, manifest: SnapshotManifest, directoryId: Uint8Array): void {
  const first = manifest.files
    .filter(isSegment)
    .map(file => file.name)
    .sort()[0]
  if (first === undefined) throw new StorageError(`${dataDirectory}: the snapshot at entry ${manifest.index} has no log`, dataDirectory)
  const header = readSegmentHeader(disk, `${dataDirectory}/log/${first}`)
  if (header.kind === 'bad') throw beyondHelp(`${dataDirectory}/log/${first}`, header.problem)
  if (header.prev.index > 0)
    writeBaseSync(
      disk,
      `${dataDirectory}/log`,
      encodeBase({ link: header.prev, membership: decodeBaseMembership(manifest.membership) }, directoryId),
    )
  else if (disk.exists(`${dataDirectory}/log/${baseName}`)) disk.remove(`${dataDirectory}/log/${baseName}`)
}
