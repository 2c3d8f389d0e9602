/**
 * The majority of a group is lost for good: this node, alone, becomes the group. Never by itself, only by `raftmq recover`, on a node that is stopped.
 *
 *   survey (nothing is changed) → judge → the operator is told what may be lost, and says yes → record of it → term → one config entry → record done
 *
 * What the entry says is not what Raft would ever decide: its voters share no majority with the ones before. So its term is far above every term that the
 * lost nodes can have reached (`termLeap`): no entry of theirs ever has the name of one of ours, and no candidate among them a log as new as ours.
 * Everything that this node holds stays, committed or not: what a client was told is in here or was never on this disk.
 * A crash anywhere leaves the node as it was, or recovered with the record still open; the next run finishes it (`recover.test.ts` cuts the power everywhere).
 */
import {
  EntryKind,
  encodeMembership,
  isElector,
  logIndex,
  memberOf,
  nodeId,
  term,
  type Member,
  type Membership,
  type MembershipAt,
} from '../../raft/index.ts'
import { mustExist } from '../platform/assert.ts'
import { crc32c } from '../platform/bytes.ts'
import type { Clock } from '../platform/clock.ts'
import type { Disk } from '../platform/disk.ts'
import type { Random } from '../platform/random.ts'
import type { LoadedCheckpoint } from '../state/store.ts'
import type { DataIdentity } from '../storage/data-directory.ts'
import type { LogLimits } from '../storage/log-limits.ts'
import { openLog } from '../storage/open-log.ts'
import { partedSentence, readParted } from '../storage/parted.ts'
import { readRecoveryRecords, writeRecoveryRecords, type RecoveryRecord } from '../storage/recovery-record.ts'
import { StorageError } from '../storage/storage-error.ts'
import { surveyDirectory } from '../storage/survey.ts'
import { membershipInState } from './known-peers.ts'
import { whyStateIsLost } from './open-state.ts'

/** More elections than the lost nodes can have held without this one hearing of a term. */
export const termLeap = 1_000

export interface RecoverOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly dataDirectory: string
  readonly identity: DataIdentity
  readonly limits?: LogLimits
  /** From the state store, whose lock keeps the node from running meanwhile. */
  readonly checkpoint: LoadedCheckpoint | undefined
}

/** What is there, and what would become of it. Times are of the leaders' clocks. */
export interface RecoveryPlan {
  readonly kind: 'possible'
  readonly term: number
  readonly firstIndex: number
  readonly lastIndex: number
  readonly lastTerm: number
  /** When the last entry was made: the last word of a leader that wrote anything. */
  readonly lastWallMs: number
  /** Known here to have been committed; what lies behind it is kept all the same. */
  readonly committedIndex: number
  readonly committedWallMs: number | undefined
  readonly membership: MembershipAt
  /** This node, as it will be the only one. */
  readonly self: Member
  /** The other members, whose word counted. */
  readonly electors: readonly Member[]
  /** This node has a vote by its last membership; without it nothing says that it was near the end of the log. */
  readonly isVoter: boolean
  /** Sentences about the state of the directory. */
  readonly remarks: readonly string[]
  /** Of earlier recoveries of this directory. */
  readonly records: readonly RecoveryRecord[]
}

export type RecoveryOutlook =
  | RecoveryPlan
  /** It has been done, and nothing happened since that would call for another. */
  | { readonly kind: 'done'; readonly record: RecoveryRecord }
  | { readonly kind: 'refused'; readonly problem: string }

/** Changes nothing. Throws StorageError for what no start would accept either. */
export function planRecovery(options: RecoverOptions): RecoveryOutlook {
  const { disk, dataDirectory, identity, checkpoint } = options
  const appliedIndex = checkpoint?.appliedIndex ?? 0
  const survey = surveyDirectory({ ...options, appliedIndex })
  if (survey.kind === 'unfit') return refused(survey.problem)
  const { hardState, firstIndex, last, memberships, appliedWallMs, doubts } = survey.directory
  if (last.index === 0) return refused(`${identity.nodeName} holds no entry of any group: there is nothing to recover from`)
  const partedAt = readParted(disk, dataDirectory)
  const lost = whyStateIsLost({
    disk,
    directory: `${dataDirectory}/queue-index`,
    loaded: partedAt === undefined ? checkpoint : undefined,
    whyNotLoaded: partedAt === undefined ? undefined : partedSentence(partedAt),
    firstIndex,
    lastIndex: last.index,
  })
  if (lost !== undefined)
    return refused(
      `${lost}: alone, ${identity.nodeName} could not start; recover another survivor, or restore this directory from a backup`,
    )
  const membership = memberships.at(-1) ?? membershipInState(checkpoint)
  if (membership === undefined) return refused(`${dataDirectory}: neither log nor state say who belongs to the group`)
  const id = nodeId(identity.nodeId)
  const { membership: members } = membership
  const records = readRecoveryRecords(disk, dataDirectory)
  const open = records.at(-1)
  const isAlone = members.voters.length === 1 && members.voters[0] === id && members.outgoing.length === 0
  if (isAlone && open !== undefined && open.after.index === membership.index) return { kind: 'done', record: open }
  if (isAlone) return refused(`${identity.nodeName} is the only voter of its group: it needs nobody else; start it`)
  const self = memberOf(members, id)
  if (self === undefined) return refused(`${identity.nodeName} is no member of the group that its log knows, at entry ${membership.index}`)
  return {
    kind: 'possible',
    term: Math.max(hardState.term, last.term),
    firstIndex,
    lastIndex: last.index,
    lastTerm: last.term,
    lastWallMs: last.wallMs,
    committedIndex: Math.min(appliedIndex, last.index),
    committedWallMs: appliedWallMs,
    membership,
    self,
    electors: members.members.filter(member => member.id !== id && isElector(members, member.id)),
    isVoter: isElector(members, id),
    remarks: partedAt === undefined ? doubts : [...doubts, rebuildsParted(partedAt)],
    records,
  }
}

