/**
 * A node whose log has rotted, from its start until the log is whole: it hears everything and answers nothing (raft.md §2.19). The driver asks the peers
 * for what is missing and storage proves that it is what stood here; then `repaired` tells the core what it really holds.
 * Invariant: the log only grows by it. What we may have acknowledged is in it again, so our votes are worth what they were before.
 */
import { assert } from '../../src/platform/assert.ts'
import { changeElectorate, restartClusterTime } from './cluster-time.ts'
import type { Event, Repaired } from './event.ts'
import { appendSliceToLog, lastId } from './log.ts'
import { addMembership, isAlone, knowPeer } from './members.ts'
import { adoptTerm, becomeFollower, refuse } from './node-state.ts'
import type { NodeState } from './node-state.ts'
import type { LogIndex } from './ids.ts'

/** Whatever happens while we recover. */
export function onEventRecovering(node: NodeState, event: Event): void {
  switch (event.kind) {
    case 'repaired':
      return onRepaired(node, event)
    case 'receive':
    case 'campaign':
      return refuse(node, 'R-50-recovering')
    case 'propose':
      node.output.outcomes.push({ kind: 'rejected', ticket: event.ticket, reason: 'notLeader' })
      return refuse(node, 'R-19-not-leader')
    case 'changeMembership':
      node.output.outcomes.push({ kind: 'rejected', ticket: event.ticket, reason: 'notLeader' })
      return refuse(node, 'R-19-not-leader')
    case 'tick':
      node.jitter = event.jitter
      node.lastTickMs = node.nowMs
      return
    case 'transfer':
      node.output.transfers.push({ kind: 'refused', to: event.to, reason: 'notLeader' })
      return refuse(node, 'R-41-no-transfer')
    case 'readIndex':
      node.output.reads.push({ kind: 'refused', ticket: event.ticket, reason: 'noLeader' })
      return refuse(node, 'R-43-no-read')
    case 'peerConnected':
      // Also of a node that only the mended log will tell us to be a member.
      knowPeer(node.members, event.peer).incarnation = event.incarnation
      return
    default:
      return
  }
}

function onRepaired(node: NodeState, event: Repaired): void {
  const { log, checkpointIndex } = node
  const { last, runs, lastWallMs } = event
  assert(last.index >= log.lastIndex, 'repaired-log-shorter', last.index, log.lastIndex)
  assert(last.index >= checkpointIndex, 'repaired-below-checkpoint', last.index, checkpointIndex)
  node.jitter = event.jitter
  if (last.index > log.lastIndex) {
    appendSliceToLog(log, { prev: lastId(log), lastIndex: last.index, runs, memberships: [], bytes: 0, lastWallMs, ticket: 0 })
    assert(log.lastTerm === last.term, 'repaired-last-term', log.lastTerm, last.term)
  }
  node.durability.durableIndex = last.index
  for (const at of event.memberships) {
    if (at.index <= node.members.current.index) continue
    addMembership(node.members, at)
    changeElectorate(node.clusterTime, node.members.electorate)
  }
  restartClusterTime(node.clusterTime, lastWallMs, node.nowMs)
  node.commitIndex = Math.max(node.commitIndex, checkpointIndex) as LogIndex
  node.appliedIndex = checkpointIndex
  node.output.applyTo = node.commitIndex
  node.logTrust = event.hasTornTail ? 'torn' : last.index === 0 ? 'empty' : 'whole'
  becomeFollower(node, undefined, `the log is whole again, up to entry ${last.index}`)
  if (last.term > node.term) {
    adoptTerm(node, last.term, `the mended log is of term ${last.term}`)
    // As at a start: our own log of a later term than ours proves that a hard state was lost, and with it perhaps a vote. What came from a peer proves nothing.
    if (event.isHardStateOld) node.voteWithheldAt = node.term
  }
  if (isAlone(node.members)) node.voteWithheldAt = undefined
}
