/** `raftmq cluster status` as text, at most as wide as it is told: the columns that matter least go first; what is not as it should be is a sentence below. */
import { stripVTControlCharacters } from 'node:util'
import {
  isWaitingInVain,
  learnersOf,
  namesOf,
  outsiderShown,
  peerOf,
  quorumShown,
  waitsFor,
  type ClusterStatus,
  type Members,
  type NodeStatus,
} from './change-under-way.ts'
import { bytesShown, count, counted, durationShown, paint, table, wrapped } from './terminal.ts'

export const screenWidth = 100
/** Told once a second. */
const oldMs = 3_000
/** A node that has just come back is behind by less. */
const behindEntries = 1_000

interface Column {
  readonly heading: string
  readonly cell: (node: NodeStatus) => string | number
}

export function statusScreen(status: ClusterStatus, members: Members, width = screenWidth): string {
  const nodes = status.nodes ?? []
  const nameOf = namesOf(status, members)
  const leader = nodes.find(node => node.id === status.leader)
  const head = [
    `leader ${leader === undefined ? paint('red', 'none known') : paint('green', leader.name ?? '')}`,
    `term ${count(status.term ?? 0)}`,
    `committed ${counted(status.commitIndex ?? 0, 'entry', 'entries')}`,
    counted(status.topics ?? 0, 'topic'),
    counted(status.groups ?? 0, 'group'),
    levelShown(status),
    `as ${nameOf(status.answeredBy)} sees it`,
  ]
  const sentences = (texts: readonly (string | undefined)[], style?: 'red' | 'yellow'): string[] =>
    texts.flatMap(text => (text === undefined ? [] : sentence(text, width, style)))
  const outsider = outsiderShown(status, members)
  return [
    ...sentences([outsider], 'yellow'),
    ...wrapped(head, ' · ', width, `${paint('bold', status.clusterName ?? '')}  `, '  '),
    '',
    ...fitting(columnsOf(status), [...nodes, ...learnerRows(status, members)], width),
    '',
    ...sentences([outsider === undefined ? quorumShown(status, members) : undefined], 'red'),
    ...sentences([changeShown(status, members), ...nodes.map(node => oddity(node, status)), ...nodes.flatMap(diskOdd)], 'yellow'),
    ...sentences(recoveries(nodes), 'yellow'),
    ...sentences([lastChange(nodes, nameOf)]),
  ].join('\n')
}

/** Least important first: what gives way on a narrow screen. */
const givingWay = ['memory', 'clients', 'log', 'up', 'disk', 'sync p99', 'lag']

function columnsOf({ answeredBy }: ClusterStatus): readonly Column[] {
  return [
    { heading: 'node', cell: node => node.name ?? '' },
    { heading: 'role', cell: node => roleShown(node, answeredBy ?? 0) },
    { heading: 'clients at', cell: node => node.clientAddress ?? '' },
    { heading: 'applied', cell: node => node.appliedIndex ?? 0 },
    { heading: 'lag', cell: node => node.lag ?? 0 },
    { heading: 'sync p99', cell: node => (node.sync?.p99Ms ? `${node.sync.p99Ms.toFixed(1)} ms` : '-') },
    { heading: 'clients', cell: node => node.clients ?? 0 },
    { heading: 'log', cell: node => bytesShown(node.disk?.retainedBytes ?? node.logBytes ?? 0) },
    { heading: 'disk', cell: diskShown },
    { heading: 'memory', cell: node => bytesShown(node.rssBytes ?? 0) },
    { heading: 'up', cell: node => (node.uptimeMs ? durationShown(node.uptimeMs) : '-') },
  ]
}

function fitting(columns: readonly Column[], nodes: readonly NodeStatus[], width: number): string[] {
  for (let dropped = 0; ; dropped++) {
    const shown = columns.filter(({ heading }) => !givingWay.slice(0, dropped).includes(heading))
    const lines = table(
      shown.map(({ heading }) => heading),
      nodes.map(node => shown.map(({ cell }) => cell(node))),
    ).split('\n')
    if (dropped === givingWay.length || lines.every(line => stripVTControlCharacters(line).length <= width)) return lines
  }
}

function sentence(text: string, width: number, style?: 'red' | 'yellow'): string[] {
  return wrapped(text.split(' '), ' ', width, '', '  ').map(line => (style === undefined ? line : paint(style, line)))
}

