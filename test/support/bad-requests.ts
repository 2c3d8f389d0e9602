/**
 * Requests that must be refused, each with the code that the protocol documents for it. `rests: 'bytes'` says that the request's own bytes prove it
 * wrong: then nothing at all may be appended. `rests: 'state'`: what it names is not there, which only the state can tell; an entry may be appended
 * on the way, but topics, queues and groups must hold afterwards what they held before.
 */
import { raftmq } from '#proto/raftmq-v1.js'
import { crc32c, viewOf } from '../../src/platform/bytes.ts'
import { encoded, framed, goodMessage, receiveRequest, v2, type CallHeaders } from './wire.ts'

const v1 = raftmq.v1

/** Topics: plain and other (normal), ordered (FIFO). Groups: g and h, both on plain. */
export interface Handles {
  /** Of a message of plain that g holds. */
  readonly live: string
  /** Of one that g has acked. */
  readonly settled: string
}

export type Expected =
  | { readonly code: number }
  /** gRPC statuses of which one must come. */
  | { readonly grpc: readonly number[] }

export interface BadRequest {
  readonly what: string
  readonly method: string
  readonly bytes: (handles: Handles) => Buffer
  readonly headers?: CallHeaders
  readonly rests: 'bytes' | 'state'
  readonly expected: Expected
}

type Request = Uint8Array | ((handles: Handles) => Uint8Array)

/** Collects rows of one method. */
function rowsOf(method: string) {
  const rows: BadRequest[] = []
  const add =
    (rests: BadRequest['rests']) =>
    (what: string, expected: number | Expected, request: Request, headers?: CallHeaders): void => {
      rows.push({
        what: `${method.split('/').at(-1) ?? method}: ${what}`,
        method,
        bytes: handles => framed(typeof request === 'function' ? request(handles) : request),
        rests,
        expected: typeof expected === 'number' ? { code: expected } : expected,
        ...(headers === undefined ? {} : { headers }),
      })
    }
  return { rows, byBytes: add('bytes'), byState: add('state') }
}

const seconds = (n: number): object => ({ seconds: n, nanos: 0 })
const inMs = (ms: number): object => ({ seconds: Math.floor((Date.now() + ms) / 1000), nanos: 0 })
/** A length that goes beyond the end. */
const brokenProtobuf = Buffer.from([0x0a, 0xff, 0xff, 0x7f, 0x01])
const hugeGroup = 'g'.repeat(121)

/** With the live handle's place, changed and signed anew: what somebody makes who knows the format. */
export function forged(handle: string, change: (view: DataView) => void): string {
  const bytes = Buffer.from(handle, 'base64url')
  const view = viewOf(bytes)
  change(view)
  view.setUint32(32, crc32c(bytes.subarray(0, 32)), true)
  return bytes.toString('base64url')
}

