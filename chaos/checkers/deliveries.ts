/**
 * What the log says of deliveries, group by group: nothing is given out again while it is invisible (A26) or after it was acknowledged (A25);
 * attempts count up by at most one (A35); a receipt handle is good exactly as long as its delivery is (A28), and no handle is made twice;
 * a message group is worked off in the order of the queue, the next message only when all before it are done or in the same batch (A22).
 * A message goes to the dead letters after its last attempt or because a client sent it there, and for no other reason (A34).
 * A receive that is repeated gets what it was given; what a dead gateway had not confirmed is nobody's any more; and a gateway says within a while
 * what became of what it was given (rule 14).
 * Times are the log's own: the entries' `wallMs`.
 */
import type { DeliveryRef, Pop, PopRequest, QueueTrim, Settle, SettleItem } from '../../src/state/command.ts'
import type { Delivery, SettleOutcome } from '../../src/state/result.ts'
import { autoRenewMs } from '../../src/state/limits.ts'
import type { Marks } from '../marks.ts'
import { expectThat, Violation } from '../violation.ts'
import { carriedOut, type Checker, type CommittedRecord } from './checker.ts'
import { countedBetween, type DeliveryRow, never, nobody } from './delivery-row.ts'
import { MessageGroupOrder } from './message-group-order.ts'
import { seats } from './seats.ts'

/** A client without any connection is gone after this (DESIGN rule 19). */
const clientGoneMs = 10_000

export interface Deliveries extends Checker {
  /** A client was told that its acknowledgement counts. */
  acknowledged(consumerGroup: string, topic: string, queueId: number, offset: number): void
  /** How many messages are given out and not settled. */
  inFlight(): number
  /** By `consumerGroupId/topicId/queueId/offset`. */
  rowOf(key: string): DeliveryRow | undefined
  isDoneKey(key: string): boolean
  /** Settled by the group, or in its dead letters. */
  isDone(consumerGroup: string, topic: string, queueId: number, offset: number): boolean
}

/** What the checker asks of the reference replica. */
export interface DeadLetterView {
  /** Messages that have gone to the dead letters of this group since the last call: as (send entry, ordinal). */
  newDeadLetters(consumerGroup: string): readonly { readonly logIndex: number; readonly ordinal: number }[]
}

/** Of a group, as it was configured. */
export interface GroupRules {
  readonly isFifo: boolean
  readonly maxAttempts: number
  /** The pauses between attempts. */
  readonly retry?: { readonly initialMs: number; readonly maxMs: number; readonly multiplier: number }
}

/** What a gateway that is gone had not confirmed is free after so many more entries: each fires 256. */
const entriesToFree = 3
/** A gateway that has settled other things since, twice, has had its say of a delivery this old. */
const saidAfterMs = 8_000

