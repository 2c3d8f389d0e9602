/** The only door of raft/. What is exported here is public and documented; everything else may change without notice. */
export { RaftCore } from './core/core.ts'
export { validateConfig } from './core/config.ts'
export type { RaftConfig, RecoveredState } from './core/config.ts'
export type { SnapshotVerdict } from './core/following.ts'
export { EntryKind } from './core/entry.ts'
export type { LogSlice, TermRun } from './core/entry.ts'
export type { Event, MembershipChange } from './core/event.ts'
export { compareLogEnds, logIndex, nodeId, originId, sameEntry, term } from './core/ids.ts'
export type { EntryId, Epoch, LogIndex, NodeId, Session, Term } from './core/ids.ts'
export {
  decodeMembership,
  encodeMembership,
  firstMembership,
  isElector,
  isLearner,
  memberOf,
  noMembership,
  phaseOf,
  wasRemoved,
} from './core/membership.ts'
export type { Member, Membership, MembershipAt, MembershipPhase } from './core/membership.ts'
export type { Message } from './core/message.ts'
export type { StartMoment } from './core/node-state.ts'
export type {
  HardState,
  Outgoing,
  OutgoingAppend,
  Output,
  Persist,
  ProposalOutcome,
  RejectReason,
  ChangeRefusal,
  TransferEnd,
} from './core/output.ts'
export { refusals } from './core/refusal.ts'
export type { Refusal } from './core/refusal.ts'
export type { PeerStatus, RaftStatus, Role, RoleChange, TransferStatus } from './core/status.ts'
export { UnreadableEntry } from './driver/log-storage.ts'
export type {
  BlockCheck,
  EntryBody,
  HardStateStorage,
  LogStorage,
  RecordBlock,
  RepairStorage,
  StoredEntry,
  SupplyOutcome,
} from './driver/log-storage.ts'
export { checkCore } from './core/invariants.ts'
export { describeMessage } from './core/trace.ts'
export { decodeFrame, FrameKind } from './codec/messages.ts'
export type { Channel, PeerFrame } from './codec/messages.ts'
export type { BulkApp, BulkLink } from './driver/bulk.ts'
export { formatAddress, parseAddress } from './driver/address.ts'
export type { LeadershipView, MembershipView, PeerFlowStatus, RaftApp, RaftNodeStatus, RaftTrace, RaftTraceEvent } from './driver/app.ts'
export type { PoolName, PoolStatus } from './driver/admission.ts'
export type { DriverMetrics } from './driver/metrics.ts'
export { RaftNode, defaultRaftConfig } from './driver/node.ts'
export type { RaftNodeOptions } from './driver/node.ts'
export type { ReadDone, ReadEnd } from './driver/reads.ts'
export type { TransferDone } from './driver/wishes.ts'
export type { ProposeDone, ProposeOutcome } from './driver/submissions.ts'
export type { PeerLinks } from './driver/peer-slots.ts'
export type { PeerAddress } from './driver/transport.ts'