function sends(): BadRequest[] {
  const { rows, byBytes, byState } = rowsOf('SendMessage')
  const good = (system: object = {}, rest: object = {}, topic = 'plain'): object => goodMessage(topic, 'bad-1', system, rest)
  const one = (message: object): Buffer => encoded(v2.SendMessageRequest, { messages: [message] })
  const many = (...messages: object[]): Buffer => encoded(v2.SendMessageRequest, { messages })
  const named = (topic: string): Buffer => one(goodMessage(topic, 'bad-1'))
  const withProperties = (userProperties: object): Buffer => one(good({}, { userProperties }))
  const entries = (count: number, bytes: number): object =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`name-${i}`, 'v'.repeat(bytes)]))

  byBytes('no client id', 40017, one(good()), { 'x-mq-client-id': undefined })
  byBytes('blank client id', 40017, one(good()), { 'x-mq-client-id': ' ' })
  byBytes('client id of 2 000 characters', 40017, one(good()), { 'x-mq-client-id': 'c'.repeat(2_000) })
  byBytes('blank topic', 40002, named('  '))
  byBytes('no topic', 40002, one({ ...good(), topic: undefined }))
  byBytes('topic of 128 characters', 40002, named('t'.repeat(128)))
  byBytes('dead letter topic of 256 characters', 40002, named(`%DLQ%${'t'.repeat(251)}`))
  byBytes('space in the topic', 40002, named('plain text'))
  byBytes('topic with an umlaut', 40002, named('pläin'))
  byBytes('topic with a path in it', 40002, named('../plain'))
  byBytes('system topic TBW102', 40002, named('TBW102'))
  byBytes('system topic by its prefix', 40002, named('rmq_sys_wheel_timer'))
  byState('unknown topic', 40402, named('nowhere'))
  byBytes('no message', 40016, many())
  byBytes('two topics in a batch', 40016, many(good(), good({}, {}, 'other')))
  byBytes('two message groups in a batch', 40016, many(fifo('a'), fifo('b')))
  byBytes('two types in a batch', 40016, many(good(), fifo('a')))
  byBytes('a bad message behind a good one', 41302, many(good(), good({}, { body: Buffer.alloc(0) })))
  byBytes('more messages than are looked at', 40000, many(...Array.from({ length: 1_025 }, () => good())))
  byBytes('batch of 20 MiB', 41300, many(...Array.from({ length: 5 }, () => good({}, { body: Buffer.alloc(4 * 1024 * 1024, 1) }))))
  byBytes('empty body', 41302, one(good({}, { body: Buffer.alloc(0) })))
  byBytes('body of 4 MiB and a byte', 41301, one(good({}, { body: Buffer.alloc(4 * 1024 * 1024 + 1, 1) })))
  byBytes('129 properties', 43101, withProperties(entries(129, 1)))
  byBytes('properties of more than 16 KiB', 43101, withProperties({ name: 'v'.repeat(16 * 1024) }))
  byBytes(
    'tag, keys and properties together over 16 KiB',
    43101,
    one(good({ tag: 't'.repeat(6_000), keys: ['k'.repeat(6_000)] }, { userProperties: { name: 'v'.repeat(6_000) } })),
  )
  byBytes('reserved property KEYS', 40007, withProperties({ KEYS: 'x' }))
  byBytes('reserved property __CRC32#', 40007, withProperties({ '__CRC32#': 'x' }))
  byBytes('control character in a property name', 40007, withProperties({ 'a\u0001b': 'x' }))
  byBytes('control character in a property value', 40007, withProperties({ name: 'x\u0000' }))
  byBytes('blank tag', 40004, one(good({ tag: ' ' })))
  byBytes('tag with |', 40004, one(good({ tag: 'a|b' })))
  byBytes('control character in the tag', 40004, one(good({ tag: 'a\nb' })))
  byBytes('blank key', 40005, one(good({ keys: ['fine', ' '] })))
  byBytes('control character in a key', 40005, one(good({ keys: ['a\u007fb'] })))
  byBytes('blank message group', 40006, one(fifo('  ')))
  byBytes('message group of 64 bytes', 40006, one(fifo('ä'.repeat(32))))
  byBytes('control character in the message group', 40006, one(fifo('a\tb')))
  byBytes('FIFO without a message group', 40006, one(goodMessage('ordered', 'bad-1', { messageType: v2.MessageType.FIFO })))
  byBytes('no message id', 40009, one(good({ messageId: '' })))
  byBytes('blank message id', 40009, one(good({ messageId: '   ' })))
  byBytes('delay of more than a day', 40012, one(good({ messageType: v2.MessageType.DELAY, deliveryTimestamp: inMs(25 * 3_600_000) })))
  byBytes('DELAY without a delivery time', 40012, one(good({ messageType: v2.MessageType.DELAY })))
  byBytes('NORMAL with a delivery time', 40014, one(good({ deliveryTimestamp: inMs(1_000) })))
  byBytes('NORMAL with a message group', 40014, one(good({ messageGroup: 'a' })))
  byBytes('unheard-of message type', 40014, one(good({ messageType: 77 })))
  byState('NORMAL to a FIFO topic', 40014, named('ordered'))
  byState('FIFO to a normal topic', 40014, one(goodMessage('plain', 'bad-1', { messageType: v2.MessageType.FIFO, messageGroup: 'a' })))
  byState('DELAY to a normal topic', 40014, one(good({ messageType: v2.MessageType.DELAY, deliveryTimestamp: inMs(1_000) })))
  byState('TRANSACTION to a normal topic', 40014, one(good({ messageType: v2.MessageType.TRANSACTION })))
  byBytes('broken protobuf', 40000, brokenProtobuf)
  byBytes('a message of the wrong wire type', 40000, Buffer.from([0x08, 0x01]))
  byBytes('two topics in a message', 40000, nested(Buffer.concat([resource('plain'), resource('plain')])))
  byBytes('a topic that is not UTF-8', 40000, nested(Buffer.from([0x0a, 0x03, 0x12, 0x01, 0xff])))
  byBytes('random bytes', 40000, Buffer.from('f3c08a77d1e0b5529cffeeddccbbaa99887766554433221100', 'hex'))
  return rows

  function fifo(messageGroup: string): object {
    return goodMessage('ordered', 'bad-1', { messageType: v2.MessageType.FIFO, messageGroup })
  }
}

