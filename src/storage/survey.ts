/**
 * A look at the data directory of a node that does not run: whose it is, its term and vote, its log from end to end, the memberships in it. For
 * `raftmq recover`, which must say what it is about to do before it does it, so this changes nothing that counts: no record, no term, no restart counter.
 * (What a start repeats from a second copy on the same disk may be repeated here too.)
 */
import type { LogIndex, MembershipAt } from '../../raft/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import { CommitLog } from './commit-log.ts'
import { readDataDirectory } from './data-directory.ts'
import type { DataIdentity } from './data-directory.ts'
import { directoryIdInHardState, readHardState } from './hard-state.ts'
import type { HardStateRecord } from './hard-state.ts'
import { Holes } from './holes.ts'
import { logLimits } from './log-limits.ts'
import type { LogLimits } from './log-limits.ts'
import { logDirectoryName, lossAtEnd } from './open-log.ts'
import type { ChainLink } from './record.ts'
import { findLog } from './recovery.ts'
import type { FoundLog } from './recovery.ts'
import { SegmentFiles } from './segment-files.ts'
import { findComplete } from './snapshot/install.ts'

export interface SurveyOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly dataDirectory: string
  readonly identity: DataIdentity
  readonly limits?: LogLimits
  /** What the checkpoint of the state says to have been applied; 0 = there is none. */
  readonly appliedIndex: number
}

export interface SurveyedDirectory {
  readonly directoryId: Uint8Array
  readonly hardState: HardStateRecord
  readonly firstIndex: number
  readonly last: ChainLink
  /** What the log itself tells, ascending. */
  readonly memberships: readonly MembershipAt[]
  /** When the entry at the checkpoint was made, by the leader's clock; undefined when the log does not hold it. */
  readonly appliedWallMs: number | undefined
  /** Sentences: entries that this node acknowledged may be gone from its end, so that another survivor may hold more. */
  readonly doubts: readonly string[]
}

export type Survey =
  | { readonly kind: 'found'; readonly directory: SurveyedDirectory }
  /** Nothing can be done with it as it is; a sentence. */
  | { readonly kind: 'unfit'; readonly problem: string }

/** Throws StorageError for a directory that is not ours or can't be read. */
export function surveyDirectory(options: SurveyOptions): Survey {
  const { disk, dataDirectory, identity, limits = logLimits(), appliedIndex } = options
  const owned = readDataDirectory(disk, dataDirectory, identity, () => directoryIdInHardState(disk, dataDirectory))
  if (owned === undefined) return unfit(`${dataDirectory}: there is no data of ${identity.nodeName} in it`)
  const { directoryId } = owned
  const waiting = findComplete(disk, dataDirectory)
  if (waiting !== undefined) {
    return unfit(
      `${dataDirectory}: a snapshot at entry ${waiting.index} was fetched and waits to be installed; start ${identity.nodeName} once, which installs it, and stop it again`,
    )
  }
  const hardState = readHardState(disk, dataDirectory, directoryId)
  if (hardState.kind !== 'found') return unfit(`${dataDirectory}: its term and vote are lost; this directory can't be started any more`)
  const { record } = hardState
  const directory = `${dataDirectory}/${logDirectoryName}`
  const mark = Math.max(record.mark, appliedIndex)
  const found = findLog({ disk, directory, directoryId, mark, flushBytesMax: limits.flushBytesMax })
  if (found.rot !== undefined) return unfit(`${found.rot.sentence}; restore the file from a copy first`)
  if (found.lostEnd !== undefined) return unfit(lossAtEnd(found.lostEnd, found.last.index))
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const holes = new Holes({ disk, directory, note: ignore })
  const marks = { noteDurable: ignore, lowerMark: ignore }
  const log = new CommitLog({ ...options, directoryId, files, marks, limits, recovered: found, isWhole: false, holes })
  try {
    return {
      kind: 'found',
      directory: {
        directoryId,
        hardState: record,
        firstIndex: log.firstIndex,
        last: found.last,
        memberships: log.memberships(),
        appliedWallMs: appliedIndex < log.firstIndex ? undefined : log.entry(Math.min(appliedIndex, found.last.index) as LogIndex).wallMs,
        doubts: doubtsOf(record, found),
      },
    }
  } finally {
    files.closeAll()
  }
}

function doubtsOf({ hasTornTail }: HardStateRecord, { tornAt }: FoundLog): readonly string[] {
  const earlier =
    'no leader has gone through this log since its directory was made or its end was found torn or lost: another survivor may hold more'
  return [...(tornAt === undefined ? [] : [tornAt.sentence]), ...(hasTornTail ? [earlier] : [])]
}

function unfit(problem: string): Survey {
  return { kind: 'unfit', problem }
}

function ignore(): void {
  // Nothing is written by a survey.
}
