/**
 * `raftmq cluster member …`: who belongs to the group. A change is asked for once and then carried out by the group itself, also when the leader changes on
 * the way; these commands only watch it until it has ended, and can be left at any time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { raftmq } from '#proto/raftmq-v1.js'
import { nodeNamed } from '../node/config.ts'
import { formatHostPort } from '../node/config-units.ts'
import { type ClusterClient, methods, v1 } from './client.ts'
import { CliError, ExitCode } from './exit.ts'
import { isUnavailable, mustBeOk, withCluster } from './remote.ts'
import type { RemoteOptions } from './remote.ts'
import { readConfig } from './start.ts'
import { print, printJson, table } from './terminal.ts'

type Member = raftmq.v1.Member.$Properties
type Members = raftmq.v1.ListMembersResponse.$Properties

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
}

const pollMs = 200

export async function listMembers(options: RemoteOptions): Promise<void> {
  const members = await withCluster(options, askMembers)
  if (options.output === 'json') printJson(membersJson(members))
  else print(membersScreen(members))
}

export async function addMember(name: string, options: AddMemberOptions): Promise<void> {
  await change(options, { add: [memberFrom(name, options)] })
}

export async function removeMember(name: string, options: MemberOptions): Promise<void> {
  await change(options, { remove: [name] })
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
  const members = await withCluster(options, async cluster => {
    const before = await askMembers(cluster)
    const member = before.members?.find(each => each.name === name && each.role !== v1.Member.Role.REMOVED)
    if (member !== undefined) await changeAndWait(cluster, { remove: [name] }, options)
    else if (options.config === undefined) throw new CliError(ExitCode.notFound, `there is no member ${name}`)
    const { id, peerAddress, clientAddress } = member ?? memberFrom(name, options)
    return changeAndWait(
      cluster,
      { add: [{ id: id ?? 0, name, peerAddress: peerAddress ?? '', clientAddress: clientAddress ?? '' }] },
      options,
    )
  })
  tell(options, members)
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

async function change(options: MemberOptions, request: raftmq.v1.ChangeMembersRequest.$Properties): Promise<void> {
  const members = await withCluster(options, async cluster => {
    if (options.wait) return changeAndWait(cluster, request, options)
    const answer = await cluster.ask(methods.changeMembers, request, isUnavailable)
    mustBeOk(answer.status)
    return askMembers(cluster)
  })
  tell(options, members)
}

async function changeAndWait(
  cluster: ClusterClient,
  request: raftmq.v1.ChangeMembersRequest.$Properties,
  options: MemberOptions,
): Promise<Members> {
  const answer = await cluster.ask(methods.changeMembers, request, isUnavailable)
  mustBeOk(answer.status)
  return waitForEnd(cluster, answer.index, options.timeout * 1000)
}

function tell(options: MemberOptions, members: Members): void {
  if (options.output === 'json') printJson(membersJson(members))
  else print(membersScreen(members))
}

/** Until no change is under way behind the entry that began this one; whichever node answers. */
async function waitForEnd(cluster: ClusterClient, index: number, timeoutMs: number): Promise<Members> {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const members = await askMembers(cluster)
    if ((members.index ?? 0) >= index && members.phase === 'steady' && members.isCommitted === true) return members
    if (performance.now() > endMs)
      throw new CliError(
        ExitCode.outcomeUnknown,
        `the change is still under way (${members.phase ?? ''}); it goes on by itself, see: raftmq cluster member list`,
      )
    await sleep(pollMs)
  }
}

async function askMembers(cluster: ClusterClient): Promise<Members> {
  const answer = await cluster.ask(methods.listMembers, {}, isUnavailable)
  mustBeOk(answer.status)
  return answer
}

const roleNames: Readonly<Record<number, string>> = {
  [v1.Member.Role.VOTER]: 'voter',
  [v1.Member.Role.LEARNER]: 'learner',
  [v1.Member.Role.REMOVED]: 'removed',
}

function roleOf(member: Member): string {
  return roleNames[member.role ?? 0] ?? ''
}

function membersScreen(members: Members): string {
  const rows = (members.members ?? []).map(member => [
    member.id ?? 0,
    member.name ?? '',
    `${roleOf(member)}${member.joining === true ? ', to vote' : ''}${member.parting === true ? ', to leave' : ''}`,
    member.peerAddress ?? '',
    member.clientAddress ?? '',
  ])
  const phases: Readonly<Record<string, string>> = {
    catchUp: 'a change waits for its new members to catch up',
    joint: 'a change is ending',
  }
  const phase = phases[members.phase ?? '']
  return [table(['number', 'node', 'role', 'peers at', 'clients at'], rows), ...(phase === undefined ? [] : ['', phase])].join('\n')
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