/** With its whole log it may start, and what it finds then nobody can tell from here. */
function rebuildsParted(partedAt: number): string {
  return `${partedSentence(partedAt)}; its next start rebuilds it from the log, and stops if that parts too: another survivor is the better choice`
}

function refused(problem: string): RecoveryOutlook {
  return { kind: 'refused', problem }
}

/** Whether these nodes, and this one, could decide anything by the membership that this one knows. */
export function couldDecide({ membership: { membership }, self }: RecoveryPlan, alive: readonly number[]): boolean {
  const isThere = (id: number): boolean => id === self.id || alive.includes(id)
  return [membership.voters, membership.outgoing]
    .filter(half => half.length > 0)
    .every(half => half.filter(isThere).length > half.length / 2)
}

export interface Acknowledgement {
  /** Wall clock. */
  readonly at: string
  readonly how: string
  readonly forced: readonly string[]
}

/** Carries the plan out. `done` runs once; with an error what was begun is finished, or begun anew, by the next run. */
export function carryOutRecovery(
  options: RecoverOptions,
  plan: RecoveryPlan,
  acknowledged: Acknowledgement,
  done: (error: Error | undefined, record: RecoveryRecord) => void,
): void {
  const { disk, dataDirectory, checkpoint } = options
  const opened = openLog({
    ...options,
    hasPeers: () => false,
    ...(checkpoint === undefined ? {} : { appliedIndex: checkpoint.appliedIndex }),
  })
  const { log, hardState, directoryId } = opened
  const { lastId } = log
  if (lastId.index !== plan.lastIndex || lastId.term !== plan.lastTerm)
    throw new StorageError(
      `${dataDirectory}: the log ends with entry ${lastId.index} now, not with ${plan.lastIndex}; look again`,
      dataDirectory,
    )
  const next = { term: term(plan.term + termLeap), index: logIndex(plan.lastIndex + 1) }
  const record = recordOf(options, plan, acknowledged, { directoryId, after: next })
  const others = plan.records.filter(({ isDone }) => isDone)
  writeRecoveryRecords(disk, dataDirectory, [...others, record])
  const close = (error: Error | undefined): void =>
    log.close(() =>
      hardState.close(closeError => {
        const problem = error ?? closeError
        if (problem !== undefined) return done(problem, record)
        const finished = { ...record, isDone: true }
        writeRecoveryRecords(disk, dataDirectory, [...others, finished])
        done(undefined, finished)
      }),
    )
  // The term is on disk before any entry of it.
  hardState.save({ term: next.term, votedFor: plan.self.id }, saveError => {
    if (saveError !== undefined) return close(saveError)
    const body = encodeMembership(alone(plan.membership.membership, plan.self))
    log.appendOwn({ term: next.term, firstIndex: next.index, kind: EntryKind.config, wallMs: plan.lastWallMs }, [
      { parts: [body], bytes: body.length, crc: crc32c(body) },
    ])
    log.flush(close)
  })
}

/** The crash came between the entry and the last word on it. */
export function finishRecord(disk: Disk, dataDirectory: string): RecoveryRecord {
  const records = readRecoveryRecords(disk, dataDirectory).map(record => ({ ...record, isDone: true }))
  writeRecoveryRecords(disk, dataDirectory, records)
  return mustExist(records.at(-1), 'recovery-record')
}

/** Numbers stay given: whoever was a member and comes back is told that it was removed. */
function alone({ idMax }: Membership, self: Member): Membership {
  return { members: [self], voters: [self.id], outgoing: [], goal: undefined, leaving: [], idMax }
}

function recordOf(
  { identity }: RecoverOptions,
  plan: RecoveryPlan,
  acknowledged: Acknowledgement,
  { directoryId, after }: { readonly directoryId: Uint8Array; readonly after: RecoveryRecord['after'] },
): RecoveryRecord {
  const { membership } = plan.membership
  return {
    at: acknowledged.at,
    node: identity.nodeName,
    directoryId: Buffer.from(directoryId).toString('hex'),
    acknowledged: acknowledged.how,
    forced: acknowledged.forced,
    before: {
      term: plan.term,
      lastTerm: plan.lastTerm,
      lastIndex: plan.lastIndex,
      lastWallMs: plan.lastWallMs,
      committedIndex: plan.committedIndex,
      membershipIndex: plan.membership.index,
      voters: membership.members.filter(({ id }) => isElector(membership, id)).map(({ name }) => name),
    },
    after,
    isDone: false,
  }
}
