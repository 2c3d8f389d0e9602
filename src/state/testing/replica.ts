/** A replica for tests: a machine that is fed commands one entry each, with a clock of its own; and builders where one fact differs. */
import { encodeCommand } from '../command-codec.ts'
import type { Command, DeliveryRef, EnsureGroup, Envelope, PopRequest, Send, SendMessage, SettleItem } from '../command.ts'
import { digestText } from '../digest.ts'
import type { Hash64 } from '../ids.ts'
import { newestLevel } from '../feature-level.ts'
import { defaultLimits, type StateLimits } from '../limits.ts'
import { type Applied, type AppliedEntry, entryKinds, StateMachine } from '../machine.ts'
import { MemoryQueueIndex } from '../memory-queue-index.ts'
import type { CommandResult, Delivery } from '../result.ts'
import type { CheckpointBatch, LoadedCheckpoint, QueueIndex } from '../store.ts'

export const startMs = 1_700_000_000_000

export function hash(n: number): Hash64 {
  return { low: Math.imul(n, 0x9e3779b1) >>> 0, high: n >>> 0 }
}

/** The bytes of a command as one array. */
export function bodyOf(envelope: Envelope, command: Command): Uint8Array {
  const { parts, bytes } = encodeCommand(envelope, command)
  const body = new Uint8Array(bytes)
  let at = 0
  for (const part of parts) {
    body.set(part, at)
    at += part.length
  }
  return body
}

export function message(id: number | undefined, more: Partial<SendMessage> = {}): SendMessage {
  return {
    dedupeKey: id === undefined ? undefined : { a: hash(id), b: hash(id + 1_000_000) },
    fingerprint: hash(id ?? 7),
    tagHash: 0,
    bodyMd5: new Uint8Array(16),
    systemPropertiesStart: 0,
    systemPropertiesEnd: 0,
    bytes: new Uint8Array([1, 2, 3]),
    ...more,
  }
}

export function send(topic: string, ids: readonly (number | undefined)[], more: Partial<Send> = {}): Send {
  return { kind: 'send', topic, messageType: 1, messageGroup: undefined, messages: ids.map(id => message(id)), ...more }
}

export function fifoSend(topic: string, group: number, ids: readonly (number | undefined)[]): Send {
  return send(topic, ids, { messageType: 2, messageGroup: hash(group) })
}

export function receive(more: Partial<PopRequest> = {}): PopRequest {
  return { max: 32, invisibleMs: 30_000, autoRenew: false, client: hash(1), attempt: undefined, filter: { kind: 'all' }, ...more }
}

export function group(
  name: string,
  topics: readonly string[],
  more: Partial<EnsureGroup> = {},
  isFifo = false,
  maxAttempts = 17,
): EnsureGroup {
  return {
    kind: 'ensureGroup',
    consumerGroup: name,
    settings: { isFifo, maxAttempts, retry: { kind: 'customized', stepsMs: [10_000, 30_000] } },
    start: { kind: 'first' },
    topics,
    replaceSettings: false,
    ...more,
  }
}

/** Rows as a store would have them after these batches. */
export class MemoryCheckpoints {
  readonly #rows = new Map<string, { key: Uint8Array; value: Uint8Array }>()
  last: CheckpointBatch | undefined

  save(batch: CheckpointBatch): void {
    for (const row of batch.puts) this.#rows.set(keyText(row.key), { key: row.key.slice(), value: row.value.slice() })
    for (const key of batch.deletes) this.#rows.delete(keyText(key))
    this.last = batch
  }

