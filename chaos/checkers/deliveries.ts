/**
 * What the log says of deliveries, group by group: nothing is given out again while it is invisible (A26) or after it was acknowledged (A25);
 * attempts count up by at most one (A35); a receipt handle is good exactly as long as its delivery is (A28), and no handle is made twice;
 * a message group is worked off in the order of the queue, the next message only when all before it are done or in the same batch (A22).
 * Times are the log's own: the entries' `wallMs`.
 */
import type { DeliveryRef, Pop, PopRequest, Settle, SettleItem } from '../../src/state/command.ts'
import type { Delivery, SettleOutcome } from '../../src/state/result.ts'
import { autoRenewMs } from '../../src/state/limits.ts'
import type { Marks } from '../marks.ts'
import { expectThat, Violation } from '../violation.ts'
import type { Checker, CommittedRecord } from './checker.ts'
import { MessageGroupOrder } from './message-group-order.ts'

interface Row {
  sequence: number
  attempt: number
  /** Not visible before this. */
  deadlineMs: number
  client: string
  /** Gateway that got it. */
  node: number
  isConfirmed: boolean
  /** Once confirmed it is the client's while that lives. */
  autoRenew: boolean
  isSettled: boolean
  /** Its gateway or its client was declared gone: from here on it may come again. */
  liftAtMs: number
}

/** A client without any connection is gone after this (DESIGN rule 19). */
const clientGoneMs = 10_000

export interface Deliveries extends Checker {
  /** A client was told that its acknowledgement counts. */
  acknowledged(consumerGroup: string, topic: string, queueId: number, offset: number): void
  /** How many messages are given out and not settled. */
  inFlight(): number
  /** Settled by the group, or in its dead letters. */
  isDone(consumerGroup: string, topic: string, queueId: number, offset: number): boolean
}

/** What the checker asks of the reference replica. */
export interface DeadLetterView {
  /** Messages that have gone to the dead letters of this group since the last call: as (send entry, ordinal). */
  newDeadLetters(consumerGroup: string): readonly { readonly logIndex: number; readonly ordinal: number }[]
}

const never = Number.POSITIVE_INFINITY

