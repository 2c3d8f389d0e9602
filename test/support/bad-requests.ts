/** Requests that must be refused, each with the code that the protocol documents for it (protocol reference: status codes, validation order). */
import { raftmq } from '#proto/raftmq-v1.js'
import { brokenProtobuf, forged, rowsOf, seconds, type BadRequest, type Expected, type Handles } from './bad-request-rows.ts'
import { badSends } from './bad-sends.ts'
import { encoded, framed, goodMessage, receiveRequest, v2, type CallHeaders } from './wire.ts'

const v1 = raftmq.v1
const hugeGroup = 'g'.repeat(121)

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
    row('a timeout that is no time', 'SendMessage', [11, ...anyFailure], framed(send), { 'grpc-timeout': 'soon' }),
    row('a frame that says it is compressed', 'SendMessage', anyFailure, framed(send, 1)),
  ]
}

export function badRequests(): readonly BadRequest[] {
  return [...badSends(), ...receives(), ...settles(), ...others(), ...administration(), ...calls()]
}
