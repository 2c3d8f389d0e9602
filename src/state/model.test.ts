/**
 * The machine against its naive twin, and against itself: the same entries go to a machine that never restarts, to one that is checkpointed and restored
 * again and again and whose digest is read at odd moments, and to the twin. All three must give the same answers and end in the same state.
 * `MODEL_RUNS=5000 npx vitest run src/state/model.test.ts` for a long one.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Command, DeliveryRef, SettleItem } from './command.ts'
import { digestText } from './digest.ts'
import { entryKinds } from './machine.ts'
import { bodyOf, fifoSend, group, hash, MemoryCheckpoints, message, receive, Replica, send } from './testing/replica.ts'
import { Twin } from './testing/twin.ts'

type Step =
  | {
      readonly do: 'send'
      readonly topic: string
      readonly ids: readonly (number | undefined)[]
      readonly tag: number
      readonly group: number
      readonly isFifo: boolean
      /** Another body under the same ids. */
      readonly isOther: boolean
    }
  | { readonly do: 'pop'; readonly group: string; readonly topic: string; readonly receives: readonly ReceiveStep[] }
  | {
      readonly do: 'settle'
      readonly items: readonly {
        readonly which: number
        readonly kind: SettleItem['kind']
        readonly ms: number
        readonly suspend: boolean
      }[]
    }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'leap'; readonly ms: number }
  | { readonly do: 'raise'; readonly level: number }
  | { readonly do: 'create'; readonly topic: string; readonly isFifo: boolean; readonly queueCount: number }
  | { readonly do: 'delete'; readonly topic: string }
  | {
      readonly do: 'ensure'
      readonly group: string
      readonly isFifo: boolean
      readonly maxAttempts: number
      readonly start: number
      readonly replace: boolean
    }
  | { readonly do: 'clients'; readonly client: number; readonly change: 'connected' | 'disconnected' | 'terminated'; readonly from: number }
  | { readonly do: 'node'; readonly node: number; readonly isUp: boolean }
  /** Shares of what is there, in eighths. */
  | {
      readonly do: 'trim'
      readonly topic: string
      readonly queue: number
      readonly eighths: number
      readonly forcedEighths: number
      readonly carries: boolean
    }
  | { readonly do: 'incarnation' }
  | { readonly do: 'copy' }
  | { readonly do: 'late' }
  | { readonly do: 'restart' }
  | { readonly do: 'checkpoint' }
  | { readonly do: 'digest' }

interface ReceiveStep {
  readonly max: number
  readonly ms: number
  readonly autoRenew: boolean
  readonly client: number
  readonly attempt: number | undefined
  readonly tag: number | undefined
}

const topic = fc.constantFrom('a', 'a', 'b', 'fifo', 'fifo', '%DLQ%g', '%DLQ%ordered')
const groupName = fc.constantFrom('g', 'g', 'ordered', 'ordered', 'h')
const node = fc.constantFrom(1, 1, 2, 3)
const ms = fc.constantFrom(0, 1, 400, 5_000, 10_000, 30_000)
const receiveStep: fc.Arbitrary<ReceiveStep> = fc.record({
  max: fc.integer({ min: 1, max: 4 }),
  ms,
  autoRenew: fc.boolean(),
  client: fc.constantFrom(0, 1, 1, 1, 2),
  attempt: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  tag: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined, freq: 4 }),
})
const settleStep = fc.record({
  which: fc.nat(30),
  kind: fc.constantFrom<SettleItem['kind'][]>('ack', 'ack', 'ack', 'confirm', 'confirm', 'changeInvisible', 'release', 'deadLetter'),
  ms,
  suspend: fc.boolean(),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      topic: fc.constantFrom('a', 'a', 'b', 'fifo', 'fifo', 'none'),
      ids: fc.array(fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }), { minLength: 1, maxLength: 4 }),
      tag: fc.integer({ min: 0, max: 2 }),
      group: fc.integer({ min: 1, max: 3 }),
      isFifo: fc.boolean(),
      isOther: fc.nat(5).map(n => n === 0),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('pop' as const),
      group: groupName,
      topic,
      receives: fc.array(receiveStep, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('settle' as const), items: fc.array(settleStep, { minLength: 1, maxLength: 5 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 500, 5_000, 10_000, 31_000, 130_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('raise' as const), level: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leap' as const), ms: fc.constantFrom(6_000, 3_600_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      topic: fc.constantFrom('a', 'b', 'fifo'),
      isFifo: fc.boolean(),
      queueCount: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), topic }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('ensure' as const),
      group: groupName,
      isFifo: fc.boolean(),
      maxAttempts: fc.integer({ min: 1, max: 4 }),
      start: fc.integer({ min: 0, max: 2 }),
      replace: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('clients' as const),
      client: fc.constantFrom(1, 1, 2),
      change: fc.constantFrom('connected' as const, 'disconnected' as const, 'disconnected' as const, 'terminated' as const),
      from: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('node' as const), node, isUp: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('trim' as const),
      topic,
      queue: fc.nat(2),
      eighths: fc.nat(9),
      forcedEighths: fc.constantFrom(0, 0, 0, 2, 8),
      carries: fc.boolean(),
    }),
  },
  ...(['incarnation', 'copy', 'late', 'restart', 'restart', 'checkpoint', 'digest'] as const).map(kind => ({
    weight: 1,
    arbitrary: fc.record({ do: fc.constant(kind) }),
  })),
)

