/** `raftmq cluster status`, the first thing to look at, and `cluster transfer-leader`. */
import { methods, type ClusterClient } from './client.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { waitsFor, type ClusterStatus, type Members, type NodeStatus } from './change-under-way.ts'
import { screenWidth, statusScreen } from './cluster-screen.ts'
import { print, printJson } from './terminal.ts'

export async function clusterStatus(options: RemoteOptions): Promise<void> {
  const { status, members } = await withCluster(options, askCluster)
  if (options.output === 'json') printJson(statusJson(status, members))
  else print(statusScreen(status, members, Math.min(process.stdout.columns || screenWidth, screenWidth)))
}

/** How the nodes are and who belongs to the group, as one node knows it. */
export async function askCluster(cluster: ClusterClient): Promise<{ readonly status: ClusterStatus; readonly members: Members }> {
  const status = await cluster.ask(methods.clusterStatus, {}, isUnavailable)
  mustBeOk(status.status)
  const members = await cluster.ask(methods.listMembers, {}, isUnavailable)
  mustBeOk(members.status)
  return { status, members }
}

export interface TransferLeaderOptions extends RemoteOptions {
  readonly to?: string
}

export async function transferLeader(options: TransferLeaderOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.transferLeader, { to: options.to ?? '' }, isUnavailable))
  mustBeOk(answer.status)
  const { from, to, elapsedMs } = answer
  if (options.output === 'json') printJson({ from, to, elapsedMs })
  else print(from === to ? `${to} leads already` : `${to} leads now, ${from} did; known after ${Math.round(elapsedMs)} ms`)
}

/** The same, whole, for programs. */
function statusJson(status: ClusterStatus, members: Members): Record<string, unknown> {
  return {
    cluster: status.clusterName ?? '',
    answeredBy: status.answeredBy ?? 0,
    leader: status.leader ?? 0,
    term: status.term ?? 0,
    commitIndex: status.commitIndex ?? 0,
    clusterTimeMs: status.clusterTimeMs ?? 0,
    topics: status.topics ?? 0,
    groups: status.groups ?? 0,
    featureLevel: status.featureLevel ?? 0,
    phase: members.phase ?? '',
    waitsFor: waitsFor(members, status) ?? '',
    nodes: (status.nodes ?? []).map(nodeJson),
  }
}

function nodeJson(node: NodeStatus): Record<string, unknown> {
  return {
    id: node.id ?? 0,
    name: node.name ?? '',
    clientAddress: node.clientAddress ?? '',
    peerAddress: node.peerAddress ?? '',
    isUp: node.isUp ?? false,
    isConnected: node.isConnected ?? false,
    role: node.role ?? '',
    term: node.term ?? 0,
    leader: node.leader ?? 0,
    firstIndex: node.firstIndex ?? 0,
    disk: {
      level: node.disk?.level ?? '',
      totalBytes: node.disk?.totalBytes ?? 0,
      freeBytes: node.disk?.freeBytes ?? 0,
      retainedBytes: node.disk?.retainedBytes ?? 0,
      segments: node.disk?.segments ?? 0,
    },
    lastIndex: node.lastIndex ?? 0,
    durableIndex: node.durableIndex ?? 0,
    commitIndex: node.commitIndex ?? 0,
    appliedIndex: node.appliedIndex ?? 0,
    lag: node.lag ?? 0,
    syncP50Ms: node.sync?.p50Ms ?? 0,
    syncP99Ms: node.sync?.p99Ms ?? 0,
    syncsPerSecond: node.sync?.syncsPerSecond ?? 0,
    messagesPerSync: node.sync?.messagesPerSync ?? 0,
    loopStallMaxMs: node.loopStallMaxMs ?? 0,
    rssBytes: node.rssBytes ?? 0,
    logBytes: node.logBytes ?? 0,
    uncommittedBytes: node.uncommittedBytes ?? 0,
    uptimeMs: node.uptimeMs ?? 0,
    incarnation: node.incarnation ?? 0,
    ageMs: node.ageMs ?? 0,
    clients: node.clients ?? 0,
    version: node.version ?? '',
    featureLevelMax: node.featureLevelMax ?? 0,
    digest: node.digest ?? '',
    digestIndex: node.digestIndex ?? 0,
    dataDirectory: node.dataDirectory ?? '',
    ...(node.recovered?.at
      ? { recovered: { at: node.recovered.at, lastIndex: node.recovered.lastIndex ?? 0, index: node.recovered.index ?? 0 } }
      : {}),
    processId: node.processId ?? 0,
    roleChanges: (node.roleChanges ?? []).map(change => ({
      ageMs: change.ageMs ?? 0,
      from: change.from ?? '',
      to: change.to ?? '',
      term: change.term ?? 0,
      leader: change.leader ?? 0,
      reason: change.reason ?? '',
    })),
  }
}
