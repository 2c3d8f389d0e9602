/** `raftmq cluster …`: the status on one screen, the first thing to look at, and who leads. */
import type { raftmq } from '#proto/raftmq-v1.js'
import { methods } from './client.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { bytesShown, count, counted, durationShown, paint, print, printJson, table } from './terminal.ts'

type NodeStatus = raftmq.v1.NodeStatus.$Properties
type ClusterStatus = raftmq.v1.ClusterStatusResponse.$Properties

export async function clusterStatus(options: RemoteOptions): Promise<void> {
  const answer = await withCluster(options, cluster => cluster.ask(methods.clusterStatus, {}, isUnavailable))
  mustBeOk(answer.status)
  if (options.output === 'json') {
    printJson(statusJson(answer))
    return
  }
  print(statusScreen(answer))
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

/** The screen as text. */
export function statusScreen(status: ClusterStatus): string {
  const nodes = status.nodes ?? []
  const nameOf = (id: number | null | undefined): string => nodes.find(node => node.id === id)?.name ?? (id ? `node ${id}` : 'none')
  const leader = nodes.find(node => node.id === status.leader)
  const head = [
    `${paint('bold', status.clusterName ?? '')}  leader ${leader === undefined ? paint('red', 'none known') : paint('green', leader.name ?? '')}`,
    `term ${count(status.term ?? 0)}, committed ${counted(status.commitIndex ?? 0, 'entry', 'entries')}, ${counted(status.topics ?? 0, 'topic')}, ${counted(status.groups ?? 0, 'group')}`,
    levelShown(status),
    `as ${nameOf(status.answeredBy)} sees it`,
  ].join(' · ')
  const rows = nodes.map(node => [
    node.name ?? '',
    roleShown(node, status.answeredBy ?? 0),
    node.clientAddress ?? '',
    node.term ?? 0,
    node.appliedIndex ?? 0,
    node.durableIndex ?? 0,
    node.lag ?? 0,
    node.sync?.p99Ms ? `${node.sync.p99Ms.toFixed(1)} ms` : '-',
    node.clients ?? 0,
    bytesShown(node.disk?.retainedBytes ?? node.logBytes ?? 0),
    diskShown(node),
    bytesShown(node.rssBytes ?? 0),
    node.uptimeMs ? durationShown(node.uptimeMs) : '-',
  ])
  const columns = ['node', 'role', 'clients at', 'term', 'applied', 'durable', 'lag', 'sync p99', 'clients', 'log', 'disk', 'memory', 'up']
  return [head, '', table(columns, rows), '', ...recoveries(nodes), ...lastChange(nodes, nameOf)].join('\n')
}

/** How full its disk is; in colour when that has consequences. */
function diskShown({ disk }: NodeStatus): string {
  if (disk == null || !disk.totalBytes) return '-'
  const used = `${Math.floor((1 - (disk.freeBytes ?? 0) / disk.totalBytes) * 100)} %`
  if (disk.level === 'refuse') return paint('red', `${used}, refuses sends`)
  return disk.level === 'ok' ? used : paint('yellow', `${used}, cleans`)
}

/** The feature level, and what an operator could do about it. */
function levelShown({ featureLevel, nodes }: ClusterStatus): string {
  const level = featureLevel ?? 0
  const supported = (nodes ?? []).map(node => node.featureLevelMax ?? 0)
  const lowest = Math.min(...supported)
  if (Math.max(level, ...supported) <= level) return `level ${level}`
  return paint(
    'yellow',
    lowest > level ? `level ${level}, ${lowest} is possible: raftmq cluster finalize` : `level ${level}, an upgrade is under way`,
  )
}

/** What is not there now is not shown as if it were: a dead leader's last word is that it leads. */
function roleShown(node: NodeStatus, answeredBy: number): string {
  const role = node.role ?? ''
  const isHere = node.id === answeredBy || node.isConnected === true
  if (!isHere) return paint('red', role === '' ? 'unreachable' : `unreachable, was ${role}`)
  if (node.isUp === false) return paint('yellow', `${role === '' ? 'unknown' : role}, counts as down`)
  return role === 'leader' ? paint('green', role) : role
}

/** What an operator did by force stays in sight. */
function recoveries(nodes: readonly NodeStatus[]): string[] {
  return nodes.flatMap(({ name, recovered }) =>
    recovered?.at
      ? [
          paint(
            'yellow',
            `${name ?? ''} was made the whole group by raftmq recover on ${recovered.at}: what others had acknowledged behind entry ${count(recovered.lastIndex ?? 0)} may be lost`,
          ),
        ]
      : [],
  )
}

/** The newest change of leadership that any node tells of, and why. */
function lastChange(nodes: readonly NodeStatus[], nameOf: (id: number | null | undefined) => string): string[] {
  const changes = nodes.flatMap(node =>
    (node.roleChanges ?? []).map(change => ({ node, change, ageMs: (change.ageMs ?? 0) + (node.ageMs ?? 0) })),
  )
  const elections = changes.filter(({ change }) => change.to === 'leader').sort((a, b) => a.ageMs - b.ageMs)
  const [newest] = elections
  if (newest === undefined) return ['no change of leader is remembered']
  const lost = changes
    .filter(({ change, ageMs }) => change.from === 'follower' && ageMs >= newest.ageMs && change.term === newest.change.term)
    .sort((a, b) => a.ageMs - b.ageMs)[0]
  const why = newest.change.reason ?? lost?.change.reason ?? ''
  return [
    `${nameOf(newest.node.id)} became leader in term ${newest.change.term ?? 0}, ${durationShown(newest.ageMs)} ago${why === '' ? '' : `: ${why}`}`,
  ]
}

/** The same, whole, for programs. */
function statusJson(status: ClusterStatus): Record<string, unknown> {
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
