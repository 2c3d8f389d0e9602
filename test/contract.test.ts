/**
 * Our .proto files against the official client's: every message, field number, type and label, every oneof, enum value and method.
 * The client ships its .proto files and the code generated from them; the first are read as descriptors, the second prove that they are what it runs.
 * What the protocol has gained since that client's release is listed below, each with its reason; anything else that differs is a failure.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { apache } from '#proto/rocketmq-v2.js'

const require = createRequire(import.meta.url)
const clientFolder = join(dirname(require.resolve('rocketmq-client-nodejs/package.json')), 'proto')
const ourFolder = join(dirname(fileURLToPath(import.meta.url)), '..', 'proto')
const files = ['definition', 'service', 'admin'].map(name => `apache/rocketmq/v2/${name}.proto`)

/** Lines of `describeContract` that ours has and client 1.0.8 has not. */
const addedLines: Readonly<Record<string, string>> = {
  'enum Code: INVALID_CLIENT_PROPERTIES = 40021': 'answer to bad client_properties, newer than the client',
  'field Settings: 9 client_properties map<string, string>': 'sent by 2026 Java clients; older ones skip it',
}
/** Admin methods that client 1.0.8 does not know: its admin.proto has ChangeLogLevel only. With each come its request, its reply and what they contain. */
const addedMethods: Readonly<Record<string, readonly string[]>> = {
  DescribeTopicStatus: ['DescribeTopicStatusRequest', 'DescribeTopicStatusResponse'],
  ListSubscription: ['ListSubscriptionRequest', 'ListSubscriptionResponse', 'SubscriptionInfo', 'MessageModel'],
  DescribeSubscription: ['DescribeSubscriptionRequest', 'DescribeSubscriptionResponse', 'ClientInfo'],
  DeleteSubscription: ['DeleteSubscriptionRequest', 'DeleteSubscriptionResponse'],
  DescribeGroupAccumulation: ['DescribeGroupAccumulationRequest', 'DescribeGroupAccumulationResponse'],
  ListConsumerConnection: ['ListConsumerConnectionRequest', 'ListConsumerConnectionResponse'],
  ResetGroupOffset: ['ResetGroupOffsetRequest', 'ResetGroupOffsetResponse'],
  QueryMessage: ['ListMessageRequest', 'ListMessageResponse'],
  PrintThreadStackTrace: ['PrintThreadStackTraceRequest', 'PrintThreadStackTraceResponse'],
  VerifyMessage: ['VerifyMessageRequest', 'VerifyMessageResponse'],
  AdminSendMessage: ['AdminSendMessageRequest', 'AdminSendMessageResponse'],
  GetConsumerRunningInfo: [
    'GetConsumerRunningInfoRequest',
    'GetConsumerRunningInfoResponse',
    'ConsumerRunningInfo',
    'MessageQueueItem',
    'ProcessQueueInfo',
    'ConsumeStatus',
  ],
  GetTopicRoute: ['GetTopicRouteRequest', 'GetTopicRouteResponse'],
  QueryTimeSpan: ['QueryTimeSpanRequest', 'QueryTimeSpanResponse'],
  GetProxyRuntimeStats: ['GetProxyRuntimeStatsRequest', 'GetProxyRuntimeStatsResponse'],
}

function load(folder: string): protobuf.NamespaceBase {
  const root = new protobuf.Root()
  root.resolvePath = (_origin, target) => (existsSync(join(folder, target)) ? join(folder, target) : target)
  root.loadSync(files, { keepCase: true })
  root.resolveAll()
  const namespace = root.lookup('apache.rocketmq.v2')
  if (!(namespace instanceof protobuf.Namespace)) throw new Error(`no apache.rocketmq.v2 in ${folder}`)
  return namespace
}