/** SendMessageRequest { 1 messages } around the bytes of a message. */
function nested(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0a, message.length]), message])
}

/** Message { 1 topic { 2 name } }. */
function resource(name: string): Buffer {
  return Buffer.concat([Buffer.from([0x0a, name.length + 2, 0x12, name.length]), Buffer.from(name)])
}

function receives(): BadRequest[] {
  const { rows, byBytes, byState } = rowsOf('ReceiveMessage')
  const filter = (expression: string, type: number = v2.FilterType.TAG): Buffer =>
    receiveRequest('g', 'plain', { filterExpression: { type, expression } })
  byBytes('no client id', 40017, receiveRequest('g', 'plain'), { 'x-mq-client-id': undefined })
  byBytes('bad topic name', 40002, receiveRequest('g', 'pla in'))
  byBytes('no queue', 40002, encoded(v2.ReceiveMessageRequest, { group: { name: 'g' }, autoRenew: true }))
  byBytes('blank group', 40003, receiveRequest(' ', 'plain'))
  byBytes('group of 121 characters', 40003, receiveRequest(hugeGroup, 'plain'))
  byBytes('system group', 40003, receiveRequest('CID_RMQ_SYS_x', 'plain'))
  byState('unknown topic', 40402, receiveRequest('g', 'nowhere'))
  byBytes('invisible for less than 10 s', 40011, receiveRequest('g', 'plain', { invisibleDuration: seconds(9) }))
  byBytes('invisible for more than 12 h', 40011, receiveRequest('g', 'plain', { invisibleDuration: seconds(12 * 3_600 + 1) }))
  byBytes('invisible for a negative time', 40011, receiveRequest('g', 'plain', { invisibleDuration: seconds(-10) }))
  byBytes('no invisible duration and no renewal', 40011, receiveRequest('g', 'plain', { invisibleDuration: undefined }))
  byBytes('negative polling time', 40018, receiveRequest('g', 'plain', { longPollingTimeout: seconds(-1) }))
  byBytes('SQL filter', 40010, filter('a > 1', v2.FilterType.SQL))
  byBytes('unheard-of filter type', 40010, filter('*', 9))
  byBytes('filter of bars only', 40010, filter('|| ||'))
  byBytes('filter of 1 000 tags', 40010, filter(Array.from({ length: 1_000 }, (_, i) => `t${i}`).join('||')))
  byBytes('filter of 20 000 characters', 40010, filter('t'.repeat(20_000)))
  byBytes('broken protobuf', 40000, brokenProtobuf)
  byBytes('a duration beyond all numbers', 40000, receiveRequest('g', 'plain', { invisibleDuration: seconds(Number.MAX_SAFE_INTEGER) }))
  return rows
}

