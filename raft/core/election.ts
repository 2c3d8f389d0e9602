/**
 * Elections: pre-votes, votes, and the early round after a leader's process has died (DESIGN §6).
 * Invariants: one vote for each term, on disk before anybody hears of it, our own and our request for others' included (catalogue B02, B04); a pre-vote
 * changes nothing durable (B73); whoever hears from a leader gives no vote, except against a leader whose death it saw itself.
 */
import { assert } from '../../src/platform/assert.ts'
import { forgetClocks, noteClock } from './cluster-time.ts'
import { isHardStateDurable } from './durability.ts'
import { compareLogEnds } from './ids.ts'
import type { EntryId, NodeId } from './ids.ts'
import { becomeLeader } from './leading.ts'
import { lastId } from './log.ts'
import { isElector, membersMax } from './membership.ts'
import { membershipAt } from './members.ts'
import type { PreVote, PreVoteReply, TimeoutNow, Vote, VoteReply } from './message.ts'
import { adoptTerm, castVote, changeRole, isRemoved, nextElectionDeadline, refuse, send, startTerm, wallNow } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import { isVoteWon, slotIn } from './quorum.ts'
import type { Ballot } from './quorum.ts'
import type { Refusal } from './refusal.ts'
import type { CandidateRole, FollowerRole, PreCandidateRole } from './role.ts'

type NonLeader = FollowerRole | PreCandidateRole | CandidateRole

/** Whoever does not lead: is it time for a round of our own? */
export function onElectionTick(node: NodeState, role: NonLeader): void {
  const { nowMs } = node
  if (role.kind === 'follower' && nowMs >= role.earlyDeadlineMs) {
    role.earlyDeadlineMs = Infinity
    node.lastEarlyRoundMs = nowMs
    if (!mayCampaign(node)) return
    return startPreVote(node, role, true, `saw the process of leader ${node.lease?.holder ?? 0} die`)
  }
  if (nowMs < role.electionDeadlineMs) return
  if (nowMs < node.graceUntilMs) return refuse(node, 'R-23-stalled')
  if (!mayCampaign(node)) {
    role.electionDeadlineMs = nextElectionDeadline(node)
    return
  }
  startPreVote(node, role, false, whyNow(node))
}

/**
 * Only who votes by its own log, and was not told better, asks for votes (catalogue B95). Asked itself, it answers all the same (B94). And who has lost its
 * vote by an entry that is not known to be committed: of those that may still be needed it may have the longest log, so that nobody else can win (thesis 4.2.2).
 * Behind our commit index any membership of our log may be the last that is committed: after a start we know no more than our checkpoint does.
 */
function mayCampaign(node: NodeState): boolean {
  if (node.members.ownSlot === undefined && !mayStillBeElector(node)) refuse(node, 'R-26-no-vote-of-ours')
  else if (isRemoved(node)) refuse(node, 'R-27-removed')
  else return true
  return false
}

function mayStillBeElector({ members, commitIndex }: NodeState): boolean {
  const { index } = membershipAt(members, commitIndex)
  return members.history.some(at => at.index >= index && isElector(at.membership, members.ownId))
}

function whyNow(node: NodeState): string {
  if (node.role.kind !== 'follower') return `no majority as ${node.role.kind} in time`
  if (node.lease === undefined) return `election timeout: no leader heard in term ${node.term}`
  return `election timeout: no word from ${node.lease.holder} for ${Math.round(node.nowMs - node.lease.heardMs)} ms`
}

/** The operator, or a test, wants an election. */
export function onCampaign(node: NodeState): void {
  const { role } = node
  if (role.kind === 'leader' || role.kind === 'recovering') return refuse(node, 'R-24-already-leading')
  if (!mayCampaign(node)) return
  startPreVote(node, role, false, 'asked to campaign')
}

/** A peer's process died. If it led us, we need not wait out its lease: others that saw it die won't either. */
export function onPeerDied(node: NodeState, dead: NodeId, jitter: number): void {
  const { role } = node
  if (role.kind === 'leader' || node.lease?.holder !== dead) return refuse(node, 'R-21-not-our-leader')
  node.hasLostLeader = true
  const hasGranted = answerDeferred(node)
  if (role.kind !== 'follower') return
  const { config, nowMs } = node
  if (nowMs - node.lastEarlyRoundMs < config.electionTimeoutMs) return refuse(node, 'R-22-early-round-spent')
  // Whoever has just been promised our vote goes first.
  role.earlyDeadlineMs = nowMs + config.earlyElectionSpreadMs * jitter + (hasGranted ? afterGrantPauseMs(node) : 0)
}

