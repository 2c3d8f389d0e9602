/** For tests of a node that is asked for a snapshot: its log holds a hundred entries, and its checkpoint is at the ninetieth. */
import { SnapshotSource, type SnapshotSourceOptions } from '../../src/node/snapshot-source.ts'
import type { Disk } from '../../src/platform/disk.ts'
import { openLog, type OpenedLog } from '../../src/storage/open-log.ts'
import type { RowReader } from '../../src/storage/snapshot/take-snapshot.ts'
import { append, rigDirectory, type StorageRig } from './rig.ts'

export const digest = { a: { low: 1, high: 2 }, b: { low: 3, high: 4 } }

export interface Giver {
  readonly disk: Disk
  readonly opened: OpenedLog
  readonly source: SnapshotSource
  /** What it told its operator. */
  readonly notes: string[]
}

export interface GiverOptions extends Partial<
  Pick<SnapshotSourceOptions, 'index' | 'roomKeptBytes' | 'appliedIndex' | 'checkpointer' | 'staleEntries'>
> {
  readonly entryBytes?: number
  readonly entries?: number
  /** When the log is there. */
  readonly before?: (disk: Disk) => void
}

/** `rows` are those of its checkpoint. */
export function aGiverOf(rig: StorageRig, rows: () => RowReader, given: GiverOptions = {}): Giver {
  const { entries = 100, entryBytes = 40, before, ...more } = given
  const options = rig.openOptions()
  const opened = openLog({ ...options, limits: rig.limits })
  append(opened, 3, entries, entryBytes)
  rig.flush(opened)
  rig.settle()
  before?.(options.disk)
  const notes: string[] = []
  const note = (sentence: string): void => void notes.push(sentence)
  return { disk: options.disk, opened, source: sourceOf(rig, options.disk, opened, rows, { ...more, note }), notes }
}

/** The node of this log. What is not named in `more` is as it would be on a healthy one. */
export function sourceOf(
  rig: StorageRig,
  disk: Disk,
  opened: OpenedLog,
  rows: () => RowReader,
  more: Partial<SnapshotSourceOptions> = {},
): SnapshotSource {
  return new SnapshotSource({
    clock: { nowMs: () => rig.scheduler.nowMs },
    disk,
    dataDirectory: rigDirectory,
    log: opened.log,
    directoryId: opened.directoryId,
    rotFound: opened.holes.rotFound,
    index: { files: () => [], scrubBlock: () => undefined, renew: () => undefined },
    store: { save: () => undefined, rows },
    checkpointer: { whenSaved: found => found({ appliedIndex: 90, digest }) },
    appliedIndex: () => 95,
    isStateTrusted: () => true,
    origin: '1-1',
    staleEntries: 1_000,
    note: () => undefined,
    fatal: error => {
      throw error
    },
    ...more,
  })
}
