/** Each checker of messages and deliveries is shown what it must refuse, once, and what it must let pass. */
import { describe, expect, it } from 'vitest'
import type { Command, PopRequest, SettleItem } from '../../src/state/command.ts'
import type { CommandResult, Delivery, SettleOutcome } from '../../src/state/result.ts'
import { Ledger, type Value } from '../ledger.ts'
import { Marks } from '../marks.ts'
import { bodyOf, encodeMessage } from '../workloads/payload.ts'
import { appendedOnce } from './appended-once.ts'
import type { CommittedRecord } from './checker.ts'
import { deliveries, type Deliveries } from './deliveries.ts'
import { idOf } from './id-of.ts'
import { leftBehind } from './left-behind.ts'
import type { ReferenceReplica } from '../reference.ts'
import { received } from './received.ts'

const seed = 11
const messageGroup = { low: 5, high: 6 }

function record(index: number, command: unknown, result: unknown, wallMs = index * 1_000): CommittedRecord {
  const proposer = { node: 1, incarnation: 1, sequence: index, sentAtMs: wallMs }
  return { index, term: 1, wallMs, command: command as Command, proposer, result: result as CommandResult }
}

function aValue(ledger: Ledger, floors: readonly number[] = []): Value {
  return ledger.invoke({
    topic: 'orders',
    messageGroup: undefined,
    clientId: 'c',
    messageId: 'm',
    bodyBytes: 40,
    invokedAtMs: 0,
    floors,
  })
}

function messageOf(value: number, length = 40): Uint8Array {
  const body = bodyOf(seed, value, length)
  return encodeMessage({ topic: 'orders', messageId: 'm', tag: undefined, messageGroup: undefined, body }).bytes
}

function aSend(index: number, value: number, offset: number, isDuplicate = false, bytes = messageOf(value)): CommittedRecord {
  return record(
    index,
    { kind: 'send', topic: 'orders', messageType: 2, messageGroup, messages: [{ bytes }] },
    { kind: 'sent', topicId: 1, messages: [{ queueId: 0, offset, isDuplicate }] },
  )
}

function aRequest(fields: Partial<PopRequest> = {}): PopRequest {
  return {
    max: 4,
    invisibleMs: 10_000,
    autoRenew: false,
    client: { low: 1, high: 1 },
    attempt: undefined,
    filter: { kind: 'all' },
    ...fields,
  }
}

function aDelivery(offset: number, sequence: number, attempt = 1): Delivery {
  const ref = { consumerGroupId: 1, topicId: 1, queueId: 0, offset, deliverySequence: sequence }
  return { ref, logIndex: offset + 1, ordinal: 0, attempt, storedAtMs: 0 } as unknown as Delivery
}

function aPop(index: number, given: readonly Delivery[], wallMs?: number, request = aRequest()): CommittedRecord {
  return record(
    index,
    { kind: 'pop', consumerGroup: 'ledger', topic: 'orders', requests: [request] },
    { kind: 'popped', consumerGroupId: 1, topicId: 1, deliveries: [given], hasMore: false },
    wallMs,
  )
}

function aSettle(
  index: number,
  kind: SettleItem['kind'],
  delivery: Delivery,
  outcome: SettleOutcome = 'ok',
  wallMs?: number,
  suspend = false,
): CommittedRecord {
  const item = { kind, ref: delivery.ref, invisibleMs: 0, suspend }
  return record(index, { kind: 'settle', items: [item] }, { kind: 'settled', outcomes: [outcome] }, wallMs)
}

/** Two messages of one message group stand in the queue. */
function aChecker(): Deliveries {
  const checker = deliveries(() => ({ isFifo: true, maxAttempts: 16 }), { newDeadLetters: () => [] }, new Marks())
  checker.committed?.(aSend(1, 0, 0))
  checker.committed?.(aSend(2, 1, 1))
  return checker
}