/** Would the others vote for us? A new round; answers to earlier ones don't count. */
function startPreVote(node: NodeState, from: NonLeader, isEarly: boolean, reason: string): void {
  if (node.voteWithheldAt !== undefined) {
    refuse(node, 'R-05-vote-withheld')
    from.electionDeadlineMs = nextElectionDeadline(node)
    return
  }
  node.round++
  // An early round that finds no majority ends when the ordinary timeout would have.
  const ordinaryMs = isEarly ? from.electionDeadlineMs : nextElectionDeadline(node)
  const { ownSlot } = node.members
  const ballots = openBallots(node)
  if (ownSlot !== undefined) ballots[ownSlot] = ownBallot(node)
  const role: PreCandidateRole = {
    kind: 'preCandidate',
    leaderId: undefined,
    round: node.round,
    isEarly,
    ballots,
    electionDeadlineMs: ordinaryMs,
  }
  changeRole(node, role, reason)
  const last = lastId(node.log)
  for (const id of rivalsOf(node)) send(node, id, { kind: 'preVote', term: node.term, last, leaderLost: isEarly, round: node.round })
  maybeCampaign(node, role)
}

function openBallots(node: NodeState): Ballot[] {
  return node.members.electorate.ids.map((): Ballot => 'open')
}

/** The other electors. */
function rivalsOf({ members }: NodeState): readonly NodeId[] {
  return members.electorate.ids.filter(id => id !== members.ownId)
}

/** Our own vote is as good as any other's: conditional while nobody has verified our log, unless there is nothing in it to verify. */
function ownBallot(node: NodeState): Ballot {
  return isConditionalFor(node, lastId(node.log)) ? 'conditional' : 'granted'
}

/** Thesis 9.6: answered without changing anything but our patience. */
export function onPreVote(node: NodeState, from: NodeId, request: PreVote): void {
  const reason = whyNoPreVote(node, from, request)
  const granted = reason === undefined
  if (granted) giveWay(node)
  else refuse(node, reason)
  answerPreVote(node, from, request.round, request.last, granted)
}

function answerPreVote(node: NodeState, to: NodeId, round: number, last: EntryId, granted: boolean): void {
  send(node, to, { kind: 'preVoteReply', term: node.term, granted, round, isConditional: isConditionalFor(node, last) })
}

/**
 * A member told us that we are out, and we hold nothing that could show otherwise: our number votes with another directory, or not at all. Two that lost
 * theirs must not begin the group anew among themselves.
 */
function hasNoSay({ toldRemovedAt, log }: NodeState): boolean {
  return toldRemovedAt !== undefined && log.lastIndex === 0
}

function whyNoPreVote(node: NodeState, from: NodeId, request: PreVote): Refusal | undefined {
  const { role } = node
  if (request.term < node.term) return 'R-02-stale-term'
  if (hasNoSay(node)) return 'R-27-removed'
  if (node.voteWithheldAt !== undefined) return 'R-05-vote-withheld'
  if (compareLogEnds(request.last, lastId(node.log)) < 0) return 'R-07-log-behind'
  if (isLeaseAlive(node, from) && !(request.leaderLost && node.hasLostLeader)) {
    if (request.leaderLost && role.kind === 'follower')
      deferAsk(node, { from, term: request.term, last: request.last, round: request.round })
    return 'R-04-lease'
  }
  // Two that ask at the same moment would both get a grant, and split the vote. Equal logs: the lower number goes on.
  const isRival = role.kind === 'preCandidate' && from > node.config.id
  if (isRival && compareLogEnds(request.last, lastId(node.log)) === 0) return 'R-08-rival'
  return undefined
}