function settles(): BadRequest[] {
  const { rows: acks, ...ack } = rowsOf('AckMessage')
  const ackWith =
    (handle: (handles: Handles) => string, group = 'g', topic = 'plain') =>
    (handles: Handles): Buffer =>
      encoded(v2.AckMessageRequest, {
        group: { name: group },
        topic: { name: topic },
        entries: [{ messageId: 'm', receiptHandle: handle(handles) }],
      })
  const live = (handles: Handles): string => handles.live
  ack.byBytes('no client id', 40017, ackWith(live), { 'x-mq-client-id': undefined })
  ack.byBytes('bad topic', 40002, ackWith(live, 'g', 'pla in'))
  ack.byBytes('bad group', 40003, ackWith(live, hugeGroup))
  ack.byBytes('no entry', 40000, encoded(v2.AckMessageRequest, { group: { name: 'g' }, topic: { name: 'plain' } }))
  const entries = Array.from({ length: 1_025 }, () => ({ receiptHandle: 'x' }))
  ack.byBytes('1 025 entries', 40000, encoded(v2.AckMessageRequest, { group: { name: 'g' }, topic: { name: 'plain' }, entries }))
  ack.byBytes('broken protobuf', 40000, brokenProtobuf)
  ack.byBytes(
    'empty handle',
    40013,
    ackWith(() => ''),
  )
  ack.byBytes(
    'garbage as a handle',
    40013,
    ackWith(() => 'certainly no handle'),
  )
  ack.byBytes(
    'random text of a handle’s length',
    40013,
    ackWith(() => 'A'.repeat(48)),
  )
  ack.byBytes(
    'truncated handle',
    40013,
    ackWith(({ live }) => live.slice(0, -4)),
  )
  ack.byBytes(
    'handle with more behind it',
    40013,
    ackWith(({ live }) => `${live}AAAA`),
  )
  ack.byBytes(
    'one bit of the handle turned',
    40013,
    ackWith(({ live }) => (live.startsWith('A') ? 'B' : 'A') + live.slice(1)),
  )
  ack.byBytes('handle of another group', 40013, ackWith(live, 'h'))
  ack.byBytes('handle of another topic', 40013, ackWith(live, 'g', 'other'))
  ack.byState(
    'forged delivery number',
    40013,
    ackWith(({ live }) => forged(live, view => view.setUint32(12, view.getUint32(12, true) + 1_000, true))),
  )
  ack.byState(
    'forged offset',
    40013,
    ackWith(({ live }) => forged(live, view => view.setUint32(20, 7, true))),
  )
  ack.byState(
    'forged queue',
    40013,
    ackWith(({ live }) => forged(live, view => view.setUint32(8, 0xffff_ffff, true))),
  )
  ack.byState(
    'forged group number',
    40013,
    ackWith(({ live }) => forged(live, view => view.setUint32(0, 0xffff_fff0, true))),
  )
  ack.byState(
    'forged topic number',
    40013,
    ackWith(({ live }) => forged(live, view => view.setUint32(4, 0xffff_fff0, true))),
  )

  const { rows: changes, ...change } = rowsOf('ChangeInvisibleDuration')
  const changeTo =
    (duration: number, handle = live, group = 'g') =>
    (handles: Handles): Buffer =>
      encoded(v2.ChangeInvisibleDurationRequest, {
        ...{ group: { name: group }, topic: { name: 'plain' }, receiptHandle: handle(handles) },
        ...{ invisibleDuration: seconds(duration), messageId: 'm' },
      })
  change.byBytes('no client id', 40017, changeTo(30), { 'x-mq-client-id': undefined })
  change.byBytes('negative duration', 40011, changeTo(-1))
  change.byBytes('more than 12 h', 40011, changeTo(12 * 3_600 + 1))
  change.byBytes(
    'garbage as a handle',
    40013,
    changeTo(30, () => '💥'),
  )
  change.byBytes('handle of another group', 40013, changeTo(30, live, 'h'))
  change.byState(
    'handle of a settled message',
    40013,
    changeTo(30, ({ settled }) => settled),
  )
  change.byBytes('broken protobuf', 40000, brokenProtobuf)

  const { rows: forwards, ...forward } = rowsOf('ForwardMessageToDeadLetterQueue')
  const forwardOf =
    (handle: (handles: Handles) => string, group = 'g') =>
    (handles: Handles): Buffer =>
      encoded(v2.ForwardMessageToDeadLetterQueueRequest, {
        ...{ group: { name: group }, topic: { name: 'plain' }, receiptHandle: handle(handles), messageId: 'nobody' },
      })
  forward.byBytes('no client id', 40017, forwardOf(live), { 'x-mq-client-id': undefined })
  forward.byBytes('bad group', 40003, forwardOf(live, '!'))
  forward.byBytes(
    'garbage as a handle',
    40013,
    forwardOf(() => 'garbage'),
  )
  forward.byBytes('handle of another group', 40013, forwardOf(live, 'h'))
  forward.byState(
    'a message that nobody holds: OK, or clients repeat it for ever',
    20000,
    forwardOf(() => ''),
  )
  forward.byState(
    'a settled handle: OK, or clients repeat it for ever',
    20000,
    forwardOf(({ settled }) => settled),
  )
  forward.byBytes('broken protobuf', 40000, brokenProtobuf)
  return [...acks, ...changes, ...forwards]
}

