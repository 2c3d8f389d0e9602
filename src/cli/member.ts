/**
 * `raftmq cluster member …`: who belongs to the group. A change is asked for once and then carried out by the group itself, also when the leader changes on
 * the way; these commands only watch it until it has ended, and can be left at any time.
 */
import type { raftmq } from '#proto/raftmq-v1.js'
import { nodeNamed } from '../node/config.ts'
import { formatHostPort } from '../node/config-units.ts'
import { type ClusterClient, methods, v1 } from './client.ts'
import { isWaitingInVain, outsiderShown, waitsFor, type ClusterStatus, type Member, type Members } from './change-under-way.ts'
import { askCluster } from './cluster.ts'
import { CliError, ExitCode } from './exit.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { readConfig } from './start.ts'
import { paint, print, printJson, table } from './terminal.ts'
import { waitForEnd } from './wait-for-change.ts'

export interface MemberOptions extends RemoteOptions {
  /** Longest wait for the end of the change, in seconds. */
  readonly timeout: number
  readonly wait: boolean
}

export interface AddMemberOptions extends MemberOptions {
  readonly config?: string
  readonly number?: number
  readonly peer?: string
  readonly client?: string
  /** Replaces one that is well. */
  readonly force?: boolean
}

interface Known {
  readonly status: ClusterStatus
  readonly members: Members
}

export async function listMembers(options: RemoteOptions): Promise<void> {
  tell(options, await withCluster(options, askCluster))
}

export async function addMember(name: string, options: AddMemberOptions): Promise<void> {
  await change(options, { add: [memberFrom(name, options)] })
}

export async function removeMember(name: string, options: MemberOptions): Promise<void> {
  const { members } = await change(options, { remove: [name] })
  const voters = (members.members ?? []).filter(({ role }) => role === v1.Member.Role.VOTER).length
  if (options.wait && options.output !== 'json' && voters <= 2)
    print(paint('yellow', `${voters} ${voters === 1 ? 'voter' : 'voters'}: no failure is survived any more`))
}

/** In one step: at no moment has the group fewer voters than before. Without a new name it is the old one, with another data directory. */
export async function replaceMember(old: string, name: string | undefined, options: AddMemberOptions): Promise<void> {
  if (name === undefined || name === old) return replaceDirectory(old, options)
  await change(options, { add: [memberFrom(name, options)], remove: [old] })
}

/**
 * The number loses its vote, which the lost directory has cast, and gets it again when the new one has caught up. Two steps: in between the group has one
 * voter less, and the one that it lacks is dead anyway.
 */
async function replaceDirectory(name: string, options: AddMemberOptions): Promise<void> {
  if (!options.wait)
    throw new CliError(ExitCode.usage, 'a member that keeps its name is removed and then added again: that can not be left in the middle')
  const known = await withCluster(options, async cluster => {
    const before = await askCluster(cluster)
    const member = before.members.members?.find(each => each.name === name && each.role !== v1.Member.Role.REMOVED)
    if (member?.role === v1.Member.Role.VOTER && options.force !== true) mustBeLost(name, before.status)
    if (member !== undefined) await changeAndWait(cluster, { remove: [name] }, options)
    else if (options.config === undefined) throw new CliError(ExitCode.notFound, `there is no member ${name}`)
    const { id, peerAddress, clientAddress } = member ?? memberFrom(name, options)
    return changeAndWait(
      cluster,
      { add: [{ id: id ?? 0, name, peerAddress: peerAddress ?? '', clientAddress: clientAddress ?? '' }] },
      options,
    )
  })
  tell(options, known)
}