describe('appended once', () => {
  it('refuses a second place for a value, a hole, a foreign and a damaged message', () => {
    const ledger = new Ledger()
    aValue(ledger)
    aValue(ledger)
    const checker = appendedOnce(seed, ledger, new Marks())
    expect(idOf(() => checker.committed?.(aSend(1, 0, 0)))).toBe('none')
    expect(idOf(() => checker.committed?.(aSend(2, 0, 1)))).toBe('A8')
    expect(idOf(() => checker.committed?.(aSend(2, 1, 5)))).toBe('A12')
    expect(idOf(() => checker.committed?.(aSend(2, 7, 2)))).toBe('A5')
    const damaged = messageOf(1)
    damaged.set([(damaged.at(-1) ?? 0) ^ 1], damaged.length - 1)
    expect(idOf(() => checker.committed?.(aSend(2, 1, 2, false, damaged)))).toBe('A6')
  })

  it('refuses "it was there already" about another value', () => {
    const ledger = new Ledger()
    aValue(ledger)
    aValue(ledger)
    const checker = appendedOnce(seed, ledger, new Marks())
    checker.committed?.(aSend(1, 0, 0))
    expect(idOf(() => checker.committed?.(aSend(2, 0, 0, true)))).toBe('none')
    expect(idOf(() => checker.committed?.(aSend(3, 1, 0, true)))).toBe('A1')
  })

  it('refuses an acknowledgement of nothing, of another place, and one that jumps the queue', () => {
    const ledger = new Ledger()
    const [first, second] = [aValue(ledger), aValue(ledger, [3])]
    const checker = appendedOnce(seed, ledger, new Marks())
    expect(idOf(() => checker.acknowledged(first, { queueId: 0, offset: 0 }))).toBe('A1')
    checker.committed?.(aSend(1, 0, 0))
    checker.committed?.(aSend(2, 1, 1))
    expect(idOf(() => checker.acknowledged(first, { queueId: 0, offset: 0 }))).toBe('none')
    expect(idOf(() => checker.acknowledged(first, { queueId: 0, offset: 1 }))).toBe('A10')
    expect(idOf(() => checker.acknowledged(second, { queueId: 0, offset: 1 }))).toBe('A14')
  })

  it('refuses the append of what was refused for certain', () => {
    const ledger = new Ledger()
    ledger.failed(aValue(ledger))
    expect(idOf(() => appendedOnce(seed, ledger, new Marks()).committed?.(aSend(1, 0, 0)))).toBe('A45')
  })
})

