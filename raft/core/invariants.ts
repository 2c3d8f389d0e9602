/**
 * What must hold of one core at every moment between two events; called by tests and by the simulated world after each step, cheap enough for it.
 * Properties that need to see several nodes (one leader for a term, logs that match, …) are checked by those who see them.
 * The codes are those of raft/test/catalogue.md: I3 cursors, I8 leader's duty, I9 verified prefix, I10 and I11 progress, I12 durability, I15 reads, I19 bounds.
 */
import { assert } from '../../src/platform/assert.ts'
import type { RaftCore } from './core.ts'
import { isHardStateDurable } from './durability.ts'
import { termAt } from './log.ts'
import { membersMax } from './membership.ts'
import { roleChangesKept } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { Progress } from './progress.ts'
import type { FollowerRole, LeaderRole } from './role.ts'

export function checkCore(core: RaftCore): void {
  const node = core.inspect()
  checkCursors(node)
  checkLog(node)
  checkDurability(node)
  checkProposals(node)
  checkOutput(node)
  checkMembers(node)
  const { role } = node
  if (role.kind === 'leader') checkLeader(node, role)
  else if (role.kind === 'follower') checkFollower(node, role)
  else if (role.kind === 'candidate') assert(node.votedFor === node.config.id, 'I2-candidate-votes-for-itself', node.votedFor)
  assert(node.clusterTime.isLeading === (role.kind === 'leader'), 'time-leader', role.kind)
  assert(node.deferredAsks.length <= membersMax, 'I19-deferred-asks', node.deferredAsks.length)
  assert(node.roleChanges.length <= roleChangesKept, 'I19-role-changes', node.roleChanges.length)
}

function checkCursors(node: NodeState): void {
  const { log, durability, output, commitIndex, appliedIndex } = node
  assert(log.firstIndex <= appliedIndex + 1, 'I13-first-applied', log.firstIndex, appliedIndex)
  assert(appliedIndex <= output.applyTo, 'I13-applied-applyTo', appliedIndex, output.applyTo)
  assert(output.applyTo <= commitIndex, 'I13-applyTo-commit', output.applyTo, commitIndex)
  assert(output.applyTo <= durability.durableIndex, 'I13-applyTo-durable', output.applyTo, durability.durableIndex)
  assert(commitIndex <= log.lastIndex, 'I13-commit-last', commitIndex, log.lastIndex)
  assert(durability.durableIndex <= log.lastIndex, 'I13-durable-last', durability.durableIndex, log.lastIndex)
  assert(output.applyTo === Math.min(commitIndex, durability.durableIndex), 'apply-all-that-may-be', output.applyTo)
}

function checkLog(node: NodeState): void {
  const { log, term } = node
  assert(log.lastTerm <= term, 'I3-log-term', log.lastTerm, term)
  if (log.lastIndex >= log.firstIndex) assert(termAt(log, log.lastIndex) === log.lastTerm, 'last-term', log.lastIndex, log.lastTerm)
  const { firsts, terms } = log.runs
  assert(firsts.length === terms.length, 'run-columns', firsts.length, terms.length)
  for (let i = 1; i < firsts.length; i++) {
    assert((firsts[i - 1] ?? 0) < (firsts[i] ?? 0), 'run-firsts', i)
    assert((terms[i - 1] ?? 0) < (terms[i] ?? 0), 'run-terms', i)
  }
  assert(firsts.length === 0 || (firsts[firsts.length - 1] ?? 0) <= log.lastIndex, 'run-beyond-log', log.lastIndex)
}

function checkDurability(node: NodeState): void {
  const { durability, log } = node
  assert(durability.durable <= durability.taken, 'I12-durable-taken', durability.durable, durability.taken)
  assert(durability.hardState <= durability.taken, 'I12-hard-taken', durability.hardState, durability.taken)
  let before: number = durability.durable
  for (let i = 0; i < durability.count; i++) {
    const at = (durability.start + i) % durability.epochs.length
    const epoch = durability.epochs[at] ?? 0
    assert(epoch > before, 'mark-order', epoch, before)
    assert((durability.ends[at] ?? 0) <= log.lastIndex, 'mark-beyond-log', durability.ends[at], log.lastIndex)
    before = epoch
  }
}

function checkMembers({ members, log, clusterTime, role }: NodeState): void {
  const { history, current, electorate, peers, ownId } = members
  assert(history.at(-1) === current, 'I14-last-in-force', current.index)
  for (let i = 1; i < history.length; i++) assert((history[i - 1]?.index ?? 0) < (history[i]?.index ?? 0), 'I14-history-order', i)
  // A rotten log ends, for now, before what the checkpoint knows.
  assert(current.index <= log.lastIndex || role.kind === 'recovering', 'I14-beyond-log', current.index, log.lastIndex)
  assert(clusterTime.electorate === electorate, 'I14-clocks-of-others', current.index)
  let others = 0
  for (const { id } of current.membership.members) if (id !== ownId) assert(id === peers[others++]?.id, 'I14-peers', current.index)
  assert(others === peers.length, 'I14-peers', current.index)
}

function checkProposals(node: NodeState): void {
  const { proposals, uncommitted, role, commitIndex } = node
  let bytes = 0
  for (let i = 0; i < proposals.count; i++) {
    const at = (proposals.start + i) % proposals.tickets.length
    bytes += proposals.bytes[at] ?? 0
    assert((proposals.firsts[at] ?? 0) + (proposals.counts[at] ?? 0) - 1 > commitIndex, 'settled-proposal-kept', proposals.tickets[at])
  }
  assert(bytes === uncommitted.used, 'I19-uncommitted-bytes', bytes, uncommitted.used)
  assert(role.kind === 'leader' || proposals.count === 0, 'I19-proposals-without-leading', proposals.count)
}

