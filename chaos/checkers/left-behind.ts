/**
 * A pop that had room took everything that there was for its group (rule 8, A27): whatever had never been given out, or was visible again, when a pop
 * ended without filling its last receive and without saying that there is more, was given out by it. A message group of a FIFO group is one
 * thing: while any of it is out nothing of it is given, and else its first unfinished message must be, unless it lies too far behind the first one of
 * its queue (rule 8, seed 152000000). So a message that hangs in some state is found by the next pop, not by a drain that does not end.
 * Times are the log's own. What was given out before the last leap of time is not judged by its deadline: leaps do not shorten it.
 */
import { EntryKind } from '../../raft/index.ts'
import type { Pop } from '../../src/state/command.ts'
import type { Hash64 } from '../../src/state/ids.ts'
import { fifoAheadMax } from '../../src/state/limits.ts'
import type { CommandResult } from '../../src/state/result.ts'
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Checker, CommittedRecord } from './checker.ts'
import type { Deliveries, GroupRules } from './deliveries.ts'
import type { DeliveryRow } from './delivery-row.ts'

interface Message {
  /** `topicId/queueId/offset`. */
  readonly place: string
  /** Undefined where the group's rules do not ask for it. */
  readonly messageGroup: Hash64 | undefined
  readonly queueId: number
  readonly offset: number
}

/** A message that a consumer group may still have to do with. */
interface Pending {
  /** As deliveries know it. Built once: a pop looks at all that is pending. */
  readonly key: string
  /** What it waits in: its message group of a FIFO group; undefined where each message stands for itself. */
  readonly line: string | undefined
  readonly message: Message
}

/** What a consumer group has not settled of a topic, in the order of the log. */
interface Backlog {
  /** So many of the topic's messages have come in. */
  taken: number
  pending: Pending[]
}

function lineOf({ queueId, messageGroup }: Message): string {
  return `${queueId}/${messageGroup?.high ?? 0}/${messageGroup?.low ?? 0}`
}

/** Each entry fires 256 of what is due. */
const entriesToFire = 3

export function leftBehind(rulesOf: (consumerGroup: string) => GroupRules, deliveries: Deliveries, reference: ReferenceReplica): Checker {
  /** By topic, in the order of the log. */
  const messages = new Map<number, Message[]>()
  /** By consumer group and topic. */
  const backlogs = new Map<string, Backlog>()
  const highestSequence = new Map<number, number>()
  /** The last entries that apply took: what was due by the oldest of them has had its time to fire. A copy moves nothing (seed 3100047). */
  const recent: { readonly index: number; readonly wallMs: number }[] = []
  let leapMs = 0

  const isLeft = (row: DeliveryRow | undefined): boolean => {
    if (row === undefined) return true
    const oldest = recent.length < entriesToFire ? undefined : recent[0]
    if (row.orphanedBy > 0) return row.orphanedBy < (oldest?.index ?? 0)
    if (row.autoRenew && row.isConfirmed) return false
    return row.givenAtMs > leapMs && row.deadlineMs <= (recent[0]?.wallMs ?? 0)
  }

  const judge = (record: CommittedRecord, pop: Pop, result: Extract<CommandResult, { readonly kind: 'popped' }>): void => {
    const { consumerGroupId, topicId } = result
    const all = messages.get(topicId) ?? []
    const given = new Set(result.deliveries.flat().map(({ ref }) => `${ref.topicId}/${ref.queueId}/${ref.offset}`))
    const { isFifo } = rulesOf(pop.consumerGroup)
    const name = `${consumerGroupId}/${topicId}`
    let backlog = backlogs.get(name)
    if (backlog === undefined) backlogs.set(name, (backlog = { taken: 0, pending: [] }))
    for (; backlog.taken < all.length; backlog.taken += 1) {
      const message = all[backlog.taken]
      if (message !== undefined)
        backlog.pending.push({ key: `${consumerGroupId}/${message.place}`, line: isFifo ? lineOf(message) : undefined, message })
    }
    /** What was left behind, in the order of the log. */
    const left: Pending[] = []
    /** What a line waits for: its first unfinished message, unless another one of it is out. */
    const waiting = new Map<string, Pending | undefined>()
    /** By queue: the first offset that the group is not done with. */
    const firstUndone = new Map<number, number>()
    let kept = 0
    for (const pending of backlog.pending) {
      const { key, line, message } = pending
      const row = deliveries.rowOf(key)
      // Settled once is settled for good: never looked at again.
      if (row?.isSettled === true) continue
      backlog.pending[kept] = pending
      kept += 1
      const isOut = !isLeft(row) || given.has(message.place)
      // Out, and waiting for nobody but itself: most of what is pending.
      if ((isOut && line === undefined) || deliveries.isDoneKey(key)) continue
      if (line === undefined) {
        left.push(pending)
        continue
      }
      const first = firstUndone.get(message.queueId) ?? message.offset
      firstUndone.set(message.queueId, first)
      const isTooFar = row === undefined && message.offset >= first + fifoAheadMax
      if (isOut) waiting.set(line, undefined)
      else if (!isTooFar && !waiting.has(line)) waiting.set(line, pending)
    }
    backlog.pending.length = kept
    for (const pending of waiting.values()) if (pending !== undefined) left.push(pending)
    for (const { key, message } of left) {
      const row = deliveries.rowOf(key)
      const why = row === undefined ? 'was never given out' : row.orphanedBy > 0 ? 'lost its gateway' : 'is visible again'
      throw new Violation(
        'A27',
        `entry ${record.index}: a pop of ${pop.consumerGroup} had room, and left message ${message.place} behind, which ${why}`,
      )
    }
  }

  return {
    name: 'left behind',
    committed(record) {
      const { command, result } = record
      if (reference.entry(record.index).kind === EntryKind.timeLeap) leapMs = record.wallMs
      if (command?.kind === 'send' && result?.kind === 'sent') {
        let list = messages.get(result.topicId)
        if (list === undefined) messages.set(result.topicId, (list = []))
        for (const { queueId, offset, isDuplicate } of result.messages)
          if (!isDuplicate)
            list.push({ place: `${result.topicId}/${queueId}/${offset}`, messageGroup: command.messageGroup, queueId, offset })
      } else if (command?.kind === 'pop' && result?.kind === 'popped') {
        const last = result.deliveries.at(-1) ?? []
        const before = highestSequence.get(result.consumerGroupId) ?? 0
        // A receive that is repeated gets its batch and nothing else.
        const isRepeat = last.some(({ ref }) => ref.deliverySequence <= before)
        const hadRoom = last.length < (command.requests.at(-1)?.max ?? 0)
        const highest = Math.max(before, ...result.deliveries.flat().map(({ ref }) => ref.deliverySequence))
        highestSequence.set(result.consumerGroupId, highest)
        if (hadRoom && !isRepeat && !result.hasMore) judge(record, command, result)
      }
      if (command !== undefined && result === undefined) return
      recent.push({ index: record.index, wallMs: record.wallMs })
      if (recent.length > entriesToFire) recent.shift()
    },
  }
}
