/**
 * Handing over the leadership (thesis 3.10). While the target catches up, proposals go on; when all that it lacks is in flight, they are refused
 * (`transferring`: gateways keep them and send them to the next leader); when it has all, it is told, and campaigns without asking whether it may.
 *
 *     catchingUp ── all is in flight ──▶ draining ── target holds the whole log ──▶ told ── a higher term is heard ──▶ handed over
 *         └───────── deadline, or the connection to the target is lost ────┴──────────┴──▶ failed: we lead on, and take proposals again
 *
 * Invariants: no entry is appended by a leader that drains or has told (the target would not hold the whole log, and lose the vote); no phase lasts
 * beyond its deadline; nothing of a failed transfer stays behind. A target that was told and wins later than our deadline is a leader like any other.
 */
import type { Transfer } from './event.ts'
import type { NodeId } from './ids.ts'
import { refuse, send } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { TransferEnd } from './output.ts'
import { progressOf } from './replication.ts'
import { slotIn } from './quorum.ts'
import type { LeaderRole } from './role.ts'

/** Somebody wants another leader. */
export function onTransfer(node: NodeState, event: Transfer): void {
  const { role, output } = node
  const { to, giveUpMs } = event
  const reason = whyNoTransfer(node, to)
  if (role.kind !== 'leader' || reason !== undefined) {
    output.transfers.push({ kind: 'refused', to, reason: reason ?? 'notLeader' })
    return refuse(node, 'R-41-no-transfer')
  }
  role.transfer = { to, phase: 'catchingUp', deadlineMs: giveUpMs }
  moveTransfer(node, role)
}

/** The leader itself wants another one: it is about to cease to be a voter. Nobody waits for the end of this. */
export function handOver(node: NodeState, leader: LeaderRole, to: NodeId): void {
  if (leader.transfer !== undefined) return
  leader.transfer = { to, phase: 'catchingUp', deadlineMs: node.nowMs + node.config.electionTimeoutMs }
  moveTransfer(node, leader)
}

function whyNoTransfer(node: NodeState, to: NodeId): Extract<TransferEnd, { kind: 'refused' }>['reason'] | undefined {
  const { role, config, members } = node
  if (role.kind !== 'leader') return 'notLeader'
  if (to === config.id) return 'alreadyLeads'
  if (slotIn(members.electorate, to) === undefined) return 'notAVoter'
  return role.transfer === undefined ? undefined : 'inProgress'
}

/** No proposal is taken, and no entry of our own made. */
export function isHandingOver(leader: LeaderRole): boolean {
  return leader.transfer !== undefined && leader.transfer.phase !== 'catchingUp'
}

/** The target may have got further. Called after whatever moves its progress. */
export function moveTransfer(node: NodeState, leader: LeaderRole): void {
  const { transfer } = leader
  if (transfer === undefined || transfer.phase === 'told') return
  const progress = progressOf(leader, transfer.to)
  // Who is told of its removal is fed still, and would refuse to campaign.
  if (progress === undefined || slotIn(node.members.electorate, transfer.to) === undefined) return endTransfer(node, leader, 'targetLost')
  const { lastIndex } = node.log
  if (transfer.phase === 'catchingUp') {
    if (progress.flow.kind !== 'replicate' || progress.nextIndex <= lastIndex) return
    transfer.phase = 'draining'
    transfer.deadlineMs = Math.min(transfer.deadlineMs, node.nowMs + node.config.electionTimeoutMs)
  }
  if (progress.matchedIndex < lastIndex) return
  transfer.phase = 'told'
  tellTarget(node, leader)
}

/** A heartbeat's time has come: what was told may be lost, so it is told again; and no phase lasts for ever. */
export function onTransferTick(node: NodeState, leader: LeaderRole): void {
  const { transfer } = leader
  if (transfer === undefined) return
  if (node.nowMs >= transfer.deadlineMs) return endTransfer(node, leader, 'deadline')
  if (transfer.phase === 'told') tellTarget(node, leader)
  else moveTransfer(node, leader)
}

/** The connection to a peer is gone, or its process. */
export function onTransferPeerLost(node: NodeState, leader: LeaderRole, peer: NodeId): void {
  if (leader.transfer?.to === peer) endTransfer(node, leader, 'targetLost')
}

function tellTarget(node: NodeState, leader: LeaderRole): void {
  const progress = leader.transfer && progressOf(leader, leader.transfer.to)
  if (progress !== undefined) send(node, progress.peer, { kind: 'timeoutNow', term: node.term, session: progress.session })
}

function endTransfer(node: NodeState, leader: LeaderRole, reason: Extract<TransferEnd, { kind: 'failed' }>['reason']): void {
  const { transfer } = leader
  if (transfer === undefined) return
  leader.transfer = undefined
  node.output.transfers.push({ kind: 'failed', to: transfer.to, reason })
}
