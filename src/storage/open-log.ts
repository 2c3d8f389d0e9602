/**
 * Opens a node's data directory: VERSION, hard state, log. Synchronous; nothing of it may be called by two processes at once (data-directory.ts).
 *
 *   VERSION there?   hard state    log            →
 *   no               any           none           a new directory: hard state first, VERSION last, so that a crash in between starts again
 *   no               any           some           refused: these are somebody's entries
 *   yes              missing, lost any            refused: a vote may have been given that we no longer know (rule 12)
 *   yes              one slot lost any            opened: all that was released stands in the other
 *   yes              good          of later term  opened, vote withheld
 *   yes              good          recovered      opened
 *
 * Before this returns, the incarnation has been raised and stored, and the reasons for reserve are on disk before a torn tail is cut off.
 */
import { UnreadableEntry } from '../../raft/index.ts'
import type { MembershipAt, RecoveredState, RepairStorage } from '../../raft/index.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import type { Random } from '../platform/random.ts'
import { BlockReader } from './block-reader.ts'
import type { EntriesKnown } from './block-reader.ts'
import { CommitLog } from './commit-log.ts'
import { newDirectoryId, readDataDirectory, versionName, writeDataDirectory } from './data-directory.ts'
import type { DataIdentity } from './data-directory.ts'
import { directoryIdInHardState, firstHardState, hardStateName, HardStateFile, readHardState } from './hard-state.ts'
import type { HardStateRecord } from './hard-state.ts'
import { logLimits } from './log-limits.ts'
import type { LogLimits } from './log-limits.ts'
import { Holes } from './holes.ts'
import { membershipsIn, sealOf } from './log-look.ts'
import { LogRepair } from './log-repair.ts'
import { chainOrigin } from './record.ts'
import type { ChainLink } from './record.ts'
import { findLog, settleLog } from './recovery.ts'
import type { FoundLog, RecoverLogOptions, RottenPlace } from './recovery.ts'
import { Repairs } from './repairs.ts'
import { parseSegmentName } from './segment.ts'
import type { Segment } from './segment.ts'
import { removeSidecar } from './sidecar.ts'
import { SegmentFiles } from './segment-files.ts'
import { StorageError } from './storage-error.ts'
import { TailCache } from './tail-cache.ts'

export interface OpenLogOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly dataDirectory: string
  readonly identity: DataIdentity
  readonly limits?: LogLimits
  /** What a checkpoint of the state says to have been applied, and so to have been on this disk. */
  readonly appliedIndex?: number
  /** Whether there are peers that may hold what has rotted here, by what the log says before that place; without them a rotten log is refused. */
  readonly hasPeers?: (inLog: readonly MembershipAt[]) => boolean
  /** Sentences for the operator about what is found and mended later. */
  readonly note?: (sentence: string) => void
}

export interface OpenedLog {
  readonly log: CommitLog
  readonly hardState: HardStateFile
  readonly directoryId: Uint8Array
  /** All of RecoveredState but the state machine's checkpoint. */
  readonly recovered: Omit<RecoveredState, 'appliedIndex'>
  /** What has rotted since the start: the scrubber tells it too. */
  readonly holes: Holes
  /** Rot and its repair, for Raft to feed. */
  readonly repair: RepairStorage & Pick<Repairs, 'heldThrough'>
  /** Sentences for the operator about what was found and done. */
  readonly notes: readonly string[]
}

export const logDirectoryName = 'log'