/** One line for each fact of the contract, without order. */
function describeContract(namespace: protobuf.NamespaceBase): string[] {
  const lines: string[] = []
  const short = (object: protobuf.ReflectionObject) => object.fullName.replace('.apache.rocketmq.v2.', '')
  for (const object of namespace.nestedArray) {
    if (object instanceof protobuf.Enum) {
      for (const [name, value] of Object.entries(object.values)) lines.push(`enum ${short(object)}: ${name} = ${value}`)
    } else if (object instanceof protobuf.Type) {
      lines.push(
        `message ${short(object)}`,
        ...object.fieldsArray.map(field => `field ${short(object)}: ${describeField(field)}`),
        ...describeContract(object),
      )
    } else if (object instanceof protobuf.Service) {
      for (const method of object.methodsArray) {
        const ends = [
          method.requestStream ? 'stream ' : '',
          method.requestType,
          ' -> ',
          method.responseStream ? 'stream ' : '',
          method.responseType,
        ]
        lines.push(`method ${short(object)}.${method.name}: ${ends.join('')}`)
      }
    }
  }
  return lines
}

function describeField(field: protobuf.Field): string {
  const type = field.resolvedType?.fullName ?? field.type
  const isOptional = field.options?.['proto3_optional'] === true
  const label = field.repeated ? 'repeated ' : isOptional ? 'optional ' : ''
  const oneof = field.partOf && !isOptional ? ` in oneof ${field.partOf.name}` : ''
  return `${field.id} ${field.name} ${field instanceof protobuf.MapField ? `map<${field.keyType}, ${type}>` : label + type}${oneof}`
}

function isExplained(line: string): boolean {
  if (Object.hasOwn(addedLines, line)) return true
  const [, kind, name, member] = /^(\w+) (\w+)(?:\.(\w+))?/.exec(line) ?? []
  if (kind === 'method') return name === 'Admin' && Object.hasOwn(addedMethods, member ?? '')
  return Object.values(addedMethods)
    .flat()
    .includes(name ?? '')
}

const ours = describeContract(load(ourFolder))
const theirs = describeContract(load(clientFolder))

describe('the contract of apache.rocketmq.v2', () => {
  test('holds everything that the official client knows, to the letter', () => {
    expect(theirs.length).toBeGreaterThan(400)
    expect(theirs.filter(line => !ours.includes(line))).toEqual([])
  })

  test('adds to it only what is listed with a reason', () => {
    expect(ours.filter(line => !theirs.includes(line)).filter(line => !isExplained(line))).toEqual([])
  })

  test('lists no addition that is not there', () => {
    const added = ours.filter(line => !theirs.includes(line))
    for (const line of Object.keys(addedLines)) expect(added).toContain(line)
    for (const [method, types] of Object.entries(addedMethods)) {
      expect(added.some(line => line.startsWith(`method Admin.${method}:`))).toBe(true)
      for (const type of types) expect(added.some(line => line === `message ${type}` || line.startsWith(`enum ${type}:`))).toBe(true)
    }
  })

  test('has the 17 methods of the messaging service, as the code generated for the client calls them', () => {
    type Methods = Record<string, { path: string; requestStream: boolean; responseStream: boolean }>
    const generated = require('rocketmq-client-nodejs/proto/apache/rocketmq/v2/service_grpc_pb.js') as { MessagingServiceService: Methods }
    const called = Object.values(generated.MessagingServiceService).map(method => ({
      name: method.path.replace('/apache.rocketmq.v2.MessagingService/', ''),
      requestStream: method.requestStream,
      responseStream: method.responseStream,
    }))
    const service = load(ourFolder).lookupService('MessagingService')
    const declared = service.methodsArray.map(method => ({
      name: method.name,
      requestStream: method.requestStream ?? false,
      responseStream: method.responseStream ?? false,
    }))
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
    expect(declared.sort(byName)).toEqual(called.sort(byName))
    expect(declared).toHaveLength(17)
  })

  test('has the codes that the code generated for the client knows, and our generated classes have the same', () => {
    const generated = require('rocketmq-client-nodejs/proto/apache/rocketmq/v2/definition_pb.js') as { Code: Record<string, number> }
    expect(apache.rocketmq.v2.Code).toMatchObject(generated.Code)
    expect(Object.keys(generated.Code).length).toBeGreaterThan(50)
  })
})
