/** `raftmq topic create|list|get|delete`. */
import type { raftmq } from '#proto/raftmq-v1.js'
import { formatDuration, formatSize } from '../node/config-units.ts'
import { methods, v1 } from './client.ts'
import { CliError, ExitCode } from './exit.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { counted, paint, print, printJson, table } from './terminal.ts'

type Topic = raftmq.v1.Topic.$Properties

export interface CreateTopicOptions extends RemoteOptions {
  readonly type: 'normal' | 'fifo'
  readonly queues?: number
  /** Milliseconds. */
  readonly retention?: number
  readonly retentionSize?: number
  readonly ifNotExists?: boolean
}

export interface DeleteTopicOptions extends RemoteOptions {
  readonly ifExists?: boolean
}

export async function createTopic(name: string, options: CreateTopicOptions): Promise<void> {
  const type = options.type === 'fifo' ? v1.TopicType.TOPIC_TYPE_FIFO : v1.TopicType.TOPIC_TYPE_NORMAL
  const answer = await withCluster(options, cluster =>
    cluster.ask(
      methods.createTopic,
      {
        name,
        type,
        ...(options.queues === undefined ? {} : { queueCount: options.queues }),
        ...(options.retention === undefined ? {} : { retentionMs: options.retention }),
        ...(options.retentionSize === undefined ? {} : { retentionBytes: options.retentionSize }),
      },
      isUnavailable,
    ),
  )
  mustBeOk(answer.status)
  if (answer.existed && options.ifNotExists !== true)
    throw new CliError(ExitCode.conflict, `topic ${name} exists, with the same type and queues; --if-not-exists takes that as success`)
  if (options.output === 'json') {
    printJson({ ...topicJson(answer.topic ?? { name }), existed: answer.existed })
    return
  }
  print(
    `${name} ${answer.existed ? 'existed' : 'created'}: ${typeName(answer.topic?.type)}, ${counted(answer.topic?.queueCount ?? 0, 'queue')}`,
  )
}

export async function deleteTopic(name: string, options: DeleteTopicOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.deleteTopic, { name }, isUnavailable))
  const isMissing = answer.status?.code === v1.AdminStatus.Code.NOT_FOUND
  // The node's own sentence is for those who want to use the topic: create it first.
  if (isMissing && options.ifExists !== true)
    throw new CliError(
      ExitCode.notFound,
      `there is no topic ${name} (raftmq topic list shows those that are there); --if-exists takes that as success`,
    )
  if (!isMissing) mustBeOk(answer.status)
  if (options.output === 'json') {
    printJson({ name, deleted: !isMissing })
    return
  }
  print(`${name} ${isMissing ? 'was not there' : 'deleted'}`)
}

export async function listTopics(options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.listTopics, {}, isUnavailable))
  mustBeOk(answer.status)
  const topics = answer.topics
  if (options.output === 'json') {
    printJson(topics.map(topicJson))
    return
  }
  if (topics.length === 0) {
    print('no topics; make one: raftmq topic create NAME')
    return
  }
  print(
    table(
      ['topic', 'type', 'queues', 'messages'],
      topics.map(topic => [topic.name ?? '', typeName(topic.type), topic.queueCount ?? 0, topic.messages ?? 0]),
    ),
  )
}

export async function getTopic(name: string, options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.getTopic, { name }, isUnavailable))
  mustBeOk(answer.status)
  const topic = answer.topic ?? { name }
  if (options.output === 'json') {
    printJson(topicJson(topic))
    return
  }
  print(
    `${paint('bold', name)}  ${typeName(topic.type)}, ${counted(topic.queueCount ?? 0, 'queue')}, ${counted(topic.messages ?? 0, 'message')}`,
  )
  print(`messages are kept ${retentionShown(topic)}`)
  const queues = topic.queues ?? []
  if (queues.length > 0)
    print(
      table(
        ['queue', 'first', 'next'],
        queues.map(queue => [queue.queueId ?? 0, queue.firstOffset ?? 0, queue.nextOffset ?? 0]),
      ),
    )
}

export function typeName(type: raftmq.v1.TopicType | null | undefined): string {
  return type === v1.TopicType.TOPIC_TYPE_FIFO ? 'fifo' : 'normal'
}

/** Without an age of its own a topic has the nodes', whatever else it has (src/broker/retention-watch.ts). */
export function retentionShown({ retentionMs, retentionBytes }: Topic): string {
  const age = retentionMs != null && retentionMs > 0 ? `for ${formatDuration(retentionMs)}` : 'as the nodes are configured'
  return retentionBytes != null && retentionBytes > 0 ? `${age}, at most ${formatSize(retentionBytes)}` : age
}

function topicJson(topic: Topic): Record<string, unknown> {
  const queues = (topic.queues ?? []).map(queue => ({
    queue: queue.queueId ?? 0,
    firstOffset: queue.firstOffset ?? 0,
    nextOffset: queue.nextOffset ?? 0,
  }))
  return {
    name: topic.name ?? '',
    type: typeName(topic.type),
    queueCount: topic.queueCount ?? 0,
    messages: topic.messages ?? 0,
    retentionMs: topic.retentionMs ?? 0,
    retentionBytes: topic.retentionBytes ?? 0,
    ...(queues.length === 0 ? {} : { queues }),
  }
}
