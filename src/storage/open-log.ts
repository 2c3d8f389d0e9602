/**
 * Opens a node's data directory: VERSION, hard state, log. Synchronous; nothing of it may be called by two processes at once (data-directory.ts).
 *
 *   VERSION there?   hard state    log            →
 *   no               any           none           a new directory: hard state first, VERSION last, so that a crash in between starts again
 *   no               any           some           refused: these are somebody's entries
 *   yes              missing, lost any            refused: a vote may have been given that we no longer know (rule 12)
 *   yes              one slot lost any            opened, vote withheld
 *   yes              good          of later term  opened, vote withheld
 *   yes              good          recovered      opened
 *
 * Before this returns, the incarnation has been raised and stored, and the reasons for reserve are on disk before a torn tail is cut off.
 */
import type { RecoveredState } from '../../raft/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import type { Random } from '../platform/random.ts'
import { CommitLog } from './commit-log.ts'
import { newDirectoryId, readDataDirectory, writeDataDirectory } from './data-directory.ts'
import type { DataIdentity } from './data-directory.ts'
import { firstHardState, hardStateName, HardStateFile, readHardState } from './hard-state.ts'
import type { HardStateRecord } from './hard-state.ts'
import { logLimits } from './log-limits.ts'
import type { LogLimits } from './log-limits.ts'
import { chainOrigin } from './record.ts'
import { findLog, settleLog } from './recovery.ts'
import { parseSegmentName } from './segment.ts'
import { SegmentFiles } from './segment-files.ts'
import { StorageError } from './storage-error.ts'

export interface OpenLogOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly dataDirectory: string
  readonly identity: DataIdentity
  readonly limits?: LogLimits
}

export interface OpenedLog {
  readonly log: CommitLog
  readonly hardState: HardStateFile
  readonly directoryId: Uint8Array
  /** All of RecoveredState but the state machine's checkpoint. */
  readonly recovered: Omit<RecoveredState, 'appliedIndex'>
  /** Sentences for the operator about what was found and done. */
  readonly notes: readonly string[]
}

export const logDirectoryName = 'log'

export function openLog(options: OpenLogOptions): OpenedLog {
  const { disk, clock, dataDirectory, identity, limits = logLimits() } = options
  const directory = `${dataDirectory}/${logDirectoryName}`
  disk.makeDirectory(directory)
  const directoryId = readDataDirectory(disk, dataDirectory, identity)
  if (directoryId === undefined) return openNew(options, limits, directory)
  const { record: before, isSlotLost } = mustReadHardState(disk, dataDirectory, directoryId)
  const { flushBytesMax } = limits
  const recovery = { disk, directory, directoryId, mark: before.mark, flushBytesMax }
  const found = findLog(recovery)
  const { tornAt } = found
  // The hard state is synced before any entry of its term: one that is older than the log has been lost, and perhaps a vote with it.
  const isBehindLog = before.term < found.last.term
  const record: HardStateRecord = {
    ...before,
    term: Math.max(before.term, found.last.term),
    votedFor: isBehindLog ? undefined : before.votedFor,
    incarnation: before.incarnation + 1,
    hasTornTail: before.hasTornTail || tornAt !== undefined,
    isVoteWithheld: before.isVoteWithheld || isSlotLost || isBehindLog,
  }
  const hardState = new HardStateFile({ disk, clock, dataDirectory, directoryId, record })
  settleLog(recovery, found)
  if (found.last.index > record.mark) hardState.writeBothSync({ ...hardState.record, mark: found.last.index })
  const notes: string[] = []
  if (found.baseProblem !== undefined) notes.push(found.baseProblem)
  if (tornAt !== undefined) notes.push(tornAt.sentence)
  if (isSlotLost)
    notes.push(`${dataDirectory}/${hardStateName}: one of its two slots is unreadable; no vote until a leader of a higher term is heard`)
  if (isBehindLog)
    notes.push(`${dataDirectory}/${hardStateName}: it is older than the log; no vote until a leader of a higher term is heard`)
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const log = new CommitLog({ disk, clock, directoryId, files, marks: hardState, limits, recovered: found })
  return { log, hardState, directoryId, recovered: recoveredState(log, hardState), notes }
}

function openNew(options: OpenLogOptions, limits: LogLimits, directory: string): OpenedLog {
  const { disk, clock, random, dataDirectory, identity } = options
  const stray = disk.list(directory).find(name => parseSegmentName(name) !== undefined)
  if (stray !== undefined) {
    throw new StorageError(
      `${directory}/${stray}: a log without a VERSION file beside it; restore VERSION or start with an empty directory`,
      directory,
    )
  }
  const directoryId = newDirectoryId(random)
  const hardState = new HardStateFile({ disk, clock, dataDirectory, directoryId, record: { ...firstHardState, incarnation: 1 } })
  writeDataDirectory(disk, dataDirectory, identity, directoryId)
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const recovered = { segments: [], last: chainOrigin, runs: [] }
  const log = new CommitLog({ disk, clock, directoryId, files, marks: hardState, limits, recovered })
  return { log, hardState, directoryId, recovered: recoveredState(log, hardState), notes: [`${dataDirectory}: a new data directory`] }
}

function mustReadHardState(disk: Disk, dataDirectory: string, directoryId: Uint8Array): { record: HardStateRecord; isSlotLost: boolean } {
  const found = readHardState(disk, dataDirectory, directoryId)
  if (found.kind === 'found') return found
  const path = `${dataDirectory}/${hardStateName}`
  const what = found.kind === 'missing' ? 'it is missing' : 'neither of its slots can be read'
  throw new StorageError(`${path}: ${what}, so this node may have voted without knowing; restore it or join as a new node`, path)
}

function recoveredState(log: CommitLog, hardState: HardStateFile): Omit<RecoveredState, 'appliedIndex'> {
  const { record, state } = hardState
  return {
    hardState: state,
    firstIndex: log.firstIndex,
    last: log.lastId,
    runs: [...log.termRuns],
    memberships: log.memberships(),
    lastWallMs: log.lastWallMs,
    hasTornTail: record.hasTornTail,
    isVoteWithheld: record.isVoteWithheld,
    incarnation: record.incarnation,
  }
}
