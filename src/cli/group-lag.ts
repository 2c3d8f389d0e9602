/** `raftmq group lag`: what consumer groups have not finished, by topic and queue; one table with a row of totals for each topic. */
import type { raftmq } from '#proto/raftmq-v1.js'
import { type ClusterClient, methods } from './client.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { paint, print, printJson, table } from './terminal.ts'

type GroupTopic = raftmq.v1.GroupTopic.$Properties

interface QueueLag {
  readonly queue: number
  /** The offset after the last message. */
  readonly end: number
  /** Everything below was handed out at least once. */
  readonly consumed: number
  readonly behind: number
}

/** Where a group stands in a topic. In flight, retry and dead are known for a topic as a whole. */
export interface TopicLag {
  readonly topic: string
  readonly end: number
  readonly consumed: number
  /** Not handed out yet. */
  readonly behind: number
  readonly inFlight: number
  /** Handed out before, and to be handed out again. */
  readonly retry: number
  readonly dead: number
  readonly queues: readonly QueueLag[]
}

interface GroupLag {
  readonly name: string
  readonly topics: readonly TopicLag[]
}

/** Of one group, or of all. */
export async function groupLag(name: string | undefined, options: RemoteOptions): Promise<void> {
  const lags = await withCluster(options, async cluster => {
    const names = name === undefined ? await namesOfGroups(cluster) : [name]
    const found: GroupLag[] = []
    for (const each of names) {
      const answer = await cluster.ask(methods.getGroup, { name: each }, isUnavailable)
      mustBeOk(answer.status)
      found.push({ name: each, topics: (answer.group?.topics ?? []).map(lagOf) })
    }
    return found
  })
  if (options.output === 'json') printJson(name === undefined ? lags : lags[0])
  else print(name === undefined ? allLagsScreen(lags) : lags.map(lagOrNone).join(''))
}

async function namesOfGroups(cluster: ClusterClient): Promise<readonly string[]> {
  const answer = await cluster.ask(methods.listGroups, {}, isUnavailable)
  mustBeOk(answer.status)
  return answer.groups.map(group => group.name ?? '')
}

/** A heading and a table for each group. */
export function allLagsScreen(lags: readonly GroupLag[]): string {
  if (lags.length === 0) return 'no consumer groups; they come into being when a consumer first names them'
  return lags.map(lag => `${lag.topics.length === 0 ? '' : `${paint('bold', lag.name)}\n`}${lagOrNone(lag)}`).join('\n\n')
}

function lagOrNone({ name, topics }: GroupLag): string {
  return topics.length === 0 ? `${name} has no place in any topic yet` : lagScreen(topics)
}

export function lagOf(place: GroupTopic): TopicLag {
  const queues = (place.queues ?? []).map(({ queueId, cursor, nextOffset }): QueueLag => {
    const end = nextOffset ?? 0
    const consumed = Math.min(cursor ?? 0, end)
    return { queue: queueId ?? 0, end, consumed, behind: end - consumed }
  })
  const sum = (of: (queue: QueueLag) => number): number => queues.reduce((total, queue) => total + of(queue), 0)
  return {
    topic: place.topic ?? '',
    end: sum(queue => queue.end),
    consumed: sum(queue => queue.consumed),
    behind: sum(queue => queue.behind),
    inFlight: place.inFlight ?? 0,
    retry: place.retrying ?? 0,
    dead: place.dead ?? 0,
    queues,
  }
}

/** A row for each topic, then one for each of its queues. */
export function lagScreen(topics: readonly TopicLag[]): string {
  const rows = topics.flatMap(({ topic, end, consumed, behind, inFlight, retry, dead, queues }) => [
    [topic, 'all', end, consumed, behind, inFlight, retry, dead],
    ...queues.map(queue => ['', queue.queue, queue.end, queue.consumed, queue.behind, '', '', '']),
  ])
  return table(['topic', 'queue', 'end', 'consumed', 'behind', 'in flight', 'retry', 'dead'], rows)
}
