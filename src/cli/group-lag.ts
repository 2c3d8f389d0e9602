/** `raftmq group lag`: what a consumer group has not finished, by topic and queue; one table with a row of totals for each topic. */
import type { raftmq } from '#proto/raftmq-v1.js'
import { methods } from './client.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { print, printJson, table } from './terminal.ts'

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

export async function groupLag(name: string, options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.getGroup, { name }, isUnavailable))
  mustBeOk(answer.status)
  const topics = (answer.group?.topics ?? []).map(lagOf)
  if (options.output === 'json') printJson({ name, topics })
  else print(topics.length === 0 ? `${name} has no place in any topic yet` : lagScreen(topics))
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