describe('deliveries', () => {
  it('refuse a second delivery inside the invisible time, and allow one after it', () => {
    const checker = aChecker()
    checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
    expect(idOf(() => checker.committed?.(aPop(4, [aDelivery(0, 2, 2)], 19_999)))).toBe('A26')
    expect(idOf(() => checker.committed?.(aPop(5, [aDelivery(0, 3, 2)], 20_000)))).toBe('none')
  })

  it('allow an early one after a release, and when the gateway of an unconfirmed one is down', () => {
    const checker = aChecker()
    checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
    checker.committed?.(aSettle(4, 'release', aDelivery(0, 1)))
    expect(idOf(() => checker.committed?.(aPop(5, [aDelivery(0, 2, 1)], 10_001)))).toBe('none')
    checker.committed?.(record(6, { kind: 'nodeChanged', node: 1, isUp: false }, { kind: 'done' }))
    expect(idOf(() => checker.committed?.(aPop(7, [aDelivery(0, 3, 1)], 10_002)))).toBe('none')
  })

  it('allow no early one when a gateway is called down that was down already (seed 21000357)', () => {
    const checker = aChecker()
    const down = (index: number): CommittedRecord => record(index, { kind: 'nodeChanged', node: 1, isUp: false }, { kind: 'done' }, 9_000)
    checker.committed?.(down(3))
    checker.committed?.(aPop(4, [aDelivery(0, 1)], 10_000))
    checker.committed?.(down(5))
    expect(idOf(() => checker.committed?.(aPop(6, [aDelivery(0, 2, 1)], 10_001)))).toBe('A26')
  })

  it('take no gateway for down, and no client for gone, by a command that came too late to count (seed 40002556)', () => {
    const late = { kind: 'refused', reason: 'late' }
    const isDown = { kind: 'nodeChanged', node: 1, isUp: false }
    const isGone = { kind: 'clientsChanged', changes: [{ client: { low: 1, high: 1 }, change: 'terminated' }] }
    const again = (command: unknown, result: unknown): string => {
      const checker = aChecker()
      checker.committed?.(record(3, isDown, late, 8_000))
      checker.committed?.(aPop(4, [aDelivery(0, 1)], 10_000))
      checker.committed?.(record(5, command, result, 10_000))
      return idOf(() => checker.committed?.(aPop(6, [aDelivery(0, 2, 1)], 10_001)))
    }
    expect([again(isDown, late), again(isGone, late)]).toEqual(['A26', 'A26'])
    expect([again(isDown, { kind: 'done' }), again(isGone, { kind: 'done' })]).toEqual(['none', 'none'])
  })

  it('want to hear what became of one, and wait longer when it was left to another leader to commit it (seed 22001321)', () => {
    const settledIn = (term: number): string => {
      const checker = aChecker()
      checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
      const later = [18_500, 18_600].map((wallMs, i) => aSettle(4 + i, 'confirm', aDelivery(1, 9), 'staleHandle', wallMs))
      return idOf(() => {
        for (const settle of later) checker.committed?.({ ...settle, term })
      })
    }
    expect(settledIn(1)).toBe('rule14')
    expect(settledIn(2)).toBe('none')
  })

  it('refuse a delivery after the acknowledgement', () => {
    const checker = aChecker()
    checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
    checker.committed?.(aSettle(4, 'ack', aDelivery(0, 1), 'ok', 10_001))
    expect(idOf(() => checker.committed?.(aPop(5, [aDelivery(0, 2, 2)], 90_000)))).toBe('A25')
  })

  it('refuse an outlived handle that is accepted, and a good one that is refused', () => {
    const checker = aChecker()
    checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
    expect(idOf(() => checker.committed?.(aSettle(4, 'ack', aDelivery(0, 1), 'staleHandle', 10_001)))).toBe('A28')
    checker.committed?.(aPop(5, [aDelivery(0, 2, 2)], 30_000))
    expect(idOf(() => checker.committed?.(aSettle(6, 'ack', aDelivery(0, 1), 'staleHandle', 30_001)))).toBe('none')
    expect(idOf(() => checker.committed?.(aSettle(7, 'ack', aDelivery(0, 1), 'ok', 30_002)))).toBe('A28')
  })

  it('refuse a wrong attempt and a delivery number used before', () => {
    const checker = aChecker()
    expect(idOf(() => checker.committed?.(aPop(3, [aDelivery(0, 1, 2)])))).toBe('A35')
    const other = aChecker()
    other.committed?.(aPop(3, [aDelivery(0, 4)], 10_000))
    expect(idOf(() => other.committed?.(aPop(4, [aDelivery(0, 5, 3)], 90_000)))).toBe('A35')
    expect(idOf(() => other.committed?.(aPop(5, [aDelivery(1, 4)], 90_000)))).toBe('A28')
  })

  it('count no attempt that was suspended, or that its client never had before it was gone', () => {
    const isGone = record(
      5,
      { kind: 'clientsChanged', changes: [{ client: { low: 1, high: 1 }, change: 'terminated' }] },
      { kind: 'done' },
      10_002,
    )
    const given = (end: readonly CommittedRecord[], attempt: number, wallMs: number): string => {
      const checker = aChecker()
      checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
      for (const each of end) checker.committed?.(each)
      return idOf(() => checker.committed?.(aPop(9, [aDelivery(0, 2, attempt)], wallMs)))
    }
    const confirmed = aSettle(4, 'confirm', aDelivery(0, 1), 'ok', 10_001)
    expect([given([isGone], 1, 11_000), given([isGone], 2, 11_000), given([isGone], 2, 20_000)]).toEqual(['none', 'A35', 'none'])
    expect([given([confirmed, isGone], 1, 11_000), given([confirmed, isGone], 2, 11_000)]).toEqual(['A35', 'none'])
    const suspended = aSettle(4, 'changeInvisible', aDelivery(0, 1), 'ok', 10_001, true)
    const givenBack = aSettle(4, 'changeInvisible', aDelivery(0, 1), 'ok', 10_001)
    expect([given([suspended], 1, 10_002), given([suspended], 2, 10_002)]).toEqual(['none', 'A35'])
    expect([given([givenBack], 1, 10_002), given([givenBack], 2, 10_002)]).toEqual(['A35', 'none'])
  })

  it('let nothing go to the dead letters after a last attempt that does not count', () => {
    const inDeadLetters = (end: CommittedRecord, isThen = false): string => {
      const dead: { logIndex: number; ordinal: number }[] = []
      const checker = deliveries(() => ({ isFifo: false, maxAttempts: 1 }), { newDeadLetters: () => dead.splice(0) }, new Marks())
      checker.committed?.(aSend(1, 0, 0))
      checker.committed?.(aPop(2, [aDelivery(0, 1)], 10_000))
      if (isThen) checker.committed?.(end)
      dead.push({ logIndex: 1, ordinal: 0 })
      return idOf(() => checker.committed?.(isThen ? aPop(4, [], 10_500) : end))
    }
    const isDown = record(3, { kind: 'nodeChanged', node: 1, isUp: false }, { kind: 'done' }, 10_001)
    const settle = (kind: SettleItem['kind'], isSuspended = false): CommittedRecord =>
      aSettle(3, kind, aDelivery(0, 1), 'ok', 10_001, isSuspended)
    expect([inDeadLetters(settle('release'), true), inDeadLetters(isDown, true)]).toEqual(['A34', 'A34'])
    expect(inDeadLetters(settle('changeInvisible', true), true)).toBe('A34')
    expect([inDeadLetters(settle('changeInvisible')), inDeadLetters(settle('deadLetter'))]).toEqual(['none', 'none'])
    expect(inDeadLetters(settle('confirm'), true)).toBe('none')
  })

  it('let the pause of what was given back be cut short by no end of its client', () => {
    const checker = deliveries(() => ({ isFifo: false, maxAttempts: 16 }), { newDeadLetters: () => [] }, new Marks())
    checker.committed?.(aSend(1, 0, 0))
    checker.committed?.(aPop(2, [aDelivery(0, 1)], 10_000, aRequest({ autoRenew: true })))
    const item = { kind: 'changeInvisible', ref: aDelivery(0, 1).ref, invisibleMs: 30_000, suspend: false }
    checker.committed?.(record(3, { kind: 'settle', items: [item] }, { kind: 'settled', outcomes: ['ok'] }, 10_001))
    const changes = [{ client: { low: 1, high: 1 }, change: 'terminated' }]
    checker.committed?.(record(4, { kind: 'clientsChanged', changes }, { kind: 'done' }, 10_002))
    checker.committed?.(record(5, { kind: 'nodeChanged', node: 1, isUp: false }, { kind: 'done' }, 10_003))
    expect(idOf(() => checker.committed?.(aPop(6, [aDelivery(0, 2, 2)], 30_000)))).toBe('A26')
    expect(idOf(() => checker.committed?.(aPop(7, [aDelivery(0, 3, 2)], 40_001)))).toBe('none')
  })

  it('refuse the second of a message group before the first is done, unless both come in one batch', () => {
    expect(idOf(() => aChecker().committed?.(aPop(3, [aDelivery(0, 1), aDelivery(1, 2)])))).toBe('none')
    const checker = aChecker()
    checker.committed?.(aPop(3, [aDelivery(0, 1)]))
    expect(idOf(() => checker.committed?.(aPop(4, [aDelivery(1, 2)])))).toBe('A22')
    checker.committed?.(aSettle(5, 'ack', aDelivery(0, 1), 'ok', 3_001))
    expect(idOf(() => checker.committed?.(aPop(6, [aDelivery(1, 3)])))).toBe('none')
  })

  it('refuse an acknowledgement that the client was told of and the log does not know', () => {
    const checker = aChecker()
    checker.committed?.(aPop(3, [aDelivery(0, 1)], 10_000))
    expect(idOf(() => checker.acknowledged('ledger', 'orders', 0, 0))).toBe('A25')
    checker.committed?.(aSettle(4, 'ack', aDelivery(0, 1), 'ok', 10_001))
    expect(idOf(() => checker.acknowledged('ledger', 'orders', 0, 0))).toBe('none')
  })
})

