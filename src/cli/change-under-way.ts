/**
 * The members in words: what a change waits for, which votes are missing, and that the asked node is no member. Made of the list of members and of what the
 * nodes tell of themselves: the leader knows of each new member whether it answers, and how far it is.
 */
import type { raftmq } from '#proto/raftmq-v1.js'
import { v1 } from './client.ts'
import { bytesShown, count, durationShown } from './terminal.ts'

export type Member = raftmq.v1.Member.$Properties
export type Members = raftmq.v1.ListMembersResponse.$Properties
export type NodeStatus = raftmq.v1.NodeStatus.$Properties
export type ClusterStatus = raftmq.v1.ClusterStatusResponse.$Properties

/** Longer than this without a word, and it does not answer. */
const silentMs = 3_000
const { VOTER, LEARNER, REMOVED } = v1.Member.Role

/** Names by number, of members also while they have no say yet. */
export function namesOf(status: ClusterStatus, members: Members): (id: number | null | undefined) => string {
  const known = [...(members.members ?? []), ...(status.nodes ?? [])]
  return id => known.find(node => node.id === id)?.name ?? (id ? `node ${id}` : 'none')
}

export function learnersOf(members: Members): readonly Member[] {
  return (members.members ?? []).filter(({ role }) => role === LEARNER)
}

/** What the leader knows of one that is fed. */
export function peerOf(status: ClusterStatus, id: number | null | undefined): raftmq.v1.RaftPeer.$Properties | undefined {
  return leaderOf(status)?.raft?.peers?.find(peer => peer.id === id)
}

function leaderOf({ nodes, leader }: ClusterStatus): NodeStatus | undefined {
  return leader ? nodes?.find(({ id }) => id === leader) : undefined
}

/** What a change under way waits for; undefined when there is none. */
export function waitsFor(members: Members, status: ClusterStatus): string | undefined {
  if (members.phase === 'joint') return 'a majority of the voters, of those before it and of those after it'
  if (members.phase !== 'catchUp') return undefined
  if (leaderOf(status) === undefined) return 'a leader (raftmq cluster status)'
  const slow = learnersOf(members).filter(({ joining }) => joining === true)
  return slow.length === 0 ? 'its end' : slow.map(member => standingOf(member, status)).join('; ')
}

function standingOf({ id, name, peerAddress }: Member, status: ClusterStatus): string {
  const leader = leaderOf(status)
  const peer = peerOf(status, id)
  const where = `${name ?? ''} ${peerAddress ? `at ${peerAddress}` : ''}`
  const problem = leader?.raft?.links?.find(link => link.peer === id)?.lastProblem
  const why = problem ? ` (${problem})` : ''
  if (peer?.sinceContactMs == null) return `${where}, which has not answered yet${why}`
  const sinceMs = peer.sinceContactMs + (leader?.ageMs ?? 0)
  if (sinceMs > silentMs) return `${where}, which has not answered for ${durationShown(sinceMs)}${why}`
  const entries = Math.max(0, (leader?.lastIndex ?? 0) - (peer.matchedIndex ?? 0))
  return `${name ?? ''} to catch up: ${peer.state === 'snapshot' ? 'it fetches a snapshot' : `${count(entries)} entries`}, ${bytesShown(peer.lagBytes ?? 0)} to go`
}

/** Whether the one that a change waits for is not there at all. */
export function isWaitingInVain(members: Members, status: ClusterStatus): boolean {
  const isSilent = ({ id }: Member): boolean => (peerOf(status, id)?.sinceContactMs ?? Infinity) > silentMs
  return members.phase === 'catchUp' && learnersOf(members).some(member => member.joining === true && isSilent(member))
}

/** Why nobody leads, as far as it is a matter of votes; undefined while somebody does. */
export function quorumShown(status: ClusterStatus, members: Members): string | undefined {
  if (status.leader) return undefined
  const voters = (members.members ?? []).filter(({ role }) => role === VOTER)
  if (voters.length === 0) return undefined
  const here = (id: number | null | undefined): boolean =>
    id === status.answeredBy || status.nodes?.find(node => node.id === id)?.isConnected === true
  const missing = voters.filter(({ id }) => !here(id)).map(({ name }) => name ?? '')
  const answering = voters.length - missing.length
  const needed = Math.floor(voters.length / 2) + 1
  const votersAnswer = `${answering} of ${voters.length} voters ${answering === 1 ? 'answers' : 'answer'}`
  if (answering >= needed)
    return `${votersAnswer}, which is enough: an election is under way, or raftmq cluster raft says what withholds a vote`
  const lacking = needed - answering
  const which =
    lacking === missing.length ? missing.join(' and ') : lacking === 1 ? missing.join(' or ') : `${lacking} of ${missing.join(', ')}`
  return `${votersAnswer}; ${needed} are needed: start ${which}; if they are lost for good: docs/lost-quorum.md`
}

/** The asked node does not belong to the group: what it shows is old, or nothing. */
export function outsiderShown(status: ClusterStatus, members: Members): string | undefined {
  const self = status.nodes?.find(({ id }) => id === status.answeredBy)
  const own = members.members?.find(({ id }) => id === status.answeredBy)
  const name = namesOf(status, members)(status.answeredBy)
  const other = status.nodes?.find(({ id }) => id !== status.answeredBy)?.clientAddress
  const ask = `ask another one${other ? `, as -e ${other}` : ''}`
  if ((members.members ?? []).length === 0) return `${name} is no member yet: it waits for raftmq cluster member add ${name}; ${ask}`
  if (own === undefined || own.role === REMOVED) return `${name} is no member (any more), and shows what it last knew; ${ask}`
  if (self?.role !== 'removed') return undefined
  return `${name} takes no part: it was removed, or its directory is not the one that votes, as its log says; ${ask}`
}