export function openLog(options: OpenLogOptions): OpenedLog {
  const { disk, clock, dataDirectory, identity, limits = logLimits() } = options
  const directory = `${dataDirectory}/${logDirectoryName}`
  disk.makeDirectory(directory)
  const owned = readDataDirectory(disk, dataDirectory, identity, () => directoryIdInHardState(disk, dataDirectory))
  if (owned === undefined) return openNew(options, limits, directory)
  const { directoryId, isDamaged } = owned
  const { record: before, isSlotLost } = mustReadHardState(disk, dataDirectory, directoryId)
  const { flushBytesMax } = limits
  const mark = Math.max(before.mark, options.appliedIndex ?? 0)
  const recovery = { disk, directory, directoryId, mark, flushBytesMax }
  const found = findReadable(recovery, limits)
  const { tornAt, rot, lostEnd } = found
  const loss = lossIn(directory, found)
  if (loss !== undefined && options.hasPeers?.(readMemberships(recovery, limits, found)) !== true) throw loss
  // The hard state is synced before any entry of its term: one that is older than the log has been lost, and perhaps a vote with it.
  const isBehindLog = before.term < found.last.term
  const record: HardStateRecord = {
    ...before,
    term: Math.max(before.term, found.last.term),
    votedFor: isBehindLog ? undefined : before.votedFor,
    incarnation: before.incarnation + 1,
    hasTornTail: before.hasTornTail || tornAt !== undefined || lostEnd !== undefined,
    isVoteWithheld: before.isVoteWithheld || isBehindLog,
  }
  const hardState = new HardStateFile({ disk, clock, dataDirectory, directoryId, record })
  if (rot === undefined) settleLog(recovery, found)
  if (rot === undefined && found.last.index > record.mark) hardState.writeBothSync({ ...hardState.record, ...markOf(found.last) })
  const notes = [...found.notes]
  if (isDamaged) {
    writeDataDirectory(disk, dataDirectory, identity, directoryId)
    notes.push(`${dataDirectory}/${versionName}: it was damaged; made anew from the hard state and the configuration`)
  }
  if (rot !== undefined) notes.push(`${rot.sentence}; asking the other nodes for them, and taking no part until they are here`)
  if (found.baseProblem !== undefined) notes.push(found.baseProblem)
  if (tornAt !== undefined) notes.push(tornAt.sentence)
  if (isSlotLost) notes.push(`${dataDirectory}/${hardStateName}: one of its two slots is unreadable; written anew from the other`)
  if (isBehindLog)
    notes.push(`${dataDirectory}/${hardStateName}: it is older than the log; no vote until a leader of a higher term is heard`)
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const note = options.note ?? ignore
  const holes = new Holes({ disk, directory, note })
  const isWhole = rot === undefined
  const log = new CommitLog({ disk, clock, directoryId, files, marks: hardState, limits, recovered: found, isWhole, holes })
  const superseded = (last: ChainLink): void => hardState.writeBothSync({ ...hardState.record, ...markOf(last), hasTornTail: true })
  const replaced = (last: ChainLink): void => hardState.writeBothSync({ ...hardState.record, ...markOf(last) })
  const committedIn = (term: number): void => {
    if (term > hardState.record.term) hardState.writeBothSync({ ...hardState.record, term, votedFor: undefined })
  }
  const tailLost = (): void => hardState.writeBothSync({ ...hardState.record, hasTornTail: true })
  const { segmentBytes } = limits
  const marked = { index: before.mark, link: before.markLink }
  const { appliedIndex = 0 } = options
  // More may have rotted meanwhile, before the place that was mended: what the log is known to hold does not shrink by that.
  const reached = (part: FoundLog): void => {
    if (part.last.index > log.lastId.index) log.reach(part)
  }
  const heard = { superseded, replaced, tailLost, committedIn, reached, note }
  const atStart = isWhole ? undefined : new LogRepair({ recovery, marked, appliedIndex, segmentBytes, rot, told: found.notes, ...heard })
  const repair = new Repairs({
    log,
    holes,
    atStart,
    hasTornTail: () => hardState.record.hasTornTail,
    hardStateTerm: () => hardState.record.term,
    mended: whole => settleWhole(recovery, whole, log, hardState),
  })
  return { log, hardState, directoryId, recovered: recoveredState(log, hardState, !isWhole), holes, repair, notes }
}

/**
 * A start must know the memberships, which stand in the log: one that has rotted in a part that is not scanned is found here, and its segment is scanned
 * after all.
 */
function findReadable(recovery: RecoverLogOptions, limits: LogLimits): FoundLog {
  const { disk, directory } = recovery
  const found = findLog(recovery)
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const blocks = new BlockReader(files, limits.blockCacheBytesMax, ignore, knownOf(found))
  const rotten = found.segments.find(segment => segment.configs.some(index => !isReadable(blocks, segment, index)))
  files.closeAll()
  if (rotten === undefined || !removeSidecar(disk, directory, rotten)) return found
  const again = findReadable(recovery, limits)
  // What was written anew the first time is not told the second.
  return { ...again, notes: [...new Set([...found.notes, ...again.notes])] }
}

function knownOf(found: FoundLog): EntriesKnown {
  return { termRuns: found.runs, sealOf: segment => sealOf(found, segment) }
}

function isReadable(blocks: BlockReader, segment: Segment, index: number): boolean {
  try {
    blocks.blockOf(segment, index)
    return true
  } catch (error) {
    if (error instanceof UnreadableEntry) return false
    throw error
  }
}

/** The memberships before the rot, as the log would tell them. */
function readMemberships({ disk, directory }: RecoverLogOptions, limits: LogLimits, found: FoundLog): readonly MembershipAt[] {
  const { segments, runs, last, baseMembership } = found
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const blocks = new BlockReader(files, limits.blockCacheBytesMax, ignore, knownOf(found))
  try {
    return membershipsIn({ segments, runs, last, tail: new TailCache(limits.slabBytes), blocks }, baseMembership, directory)
  } finally {
    files.closeAll()
  }
}

