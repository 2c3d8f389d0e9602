/**
 * Changes of membership, on the leader: takes a wish, and carries any change that stands in the log to its end, whoever began it.
 *
 *   steady ── wish ──▶ catchUp ── all of the goal caught up ──▶ joint ── committed ──▶ steady, `leaving` told ── farewell over ──▶ steady
 *                         └────────── cancel ──────────────────────────────────────────▶ steady
 *
 * Rules, each closing a known hole: one uncommitted membership at a time (catalogue B85), and none before an entry of our own term is committed (B84);
 * neighbours share a whole set of voters, so voters change only through a joint membership (B86); each step is taken because the log says what comes
 * next, so that a new leader takes it too, once (B92); a learner votes when it has caught up, and keeps its progress (B97); a leader that is not among the
 * voters does not count itself and leaves when that is committed (B98).
 */
import { assert, assertNever } from '../../src/platform/assert.ts'
import type { MembershipChange, ChangeMembership } from './event.ts'
import type { NodeId } from './ids.ts'
import { isElector, isLearner, memberOf, phaseOf, problemOfMembership } from './membership.ts'
import type { Member, Membership } from './membership.ts'
import { membershipAt } from './members.ts'
import { becomeFollower, refuse } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { RejectReason } from './output.ts'
import type { Progress } from './progress.ts'
import { addProposal } from './proposals.ts'
import { feedAll, progressOf } from './replication.ts'
import type { LeaderRole } from './role.ts'
import { handOver, isHandingOver } from './transfer.ts'

/** Puts a membership into the log; leading.ts does, and it is in force at once. Its place. */
export type AppendMembership = (node: NodeState, leader: LeaderRole, membership: Membership, ticket: number) => void

/** The operator, or a node about itself, wants the group to be another one. */
export function onChangeMembership(node: NodeState, event: ChangeMembership, append: AppendMembership): void {
  const { role, output } = node
  const { ticket } = event
  const reject = (reason: RejectReason): void => {
    output.outcomes.push({ kind: 'rejected', ticket, reason })
    refuse(node, role.kind === 'leader' ? 'R-28-no-such-change' : 'R-19-not-leader')
  }
  if (role.kind !== 'leader') return reject('notLeader')
  if (!maySteer(node, role)) return reject('changeInProgress')
  const next = applyChange(node.members.current.membership, event.change)
  if (typeof next === 'string') return reject(next)
  assert(problemOfMembership(next) === undefined, 'next-membership', problemOfMembership(next))
  append(node, role, next, ticket)
  const { index } = node.members.current
  addProposal(node.proposals, ticket, index, 1, 0)
  output.outcomes.push({ kind: 'appended', ticket, firstId: { term: node.term, index }, count: 1 })
  feedAll(node, role)
}

/** Whether another membership may be appended now. */
function maySteer(node: NodeState, leader: LeaderRole): boolean {
  if (isHandingOver(leader)) return false
  return node.commitIndex >= leader.firstOwnIndex && node.members.current.index <= node.commitIndex
}

/** What the group would be; or why not. */
export function applyChange(now: Membership, change: MembershipChange): Membership | RejectReason {
  switch (change.kind) {
    case 'replace':
      return withGoal(now, change.add, change.remove)
    case 'cancel':
      return withoutGoal(now)
    case 'update':
      return updated(now, change.member)
    default:
      return assertNever(change)
  }
}

function withGoal(now: Membership, add: readonly Member[], remove: readonly NodeId[]): Membership | RejectReason {
  if (phaseOf(now) !== 'steady') return 'changeInProgress'
  if (add.some(member => isElector(now, member.id))) return 'alreadyMember'
  if (remove.some(id => memberOf(now, id) === undefined || now.leaving.includes(id))) return 'notMember'
  const addedIds = add.map(member => member.id)
  const goal = ascending([...now.voters.filter(id => !remove.includes(id)), ...addedIds])
  const members = [...now.members.filter(member => !addedIds.includes(member.id)), ...add].sort((a, b) => a.id - b.id)
  const learnersLeaving = remove.filter(id => isLearner(now, id))
  const leaving = ascending([...now.leaving.filter(id => !addedIds.includes(id)), ...learnersLeaving])
  const idMax = Math.max(now.idMax, ...addedIds)
  const isVoterChange = goal.length !== now.voters.length || goal.some(id => !now.voters.includes(id))
  const next: Membership = { ...now, members, goal: isVoterChange ? goal : undefined, leaving, idMax }
  if (goal.length === 0) return 'noVoterLeft'
  return problemOfMembership(next) === undefined ? next : 'invalid'
}

function withoutGoal(now: Membership): Membership | RejectReason {
  const { goal } = now
  if (phaseOf(now) === 'joint') return 'tooLate'
  if (goal === undefined) return 'nothingToCancel'
  const given = goal.filter(id => !now.voters.includes(id))
  return { ...now, goal: undefined, leaving: ascending([...now.leaving, ...given]) }
}