/** A machine that never restarts, one that does, and the twin, on the same entries. */
class Three {
  readonly steady = new Replica()
  readonly twin = new Twin()
  /** Fed with the steady one's entries. */
  readonly restarting = new Replica()
  readonly checkpoints = new MemoryCheckpoints()
  readonly refs: DeliveryRef[] = []
  #last: { command: Command; envelope: ReturnType<Replica['envelope']> } | undefined

  constructor() {
    this.run({ kind: 'createTopic', topic: 'a', type: 'normal', queueCount: 2 }, 1)
    this.run({ kind: 'createTopic', topic: 'fifo', type: 'fifo', queueCount: 2 }, 1)
    this.run(group('g', ['a', 'fifo'], {}, false, 3), 1)
    this.run(group('ordered', ['a', 'fifo'], {}, true, 3), 1)
  }

  run(command: Command, from: number, sentBeforeMs = 0): void {
    const envelope = this.steady.envelope(from)
    this.#feed(command, { ...envelope, sentAtMs: envelope.sentAtMs - sentBeforeMs })
  }

  copy(): void {
    if (this.#last !== undefined) this.#feed(this.#last.command, this.#last.envelope)
  }

  #feed(command: Command, envelope: ReturnType<Replica['envelope']>): void {
    this.#last = { command, envelope }
    const applied = this.steady.feed(entryKinds.data, bodyOf(envelope, command))
    const entry = this.steady.entries[this.steady.entries.length - 1]
    if (entry === undefined) throw new Error('no entry')
    expect(this.restarting.machine.apply(entry)).toEqual(applied)
    expect(this.twin.apply({ index: entry.index, wallMs: entry.wallMs, isLeap: false }, envelope, command)).toEqual(applied?.result)
    if (applied?.result.kind === 'popped') for (const batch of applied.result.deliveries) this.refs.push(...batch.map(({ ref }) => ref))
  }

  leap(byMs: number): void {
    this.steady.leap(byMs)
    const entry = this.steady.entries[this.steady.entries.length - 1]
    if (entry === undefined) throw new Error('no entry')
    this.restarting.machine.apply(entry)
    this.twin.apply({ index: entry.index, wallMs: entry.wallMs, isLeap: true })
  }

  check(): void {
    const { machine } = this.steady
    expect(machine.conservation()).toEqual([])
    const digest = digestText(machine.digest())
    expect(digestText(machine.recomputeDigest())).toBe(digest)
    expect(digestText(this.restarting.machine.digest())).toBe(digest)
    expect(digestText(this.restarting.machine.recomputeDigest())).toBe(digest)
    expect(this.restarting.machine.conservation()).toEqual([])
    expect(machine.topics().map(({ name, appended }) => [name, appended])).toEqual(
      this.twin.topics
        .map(({ name, queues }) => [name, queues.reduce((sum, queue) => sum + queue.length, 0)])
        .sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1)),
    )
    expect(machine.retention.logFirst).toBe(this.twin.logFirst)
    for (const { id, firsts } of this.twin.topics) {
      expect(machine.queues(id as never).map(({ firstOffset }) => firstOffset)).toEqual(firsts)
    }
    for (const place of this.twin.places) {
      const { acked, filtered, dead, trimmed, cursors } = place
      const rows = this.twin.rows.filter(row => row.place === place)
      const inFlight = rows.filter(({ isOut }) => isOut).length
      const view = machine.place(place.group.name, place.topic.name)
      expect(view).toMatchObject({ acked, filtered, dead, trimmed, inFlight })
      expect((view?.retrying ?? 0) + (view?.blocked ?? 0)).toBe(rows.length - inFlight)
      expect(view?.queues.map(({ cursor }) => cursor)).toEqual(cursors)
    }
  }
}

