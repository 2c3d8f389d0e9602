/**
 * Taking a snapshot: the state's rows and the queue index's growing files are copied, everything else is immutable and is named in place.
 *
 *   snapshots/4181/state, 000000000007.open …   written, synced → snapshots/4181/manifest written under another name, synced, renamed: it is there
 *
 * What is copied was fixed in one moment, when a checkpoint had just been saved; nothing of it is held still meanwhile. Older snapshots go when the new one is
 * there (removeOlder). After a crash a directory without a manifest is removed. A fetcher that reads what is removed is told so, and begins with the new one.
 */
import type { Disk, DiskCallback, DiskFile } from '../../platform/disk.ts'
import { openChunkFormat } from '../open-chunk.ts'
import { diskErrorOf, IndexRot, isDiskError, isNoRoom, NoRoom } from '../storage-error.ts'
import { FileCheck } from './file-check.ts'
import { decodeManifest, encodeManifest } from './manifest.ts'
import type { SnapshotManifest } from './manifest.ts'
import { encodeRows } from './state-file.ts'
import type { StateRow } from './state-file.ts'

/** Rows of one consistent moment, some at a time. */
export interface RowReader {
  /** Undefined rows: there are no more. Runs later. */
  next(done: (error: Error | undefined, rows: readonly StateRow[] | undefined) => void): void
  close(): void
}

export interface SnapshotParts {
  /** All but the size of the state file, which is not known yet. */
  readonly manifest: SnapshotManifest
  readonly rows: RowReader
  /** Open chunks of the queue index, which grow or may be removed: copied as they are now. One that has rotted is not: IndexRot. */
  readonly copies: readonly { readonly path: string; readonly name: string; readonly bytes: number }[]
  /** Nothing is taken of the last free bytes: they are for what the node itself must write. */
  readonly roomKeptBytes?: number | undefined
}

export interface TakenSnapshot {
  readonly manifest: SnapshotManifest
  readonly directory: string
}

export type SnapshotDone = (error: Error | undefined, taken: TakenSnapshot | undefined) => void

/** Where they are, in the data directory. */
export const snapshotsName = 'snapshots'
const pieceBytes = 256 * 1024
const manifestName = 'manifest'

/** `done` never runs inside this call. What it was told to have failed has left nothing behind, unless the disk itself is broken. */
export function takeSnapshot(disk: Disk, snapshots: string, parts: SnapshotParts, done: SnapshotDone): void {
  const directory = `${snapshots}/${parts.manifest.index}`
  const state = openState(disk, directory, parts.rows)
  let position = 0
  const giveUp = (error: Error): void => giveBack(disk, directory, error, told => done(told, undefined))
  const fail = (error: Error): void => {
    parts.rows.close()
    state.close()
    giveUp(error)
  }
  const finish = (): void => {
    parts.rows.close()
    state.close()
    const files = parts.manifest.files.map(file => (file.kind === 'state' ? { ...file, bytes: position } : file))
    const manifest = { ...parts.manifest, files }
    writeManifest(disk, directory, encodeManifest(manifest), error => {
      if (error !== undefined) return giveUp(error)
      done(undefined, { manifest, directory })
    })
  }
  const next = (): void => {
    parts.rows.next((error, rows) => {
      if (error !== undefined) return fail(error)
      if (rows === undefined)
        return state.sync(synced => (synced === undefined ? copyFiles(disk, directory, parts, 0, copied) : fail(synced)))
      const full = problemOfRoom(disk, directory, parts)
      if (full !== undefined) return fail(full)
      const block = encodeRows(rows)
      const at = position
      position += block.length
      state.write(at, [block], written => (written === undefined ? next() : fail(written)))
    })
  }
  const copied = (error: Error | undefined): void => (error === undefined ? finish() : fail(error))
  next()
}

function openState(disk: Disk, directory: string, rows: RowReader): DiskFile {
  try {
    removeTree(disk, directory)
    disk.makeDirectory(directory)
    return disk.open(`${directory}/state`, { create: true })
  } catch (error) {
    rows.close()
    throw error
  }
}

/** A disk that is filled to its last byte for others ends this node with its own next checkpoint. */
function problemOfRoom(disk: Disk, directory: string, { roomKeptBytes = 0 }: SnapshotParts): Error | undefined {
  let freeBytes = Infinity
  const failed = diskErrorOf(() => ({ freeBytes } = disk.space(directory)))
  if (failed !== undefined || freeBytes >= roomKeptBytes) return failed
  return new NoRoom(`${freeBytes} bytes are free on this disk, and ${roomKeptBytes} of them are this node's own`, directory)
}

/** The next attempt has another index, and so another directory: what stays in this one would stay until the next start. `done` hears what is to be told. */
function giveBack(disk: Disk, directory: string, error: Error, done: (told: Error) => void): void {
  // A broken disk ends the node, and the next start removes what is not whole.
  const isBroken = isDiskError(error) && !isNoRoom(error) && !(error instanceof IndexRot)
  if (isBroken) return done(error)
  removeTreesLater(disk, [directory], failed => done(failed ?? error))
}

