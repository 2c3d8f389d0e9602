/**
 * Who belongs to the group: voters, learners, and while voters change both sets at once (joint consensus, Raft §6). A membership is a value, the body of a
 * `config` entry; the one at index 1 is what the group began with. It is in force from the moment it is in the log, committed or not.
 *
 *   phase      voters    outgoing   goal       what it is
 *   steady     V         –          –          nothing is being changed
 *   catchUp    V         –          W          members that W adds are learners; when they have caught up the leader goes on
 *   joint      W         V          –          every decision needs a majority of W and a majority of V
 *   farewell   W         –          –          steady, but `leaving` members still hear of it, so that they know and stop
 *
 * The goal stands in the log, so that any later leader can finish what an earlier one began. Invariants (`problemOfMembership`): ids ascend, every voter
 * is a member, goal and outgoing never stand together, and no id is ever above `idMax`: an id up to there that is no member was removed.
 */
import { assert } from '../../src/platform/assert.ts'
import type { LogIndex, NodeId } from './ids.ts'

export const votersMax = 9
export const membersMax = 32

/** One node of the group. Its identity is the number; name and addresses may change. */
export interface Member {
  readonly id: NodeId
  readonly name: string
  /** Where the other members dial it: `host:port`. */
  readonly address: string
  /** Where clients find it: `host:port`. Raft only carries it. */
  readonly clientAddress: string
  /**
   * Which data directory speaks for it, as hex: its memory of terms, votes and acknowledgements. Written once by the leader, from the member's own greeting;
   * absent until then. Whoever comes under this number with another directory is not the one who voted.
   */
  readonly directory?: string
}

export interface Membership {
  /** All of them, ascending: voters of either half, learners, and who is leaving. */
  readonly members: readonly Member[]
  /** Ascending. In a joint membership the new ones. */
  readonly voters: readonly NodeId[]
  /** The voters before, while a change is joint; else empty. */
  readonly outgoing: readonly NodeId[]
  /** The voters that are wanted, until the joint membership takes their place. */
  readonly goal: readonly NodeId[] | undefined
  /** No voters any more: they are told so, and then dropped. */
  readonly leaving: readonly NodeId[]
  /** The highest number that was ever given to a member. */
  readonly idMax: number
}

/** A membership and the entry that holds it; index 0: what this node was configured to begin with. */
export interface MembershipAt {
  readonly index: LogIndex
  readonly membership: Membership
}

/** What a node knows that has not heard of any group. */
export const noMembership: Membership = { members: [], voters: [], outgoing: [], goal: undefined, leaving: [], idMax: 0 }

/** What a group begins with: all of them vote. */
export function firstMembership(members: readonly Member[]): Membership {
  const sorted = [...members].sort((a, b) => a.id - b.id)
  const idMax = sorted.at(-1)?.id ?? 0
  return { members: sorted, voters: sorted.map(member => member.id), outgoing: [], goal: undefined, leaving: [], idMax }
}

export function memberOf(membership: Membership, id: NodeId): Member | undefined {
  for (const member of membership.members) if (member.id === id) return member
  return undefined
}

/** Its word counts for something: it votes in one half or in both. */
export function isElector(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.outgoing.includes(id)
}

/** A member that only receives. */
export function isLearner(membership: Membership, id: NodeId): boolean {
  return memberOf(membership, id) !== undefined && !isElector(membership, id) && !membership.leaving.includes(id)
}

/** It belonged to the group, or could have, and does not any more. */
export function wasRemoved(membership: Membership, id: NodeId): boolean {
  return id <= membership.idMax && (memberOf(membership, id) === undefined || membership.leaving.includes(id))
}

export type MembershipPhase = 'steady' | 'catchUp' | 'joint'

export function phaseOf(membership: Membership): MembershipPhase {
  if (membership.outgoing.length > 0) return 'joint'
  return membership.goal === undefined ? 'steady' : 'catchUp'
}

const format = 1