/** Refused only because of the lease. If that leader dies for us too, within the asker's round, the answer changes. */
function deferAsk(node: NodeState, ask: (typeof node.deferredAsks)[number]): void {
  const known = node.deferredAsks.findIndex(other => other.from === ask.from)
  if (known >= 0) node.deferredAsks.splice(known, 1)
  // Whoever asks may be no member; more than a group can have are not remembered, and ask again.
  if (node.deferredAsks.length < membersMax) node.deferredAsks.push(ask)
}

function answerDeferred(node: NodeState): boolean {
  let hasGranted = false
  for (const ask of node.deferredAsks.splice(0)) {
    const reason = whyNoPreVote(node, ask.from, { kind: 'preVote', term: ask.term, last: ask.last, leaderLost: true, round: ask.round })
    if (reason !== undefined) continue
    answerPreVote(node, ask.from, ask.round, ask.last, true)
    hasGranted = true
  }
  return hasGranted
}

/** We granted: our own early round waits for what becomes of it. */
function giveWay(node: NodeState): void {
  const { role } = node
  if (role.kind !== 'follower' || role.earlyDeadlineMs === Infinity) return
  role.earlyDeadlineMs = Math.max(role.earlyDeadlineMs, node.nowMs + afterGrantPauseMs(node))
}

/** Time for two syncs and two messages, generously. */
function afterGrantPauseMs(node: NodeState): number {
  return node.config.earlyElectionSpreadMs + node.config.heartbeatIntervalMs
}

/** Whether somebody other than the asker leads us, as far as we can tell. */
function isLeaseAlive(node: NodeState, asker: NodeId): boolean {
  if (node.role.kind === 'leader') return true
  const { lease } = node
  return lease !== undefined && lease.holder !== asker && node.nowMs - lease.heardMs < node.config.electionTimeoutMs
}

/** Whether our vote for a log that ends at `last` counts only together with everybody's. */
function isConditionalFor(node: NodeState, last: EntryId): boolean {
  if (node.logTrust === 'empty') return last.index > 0
  return node.logTrust === 'torn'
}

export function onPreVoteReply(node: NodeState, from: NodeId, reply: PreVoteReply): void {
  const { role } = node
  if (role.kind !== 'preCandidate' || reply.round !== role.round) return refuse(node, 'R-09-not-asking')
  const slot = slotIn(node.members.electorate, from)
  if (slot === undefined) return refuse(node, 'R-01-not-a-voter')
  role.ballots[slot] = reply.granted ? (reply.isConditional ? 'conditional' : 'granted') : 'refused'
  maybeCampaign(node, role)
}

function maybeCampaign(node: NodeState, role: PreCandidateRole): void {
  assert(node.role === role, 'campaign-of-old-round')
  if (isVoteWon(node.members.electorate, role.ballots))
    campaign(node, `won the pre-vote for term ${node.term + 1}${role.isEarly ? ', early' : ''}`, false)
}

function campaign(node: NodeState, reason: string, isTransfer: boolean): void {
  startTerm(node)
  forgetClocks(node.clusterTime, node.members.ownSlot)
  const ballots = openBallots(node)
  changeRole(node, { kind: 'candidate', leaderId: undefined, ballots, electionDeadlineMs: nextElectionDeadline(node) }, reason)
  const last = lastId(node.log)
  for (const id of rivalsOf(node)) send(node, id, { kind: 'vote', term: node.term, last, isTransfer })
}

/**
 * Our leader hands over to us: no pre-vote, for it asks others whether they miss the leader, and they don't. The requests wait for our own term on
 * disk, and with it for all of our log before it (catalogue B80). After a standstill of our own the word may be an old one, of a hand-over long given
 * up: we would depose a leader that we may not be able to replace.
 */
export function onTimeoutNow(node: NodeState, from: NodeId, request: TimeoutNow): void {
  const { role } = node
  if (role.kind !== 'follower' || role.leaderId !== from || role.session !== request.session) return refuse(node, 'R-42-not-our-transfer')
  if (node.voteWithheldAt !== undefined) return refuse(node, 'R-05-vote-withheld')
  if (!mayCampaign(node)) return
  if (node.nowMs - node.lastTickMs > node.config.electionTimeoutMs / 2) return refuse(node, 'R-23-stalled')
  campaign(node, `told by ${from} to take over in term ${node.term + 1}`, true)
}