export function deliveries(rulesOf: (consumerGroup: string) => GroupRules, deadLetters: DeadLetterView, marks: Marks): Deliveries {
  const rows = new Map<string, DeliveryRow>()
  /** Those of `rows` that are not settled: the only ones that anything walks. */
  const openRows = new Map<string, DeliveryRow>()
  const groupNames = new Map<number, string>()
  const topicIds = new Map<string, number>()
  const highestSequence = new Map<number, number>()
  /** By gateway. */
  const incarnations = new Map<number, number>()
  const turn = seats()
  /** The newest, and the stamp of its first command: before that its leader's clock may still be put right. */
  let term = { number: 0, sinceMs: 0 }
  const downNodes = new Set<number>()
  const order = new MessageGroupOrder(key => rows.get(key)?.isSettled === false)
  /** By gateway: when it settled something last. */
  const settledAtMs = new Map<number, number>()
  /** By the receive they were given to. */
  const byAttempt = new Map<string, string[]>()

  const settle = (key: string, row: DeliveryRow): void => {
    if (row.isSettled) return
    row.isSettled = true
    openRows.delete(key)
    order.done(key)
  }

  const takeDeadLetters = (record: CommittedRecord, group: string, groupId: number): void => {
    const { maxAttempts } = rulesOf(group)
    for (const { logIndex, ordinal } of deadLetters.newDeadLetters(group)) {
      const place = order.placeOf(logIndex, ordinal)
      if (place === undefined)
        throw new Violation('A33', `group ${group}: its dead letters name message ${ordinal} of entry ${logIndex}, which is none`)
      marks.hit('a message went to the dead letters')
      const key = `${groupId}/${place}`
      const row = rows.get(key)
      if (row === undefined) order.done(key)
      else {
        const items = record.command?.kind === 'settle' ? record.command.items.filter(item => keyOf(item.ref) === key) : []
        const wasSent = items.some(item => item.kind === 'deadLetter')
        // Given back with this entry, and visible at once, whoever holds it or is gone.
        const wasGivenBack = items.some(item => item.kind === 'changeInvisible' && !item.suspend)
        const isCounted = wasGivenBack || countedBetween(row, record.wallMs)[1] === 1
        expectThat(wasSent || row.isSettled || (row.attempt >= maxAttempts && isCounted), 'A34', () => {
          const how = isCounted ? '' : ', which does not count'
          return `group ${group}: ${key} went to the dead letters by entry ${record.index}, after attempt ${row.attempt} of ${maxAttempts}${how}`
        })
        settle(key, row)
      }
    }
  }

  /** Given up is done, for every group; what a group has in hand only when that is forced. */
  const trimmed = ({ topicId, queueId, offset, forcedBelow }: QueueTrim): void => {
    order.trim(topicId, queueId, offset)
    for (const [key, row] of openRows) {
      const [, topic, queue, at] = key.split('/').map(Number)
      if (topic === topicId && queue === queueId && (at ?? 0) < forcedBelow) settle(key, row)
    }
  }

  const deliver = (record: CommittedRecord, pop: Pop, request: PopRequest, delivery: Delivery, batch: Set<string>): void => {
    const { ref } = delivery
    const key = keyOf(ref)
    const where = `group ${pop.consumerGroup}, ${pop.topic}/${ref.queueId}@${ref.offset}, entry ${record.index}`
    const row = rows.get(key)
    if (row?.sequence === ref.deliverySequence) {
      expectThat(request.attempt !== undefined, 'A26', () => `${where}: the same delivery given out twice`)
      expectThat(!row.isSettled, 'A25', () => `${where}: given out again after it was settled`)
      marks.hit('a repeated attempt got the same batch')
      row.node = record.proposer?.node ?? 0
      row.isConfirmed = false
      row.givenAtMs = record.wallMs
      row.orphanedBy = 0
      row.deadlineMs = Math.max(row.deadlineMs, record.wallMs + request.invisibleMs)
      batch.add(key)
      return
    }
    const highest = highestSequence.get(ref.consumerGroupId) ?? 0
    expectThat(ref.deliverySequence > highest, 'A28', () => `${where}: delivery number ${ref.deliverySequence} is not above ${highest}`)
    highestSequence.set(ref.consumerGroupId, ref.deliverySequence)
    if (row === undefined) expectThat(delivery.attempt === 1, 'A35', () => `${where}: the first delivery says attempt ${delivery.attempt}`)
    else {
      expectThat(!row.isSettled, 'A25', () => `${where}: given out after it was settled`)
      expectThat(
        record.wallMs >= Math.min(row.deadlineMs, row.liftAtMs),
        'A26',
        () => `${where}: given out again ${row.deadlineMs - record.wallMs} ms before its invisible time was over`,
      )
      const [low, high] = countedBetween(row, record.wallMs)
      expectThat(
        delivery.attempt >= row.attempt + low && delivery.attempt <= row.attempt + high,
        'A35',
        () => `${where}: attempt ${delivery.attempt} after attempt ${row.attempt}`,
      )
      marks.hit('a message was delivered again')
    }
    const rules = rulesOf(pop.consumerGroup)
    expectThat(
      delivery.attempt <= rules.maxAttempts,
      'A34',
      () => `${where}: attempt ${delivery.attempt}, and there are ${rules.maxAttempts}`,
    )
    if (rules.isFifo) {
      const earlier = order.firstUndoneBefore(key, ref, delivery.logIndex, delivery.ordinal, batch)
      expectThat(earlier === undefined, 'A22', () => `${where}: given out while ${earlier ?? ''} of its message group is not done`)
    }
    batch.add(key)
    const given: DeliveryRow = {
      sequence: ref.deliverySequence,
      attempt: delivery.attempt,
      deadlineMs: record.wallMs + request.invisibleMs,
      client: `${request.client.high}/${request.client.low}`,
      node: record.proposer?.node ?? 0,
      isConfirmed: false,
      autoRenew: request.autoRenew,
      isSuspended: false,
      isSettled: false,
      // A client whose only gateway is down in the log is as good as unconnected.
      liftAtMs: downNodes.has(record.proposer?.node ?? 0) ? record.wallMs + clientGoneMs : never,
      attemptName: attemptNameOf(pop, request),
      givenAtMs: record.wallMs,
      orphanedBy: 0,
    }
    rows.set(key, given)
    openRows.set(key, given)
  }

  /** Given back by a client whose deliveries are renewed, and not in order: not before the group's own pause is over. */
  const backOffMs = ({ autoRenew, attempt }: DeliveryRow, groupId: number): number => {
    const { isFifo, retry } = rulesOf(groupNames.get(groupId) ?? '')
    if (!autoRenew || isFifo || retry === undefined) return 0
    return Math.min(retry.initialMs * retry.multiplier ** (attempt - 1), retry.maxMs)
  }

  const settleItem = (record: CommittedRecord, item: SettleItem, outcome: SettleOutcome): void => {
    const key = keyOf(item.ref)
    const row = rows.get(key)
    const where = `${item.kind} of ${key}, delivery ${item.ref.deliverySequence}, entry ${record.index}`
    const isCurrent = row !== undefined && !row.isSettled && row.sequence === item.ref.deliverySequence
    if (outcome === 'staleHandle') {
      const isAck = item.kind === 'ack' || item.kind === 'changeInvisible' || item.kind === 'deadLetter'
      const isGood = isAck && isCurrent && record.wallMs < Math.min(row.deadlineMs, row.liftAtMs)
      expectThat(!isGood, 'A28', () => `${where}: a good handle was refused`)
      marks.hit('an outlived receipt handle was refused')
      return
    }
    expectThat(row !== undefined, 'A28', () => `${where}: accepted, though nothing was given out`)
    expectThat(
      !isCurrent || row.orphanedBy === 0 || record.index <= row.orphanedBy + entriesToFree,
      'rule14',
      () => `${where}: accepted, though its gateway was gone before it was confirmed (entry ${row.orphanedBy})`,
    )
    expectThat(isCurrent || row.isSettled || item.kind === 'confirm' || item.kind === 'release', 'A28', () => {
      return `${where}: accepted, though delivery ${row.sequence} has taken its place`
    })
    if (!isCurrent) return
    switch (item.kind) {
      case 'ack':
      case 'deadLetter':
        return settle(key, row)
      case 'changeInvisible':
        row.deadlineMs =
          record.wallMs + (item.suspend ? item.invisibleMs : Math.max(item.invisibleMs, backOffMs(row, item.ref.consumerGroupId)))
        row.isConfirmed = true
        row.isSuspended = item.suspend
        row.orphanedBy = 0
        // Given back for good: what becomes of its client does not cut the pause short.
        if (row.autoRenew) {
          row.client = nobody
          row.liftAtMs = never
        }
        row.autoRenew = false
        row.attemptName = undefined
        return
      case 'confirm':
        row.isConfirmed = true
        row.orphanedBy = 0
        if (row.autoRenew) row.deadlineMs = record.wallMs + autoRenewMs
        return
      case 'release':
        marks.hit('a delivery was released')
        row.deadlineMs = -never
        row.attemptName = undefined
        return
    }
  }

  const settled = (record: CommittedRecord, command: Settle): void => {
    if (record.result?.kind !== 'settled') return
    for (const [i, item] of command.items.entries()) {
      const outcome = record.result.outcomes[i]
      if (outcome === undefined) throw new Violation('A28', `entry ${record.index}: no outcome for item ${i}`)
      settleItem(record, item, outcome)
    }
  }

  /** It is down, or another process now: what it had not confirmed is free at once, and a client that knew only this node is gone a little later. */
  const gatewayGone = (record: CommittedRecord, node: number): void => {
    for (const row of openRows.values()) {
      const isUnconfirmed = row.node === node && !row.isConfirmed
      if (isUnconfirmed && row.orphanedBy === 0 && record.wallMs < Math.min(row.deadlineMs, row.liftAtMs)) row.orphanedBy = record.index
      if (isUnconfirmed) row.liftAtMs = Math.min(row.liftAtMs, record.wallMs)
      else if (row.client !== nobody) row.liftAtMs = Math.min(row.liftAtMs, record.wallMs + clientGoneMs)
    }
  }

  /** What this very receive was given before, and nobody has answered, must be in what it gets now. */
  const checkRepeat = (record: CommittedRecord, pop: Pop, request: PopRequest, given: ReadonlySet<string>): void => {
    const name = attemptNameOf(pop, request)
    if (name === undefined) return
    for (const key of byAttempt.get(name) ?? []) {
      const row = rows.get(key)
      if (row?.attemptName !== name || row.isSettled || record.wallMs >= Math.min(row.deadlineMs, row.liftAtMs)) continue
      expectThat(given.has(key), 'rule14', () => `entry ${record.index}: the repeated receive of ${pop.consumerGroup} was not given ${key}`)
    }
    byAttempt.set(name, [...given])
  }

  /** A gateway has settled something: long before that it must have said what became of this. */
  const checkSaid = (record: CommittedRecord, node: number): void => {
    for (const [key, row] of openRows) {
      if (row.isConfirmed || row.node !== node || row.liftAtMs !== never || record.wallMs >= row.deadlineMs) continue
      // What a leader appended and could not commit its gateway hears of only from the next one.
      if (Math.max(row.givenAtMs, term.sinceMs) + saidAfterMs > (settledAtMs.get(node) ?? 0)) continue
      throw new Violation(
        'rule14',
        `${key}, given to node ${node} ${record.wallMs - row.givenAtMs} ms ago, is neither confirmed nor released`,
      )
    }
    settledAtMs.set(node, record.wallMs)
  }

  const popped = (record: CommittedRecord, pop: Pop): void => {
    if (record.result?.kind !== 'popped') return
    groupNames.set(record.result.consumerGroupId, pop.consumerGroup)
    topicIds.set(pop.topic, record.result.topicId)
    for (const [i, request] of pop.requests.entries()) {
      const batch = new Set<string>()
      const given = new Set((record.result.deliveries[i] ?? []).map(({ ref }) => keyOf(ref)))
      checkRepeat(record, pop, request, given)
      for (const delivery of record.result.deliveries[i] ?? []) deliver(record, pop, request, delivery, batch)
    }
  }

  return {
    name: 'deliveries',
    committed(record) {
      const { membership } = record
      if (record.term > term.number && record.command !== undefined) term = { number: record.term, sinceMs: record.wallMs }
      if (membership !== undefined) {
        const { isGone } = turn(membership)
        for (const node of incarnations.keys()) {
          if (!isGone(node)) continue
          incarnations.delete(node)
          downNodes.add(node)
          gatewayGone(record, node)
        }
      }
      if (record.proposer !== undefined && record.result !== undefined) {
        const { node, incarnation } = record.proposer
        const known = incarnations.get(node)
        incarnations.set(node, incarnation)
        if (known !== undefined && known !== incarnation) gatewayGone(record, node)
      }
      for (const [groupId, name] of groupNames) takeDeadLetters(record, name, groupId)
      const command = carriedOut(record)
      if (command?.kind === 'send' && record.result?.kind === 'sent') {
        topicIds.set(command.topic, record.result.topicId)
        for (const [ordinal, message] of record.result.messages.entries()) {
          if (!message.isDuplicate) {
            order.append(record.result.topicId, message.queueId, message.offset, command.messageGroup, record.index, ordinal)
          }
        }
      } else if (command?.kind === 'trim') {
        for (const trim of command.queues) trimmed(trim)
      } else if (command?.kind === 'carry') {
        for (const [ordinal, { topicId, queueId, offset }] of command.items.entries())
          order.alias(topicId, queueId, offset, record.index, ordinal)
      } else if (command?.kind === 'pop') popped(record, command)
      else if (command?.kind === 'settle') {
        settled(record, command)
        if (record.proposer !== undefined && record.result?.kind === 'settled') checkSaid(record, record.proposer.node)
      } else if (command?.kind === 'clientsChanged') {
        for (const { client, change } of command.changes) {
          if (change === 'connected') continue
          const name = `${client.high}/${client.low}`
          for (const row of openRows.values()) if (row.client === name) row.liftAtMs = record.wallMs
        }
      } else if (command?.kind === 'nodeChanged') {
        if (command.isUp) downNodes.delete(command.node)
        // Said again of who is down already, by a leader that had not applied the first word, it changes nothing.
        else if (!downNodes.has(command.node)) {
          downNodes.add(command.node)
          gatewayGone(record, command.node)
        }
      }
    },
    acknowledged(consumerGroup, topic, queueId, offset) {
      expectThat(this.isDone(consumerGroup, topic, queueId, offset), 'A25', () => {
        return `group ${consumerGroup}: the acknowledgement of ${topic}/${queueId}@${offset} was accepted and is not in the log`
      })
    },
    inFlight: () => openRows.size,
    rowOf: key => rows.get(key),
    isDoneKey: key => order.isDone(key),
    isDone(consumerGroup, topic, queueId, offset) {
      const topicId = topicIds.get(topic)
      for (const [groupId, name] of groupNames) {
        if (name === consumerGroup && order.isDone(`${groupId}/${topicId ?? 0}/${queueId}/${offset}`)) return true
      }
      return false
    },
  }
}

/** Names a receive that may be repeated; undefined = it can't be. */
function attemptNameOf(pop: Pop, { client, attempt }: PopRequest): string | undefined {
  if (attempt === undefined || (client.low === 0 && client.high === 0)) return undefined
  return `${pop.consumerGroup}/${pop.topic}/${client.high}/${client.low}/${attempt.high}/${attempt.low}`
}

function keyOf(ref: DeliveryRef): string {
  return `${ref.consumerGroupId}/${ref.topicId}/${ref.queueId}/${ref.offset}`
}