/** The body of a config entry. The same membership gives the same bytes. */
export function encodeMembership(membership: Membership): Uint8Array {
  assert(problemOfMembership(membership) === undefined, 'membership', problemOfMembership(membership))
  const { members, voters, outgoing, goal, leaving, idMax } = membership
  const text = {
    format,
    members: members.map(({ id, name, address, clientAddress, directory }) => ({
      id,
      name,
      address,
      clientAddress,
      ...(directory === undefined ? {} : { directory }),
    })),
    voters,
    outgoing,
    goal: goal ?? [],
    leaving,
    idMax,
  }
  // ASCII alone: whoever keeps it as text has no questions.
  const ascii = JSON.stringify(text).replace(/[\u007f-\uffff]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return new TextEncoder().encode(ascii)
}

export type DecodedMembership =
  | { readonly kind: 'ok'; readonly membership: Membership }
  /** What is wrong with the bytes. */
  | { readonly kind: 'bad'; readonly problem: string }

/** Total: whatever the bytes are. */
export function decodeMembership(body: Uint8Array): DecodedMembership {
  const fields = parseObject(new TextDecoder().decode(body))
  if (fields === undefined) return bad('it is no JSON object')
  if (fields['format'] !== format) return bad(`its format is ${String(fields['format'])}, not ${format}`)
  const { voters, outgoing, goal, leaving, idMax } = fields
  if (!isIds(voters) || !isIds(outgoing) || !isIds(goal) || !isIds(leaving)) return bad('its sets are no lists of node numbers')
  if (typeof idMax !== 'number' || !Number.isInteger(idMax)) return bad('its idMax is no number')
  const members: Member[] = []
  for (const item of Array.isArray(fields['members']) ? (fields['members'] as unknown[]) : []) {
    const member = memberFrom(item)
    if (member === undefined) return bad('a member is no {id, name, address, clientAddress}')
    members.push(member)
  }
  const membership: Membership = { members, voters, outgoing, goal: goal.length === 0 ? undefined : goal, leaving, idMax }
  const problem = problemOfMembership(membership)
  return problem === undefined ? { kind: 'ok', membership } : bad(problem)
}

function bad(problem: string): DecodedMembership {
  return { kind: 'bad', problem }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isIds(value: unknown): value is NodeId[] {
  return Array.isArray(value) && value.every(id => typeof id === 'number' && Number.isInteger(id))
}

function memberFrom(value: unknown): Member | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, name, address, clientAddress, directory } = value as Record<string, unknown>
  if (typeof id !== 'number' || typeof name !== 'string' || typeof address !== 'string' || typeof clientAddress !== 'string')
    return undefined
  const known = { id: id as NodeId, name, address, clientAddress }
  if (directory === undefined) return known
  return typeof directory === 'string' && directoryPattern.test(directory) ? { ...known, directory } : undefined
}

const directoryPattern = /^[0-9a-f]{32}$/
const textMax = 255

/** What makes it no membership of any group; undefined when it is one. */
export function problemOfMembership(membership: Membership): string | undefined {
  const { members, voters, outgoing, goal, leaving, idMax } = membership
  const ids = members.map(member => member.id)
  if (!isAscending(ids) || !isAscending(voters) || !isAscending(outgoing) || !isAscending(goal ?? []) || !isAscending(leaving))
    return 'its numbers do not ascend'
  if (ids.some(id => !Number.isInteger(id) || id < 1 || id > 65_535)) return 'a number is not in 1..65535'
  if ((ids.at(-1) ?? 0) > idMax || !Number.isInteger(idMax) || idMax > 65_535) return 'idMax is below a member, or no node number'
  if (ids.length > membersMax) return `a group has at most ${membersMax} members, not ${ids.length}`
  if (voters.length < 1 || voters.length > votersMax) return `a group has 1 to ${votersMax} voters, not ${voters.length}`
  if (outgoing.length > votersMax || (goal ?? []).length > votersMax) return `a group has at most ${votersMax} voters`
  for (const id of [...voters, ...outgoing, ...(goal ?? []), ...leaving]) if (!ids.includes(id)) return `${id} is in a set and no member`
  if (goal !== undefined && (goal.length === 0 || outgoing.length > 0)) return 'a goal is empty, or stands beside a joint membership'
  if (leaving.some(id => isElector(membership, id) || goal?.includes(id) === true)) return 'who leaves is no voter'
  if (new Set(members.map(member => member.name)).size !== members.length) return 'two members have one name'
  if (members.some(member => [member.name, member.address, member.clientAddress].some(text => text.length > textMax)))
    return `names and addresses have at most ${textMax} characters`
  return undefined
}

function isAscending(ids: readonly number[]): boolean {
  return ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0))
}