/**
 * Raft §5.2, §5.4.1. While we hear from a leader the question is not even answered, and its term not taken (thesis 4.2.3); unless we saw that leader
 * die: the candidate has a majority of pre-votes behind it. Or unless it told the candidate to take over: then the very next term is the candidate's,
 * and the leader itself knows to whom it has said so.
 */
export function onVote(node: NodeState, from: NodeId, request: Vote): void {
  if (request.term > node.term) {
    if (isLeaseAlive(node, from) && !node.hasLostLeader && !isHandover(node, from, request)) return refuse(node, 'R-04-lease')
    // Terms are not taken from candidates while a vote may be forgotten: once written, the flag would be gone at the next start.
    if (node.voteWithheldAt !== undefined) return refuse(node, 'R-05-vote-withheld')
    adoptTerm(node, request.term, `asked by ${from} for a vote in term ${request.term}`)
  }
  const reason = whyNoVote(node, from, request)
  const granted = reason === undefined
  if (granted) {
    if (node.votedFor === undefined) castVote(node, from)
    if (node.role.kind === 'follower') node.role.electionDeadlineMs = nextElectionDeadline(node)
  } else refuse(node, reason)
  const isConditional = isConditionalFor(node, request.last)
  send(node, from, { kind: 'voteReply', term: node.term, granted, isConditional, wallMs: wallNow(node) })
}

function isHandover({ role, term }: NodeState, from: NodeId, request: Vote): boolean {
  if (!request.isTransfer || request.term !== term + 1) return false
  return role.kind !== 'leader' || (role.transfer?.to === from && role.transfer.phase === 'told')
}

function whyNoVote(node: NodeState, from: NodeId, request: Vote): Refusal | undefined {
  if (request.term < node.term) return 'R-02-stale-term'
  if (hasNoSay(node)) return 'R-27-removed'
  if (node.voteWithheldAt !== undefined) return 'R-05-vote-withheld'
  if (node.votedFor !== undefined && node.votedFor !== from) return 'R-06-voted-for-another'
  if (node.role.leaderId !== undefined && node.role.leaderId !== from) return 'R-04-lease'
  if (compareLogEnds(request.last, lastId(node.log)) < 0) return 'R-07-log-behind'
  return undefined
}

export function onVoteReply(node: NodeState, from: NodeId, reply: VoteReply): void {
  const { role } = node
  const slot = slotIn(node.members.electorate, from)
  if (slot === undefined) return refuse(node, 'R-01-not-a-voter')
  if (role.kind === 'candidate' || role.kind === 'leader') noteClock(node.clusterTime, slot, reply.wallMs, node.nowMs)
  if (role.kind !== 'candidate') return refuse(node, 'R-09-not-asking')
  // A vote is never taken back: a second answer can only be a copy.
  if (role.ballots[slot] !== 'open') return
  role.ballots[slot] = reply.granted ? (reply.isConditional ? 'conditional' : 'granted') : 'refused'
  if (reply.granted) return maybeLead(node, role)
  // It would have granted before the pre-vote, so it has voted for a rival since: a split vote, perhaps. The next round begins in half the time.
  role.electionDeadlineMs = Math.min(role.electionDeadlineMs, node.nowMs + (node.config.electionTimeoutMs / 2) * (1 + node.jitter))
}

/** Our own vote, if we have one, counts from the moment it is on disk. */
export function onCandidateDurable(node: NodeState, role: CandidateRole): void {
  const { ownSlot } = node.members
  if (!isHardStateDurable(node.durability)) return
  assert(node.votedFor === node.config.id, 'candidate-without-vote', node.votedFor)
  if (ownSlot !== undefined && role.ballots[ownSlot] === 'open') role.ballots[ownSlot] = ownBallot(node)
  maybeLead(node, role)
}

function maybeLead(node: NodeState, role: CandidateRole): void {
  // Others may have answered before our own disk did: we can't win a term that we might forget (catalogue B04).
  const { electorate } = node.members
  if (!isHardStateDurable(node.durability) || !isVoteWon(electorate, role.ballots)) return
  const voters = electorate.ids.filter((_, slot) => role.ballots[slot] === 'granted' || role.ballots[slot] === 'conditional')
  becomeLeader(node, `elected by ${voters.join(', ')}`)
}