describe('received', () => {
  it('refuses bytes that stand elsewhere, and remembers what a group has seen', () => {
    const ledger = new Ledger()
    aValue(ledger)
    const appended = appendedOnce(seed, ledger, new Marks())
    appended.committed?.(aSend(1, 0, 0))
    const checker = received(seed, ledger, appended)
    expect(idOf(() => checker.delivered('ledger', 'orders', 0, 1, messageOf(0)))).toBe('A10')
    expect(checker.delivered('ledger', 'orders', 0, 0, messageOf(0)).id).toBe(0)
    expect(checker.hasSeen('ledger', 0)).toBe(true)
    expect(checker.hasSeen('audit', 0)).toBe(false)
  })
})

describe('left behind', () => {
  interface Pair {
    readonly pop: (index: number, given: readonly Delivery[], max: number, wallMs?: number) => string
    /** An entry that apply ignores. */
    readonly copy: (index: number, wallMs: number) => string
  }

  /** Shows the checker what is committed, and what it asks the checker of deliveries for. */
  function aTaker(isFifo = false): (taken: CommittedRecord) => void {
    const rules = (): { isFifo: boolean; maxAttempts: number } => ({ isFifo, maxAttempts: 16 })
    const rows = deliveries(rules, { newDeadLetters: () => [] }, new Marks())
    const reference = { entry: () => ({ kind: 1 }) } as unknown as ReferenceReplica
    const checker = leftBehind(rules, rows, reference)
    return taken => {
      rows.committed?.(taken)
      checker.committed?.(taken)
    }
  }

  function aPair(isFifo = false): Pair {
    const take = aTaker(isFifo)
    take(aSend(1, 0, 0))
    take(aSend(2, 1, 1))
    return {
      pop: (index, given, max, wallMs) => idOf(() => take(aPop(index, given, wallMs, aRequest({ max })))),
      copy: (index, wallMs) => idOf(() => take({ ...aPop(index, [], wallMs, aRequest({ max: 4 })), result: undefined })),
    }
  }

  it('refuses a pop with room that leaves a message behind that nobody has', () => {
    expect(aPair().pop(3, [aDelivery(0, 1), aDelivery(1, 2)], 4)).toBe('none')
    expect(aPair().pop(3, [aDelivery(0, 1)], 1)).toBe('none')
    expect(aPair().pop(3, [aDelivery(0, 1)], 4)).toBe('A27')
  })

  it('lets a message be whose time is not over, and refuses one that should have come again', () => {
    const { pop } = aPair()
    expect(pop(3, [aDelivery(0, 1), aDelivery(1, 2)], 2, 10_000)).toBe('none')
    expect(pop(4, [], 4, 19_999)).toBe('none')
    for (let index = 5; index < 8; index += 1) expect(pop(index, [], 0, 20_000)).toBe('none')
    expect(pop(8, [], 4, 20_001)).toBe('A27')
  })

  it('does not count copies among the entries that had time to make messages visible again (seed 3100047)', () => {
    const { pop, copy } = aPair()
    expect(pop(3, [aDelivery(0, 1), aDelivery(1, 2)], 2, 10_000)).toBe('none')
    for (let index = 4; index < 7; index += 1) expect(copy(index, 20_000)).toBe('none')
    expect(pop(7, [], 4, 20_001)).toBe('none')
  })

  it('lets a message be that its client gave back in the first entry of the next life of its gateway', () => {
    const take = aTaker()
    take(aSend(1, 0, 0))
    take(aPop(2, [aDelivery(0, 1)], 10_000, aRequest({ max: 1 })))
    const { ref } = aDelivery(0, 1)
    const later = { kind: 'settle', items: [{ kind: 'changeInvisible', ref, invisibleMs: 60_000, suspend: false }] }
    const given = record(3, later, { kind: 'settled', outcomes: ['ok'] }, 11_000)
    take({ ...given, proposer: { node: 1, incarnation: 2, sequence: 1, sentAtMs: 11_000 } })
    for (let index = 4; index < 9; index += 1) expect(idOf(() => take(aPop(index, [], 12_000, aRequest({ max: 4 }))))).toBe('none')
  })

  it('lets a message of a FIFO group be that lies too far behind the first unfinished one of its queue (seed 152000000)', () => {
    const leftAt = (offset: number): string => {
      const take = aTaker(true)
      take(aSend(1, 0, 0))
      take(aPop(2, [aDelivery(0, 1)], 10_000, aRequest({ max: 1 })))
      const send = aSend(3, 1, offset)
      take({ ...send, command: { ...send.command, messageGroup: { low: 7, high: 8 } } as Command })
      return idOf(() => take(aPop(4, [], 10_001, aRequest({ max: 4 }))))
    }
    expect([leftAt(1_023), leftAt(1_024)]).toEqual(['A27', 'none'])
  })

  it('takes the first unfinished message for its whole message group', () => {
    const { pop } = aPair(true)
    expect(pop(3, [aDelivery(0, 1)], 1)).toBe('none')
    expect(pop(4, [], 4)).toBe('none')
  })
})