  load(): LoadedCheckpoint {
    const last = this.last
    if (last === undefined) throw new Error('no checkpoint was saved')
    return { number: last.number, appliedIndex: last.appliedIndex, digest: last.digest, rows: [...this.#rows.values()] }
  }

  has(key: Uint8Array): boolean {
    return this.#rows.has(keyText(key))
  }

  get size(): number {
    return this.#rows.size
  }
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}

export class Replica {
  readonly index: QueueIndex
  readonly limits: StateLimits
  machine: StateMachine
  wallMs = startMs
  #index = 0
  readonly #sequences = new Map<number, number>()
  readonly incarnations = new Map<number, number>()
  /** Every entry so far. */
  readonly entries: AppliedEntry[] = []

  readonly #levelMax: number

  constructor(limits: Partial<StateLimits> = {}, levelMax = newestLevel) {
    this.#levelMax = levelMax
    this.limits = { ...defaultLimits, ...limits }
    this.index = new MemoryQueueIndex()
    this.machine = this.#newMachine()
  }

  /** Applies a command as the next entry, from node 1 unless said otherwise. */
  run(command: Command, node = 1): CommandResult {
    const applied = this.apply(command, this.envelope(node))
    if (applied === undefined) throw new Error('the command was taken for a copy')
    return applied.result
  }

  envelope(node = 1): Envelope {
    const sequence = (this.#sequences.get(node) ?? 0) + 1
    this.#sequences.set(node, sequence)
    return { node, incarnation: this.incarnations.get(node) ?? 1, sequence, sentAtMs: this.wallMs }
  }

  apply(command: Command, envelope: Envelope): Applied | undefined {
    return this.feed(entryKinds.data, bodyOf(envelope, command))
  }

  feed(kind: number, body: Uint8Array): Applied | undefined {
    const entry = { index: ++this.#index, term: 1, kind, wallMs: this.wallMs, body }
    this.entries.push(entry)
    return this.machine.apply(entry)
  }

  /** Time goes on by this much, and a tick tells the machine. */
  pass(ms: number): void {
    this.wallMs += ms
    this.run({ kind: 'tick' }, 9)
  }

  /** The clock was wrong: it leaps. */
  leap(ms: number): void {
    this.wallMs += ms
    this.feed(entryKinds.timeLeap, new Uint8Array(0))
  }

  pop(consumerGroup: string, topic: string, more: Partial<PopRequest> = {}, node = 1): readonly Delivery[] {
    const result = this.run({ kind: 'pop', consumerGroup, topic, requests: [receive(more)] }, node)
    if (result.kind !== 'popped') throw new Error(`the pop gave ${JSON.stringify(result)}`)
    return result.deliveries[0] ?? []
  }

  /** Pops and confirms what came. */
  take(consumerGroup: string, topic: string, more: Partial<PopRequest> = {}, node = 1): readonly Delivery[] {
    const deliveries = this.pop(consumerGroup, topic, more, node)
    if (deliveries.length > 0)
      this.settle(
        deliveries.map(({ ref }) => ({ kind: 'confirm', ref })),
        node,
      )
    return deliveries
  }

  settle(items: readonly SettleItem[], node = 1): readonly string[] {
    const result = this.run({ kind: 'settle', items }, node)
    if (result.kind !== 'settled') throw new Error(`the settle gave ${JSON.stringify(result)}`)
    return result.outcomes
  }

  ack(...refs: DeliveryRef[]): readonly string[] {
    return this.settle(refs.map(ref => ({ kind: 'ack', ref })))
  }

  /** Another machine from a checkpoint takes this one's place. */
  restart(checkpoints: MemoryCheckpoints): void {
    checkpoints.save(this.machine.takeCheckpoint())
    const machine = this.#newMachine()
    const problem = machine.restore(checkpoints.load())
    if (problem !== undefined) throw new Error(problem)
    this.machine = machine
  }

  #newMachine(): StateMachine {
    return new StateMachine({ index: this.index, limits: this.limits, levelMax: this.#levelMax })
  }
}

/** Offsets of deliveries. */
export function offsets(deliveries: readonly Delivery[]): number[] {
  return deliveries.map(({ ref }) => ref.offset)
}

/** A replica with a NORMAL topic and a group that reads it from the first message. */
export function withTopic(queueCount = 1, limits = {}): Replica {
  const replica = new Replica(limits)
  replica.run({ kind: 'createTopic', topic: 'orders', type: 'normal', queueCount })
  replica.run(group('readers', ['orders']))
  return replica
}

/** Throws unless every message is in one state exactly, and the digest is what the rows give. */
export function sound(replica: Replica): void {
  const problems = replica.machine.conservation()
  const kept = digestText(replica.machine.digest())
  const recomputed = digestText(replica.machine.recomputeDigest())
  if (kept !== recomputed) problems.push(`the digest is ${kept}, the rows give ${recomputed}`)
  if (problems.length > 0) throw new Error(problems.join('; '))
}