function others(): BadRequest[] {
  const { rows: routes, ...route } = rowsOf('QueryRoute')
  const routeOf = (name: string): Buffer => encoded(v2.QueryRouteRequest, { topic: { name } })
  route.byBytes('no client id', 40017, routeOf('plain'), { 'x-mq-client-id': undefined })
  route.byBytes('blank topic', 40002, routeOf(''))
  route.byBytes('a question mark in the topic', 40002, routeOf('plain?'))
  route.byState('unknown topic', 40402, routeOf('nowhere'))
  route.byBytes('broken protobuf', 40000, brokenProtobuf)

  const { rows: assignments, ...assignment } = rowsOf('QueryAssignment')
  const assignmentOf = (group: string, topic: string): Buffer =>
    encoded(v2.QueryAssignmentRequest, { group: { name: group }, topic: { name: topic } })
  assignment.byBytes('no group', 40003, assignmentOf('', 'plain'))
  assignment.byState('unknown topic', 40402, assignmentOf('g', 'nowhere'))
  assignment.byBytes('broken protobuf', 40000, brokenProtobuf)

  const { rows: heartbeats, ...heartbeat } = rowsOf('Heartbeat')
  heartbeat.byBytes('bad group', 40003, encoded(v2.HeartbeatRequest, { group: { name: 'a b' } }))
  heartbeat.byBytes('unheard-of client type', 40015, encoded(v2.HeartbeatRequest, { clientType: 99 }))
  heartbeat.byBytes('broken protobuf', 40000, brokenProtobuf)

  const { rows: goodbyes, ...goodbye } = rowsOf('NotifyClientTermination')
  goodbye.byBytes('no client id', 40017, encoded(v2.NotifyClientTerminationRequest, {}), { 'x-mq-client-id': undefined })
  goodbye.byBytes('broken protobuf', 40000, brokenProtobuf)

  const { rows: telemetries, ...telemetry } = rowsOf('Telemetry')
  const settings = (own: object): Buffer => encoded(v2.TelemetryCommand, { settings: own })
  const fails: Expected = { grpc: [3] }
  const java: CallHeaders = { 'x-mq-language': 'JAVA' }
  const producer = (name: string): Buffer => settings({ clientType: v2.ClientType.PRODUCER, publishing: { topics: [{ name }] } })
  const consumer = (group: string, more: object = {}): Buffer =>
    settings({ clientType: v2.ClientType.PUSH_CONSUMER, subscription: { group: { name: group } }, ...more })
  telemetry.byBytes('no client id', fails, producer('plain'), { ...java, 'x-mq-client-id': undefined })
  telemetry.byBytes('neither publishing nor subscription', fails, settings({ clientType: v2.ClientType.PRODUCER }), java)
  telemetry.byBytes('blank topic of a producer', fails, producer(' '), java)
  telemetry.byBytes('blank topic of a Node producer', 40002, producer(' '))
  telemetry.byBytes('bad group of a consumer', fails, consumer('no group'), java)
  telemetry.byBytes('unheard-of client type', fails, consumer('g', { clientType: 44 }), java)
  const sql = { topic: { name: 'plain' }, expression: { type: v2.FilterType.SQL, expression: 'a' } }
  const subscription = { group: { name: 'g' }, subscriptions: [sql] }
  telemetry.byBytes('SQL filter', fails, settings({ clientType: v2.ClientType.PUSH_CONSUMER, subscription }), java)
  telemetry.byBytes('broken protobuf', fails, brokenProtobuf, java)
  return [...routes, ...assignments, ...heartbeats, ...goodbyes, ...telemetries]
}

