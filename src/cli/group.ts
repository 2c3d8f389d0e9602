/** `raftmq group list|get`: how far consumer groups are. */
import type { raftmq } from '#proto/raftmq-v1.js'
import { methods } from './client.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { paint, print, printJson, table } from './terminal.ts'

type Group = raftmq.v1.Group.$Properties
type GroupTopic = raftmq.v1.GroupTopic.$Properties

export async function listGroups(options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.listGroups, {}, isUnavailable))
  mustBeOk(answer.status)
  if (options.output === 'json') {
    printJson(answer.groups.map(groupJson))
    return
  }
  if (answer.groups.length === 0) {
    print('no consumer groups; they come into being when a consumer first names them')
    return
  }
  const rows = answer.groups.flatMap(group => {
    const topics = group.topics ?? []
    const kind = group.settings?.isFifo === true ? 'fifo' : 'concurrent'
    if (topics.length === 0) return [[group.name ?? '', kind, '-', 0, 0, 0]]
    return topics.map(topic => [group.name ?? '', kind, topic.topic ?? '', topic.waiting ?? 0, topic.inFlight ?? 0, topic.dead ?? 0])
  })
  print(table(['group', 'kind', 'topic', 'waiting', 'in flight', 'dead'], rows))
}

export async function getGroup(name: string, options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.getGroup, { name }, isUnavailable))
  mustBeOk(answer.status)
  const group = answer.group ?? { name }
  if (options.output === 'json') {
    printJson(groupJson(group))
    return
  }
  const settings = group.settings
  print(`${paint('bold', name)}  ${settings?.isFifo === true ? 'fifo' : 'concurrent'}, at most ${settings?.maxAttempts ?? 0} attempts`)
  const rows = (group.topics ?? []).flatMap(topic =>
    (topic.queues ?? []).map(queue => {
      const cursor = queue.cursor ?? 0
      const next = queue.nextOffset ?? 0
      return [topic.topic ?? '', queue.queueId ?? 0, cursor, next, next - cursor]
    }),
  )
  for (const topic of group.topics ?? []) print(placeLine(topic))
  if (rows.length > 0) print(table(['topic', 'queue', 'cursor', 'next', 'behind'], rows))
}

/** Where the group stands in one topic, in one line. */
export function placeLine({ topic, waiting, retrying, blocked, inFlight, dead }: GroupTopic): string {
  const held = [retrying ? `${retrying} to be tried again` : '', blocked ? `${blocked} behind others of their message group` : '']
  const why = held.filter(text => text !== '').join(', ')
  return `${topic ?? ''}: ${waiting ?? 0} waiting${why === '' ? '' : ` (${why})`}, ${inFlight ?? 0} in flight, ${dead ?? 0} dead`
}

function groupJson(group: Group): Record<string, unknown> {
  return {
    name: group.name ?? '',
    fifo: group.settings?.isFifo ?? false,
    maxAttempts: group.settings?.maxAttempts ?? 0,
    topics: (group.topics ?? []).map(placeJson),
  }
}

function placeJson(place: GroupTopic): Record<string, unknown> {
  const queues = (place.queues ?? []).map(queue => ({
    queue: queue.queueId ?? 0,
    cursor: queue.cursor ?? 0,
    nextOffset: queue.nextOffset ?? 0,
  }))
  return {
    topic: place.topic ?? '',
    waiting: place.waiting ?? 0,
    retrying: place.retrying ?? 0,
    blocked: place.blocked ?? 0,
    inFlight: place.inFlight ?? 0,
    dead: place.dead ?? 0,
    ...(queues.length === 0 ? {} : { queues }),
  }
}
