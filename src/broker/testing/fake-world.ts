/** Whole brokers on a fake group, each with its own real state machine: for tests of the use cases. */
import type { QueueIndex, QueueSlot } from '../../state/store.ts'
import { MessageType } from '../../state/command.ts'
import { StateMachine } from '../../state/machine.ts'
import type { StateLimits } from '../../state/limits.ts'
import { mustExist } from '../../platform/assert.ts'
import { createBroker, type BrokerHooks, type BrokerOptions } from '../create-broker.ts'
import type { Broker, DigestLarge } from '../broker.ts'
import { createTopic } from '../admin.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeGroup, type FakeNode } from './fake-group.ts'
import { md5 } from '../hash.ts'
import { receive } from '../receive.ts'
import type { Refusal } from '../refusal.ts'
import type { TopicCreatedAnswer } from '../admin-requests.ts'
import type { NodeReport } from '../reports.ts'
import type { OutgoingMessage, ReceivedBatch, ReceiveHandle, ReceiveRequest, SendAnswer, SendRequest } from '../requests.ts'
import { send } from '../send.ts'

export interface FakeGateway {
  readonly node: FakeNode
  readonly machine: StateMachine
  readonly broker: Broker
  readonly hooks: BrokerHooks
}

export interface FakeWorldOptions {
  readonly size?: number
  readonly limits?: StateLimits
  readonly digestLarge?: DigestLarge
  /** Leader priorities by node. */
  readonly priorities?: Readonly<Record<number, number>>
  readonly preferLeaderAfterMs?: number
  readonly finalizesUpgrades?: boolean
  /** Of each node, over its state. */
  readonly retention?: (machine: StateMachine) => NonNullable<BrokerOptions['retention']>
}

/** What became of a request. */
export interface Heard<Answer> {
  answer: Answer | Refusal | undefined
  atMs: number
}

export class FakeWorld {
  /** What a sync takes on a node, by its own report; 1 ms unless set. */
  readonly syncMs = new Map<number, number>()
  readonly clock = new FakeClock()
  readonly group: FakeGroup
  readonly gateways: readonly FakeGateway[]

  constructor(options: FakeWorldOptions = {}) {
    this.group = new FakeGroup(this.clock, options.size ?? 3)
    this.gateways = this.group.nodes.map(node => this.#makeGateway(node, options))
    this.group.elect(1)
    this.clock.advance(5)
  }

  at(id: number): FakeGateway {
    return mustExist(this.gateways[id - 1], 'no-such-gateway', id)
  }

  broker(id: number): Broker {
    return this.at(id).broker
  }

  /** Calls a use case and remembers what it answers; more than one answer is an error. */
  ask<Answer>(call: (reply: (answer: Answer | Refusal) => void) => void): Heard<Answer> {
    const heard: Heard<Answer> = { answer: undefined, atMs: 0 }
    let hasReturned = false
    call(answer => {
      if (!hasReturned) throw new Error('a use case answered inside the call')
      if (heard.answer !== undefined) throw new Error('a use case answered twice')
      heard.answer = answer
      heard.atMs = this.clock.nowMs()
    })
    hasReturned = true
    return heard
  }

  createTopic(topic: string, type: 'normal' | 'fifo' = 'normal', queueCount = 1): void {
    const heard = this.ask<TopicCreatedAnswer>(reply => createTopic(this.broker(1), { ...this.asked(), topic, type, queueCount }, reply))
    this.clock.advance(10)
    if (heard.answer?.kind !== 'topicCreated') throw new Error(`topic ${topic} was not created`)
  }

  asked(patienceMs = 2_500, clientId: string | undefined = 'client'): { deadlineMs: number; clientId: string | undefined } {
    return { deadlineMs: this.clock.nowMs() + patienceMs, clientId }
  }

  send(
    gateway: number,
    topic: string,
    text: string,
    more: Partial<SendRequest> & { tag?: string; messageId?: string } = {},
  ): Heard<SendAnswer> {
    const { tag, messageId = `id-${text}`, ...rest } = more
    const messageType = rest.messageGroup === undefined ? MessageType.normal : MessageType.fifo
    const message = messageOf({ topic, messageId, body: text, tag, messageGroup: rest.messageGroup })
    const request: SendRequest = { ...this.asked(), topic, messageType, messageGroup: undefined, messages: [message], ...rest }
    return this.ask(reply => send(this.broker(gateway), request, reply))
  }

  receive(gateway: number, topic: string, more: Partial<ReceiveRequest> = {}): Heard<ReceivedBatch> & { handle: ReceiveHandle } {
    const request: ReceiveRequest = {
      ...this.asked(30_000, `consumer-${gateway}`),
      consumerGroup: 'group',
      topic,
      filter: { kind: 'all' },
      max: 32,
      invisibleMs: 30_000,
      autoRenew: false,
      attemptId: undefined,
      pollMs: 20_000,
      ...more,
    }
    let handle: ReceiveHandle | undefined
    const heard = this.ask<ReceivedBatch>(reply => (handle = receive(this.broker(gateway), request, reply)))
    return Object.assign(heard, { handle: mustExist(handle, 'no-handle') })
  }

  /** Entries of a kind of command in the log: the first byte of a body. */
  entries(kind: number): number {
    return this.group.log.filter(entry => entry.body[0] === kind).length
  }

  #makeGateway(node: FakeNode, options: FakeWorldOptions): FakeGateway {
    const index = new MemoryIndex()
    const machine = new StateMachine({ index, ...(options.limits === undefined ? {} : { limits: options.limits }) })
    const { broker, hooks } = createBroker({
      node: node.id,
      incarnation: 1,
      clusterName: 'test',
      nodes: this.group.nodes.map(({ id }) => ({
        id,
        name: `n${id}`,
        leaderPriority: options.priorities?.[id] ?? 0,
        clientAddress: { host: '127.0.0.1', port: 8000 + id },
        peerAddress: { host: '127.0.0.1', port: 9000 + id },
      })),
      clock: this.clock,
      raft: node,
      view: machine,
      finalizesUpgrades: options.finalizesUpgrades ?? false,
      digestLarge: options.digestLarge ?? ((bytes, done) => this.clock.soon(() => done(md5(bytes)))),
      ownReport: () => ({ node: node.id, sync: { latelyMs: this.syncMs.get(node.id) ?? 1 } }) as NodeReport,
      ...(options.retention === undefined ? {} : { retention: options.retention(machine) }),
      ...(options.preferLeaderAfterMs === undefined ? {} : { preferLeaderAfterMs: options.preferLeaderAfterMs }),
    })
    node.app = {
      apply: entry => hooks.applied(entry, machine.apply({ ...entry, kind: 1 })),
      appliedBatch: () => hooks.appliedBatch(),
      leadershipChanged: () => hooks.leadershipChanged(),
      peerFrame: (from, bytes) => hooks.peerFrame(from, bytes),
      peerConnected: peer => hooks.peerConnected(peer),
      peerDisconnected: peer => hooks.peerDisconnected(peer),
    }
    return { node, machine, broker, hooks }
  }
}