/** Those that do not vote yet, as the leader knows them: they are no door for clients, so nodes do not tell each other of them. */
function learnerRows(status: ClusterStatus, members: Members): NodeStatus[] {
  const isShown = (id: number | null | undefined): boolean => status.nodes?.some(node => node.id === id) === true
  return learnersOf(members)
    .filter(({ id }) => !isShown(id))
    .map(({ id = 0, name = '', clientAddress = '' }): NodeStatus => {
      const applied = peerOf(status, id)?.appliedIndex ?? 0
      const lag = Math.max(0, (status.commitIndex ?? 0) - applied)
      return { id, name, clientAddress, lag, role: 'learner', isUp: true, isConnected: true, appliedIndex: applied }
    })
}

function changeShown(status: ClusterStatus, members: Members): string | undefined {
  const what = waitsFor(members, status)
  if (what === undefined) return undefined
  const how = isWaitingInVain(members, status) ? '; start it, or give up' : ': raftmq cluster member list; give up'
  return `a change of members waits for ${what}${how}: raftmq cluster member cancel`
}

function isHere(node: NodeStatus, answeredBy: number | null | undefined): boolean {
  return node.id === answeredBy || node.isConnected === true
}

/** What is not there now is not shown as if it were: a dead leader's last word is that it leads. */
function roleShown(node: NodeStatus, answeredBy: number): string {
  const role = node.role ?? ''
  if (!isHere(node, answeredBy)) return paint('red', 'unreachable')
  if (role === '') return paint('yellow', 'unknown')
  if (node.isUp === false) return paint('yellow', role)
  return role === 'leader' ? paint('green', role) : role
}

/** A row that can't be taken as it stands: whose it is, how old, and what follows from it. */
function oddity(node: NodeStatus, status: ClusterStatus): string | undefined {
  const name = node.name ?? ''
  const ageMs = node.ageMs ?? 0
  if (!isHere(node, status.answeredBy)) {
    if (!node.role) return `${name} is unreachable, and has told nothing yet`
    return `${name} is unreachable: its row is what it said ${durationShown(ageMs)} ago, as ${node.role}`
  }
  const old = ageMs > oldMs ? `; its row is ${durationShown(ageMs)} old` : ''
  if (node.isUp === false && status.leader && node.role !== 'removed') {
    if ((node.lag ?? 0) >= behindEntries)
      return `${name} counts as down, ${count(node.lag ?? 0)} entries behind: clients are not sent there${old}`
    return `${name} is up, not yet counted: clients are sent there after 5 s of contact${old}`
  }
  return old === '' ? undefined : `${name} has said nothing for a while${old}`
}

/** How full its disk is; in colour when that has consequences. */
function diskShown({ disk }: NodeStatus): string {
  if (disk == null || !disk.totalBytes) return '-'
  const used = `${Math.floor((1 - (disk.freeBytes ?? 0) / disk.totalBytes) * 100)} %`
  return disk.level === 'ok' ? used : paint(disk.level === 'refuse' ? 'red' : 'yellow', used)
}

function diskOdd({ name, disk }: NodeStatus): string[] {
  if (disk == null || !disk.totalBytes || disk.level === 'ok') return []
  return [
    `${name ?? ''}: its disk is so full that ${disk.level === 'refuse' ? 'sends are refused' : 'old messages are deleted early'} (log.disk)`,
  ]
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

/** What an operator did by force stays in sight. */
function recoveries(nodes: readonly NodeStatus[]): string[] {
  return nodes.flatMap(({ name, recovered }) =>
    recovered?.at
      ? [
          `${name ?? ''} was made the whole group by raftmq recover on ${recovered.at}: what others had acknowledged behind entry ${count(recovered.lastIndex ?? 0)} may be lost`,
        ]
      : [],
  )
}

/** The newest change of leadership that any node tells of, and why. */
function lastChange(nodes: readonly NodeStatus[], nameOf: (id: number | null | undefined) => string): string {
  const changes = nodes.flatMap(node =>
    (node.roleChanges ?? []).map(change => ({ node, change, ageMs: (change.ageMs ?? 0) + (node.ageMs ?? 0) })),
  )
  const elections = changes.filter(({ change }) => change.to === 'leader').sort((a, b) => a.ageMs - b.ageMs)
  const [newest] = elections
  if (newest === undefined) return 'no change of leader is remembered'
  const lost = changes
    .filter(({ change, ageMs }) => change.from === 'follower' && ageMs >= newest.ageMs && change.term === newest.change.term)
    .sort((a, b) => a.ageMs - b.ageMs)[0]
  const why = newest.change.reason ?? lost?.change.reason ?? ''
  return `${nameOf(newest.node.id)} became leader in term ${newest.change.term ?? 0}, ${durationShown(newest.ageMs)} ago${why === '' ? '' : `: ${why}`}`
}
