/**
 * `RECOVERED` in the data directory: what `raftmq recover` did here, for as long as the directory lives. A JSON text, a record for each time, oldest
 * first, and a checksum. It is written before anything is changed (`isDone: false`) and once more when all is done, each time whole or not at all.
 * Nothing of Raft rests on it: the membership that it tells of stands in the log.
 */
import { crc32c } from '../platform/bytes.ts'
import type { Disk } from '../platform/disk.ts'
import { StorageError } from './storage-error.ts'

export const recoveryRecordName = 'RECOVERED'

export interface RecoveryRecord {
  /** When it began, by the clock of the machine: ISO 8601, UTC. */
  readonly at: string
  readonly node: string
  /** As hex. */
  readonly directoryId: string
  /** How the operator took the responsibility: `typed the name`, or the flags. */
  readonly acknowledged: string
  /** What was overridden; empty = nothing. */
  readonly forced: readonly string[]
  /** As it was found. */
  readonly before: {
    readonly term: number
    readonly lastTerm: number
    readonly lastIndex: number
    /** When the last entry was made, by its leader's clock. */
    readonly lastWallMs: number
    /** Surely committed up to here. */
    readonly committedIndex: number
    readonly membershipIndex: number
    readonly voters: readonly string[]
  }
  /** The entry that makes this node the only voter. */
  readonly after: { readonly term: number; readonly index: number }
  readonly isDone: boolean
}

/** Oldest first; none when the node was never recovered. Throws StorageError when the file is damaged: it is not to be lost without a word. */
export function readRecoveryRecords(disk: Disk, dataDirectory: string): readonly RecoveryRecord[] {
  const path = `${dataDirectory}/${recoveryRecordName}`
  if (!disk.exists(path)) return []
  const file = disk.open(path, { create: false })
  const bytes = new Uint8Array(file.sizeBytes())
  file.readSync(bytes, 0)
  file.close()
  const records = parse(Buffer.from(bytes).toString('utf8'))
  if (records === undefined)
    throw new StorageError(`${path}: the record of what was recovered here is damaged; keep a copy and remove it`, path)
  return records
}

/** Durable when this returns. */
export function writeRecoveryRecords(disk: Disk, dataDirectory: string, records: readonly RecoveryRecord[]): void {
  const path = `${dataDirectory}/${recoveryRecordName}`
  const bytes = Buffer.from(`${JSON.stringify({ format: 1, records, crc: crcOf(records) }, undefined, 2)}\n`)
  if (disk.exists(`${path}.tmp`)) disk.remove(`${path}.tmp`)
  const file = disk.open(`${path}.tmp`, { create: true })
  file.writeSync(bytes, 0)
  file.syncSync()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(dataDirectory)
}

function crcOf(records: unknown): number {
  return crc32c(Buffer.from(JSON.stringify(records)))
}

function parse(text: string): readonly RecoveryRecord[] | undefined {
  try {
    const { format, records, crc } = JSON.parse(text) as { readonly format?: unknown; readonly records?: unknown; readonly crc?: unknown }
    return format === 1 && Array.isArray(records) && crc === crcOf(records) ? (records as RecoveryRecord[]) : undefined
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined
    throw error
  }
}
