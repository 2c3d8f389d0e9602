/**
 * The note that this node's state has parted from the others' (DESIGN rule 11): `PARTED`, a small text with the entry whose digest check found it. It
 * outlives the process: a checkpoint taken since the parting is whole in itself, and the digests it would have to be compared with are gone after a restart.
 * While it is there no checkpoint is trusted; it goes when the state, rebuilt from the log, has passed that entry and is saved, or when a snapshot
 * of another node takes its place. A snapshot that was made of the parted state would outlive the note, and agrees with itself: it goes first.
 */
import type { Disk } from '../platform/disk.ts'
import { dropSnapshots, snapshotsName } from './snapshot/take-snapshot.ts'

export const partedName = 'PARTED'

/** Durable when it returns. */
export function noteParted(disk: Disk, dataDirectory: string, index: number): void {
  const path = `${dataDirectory}/${partedName}`
  const file = disk.open(path, { create: true })
  file.writeSync(Buffer.from(String(index).padEnd(20)), 0)
  file.syncSync()
  file.close()
  disk.syncDirectory(dataDirectory)
}

/** The entry that found it; undefined when there is no note. 0 when it is damaged: the state is rebuilt all the same. */
export function readParted(disk: Disk, dataDirectory: string): number | undefined {
  const path = `${dataDirectory}/${partedName}`
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, { create: false })
  const bytes = new Uint8Array(file.sizeBytes())
  file.readSync(bytes, 0)
  file.close()
  const text = Buffer.from(bytes).toString('latin1').trim()
  return /^\d{1,16}$/.test(text) ? Number(text) : 0
}

/** For a start: what `readParted` reads. Nothing that was made of the parted state is found any more when it returns. */
export function distrustParted(disk: Disk, dataDirectory: string): number | undefined {
  const partedAt = readParted(disk, dataDirectory)
  if (partedAt !== undefined) dropSnapshots(disk, `${dataDirectory}/${snapshotsName}`)
  return partedAt
}

export function partedSentence(index: number): string {
  return `this node's state has parted from the others' by entry ${index}`
}

/** The state is what the others have: rebuilt and saved, or a snapshot of theirs. */
export function forgetParted(disk: Disk, dataDirectory: string): void {
  if (!disk.exists(`${dataDirectory}/${partedName}`)) return
  // Before the note: nothing would say afterwards which state they were made of.
  dropSnapshots(disk, `${dataDirectory}/${snapshotsName}`)
  disk.remove(`${dataDirectory}/${partedName}`)
  disk.syncDirectory(dataDirectory)
}