function checkOutput(node: NodeState): void {
  const { output, durability } = node
  let before = 0
  for (const persist of output.persists) {
    assert(persist.epoch > before, 'persist-order', persist.epoch, before)
    assert(persist.epoch <= durability.taken, 'persist-epoch', persist.epoch, durability.taken)
    before = persist.epoch
  }
  for (const message of output.messages) {
    assert(message.after <= durability.taken, 'I12-after-taken', message.after, durability.taken)
    if (message.kind === 'append') assert(node.role.kind === 'leader', 'append-without-leading', message.to)
    else if (message.message.kind === 'vote') assert(message.after > 0, 'I12-vote-request-ungated', message.to)
  }
}

function checkLeader(node: NodeState, leader: LeaderRole): void {
  assert(node.votedFor === node.config.id, 'I1-leads-without-own-vote', node.votedFor)
  assert(isHardStateDurable(node.durability), 'I12-leads-before-durable', node.term)
  const ownTerm = termAt(node.log, leader.firstOwnIndex)
  // Retention may have taken the entry, once it was applied.
  const isGone = ownTerm === undefined && leader.firstOwnIndex < node.log.firstIndex
  assert(isGone || ownTerm === node.term, 'I8-first-own-entry', leader.firstOwnIndex)
  assert(node.voteWithheldAt === undefined, 'leads-withheld', node.voteWithheldAt)
  assert(leader.peers.length === node.members.peers.length, 'I14-progress-of-all', leader.peers.length)
  assert(
    leader.peers.every((progress, i) => progress.peer === node.members.peers[i]?.id),
    'I14-progress-order',
  )
  for (const progress of leader.peers) checkProgress(node, progress)
  checkReads(leader)
  const { transfer } = leader
  if (transfer?.phase !== 'told') return
  const target = leader.peers.find(progress => progress.peer === transfer.to)
  assert(target?.matchedIndex === node.log.lastIndex || target?.flow.kind === 'probe', 'told-without-the-whole-log', transfer.to)
}

/** An open read waits for a round that no majority has answered, and names no less than the leader's first own entry. */
function checkReads(leader: LeaderRole): void {
  const { round, readRound, confirmedRound } = leader
  assert(confirmedRound <= round, 'I15-confirmed-unsent', confirmedRound, round)
  assert(readRound <= round, 'I15-read-round', readRound, round)
  for (const read of [leader.read, ...leader.peers.map(progress => progress.read)]) {
    if (read === undefined) continue
    assert(read.round > confirmedRound, 'I15-confirmed-read-kept', read.round, confirmedRound)
    assert(read.round <= round + 1, 'I15-read-too-late', read.round, round)
    assert(read.index >= leader.firstOwnIndex, 'I15-read-without-own-term', read.index, leader.firstOwnIndex)
  }
  for (const { answeredRound } of leader.peers) assert(answeredRound <= round, 'I15-answered-unsent', answeredRound, round)
}

function checkProgress(node: NodeState, progress: Progress): void {
  const { matchedIndex, durableIndex, nextIndex, flow, pending } = progress
  assert(durableIndex <= matchedIndex, 'I11-durable-matched', durableIndex, matchedIndex)
  assert(matchedIndex < nextIndex, 'I11-matched-next', matchedIndex, nextIndex)
  assert(nextIndex <= node.log.lastIndex + 1, 'I11-next-last', nextIndex, node.log.lastIndex)
  assert(progress.toldCommitIndex <= node.commitIndex, 'I11-told-commit', progress.toldCommitIndex, node.commitIndex)
  if (pending !== undefined) {
    assert(pending.prev.index === nextIndex - 1, 'I11-pending-prev', pending.prev.index, nextIndex)
    assert(pending.session === progress.session, 'I11-pending-session', pending.session)
    assert(node.output.messages.includes(pending), 'I11-pending-in-output', progress.peer)
  }
  if (flow.kind !== 'replicate') return
  const { inflight } = flow
  let bytes = 0
  let before: number = durableIndex
  for (let i = 0; i < inflight.count; i++) {
    const at = (inflight.start + i) % inflight.lastIndexes.length
    bytes += inflight.sizes[at] ?? 0
    assert((inflight.lastIndexes[at] ?? 0) > before, 'I11-inflight-order', inflight.lastIndexes[at], before)
    before = inflight.lastIndexes[at] ?? 0
  }
  assert(bytes === inflight.bytes, 'I11-inflight-bytes', bytes, inflight.bytes)
  assert(before < nextIndex, 'I11-inflight-next', before, nextIndex)
  assert(matchedIndex === durableIndex || inflight.count > 0, 'I11-undurable-uncounted', durableIndex, matchedIndex)
}

function checkFollower(node: NodeState, role: FollowerRole): void {
  assert(role.reportedIndex <= role.verifiedIndex, 'I10-reported-verified', role.reportedIndex, role.verifiedIndex)
  assert(role.verifiedIndex <= node.log.lastIndex, 'I9-verified-last', role.verifiedIndex, node.log.lastIndex)
  assert(role.leaderId !== node.config.id, 'follows-itself', role.leaderId)
  assert(role.read === undefined || role.leaderId !== undefined, 'I15-asks-nobody', role.read?.ticket)
  assert(role.leaderId === undefined || node.lease?.holder === role.leaderId, 'lease-holder', role.leaderId, node.lease?.holder)
}