/** One that takes part has lost nothing: without its vote, and until it has it again, the group is a failure nearer to its end. */
function mustBeLost(name: string, { nodes, answeredBy }: ClusterStatus): void {
  const node = nodes?.find(each => each.name === name)
  const isHere = node !== undefined && (node.id === answeredBy || node.isConnected === true)
  // One that has just come may not have told of itself yet; one with another directory is not let in at all.
  const { damage, fetch, isVoteWithheld } = node?.raft ?? {}
  const isWell = damage == null && fetch == null && isVoteWithheld !== true
  if (isHere && isWell && ['leader', 'follower', ''].includes(node.role ?? ''))
    throw new CliError(
      ExitCode.conflict,
      `${name} is up, with the directory that votes: for a new disk, start it with an empty one first; --force takes its vote away and gives it back, and one failure less is survived meanwhile`,
    )
}

export async function cancelChange(options: MemberOptions): Promise<void> {
  await change(options, { cancel: true })
}

/** Its number and addresses: from the configuration file that the nodes share, or as given. */
function memberFrom(name: string, options: AddMemberOptions): Member {
  const known = options.config === undefined ? undefined : nodeNamed(readConfig(options.config), name)
  const id = options.number ?? known?.number
  const peerAddress = options.peer ?? (known && formatHostPort(known.peerAddress))
  const clientAddress = options.client ?? (known && formatHostPort(known.advertise))
  if (id === undefined || peerAddress === undefined || clientAddress === undefined)
    throw new CliError(ExitCode.usage, `say who ${name} is: --config with the file that names it, or --number, --peer and --client`)
  return { id, name, peerAddress, clientAddress }
}

async function change(options: MemberOptions, request: raftmq.v1.ChangeMembersRequest.$Properties): Promise<Known> {
  const known = await withCluster(options, async cluster => {
    if (options.wait) return changeAndWait(cluster, request, options)
    const answer = await cluster.ask(methods.changeMembers, request, isUnavailable)
    mustBeOk(answer.status)
    return askCluster(cluster)
  })
  tell(options, known)
  return known
}

async function changeAndWait(
  cluster: ClusterClient,
  request: raftmq.v1.ChangeMembersRequest.$Properties,
  options: MemberOptions,
): Promise<Known> {
  const answer = await cluster.ask(methods.changeMembers, request, isUnavailable)
  mustBeOk(answer.status)
  return waitForEnd(cluster, answer.index, options.timeout * 1000)
}

function tell(options: RemoteOptions, { status, members }: Known): void {
  if (options.output === 'json') printJson(membersJson(members))
  else print(membersScreen(members, status))
}

const roleNames: Readonly<Record<number, string>> = {
  [v1.Member.Role.VOTER]: 'voter',
  [v1.Member.Role.LEARNER]: 'learner',
  [v1.Member.Role.REMOVED]: 'removed',
}

function roleOf(member: Member): string {
  return roleNames[member.role ?? 0] ?? ''
}

/** The list as text. */
export function membersScreen(members: Members, status: ClusterStatus): string {
  const rows = (members.members ?? []).map(member => [
    member.id ?? 0,
    member.name ?? '',
    `${roleOf(member)}${member.role === v1.Member.Role.REMOVED ? ', still told' : ''}${member.joining === true ? ', to vote' : ''}${member.parting === true ? ', to leave' : ''}`,
    member.peerAddress ?? '',
    member.clientAddress ?? '',
  ])
  const what = waitsFor(members, status)
  const advice = isWaitingInVain(members, status) ? '; start it, or give up: raftmq cluster member cancel' : ''
  const outsider = outsiderShown(status, members)
  return [
    ...(outsider === undefined ? [] : [outsider, '']),
    table(['number', 'node', 'role', 'peers at', 'clients at'], rows),
    ...(what === undefined ? [] : ['', `a change waits for ${what}${advice}`]),
  ].join('\n')
}

function membersJson(members: Members): Record<string, unknown> {
  return {
    index: members.index ?? 0,
    isCommitted: members.isCommitted ?? false,
    phase: members.phase ?? '',
    members: (members.members ?? []).map(member => ({
      id: member.id ?? 0,
      name: member.name ?? '',
      role: roleOf(member),
      joining: member.joining ?? false,
      parting: member.parting ?? false,
      peerAddress: member.peerAddress ?? '',
      clientAddress: member.clientAddress ?? '',
    })),
  }
}