/** Administration has codes of its own, in the same place: 2 = at fault, 3 = not there, 4 = clashes with what is there. */
function administration(): BadRequest[] {
  const admin = '/raftmq.v1.ClusterAdmin/'
  const invalid = 2
  const { rows: creations, ...create } = rowsOf(`${admin}CreateTopic`)
  const topicOf = (own: object): Buffer => encoded(v1.CreateTopicRequest, own)
  create.byBytes('bad topic name', invalid, topicOf({ name: 'a/b' }))
  create.byBytes('5 000 queues', invalid, topicOf({ name: 'wide', queueCount: 5_000 }))
  create.byBytes('broken protobuf', invalid, brokenProtobuf)
  create.byState('there is one of another type', 4, topicOf({ name: 'plain', type: v1.TopicType.TOPIC_TYPE_FIFO, queueCount: 2 }))
  const { rows: deletions, ...remove } = rowsOf(`${admin}DeleteTopic`)
  remove.byState('unknown topic', 3, encoded(v1.DeleteTopicRequest, { name: 'nowhere' }))
  const { rows: groups, ...group } = rowsOf(`${admin}EnsureGroup`)
  const groupOf = (own: object): Buffer => encoded(v1.EnsureGroupRequest, { name: 'new', ...own })
  const exponential = { initialMs: 5, maxMs: 1, multiplier: Number.NaN }
  group.byBytes('bad group name', invalid, groupOf({ name: '' }))
  group.byBytes('bad topic name', invalid, groupOf({ topics: ['a b'] }))
  group.byBytes('a million attempts', invalid, groupOf({ settings: { maxAttempts: 1_000_000 } }))
  group.byBytes('a back-off that is none', invalid, groupOf({ settings: { maxAttempts: 3, backoff: { exponential } } }))
  group.byBytes('a back-off without steps', invalid, groupOf({ settings: { backoff: { steps: { stepMs: [] } } } }))
  group.byBytes('a start beyond all calendars', invalid, groupOf({ start: { wallMs: 2 ** 60 } }))
  const { rows: reads, ...read } = rowsOf(`${admin}GetGroup`)
  read.byState('unknown group', 3, encoded(v1.GetGroupRequest, { name: 'nobody' }))
  return [...creations, ...deletions, ...groups, ...reads]
}

/** Below the messages: frames and HTTP that are no gRPC call of ours. */
function calls(): BadRequest[] {
  const row = (what: string, method: string, grpc: readonly number[], bytes: Buffer, headers?: CallHeaders): BadRequest => {
    return { what, method, bytes: () => bytes, rests: 'bytes', expected: { grpc }, ...(headers === undefined ? {} : { headers }) }
  }
  const notServed = ['PullMessage', 'UpdateOffset', 'GetOffset', 'QueryOffset', 'EndTransaction', 'RecallMessage', 'SyncLiteSubscription']
  const unimplemented = 12
  const tooLarge = 8
  const anyFailure = [2, 8, 12, 13]
  const send = encoded(v2.SendMessageRequest, { messages: [goodMessage('plain', 'bad-1')] })
  return [
    ...notServed.map(method => row(`${method} is answered UNIMPLEMENTED`, method, [unimplemented], framed(Buffer.alloc(0)))),
    row('a method that there is not', 'DropEverything', [unimplemented], framed(Buffer.alloc(0))),
    row('a service that there is not', '/some.Other/Service', [unimplemented], framed(Buffer.alloc(0))),
    row('a frame that claims 200 MiB', 'SendMessage', [tooLarge], framed(send, 0, 200 * 1024 * 1024)),
    row('an ack that claims 4 GiB', 'AckMessage', [tooLarge], framed(send, 0, 0xffff_ffff)),
    row('a frame that ends early', 'SendMessage', anyFailure, framed(send).subarray(0, 20)),
    row('a request without a message', 'SendMessage', anyFailure, Buffer.alloc(0)),
    row('a frame that says it is compressed', 'SendMessage', anyFailure, framed(send, 1)),
  ]
}

export function badRequests(): readonly BadRequest[] {
  return [...sends(), ...receives(), ...settles(), ...others(), ...administration(), ...calls()]
}
