/** What a cluster holds, told by each node itself: what must be the same before and after calls that were refused, and the same on all nodes. */
import { raftmq } from '#proto/raftmq-v1.js'
import type { LocalCluster } from '../../src/cli/local-cluster.ts'
import { until } from './cluster.ts'
import { encoded, WireClient, type Codec } from './wire.ts'

const v1 = raftmq.v1

/** What a node says of itself. */
export interface NodeView {
  readonly digest: string
  readonly appliedIndex: number
  readonly term: number
  readonly incarnation: number
  readonly processId: number
}

/** What each node says of itself, once all have applied the same and nothing moves. Asking appends nothing. */
export async function quietViews(cluster: LocalCluster): Promise<readonly NodeView[]> {
  return withClients(cluster, async clients => {
    let views: readonly NodeView[] = []
    let last = ''
    let sinceMs = 0
    await until(async () => {
      views = await Promise.all(clients.map(viewOf))
      const seen = views.map(view => `${view.appliedIndex} ${view.digest}`)
      if (seen.join() !== last) sinceMs = performance.now()
      last = seen.join()
      return new Set(seen).size === 1 && performance.now() - sinceMs > 500
    }, 'all nodes have applied the same and nothing moves')
    return views
  })
}

async function viewOf(client: WireClient): Promise<NodeView> {
  const status = await ask(client, 'ClusterStatus', v1.ClusterStatusRequest, v1.ClusterStatusResponse, { local: true })
  const own = status.nodes[0]
  return {
    digest: own?.digest ?? '',
    appliedIndex: own?.appliedIndex ?? 0,
    term: own?.term ?? 0,
    incarnation: own?.incarnation ?? 0,
    processId: own?.processId ?? 0,
  }
}

/** Topics, queues, groups and their cursors, as each node tells them. Asking appends barriers. */
export async function substanceOf(cluster: LocalCluster): Promise<readonly string[]> {
  return withClients(cluster, clients => Promise.all(clients.map(substance)))
}

async function substance(client: WireClient): Promise<string> {
  const { topics } = await ask(client, 'ListTopics', v1.ListTopicsRequest, v1.ListTopicsResponse, {})
  const { groups } = await ask(client, 'ListGroups', v1.ListGroupsRequest, v1.ListGroupsResponse, {})
  const lines: string[] = []
  for (const { name } of topics)
    lines.push(JSON.stringify(await ask(client, 'GetTopic', v1.GetTopicRequest, v1.GetTopicResponse, { name })))
  for (const { name } of groups)
    lines.push(JSON.stringify(await ask(client, 'GetGroup', v1.GetGroupRequest, v1.GetGroupResponse, { name })))
  return lines.join('\n')
}

async function withClients<T>(cluster: LocalCluster, use: (clients: readonly WireClient[]) => Promise<T>): Promise<T> {
  const clients = cluster.nodes.map(node => new WireClient(`127.0.0.1:${node.clientPort}`, 'substance'))
  try {
    return await use(clients)
  } finally {
    for (const client of clients) client.close()
  }
}

function ask<T>(
  client: WireClient,
  method: string,
  request: { encode(message: never): { finish(): Uint8Array } },
  response: Codec<T>,
  message: object,
): Promise<T> {
  return client.unary(`/raftmq.v1.ClusterAdmin/${method}`, encoded(request, message), response)
}