export function deliveries(isFifo: (consumerGroup: string) => boolean, deadLetters: DeadLetterView, marks: Marks): Deliveries {
  const rows = new Map<string, Row>()
  const groupNames = new Map<number, string>()
  const topicIds = new Map<string, number>()
  const highestSequence = new Map<number, number>()
  /** By gateway. */
  const incarnations = new Map<number, number>()
  const downNodes = new Set<number>()
  const order = new MessageGroupOrder()
  let inFlight = 0

  const settle = (key: string, row: Row): void => {
    if (row.isSettled) return
    row.isSettled = true
    inFlight -= 1
    order.done(key)
  }

  const takeDeadLetters = (group: string, groupId: number): void => {
    for (const { logIndex, ordinal } of deadLetters.newDeadLetters(group)) {
      const place = order.placeOf(logIndex, ordinal)
      if (place === undefined)
        throw new Violation('A33', `group ${group}: its dead letters name message ${ordinal} of entry ${logIndex}, which is none`)
      marks.hit('a message went to the dead letters')
      const key = `${groupId}/${place}`
      const row = rows.get(key)
      if (row !== undefined) settle(key, row)
      else order.done(key)
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
      expectThat(
        delivery.attempt === row.attempt || delivery.attempt === row.attempt + 1,
        'A35',
        () => `${where}: attempt ${delivery.attempt} after attempt ${row.attempt}`,
      )
      marks.hit('a message was delivered again')
    }
    if (isFifo(pop.consumerGroup)) {
      const earlier = order.firstUndoneBefore(key, ref, delivery.logIndex, delivery.ordinal, batch)
      expectThat(earlier === undefined, 'A22', () => `${where}: given out while ${earlier ?? ''} of its message group is not done`)
    }
    batch.add(key)
    if (row === undefined || row.isSettled) inFlight += 1
    rows.set(key, {
      sequence: ref.deliverySequence,
      attempt: delivery.attempt,
      deadlineMs: record.wallMs + request.invisibleMs,
      client: `${request.client.high}/${request.client.low}`,
      node: record.proposer?.node ?? 0,
      isConfirmed: false,
      autoRenew: request.autoRenew,
      isSettled: false,
      // A client whose only gateway is down in the log is as good as unconnected.
      liftAtMs: downNodes.has(record.proposer?.node ?? 0) ? record.wallMs + clientGoneMs : never,
    })
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
    expectThat(isCurrent || row.isSettled || item.kind === 'confirm' || item.kind === 'release', 'A28', () => {
      return `${where}: accepted, though delivery ${row.sequence} has taken its place`
    })
    if (!isCurrent) return
    switch (item.kind) {
      case 'ack':
      case 'deadLetter':
        return settle(key, row)
      case 'changeInvisible':
        row.deadlineMs = record.wallMs + item.invisibleMs
        row.isConfirmed = true
        row.autoRenew = false
        return
      case 'confirm':
        row.isConfirmed = true
        if (row.autoRenew) row.deadlineMs = record.wallMs + autoRenewMs
        return
      case 'release':
        marks.hit('a delivery was released')
        row.deadlineMs = -never
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
    for (const row of rows.values()) {
      if (row.isSettled) continue
      const isUnconfirmed = row.node === node && !row.isConfirmed
      row.liftAtMs = Math.min(row.liftAtMs, isUnconfirmed ? record.wallMs : record.wallMs + clientGoneMs)
    }
  }

  const popped = (record: CommittedRecord, pop: Pop): void => {
    if (record.result?.kind !== 'popped') return
    groupNames.set(record.result.consumerGroupId, pop.consumerGroup)
    topicIds.set(pop.topic, record.result.topicId)
    for (const [i, request] of pop.requests.entries()) {
      const batch = new Set<string>()
      for (const delivery of record.result.deliveries[i] ?? []) deliver(record, pop, request, delivery, batch)
    }
  }

  return {
    name: 'deliveries',
    committed(record) {
      const { command } = record
      if (record.proposer !== undefined && record.result !== undefined) {
        const { node, incarnation } = record.proposer
        const known = incarnations.get(node)
        incarnations.set(node, incarnation)
        if (known !== undefined && known !== incarnation) gatewayGone(record, node)
      }
      for (const [groupId, name] of groupNames) takeDeadLetters(name, groupId)
      if (command?.kind === 'send' && record.result?.kind === 'sent') {
        topicIds.set(command.topic, record.result.topicId)
        for (const [ordinal, message] of record.result.messages.entries()) {
          if (!message.isDuplicate) {
            order.append(record.result.topicId, message.queueId, message.offset, command.messageGroup, record.index, ordinal)
          }
        }
      } else if (command?.kind === 'pop') popped(record, command)
      else if (command?.kind === 'settle') settled(record, command)
      else if (command?.kind === 'clientsChanged') {
        for (const { client, change } of command.changes) {
          if (change === 'connected') continue
          const name = `${client.high}/${client.low}`
          for (const row of rows.values()) if (row.client === name) row.liftAtMs = record.wallMs
        }
      } else if (command?.kind === 'nodeChanged') {
        if (command.isUp) downNodes.delete(command.node)
        else {
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
    inFlight: () => inFlight,
    isDone(consumerGroup, topic, queueId, offset) {
      const topicId = topicIds.get(topic)
      for (const [groupId, name] of groupNames) {
        if (name === consumerGroup && order.isDone(`${groupId}/${topicId ?? 0}/${queueId}/${offset}`)) return true
      }
      return false
    },
  }
}

function keyOf(ref: DeliveryRef): string {
  return `${ref.consumerGroupId}/${ref.topicId}/${ref.queueId}/${ref.offset}`
}