function updated(now: Membership, member: Member): Membership | RejectReason {
  const known = memberOf(now, member.id)
  if (known === undefined) return 'notMember'
  // Another directory is another memory: it comes in through a removal.
  if (known.directory !== undefined && known.directory !== member.directory) return 'invalid'
  const next = { ...now, members: now.members.map(other => (other.id === member.id ? member : other)) }
  return problemOfMembership(next) === undefined ? next : 'invalid'
}

/** On each tick of a leader, and when commit has moved: the next step of the change that stands in the log, if its time has come. */
export function maybeSteer(node: NodeState, leader: LeaderRole, append: AppendMembership): void {
  if (!maySteer(node, leader)) return
  const { membership, index } = node.members.current
  if (leader.steeredIndex !== index) {
    leader.steeredIndex = index
    leader.steeredMs = node.nowMs
  }
  const next = nextStep(node, leader, membership)
  if (next === undefined) return
  append(node, leader, next, 0)
  feedAll(node, leader)
}

function nextStep(node: NodeState, leader: LeaderRole, now: Membership): Membership | undefined {
  if (now.outgoing.length > 0) {
    if (maybeHandOver(node, leader, now)) return undefined
    const gone = now.outgoing.filter(id => !now.voters.includes(id))
    return { ...now, outgoing: [], leaving: ascending([...now.leaving, ...gone]) }
  }
  if (now.goal !== undefined) {
    const isReady = now.goal.every(id => now.voters.includes(id) || isCaughtUp(node, leader, id))
    return isReady ? { ...now, voters: now.goal, outgoing: now.voters, goal: undefined } : undefined
  }
  const stays = now.leaving.filter(id => !isFarewellOver(node, leader, id))
  if (stays.length === now.leaving.length) return undefined
  return { ...now, leaving: stays, members: now.members.filter(({ id }) => !now.leaving.includes(id) || stays.includes(id)) }
}

/** Before the membership that leaves us out: another leads without a pause where we would leave an election behind. Tried once. */
function maybeHandOver(node: NodeState, leader: LeaderRole, now: Membership): boolean {
  if (now.voters.includes(node.config.id)) return false
  if (leader.transfer !== undefined) return true
  if (leader.hasTriedHandOver) return false
  leader.hasTriedHandOver = true
  const fresh = leader.peers.filter(
    ({ peer, contactMs }) => now.voters.includes(peer) && node.nowMs - contactMs < node.config.electionTimeoutMs,
  )
  const best = fresh.sort((a, b) => b.matchedIndex - a.matchedIndex || a.peer - b.peer)[0]
  if (best === undefined) return false
  handOver(node, leader, best.peer)
  return true
}

/** Its log was at most an election timeout behind ours, and it is there. */
function isCaughtUp(node: NodeState, leader: LeaderRole, id: NodeId): boolean {
  const progress = progressOf(leader, id)
  if (progress === undefined || !progress.hasAnswered) return false
  return progress.isCaughtUp && node.nowMs - progress.contactMs < node.config.electionTimeoutMs
}

/** Catching up goes in rounds, each up to where our log ended when it began (thesis 4.2.1). One that takes less than an election timeout will do. */
export function noteCatchUp(node: NodeState, progress: Progress): void {
  const isSlow = node.nowMs - progress.roundMs > node.config.electionTimeoutMs
  if (isSlow) progress.isCaughtUp = false
  if (progress.durableIndex < progress.roundIndex) return
  progress.isCaughtUp = !isSlow
  progress.roundIndex = node.log.lastIndex
  progress.roundMs = node.nowMs
}

/** It has had its time: as a gateway that clients still know, or to hear of it at all. Who leaves hears of it from us, or is gone. */
function isFarewellOver(node: NodeState, leader: LeaderRole, id: NodeId): boolean {
  // That is the next leader's to say: we are still needed, and after that a gateway like any other that leaves.
  if (id === node.config.id) return false
  const progress = progressOf(leader, id)
  const silentMs = progress === undefined ? Infinity : node.nowMs - progress.contactMs
  return node.nowMs - leader.steeredMs >= (silentMs > node.config.electionTimeoutMs ? silentFarewellMs(node) : node.config.farewellMs)
}

/** How long nobody waits for the answer of a member that is leaving and says nothing. */
function silentFarewellMs(node: NodeState): number {
  return Math.min(node.config.farewellMs, 10 * node.config.electionTimeoutMs)
}

/** Our own leaving is committed: the news of it went out with the commit, and nobody needs us. */
export function maybeStepAside(node: NodeState, leader: LeaderRole): boolean {
  const committed = membershipAt(node.members, node.commitIndex)
  if (committed !== node.members.current || node.commitIndex < leader.firstOwnIndex) return false
  if (isElector(committed.membership, node.config.id)) return false
  becomeFollower(node, undefined, `no voter any more since ${committed.index}`)
  return true
}

function ascending(ids: readonly NodeId[]): NodeId[] {
  return [...new Set(ids)].sort((a, b) => a - b)
}