/** The texts of a batch, read as its stream would. */
export function textsOf(heard: Heard<ReceivedBatch>): string[] {
  const { answer } = heard
  if (answer?.kind !== 'received') return []
  return Array.from({ length: answer.count }, (_, i) => bodyText(answer.read(i).bytes))
}

export function batchOf(heard: Heard<ReceivedBatch>): ReceivedBatch {
  if (heard.answer?.kind !== 'received') throw new Error(`no batch but ${JSON.stringify(heard.answer)}`)
  return heard.answer
}

export function codeOf(heard: Heard<{ readonly kind: string }>): string | undefined {
  return heard.answer?.kind === 'refused' ? (heard.answer as Refusal).code : heard.answer?.kind
}

/** A v2 Message: topic, system properties, body. */
export function messageOf(options: {
  topic: string
  messageId: string
  body: string | Uint8Array
  tag?: string | undefined
  messageGroup?: string | undefined
}): OutgoingMessage {
  const { topic, messageId, body, tag, messageGroup } = options
  const topicField = field(1, field(2, Buffer.from(topic)))
  const properties = [field(3, Buffer.from(messageId))]
  if (tag !== undefined) properties.unshift(field(1, Buffer.from(tag)))
  if (messageGroup !== undefined) properties.push(field(17, Buffer.from(messageGroup)))
  const systemField = field(3, Buffer.concat(properties))
  const content = Buffer.from(body)
  const bytes = Buffer.concat([topicField, systemField, field(4, content)])
  return {
    bytes,
    systemProperties: { start: topicField.length, end: topicField.length + systemField.length },
    body: { start: bytes.length - content.length, end: bytes.length },
    userProperties: [],
    messageId,
    tag,
    keys: [],
  }
}

function bodyText(bytes: Uint8Array): string {
  const marker = Buffer.from(bytes)
  let at = 0
  while (at < marker.length) {
    const key = marker[at++] ?? 0
    let length = 0
    for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) length += ((byte = marker[at++] ?? 0) & 0x7f) << shift
    if (key === 4 * 8 + 2) return marker.toString('utf8', at, at + length)
    at += length
  }
  return ''
}

function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

class MemoryIndex implements QueueIndex {
  readonly #rows = new Map<string, QueueSlot>()

  append(...[topicId, queueId, offset, slot]: Parameters<QueueIndex['append']>): void {
    this.#rows.set(`${topicId}/${queueId}/${offset}`, slot)
  }

  read(...[topicId, queueId, offset]: Parameters<QueueIndex['read']>): QueueSlot {
    return mustExist(this.#rows.get(`${topicId}/${queueId}/${offset}`), 'no-such-slot', `${topicId}/${queueId}/${offset}`)
  }

  dropTopic(): void {
    // Ids are never used twice: leftovers do no harm.
  }
}

/** Entries of a pop are of this kind, those of a settlement of that. */
export const popKind = 2
export const settleKind = 3

/** A world with a topic, and a group that has its place in it. */
export function worldWithGroup(type: 'normal' | 'fifo' = 'normal'): FakeWorld {
  const world = new FakeWorld()
  world.createTopic('t', type)
  world.receive(1, 't', { pollMs: 0 })
  world.clock.advance(50)
  return world
}