/** When a newer one is there, and nobody reads the older ones any more. */
export function removeOlder(disk: Disk, snapshots: string, index: number, done: DiskCallback): void {
  let older: string[] = []
  const failed = diskErrorOf(() => {
    older = disk.list(snapshots).filter(name => name !== `${index}`)
  })
  if (failed !== undefined) return done(failed)
  removeTreesLater(
    disk,
    older.map(name => `${snapshots}/${name}`),
    done,
  )
}

/** As removeTree, but nobody waits for the system, which takes a third of a second for a file of a gigabyte. A manifest first: what is half gone is no snapshot. */
function removeTreesLater(disk: Disk, directories: readonly string[], done: DiskCallback): void {
  const paths: string[] = []
  const failed = diskErrorOf(() => {
    for (const directory of directories) {
      const names = [manifestName, ...disk.list(directory).filter(name => name !== manifestName)]
      paths.push(...names.map(name => `${directory}/${name}`).filter(path => disk.exists(path)))
    }
  })
  if (failed !== undefined) return done(failed)
  const next = (): void => {
    const path = paths.shift()
    if (path === undefined) return done(undefined)
    // Who threw it away because it had rotted was faster.
    if (!disk.exists(path)) return next()
    const refused = diskErrorOf(() => disk.removeLater(path, error => (error === undefined || isGone(error) ? next() : done(error))))
    if (refused !== undefined) done(refused)
  }
  next()
}

function isGone(error: Error): boolean {
  return 'code' in error && error.code === 'ENOENT'
}

/** The snapshot that an earlier process left, if all of it is there; what is not whole is removed. */
export function findSnapshot(disk: Disk, snapshots: string): TakenSnapshot | undefined {
  let found: TakenSnapshot | undefined
  for (const name of disk.list(snapshots)) {
    const directory = `${snapshots}/${name}`
    const manifest = disk.exists(`${directory}/${manifestName}`)
      ? decodeManifest(readWhole(disk, `${directory}/${manifestName}`))
      : undefined
    if (manifest === undefined || found !== undefined) removeTree(disk, directory)
    else found = { manifest, directory }
  }
  return found
}

/** No later process finds one of them, whatever crash comes: durable when it returns. */
export function dropSnapshots(disk: Disk, snapshots: string): void {
  for (const name of disk.list(snapshots)) {
    removeTree(disk, `${snapshots}/${name}`)
    disk.syncDirectory(`${snapshots}/${name}`)
  }
}

export function readWhole(disk: Disk, path: string): Uint8Array {
  const file = disk.open(path, { create: false })
  const bytes = new Uint8Array(file.sizeBytes())
  const count = file.readSync(bytes, 0)
  file.close()
  return bytes.subarray(0, count)
}

/** Files of a flat directory. The empty directory stays. */
export function removeTree(disk: Disk, directory: string): void {
  for (const name of disk.list(directory)) if (disk.exists(`${directory}/${name}`)) disk.remove(`${directory}/${name}`)
}

function copyFiles(disk: Disk, directory: string, parts: SnapshotParts, number: number, done: (error: Error | undefined) => void): void {
  const copy = parts.copies[number]
  if (copy === undefined) return done(undefined)
  const opened = openCopy(disk, directory, copy)
  if (opened instanceof Error) return done(opened)
  const { source, target } = opened
  const end = (error: Error | undefined): void => {
    source.close()
    target.close()
    if (error === undefined) copyFiles(disk, directory, parts, number + 1, done)
    else done(error)
  }
  const check = new FileCheck(source, copy.bytes, openChunkFormat)
  const step = (position: number): void => {
    if (position >= copy.bytes) return target.sync(end)
    if (!check.isWhole(position, Math.min(position + pieceBytes, copy.bytes)))
      return end(new IndexRot(`${copy.path} has rotted`, copy.path))
    const full = problemOfRoom(disk, directory, parts)
    if (full !== undefined) return end(full)
    const piece = new Uint8Array(Math.min(pieceBytes, copy.bytes - position))
    if (source.readSync(piece, position) < piece.length) return end(new Error(`${copy.path} is shorter than it was`))
    target.write(position, [piece], error => (error === undefined ? step(position + piece.length) : end(error)))
  }
  step(0)
}

function openCopy(disk: Disk, directory: string, copy: { path: string; name: string }): { source: DiskFile; target: DiskFile } | Error {
  let source: DiskFile | undefined
  try {
    source = disk.open(copy.path, { create: false })
    return { source, target: disk.open(`${directory}/${copy.name}`, { create: true }) }
  } catch (error) {
    source?.close()
    // Sealed in the meantime: the next attempt finds it under its new name. Or there is no room for another name.
    if (!(error instanceof Error) || !('code' in error)) throw error
    return error
  }
}

function writeManifest(disk: Disk, directory: string, bytes: Uint8Array, done: (error: Error | undefined) => void): void {
  const path = `${directory}/${manifestName}`
  const failed = diskErrorOf(() => {
    const file = disk.open(`${path}.tmp`, { create: true })
    file.writeAndSync(0, [bytes], error => {
      file.close()
      done(error ?? diskErrorOf(() => nameManifest(disk, directory)))
    })
  })
  if (failed !== undefined) done(failed)
}

function nameManifest(disk: Disk, directory: string): void {
  disk.rename(`${directory}/${manifestName}.tmp`, `${directory}/${manifestName}`)
  disk.syncDirectory(directory)
}
