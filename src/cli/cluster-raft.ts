/**
 * `raftmq cluster raft`: the consensus of each node on a screen, for whoever asks why there is no leader, why one changed, or who is behind and why.
 * Any node tells of all: what the others say of themselves is at most a second old, and its age stands beside it.
 */
import type { raftmq } from '#proto/raftmq-v1.js'
import { namesOf, outsiderShown, type Members } from './change-under-way.ts'
import { askCluster } from './cluster.ts'
import { CliError, ExitCode } from './exit.ts'
import { withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { bytesShown, count, durationShown, paint, print, printJson, table, wrapped } from './terminal.ts'

type NodeStatus = raftmq.v1.NodeStatus.$Properties
type ClusterStatus = raftmq.v1.ClusterStatusResponse.$Properties
type RaftDetail = raftmq.v1.RaftDetail.$Properties
type Peer = raftmq.v1.RaftPeer.$Properties
type NameOf = (id: number | null | undefined) => string

export interface ClusterRaftOptions extends RemoteOptions {
  /** Only this one. */
  readonly node?: string
}

const widthDefault = 100
const widthMin = 76
const roleChangesShown = 5
const labelWidth = 10

export async function clusterRaft(options: ClusterRaftOptions): Promise<void> {
  const { status: answer, members } = await withCluster(options, askCluster)
  const all = answer.nodes ?? []
  const nodes = all.filter(({ name }) => options.node === undefined || name === options.node)
  if (nodes.length === 0) {
    const names = all.map(({ name }) => name).join(', ')
    throw new CliError(ExitCode.notFound, `there is no node ${options.node ?? ''}; there are ${names}`)
  }
  if (options.output === 'json') printJson(raftJson(answer, nodes))
  else print(raftScreen(answer, members, nodes, Math.max(widthMin, process.stdout.columns || widthDefault)))
}

/** The screen as text, at most `width` wide but for the table of a leader's peers. */
export function raftScreen(status: ClusterStatus, members: Members, nodes: readonly NodeStatus[], width: number): string {
  const nameOf: NameOf = namesOf(status, members)
  const outsider = outsiderShown(status, members)
  const head = [
    `${paint('bold', status.clusterName ?? '')}  leader ${status.leader ? paint('green', nameOf(status.leader)) : paint('red', 'none known')}`,
    `term ${count(status.term ?? 0)}`,
    `as ${nameOf(status.answeredBy)} sees it`,
  ].join(' · ')
  const first = outsider === undefined ? head : [...wrapped(outsider.split(' '), ' ', width, '', '  '), head].join('\n')
  return [first, ...nodes.map(node => nodeScreen(node, status.answeredBy ?? 0, nameOf, width))].join('\n\n')
}

function nodeScreen(node: NodeStatus, answeredBy: number, nameOf: NameOf, width: number): string {
  const { raft } = node
  const heading = wrapped(
    headline(node, answeredBy, nameOf),
    ' · ',
    width,
    `${paint('bold', node.name ?? '')}  `,
    ' '.repeat(labelWidth + 2),
  )
  if (raft == null) return [...heading, '  it has not told of its Raft yet'].join('\n')
  const line = (label: string, items: readonly string[]): string[] =>
    items.length === 0 ? [] : wrapped(items, ' · ', width, `  ${label.padEnd(labelWidth)}`, ' '.repeat(labelWidth + 2))
  return [
    ...heading,
    ...line('log', cursorsShown(raft)),
    ...line('members', membershipShown(raft, nameOf)),
    ...line('epochs', [
      `${count(raft.epochTaken ?? 0)} given out`,
      `${count(raft.epochDurable ?? 0)} on disk`,
      `${count(raft.epochHardState ?? 0)} of term and vote`,
    ]),
    ...line('disk', disksShown(raft)),
    ...line('pools', poolsShown(raft)),
    ...line('waits', [
      `${count(raft.readsOpen ?? 0)} reads`,
      `${count(raft.messagesHeld ?? 0)} messages for the disk`,
      `proposals ${count(raft.proposals ?? 0)}, refused ${count(raft.proposalsRejected ?? 0)}, unknown ${count(raft.proposalsUnknown ?? 0)}`,
      ...(raft.stalls ? [`stood still ${count(raft.stalls)} ×, longest ${durationShown(raft.stallMsLongest ?? 0)}`] : []),
    ]),
    ...line('digest', node.digest ? [`${node.digest} at entry ${count(node.digestIndex ?? 0)}`] : []),
    ...line(
      'said no',
      (raft.refusals ?? []).map(({ code, count: times }) => `${code ?? ''} ${count(times ?? 0)}`),
    ),
    ...line('trouble', troubleOf(raft, nameOf)),
    ...line('links', linksShown(raft, nameOf)),
    ...rolesShown(node, nameOf, width),
    ...peersShown(raft, nameOf),
  ].join('\n')
}

/** What it is, since when, and how fresh this is. */
function headline(node: NodeStatus, answeredBy: number, nameOf: NameOf): string[] {
  const { raft } = node
  const role = node.role ?? ''
  const sinceMs = node.roleChanges?.[0]?.ageMs
  const isHere = node.id === answeredBy || node.isConnected === true
  const following = role === 'follower' && node.leader ? ` of ${nameOf(node.leader)}` : ''
  const heard = raft?.sinceLeaderMs == null ? [] : [`heard it ${durationShown(raft.sinceLeaderMs)} ago`]
  const shown = role === 'leader' ? paint('green', role) : role === '' ? 'unknown' : role
  return [
    isHere ? `${shown}${following}` : paint('red', `unreachable, was ${role === '' ? 'unknown' : role}`),
    ...(sinceMs == null ? [] : [`for ${durationShown(sinceMs + (node.ageMs ?? 0))}`]),
    ...heard,
    `term ${count(node.term ?? 0)}`,
    ...(raft?.votedFor ? [`voted for ${nameOf(raft.votedFor)}`] : []),
    `incarnation ${count(node.incarnation ?? 0)}`,
    ...(node.ageMs ? [`told ${durationShown(node.ageMs)} ago`] : []),
  ]
}

function cursorsShown({ purged, snapshot, applied, commit, durable, last }: RaftDetail): string[] {
  const all = { purged, snapshot, applied, committed: commit, durable, last }
  return Object.entries(all).map(([name, entry]) => `${name} ${count(entry?.index ?? 0)}${entry?.term ? ` (${count(entry.term)})` : ''}`)
}

function membershipShown({ membership, transfer }: RaftDetail, nameOf: NameOf): string[] {
  const { index = 0, committedIndex = 0, phase = '', voters = [], outgoing = [], learners = [], goal = [], removed = [] } = membership ?? {}
  const names = (title: string, ids: readonly number[] | null): string[] =>
    ids == null || ids.length === 0 ? [] : [`${title} ${ids.map(nameOf).join(' ')}`]
  const isPending = (committedIndex ?? 0) < (index ?? 0)
  return [
    `${phase} since entry ${count(index ?? 0)}${isPending ? `, not committed (${count(committedIndex ?? 0)} is)` : ''}`,
    ...names('voters', voters),
    ...names('and of', outgoing),
    ...names('learners', learners),
    ...names('goal', goal),
    ...names('removed, still told:', removed),
    ...(transfer == null
      ? []
      : [`hands over to ${nameOf(transfer.to)}: ${transfer.phase ?? ''}, ${durationShown(transfer.leftMs ?? 0)} left`]),
  ]
}

function disksShown(raft: RaftDetail): string[] {
  return [
    `${count(raft.syncs ?? 0)} syncs of ${count(Math.round((raft.entriesPerSync ?? 0) * 10) / 10)} entries`,
    `p50 ${(raft.syncP50Ms ?? 0).toFixed(1)} ms`,
    `p99 ${(raft.syncP99Ms ?? 0).toFixed(1)} ms`,
    `lately ${(raft.syncLatelyMs ?? 0).toFixed(1)} ms`,
  ]
}

function poolsShown({ pools }: RaftDetail): string[] {
  return (pools ?? []).map(({ pool, bytes, bytesMax, refused }) => {
    const shown = `${pool ?? ''} ${bytesShown(bytes ?? 0)} of ${bytesShown(bytesMax ?? 0)}`
    return refused ? paint('yellow', `${shown}, refused ${count(refused)}`) : shown
  })
}

function troubleOf(raft: RaftDetail, nameOf: NameOf): string[] {
  const { fetch, damage, failure, isVoteWithheld, isVoteConditional } = raft
  const percent = Math.floor((100 * (fetch?.bytesHere ?? 0)) / Math.max(1, fetch?.bytesTotal ?? 0))
  const items = [
    ...(isVoteWithheld ? ['its vote is withheld: one may be forgotten'] : []),
    ...(isVoteConditional ? ['its votes are conditional: a tail may be forgotten'] : []),
    ...(fetch == null ? [] : [`fetches a snapshot at entry ${count(fetch.index ?? 0)} from ${nameOf(fetch.from)}: ${percent} %`]),
    ...(damage == null ? [] : [`entries ${count(damage.fromIndex ?? 0)}–${count(damage.lastIndex ?? 0)} are damaged, asks for them`]),
    ...(failure ? [failure] : []),
  ]
  return items.map(item => paint('yellow', item))
}

/** Only what is not as it should be: both open and nothing waiting needs no word. */
function linksShown({ links }: RaftDetail, nameOf: NameOf): string[] {
  const shown = (links ?? []).flatMap(({ peer, control, data, waitingBytes, lastProblem }) => {
    const waits = waitingBytes ? `, ${bytesShown(waitingBytes)} wait` : ''
    if (control && data) return waitingBytes ? [`${nameOf(peer)} both${waits}`] : []
    const open = control ? 'control only' : data ? 'data only' : 'none'
    return [paint('yellow', `${nameOf(peer)} ${open}${waits}${lastProblem ? `: ${lastProblem}` : ''}`)]
  })
  return shown.length > 0 ? shown : (links ?? []).length > 0 ? ['all open'] : []
}

function rolesShown({ roleChanges, ageMs }: NodeStatus, nameOf: NameOf, width: number): string[] {
  return (roleChanges ?? []).slice(0, roleChangesShown).flatMap((change, i) => {
    const label = `  ${(i === 0 ? 'roles' : '').padEnd(labelWidth)}`
    const when = durationShown((change.ageMs ?? 0) + (ageMs ?? 0)).padStart(6)
    const leader = change.to === 'follower' && change.leader ? ` of ${nameOf(change.leader)}` : ''
    const text = `${when} ago  ${change.from ?? ''} → ${change.to ?? ''}${leader}, term ${count(change.term ?? 0)}: ${change.reason ?? ''}`
    return wrapped(text.split(/(?<=\S) /), ' ', width, label, ' '.repeat(label.length + when.length + '  ago'.length + 1))
  })
}

function peersShown({ peers }: RaftDetail, nameOf: NameOf): string[] {
  if (peers == null || peers.length === 0) return []
  const rows = peers.map((peer: Peer) => [
    nameOf(peer.id),
    peer.state ?? '',
    peer.matchedIndex ?? 0,
    peer.durableIndex ?? 0,
    peer.appliedIndex ?? 0,
    `${bytesShown(peer.inflightBytes ?? 0)} / ${count(peer.inflightSlices ?? 0)}`,
    bytesShown(peer.lagBytes ?? 0),
    peer.sinceContactMs == null ? 'never' : durationShown(peer.sinceContactMs),
  ])
  const columns = ['peer', 'state', 'matched', 'durable', 'applied', 'in flight', 'lag', 'heard']
  return table(columns, rows)
    .split('\n')
    .map(line => `  ${line}`)
}

function raftJson(status: ClusterStatus, nodes: readonly NodeStatus[]): Record<string, unknown> {
  return {
    cluster: status.clusterName ?? '',
    answeredBy: status.answeredBy ?? 0,
    leader: status.leader ?? 0,
    term: status.term ?? 0,
    nodes: nodes.map(node => ({
      id: node.id ?? 0,
      name: node.name ?? '',
      isConnected: node.isConnected ?? false,
      ageMs: node.ageMs ?? 0,
      role: node.role ?? '',
      term: node.term ?? 0,
      leader: node.leader ?? 0,
      incarnation: node.incarnation ?? 0,
      digest: node.digest ?? '',
      digestIndex: node.digestIndex ?? 0,
      roleChanges: node.roleChanges ?? [],
      raft: node.raft ?? null,
    })),
  }
}