function lossIn(directory: string, { rot, lostEnd, last }: FoundLog): StorageError | undefined {
  if (rot !== undefined) return lossByRot(directory, rot)
  return lostEnd === undefined ? undefined : new StorageError(lossAtEnd(lostEnd, last.index), lostEnd)
}

function lossByRot(directory: string, { sentence, segment }: RottenPlace): StorageError {
  return new StorageError(`${sentence}; restore the file or join as a new node`, `${directory}/${segment.name}`)
}

/** Of a segment of which only its name is known; a sentence that says what to do. */
export function lossAtEnd(path: string, lastIndex: number): string {
  const sentence = `${path}: its head can't be read, and entries behind ${lastIndex} may have been acknowledged in it`
  return `${sentence}; restore the file, or move it away and do without them`
}

/** After the repair at a start: what an undamaged start would have done with this log. */
function settleWhole(recovery: RecoverLogOptions, whole: FoundLog, log: CommitLog, hardState: HardStateFile): void {
  const { record } = hardState
  const hasTornTail = record.hasTornTail || whole.tornAt !== undefined || whole.lostEnd !== undefined
  const isVoteWithheld = record.isVoteWithheld || record.term < whole.last.term
  if (hasTornTail !== record.hasTornTail || isVoteWithheld !== record.isVoteWithheld)
    hardState.writeBothSync({ ...record, hasTornTail, isVoteWithheld })
  settleLog(recovery, whole)
  if (whole.last.index > record.mark) hardState.writeBothSync({ ...hardState.record, ...markOf(whole.last) })
  log.adopt(whole)
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
  const record = { ...firstHardState, incarnation: firstIncarnation(clock.wallMs(), random) }
  const hardState = new HardStateFile({ disk, clock, dataDirectory, directoryId, record })
  writeDataDirectory(disk, dataDirectory, identity, directoryId)
  const files = new SegmentFiles(disk, directory, limits.openFilesMax)
  const recovered = { segments: [], last: chainOrigin, runs: [], baseMembership: undefined, unnoted: [] }
  const holes = new Holes({ disk, directory, note: options.note ?? ignore })
  const log = new CommitLog({ disk, clock, directoryId, files, marks: hardState, limits, recovered, isWhole: true, holes })
  const repair = new Repairs({
    log,
    holes,
    atStart: undefined,
    hasTornTail: () => true,
    hardStateTerm: () => hardState.record.term,
    mended: ignore,
  })
  return {
    log,
    hardState,
    directoryId,
    recovered: recoveredState(log, hardState),
    holes,
    repair,
    notes: [`${dataDirectory}: a new data directory`],
  }
}

/** The first moment of 2025, UTC. */
const incarnationEpochMs = 1_735_689_600_000
/** Half of what a session's number has room for: the other half is for restarts. */
const firstIncarnationMax = 2 ** 29
/** Without a date one of so many is drawn. */
const dateless = 2 ** 20

/**
 * A new directory does not count its restarts from 1: the log may hold proposals of an earlier directory of this number, and they must not look like
 * ours when they are applied here. Nobody starts a node more than once a second for long, so the second of its making is above all that was counted.
 */
export function firstIncarnation(wallMs: number, random: Random): number {
  const seconds = Math.floor((wallMs - incarnationEpochMs) / 1_000)
  // A clock that knows no date tells two directories the same.
  return seconds > 0 ? Math.min(firstIncarnationMax, seconds) : 1 + Math.floor(random.next() * dateless)
}

function mustReadHardState(disk: Disk, dataDirectory: string, directoryId: Uint8Array): { record: HardStateRecord; isSlotLost: boolean } {
  const found = readHardState(disk, dataDirectory, directoryId)
  if (found.kind === 'found') return found
  const path = `${dataDirectory}/${hardStateName}`
  const what = found.kind === 'missing' ? 'it is missing' : 'neither of its slots can be read'
  throw new StorageError(`${path}: ${what}, so this node may have voted without knowing; restore it or join as a new node`, path)
}

function ignore(): void {
  // Nobody listens.
}

/** The mark of a log that ends with this record. */
function markOf({ index, term, headerCrc }: ChainLink): Pick<HardStateRecord, 'mark' | 'markLink'> {
  return { mark: index, markLink: index === 0 ? undefined : { term, headerCrc } }
}

function recoveredState(log: CommitLog, hardState: HardStateFile, isRecovering = false): Omit<RecoveredState, 'appliedIndex'> {
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
    isRecovering,
    incarnation: record.incarnation,
  }
}