/** As the leader does it: give up, carry what must stay, then give up the log. */
function trim(three: Three, one: Extract<Step, { readonly do: 'trim' }>): void {
  const { machine } = three.steady
  const found = machine.topic(one.topic)
  const queue = found === undefined ? undefined : machine.queues(found.topicId)[one.queue]
  if (found === undefined || queue === undefined) return
  const { topicId } = found
  const queueId = one.queue as never
  const offset = Math.floor(((queue.nextOffset + 1) * one.eighths) / 8) as never
  const forcedBelow = Math.floor((queue.nextOffset * one.forcedEighths) / 8)
  three.run({ kind: 'trim', queues: [{ topicId, queueId, offset, forcedBelow }] }, 9)
  if (!one.carries) return
  const kept = machine.retention.unfinishedBelowFirst(topicId, queueId, 8)
  if (kept.length > 0) {
    three.run({ kind: 'carry', items: kept.map(each => ({ topicId, queueId, offset: each.offset, message: message(1) })) }, 9)
    const { logIndex } = machine.retention.slot(topicId, queueId, kept[0]?.offset as never)
    expect(logIndex).toBe(machine.appliedIndex)
  }
  three.run({ kind: 'trimLog', index: (kept[0]?.logIndex ?? 0) + 1 }, 9)
}

function take(three: Three, one: Step): void {
  switch (one.do) {
    case 'send': {
      const messages = one.ids.map(id => message(id, { tagHash: one.tag, ...(one.isOther ? { fingerprint: hash(77) } : {}) }))
      return three.run({ ...(one.isFifo ? fifoSend(one.topic, one.group, []) : send(one.topic, [])), messages }, 1 + (one.group % 3))
    }
    case 'pop': {
      const requests = one.receives.map(each =>
        receive({
          max: each.max,
          invisibleMs: each.ms,
          autoRenew: each.autoRenew,
          client: each.client === 0 ? { low: 0, high: 0 } : hash(each.client),
          attempt: each.attempt === undefined ? undefined : hash(each.attempt),
          filter: each.tag === undefined ? { kind: 'all' } : { kind: 'tags', hashes: [each.tag] },
        }),
      )
      return three.run({ kind: 'pop', consumerGroup: one.group, topic: one.topic, requests }, 1 + ((one.receives[0]?.max ?? 0) % 3))
    }
    case 'settle': {
      const items = one.items.flatMap(({ which, kind, ms: invisibleMs, suspend }): SettleItem[] => {
        const ref = three.refs[three.refs.length - 1 - which]
        if (ref === undefined) return []
        return [kind === 'changeInvisible' ? { kind, ref, invisibleMs, suspend } : { kind, ref }]
      })
      return items.length === 0 ? undefined : three.run({ kind: 'settle', items }, 1 + ((one.items[0]?.which ?? 0) % 3))
    }
    case 'pass':
      three.steady.wallMs += one.ms
      return three.run({ kind: 'tick' }, 9)
    case 'leap':
      return three.leap(one.ms)
    case 'raise':
      return three.run({ kind: 'raiseLevel', level: one.level }, 9)
    case 'create':
      return three.run({ kind: 'createTopic', topic: one.topic, type: one.isFifo ? 'fifo' : 'normal', queueCount: one.queueCount }, 2)
    case 'delete':
      return three.run({ kind: 'deleteTopic', topic: one.topic }, 2)
    case 'ensure': {
      const start =
        one.start === 0
          ? ({ kind: 'first' } as const)
          : one.start === 1
            ? ({ kind: 'last' } as const)
            : ({ kind: 'time', wallMs: three.steady.wallMs - 10_000 } as const)
      return three.run(group(one.group, ['a', 'fifo'], { start, replaceSettings: one.replace }, one.isFifo, one.maxAttempts), 2)
    }
    case 'clients':
      return three.run({ kind: 'clientsChanged', changes: [{ client: hash(one.client), change: one.change }] }, one.from)
    case 'node':
      return three.run({ kind: 'nodeChanged', node: one.node, isUp: one.isUp }, 9)
    case 'trim':
      return trim(three, one)
    case 'incarnation':
      // Its next proposal, whatever it is, is the first of the new incarnation.
      three.steady.incarnations.set(1, (three.steady.incarnations.get(1) ?? 1) + 1)
      return
    case 'copy':
      return three.copy()
    case 'late':
      return three.run({ kind: 'createTopic', topic: 'late', type: 'normal', queueCount: 1 }, 1, 15_001)
    case 'restart':
      return three.restarting.restart(three.checkpoints)
    case 'checkpoint':
      return three.checkpoints.save(three.restarting.machine.takeCheckpoint())
    case 'digest':
      three.restarting.machine.digest()
      return
  }
}

test('the machine, the same machine restarted again and again, and the naive twin agree on everything', { timeout: 300_000 }, () => {
  const runs = Number(process.env['MODEL_RUNS'] ?? 150)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), steps => {
      const three = new Three()
      for (const one of steps) take(three, one)
      three.check()
    }),
    { numRuns: runs, endOnFailure: process.env['MODEL_QUICK'] !== undefined },
  )
})
