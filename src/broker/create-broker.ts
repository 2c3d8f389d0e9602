/**
 * Puts the broker floor of one node together: the proposer, what gathers for it, and the hooks through which Raft and apply drive it.
 * It starts nothing of its own but timers, and touches nothing but the seams it is given.
 */
import { assertNever } from '../platform/assert.ts'
import type { Clock } from '../platform/clock.ts'
import { checkCommand, decodeEnvelope, encodeCommand, stampEnvelope } from '../state/command-codec.ts'
import type { CommandResult } from '../state/result.ts'
import { Admission } from './admission.ts'
import { Barrier } from './barrier.ts'
import type { Broker, BrokerNodeInfo, DigestLarge } from './broker.ts'
import { ClientRegistry } from './client-registry.ts'
import { Deadlines } from './deadlines.ts'
import { DeliveryOwners } from './delivery-owners.ts'
import { Leadership } from './leadership.ts'
import { DiskAlarm } from './disk-alarm.ts'
import { LongPolls } from './long-poll.ts'
import { Members } from './members.ts'
import { NodeReports } from './node-reports.ts'
import { NodeWatch } from './node-watch.ts'
import { decodePeerFrame, encodeRefused, type ProposalsFrame } from './peer-frame.ts'
import { ProposalGate } from './proposal-gate.ts'
import type { ProposalTrace } from './outcome.ts'
import { Proposer } from './proposer.ts'
import type { ProposerLimits } from './proposer-limits.ts'
import type { BrokerRaft } from './raft-view.ts'
import type { NodeReport } from './reports.ts'
import { RetentionWatch, type RetentionWatchOptions } from './retention-watch.ts'
import { RouteMemory } from './route.ts'
import { newSettles } from './settle.ts'
import type { StateView } from './state-view.ts'

export interface BrokerOptions {
  /** Our own number; `nodes` names it too. */
  readonly node: number
  /** Our restart counter: rises with every start (rule 6). */
  readonly incarnation: number
  readonly clusterName: string
  /** Asked with each use: members come and go. */
  readonly nodes: readonly BrokerNodeInfo[]
  readonly clock: Clock
  readonly raft: BrokerRaft
  readonly view: StateView
  readonly digestLarge: DigestLarge
  /** See NodeWatch; false unless told. */
  readonly finalizesUpgrades?: boolean
  ownReport(): NodeReport
  /** See Leadership. */
  readonly preferLeaderAfterMs?: number
  /** For the operator's log. */
  readonly note?: (sentence: string) => void
  /** Without it nothing is ever given up. */
  readonly retention?: Pick<RetentionWatchOptions, 'view' | 'disk' | 'log' | 'settings'>
  readonly limits?: Partial<ProposerLimits> & { readonly requestBytesMax?: number }
  readonly proposalTrace?: ProposalTrace
}

/** What an entry's apply gave (src/state/machine.ts). */
export interface AppliedProposal {
  readonly node: number
  readonly incarnation: number
  readonly sequence: number
  readonly result: CommandResult
}

/** To be called by the node's composition; each in its own place of RaftApp. */
export interface BrokerHooks {
  /** Right after the state machine's apply of an entry. */
  applied(entry: { readonly index: number; readonly wallMs: number }, proposal: AppliedProposal | undefined): void
  appliedBatch(): void
  leadershipChanged(): void
  /** The bytes are kept. */
  peerFrame(from: number, bytes: Uint8Array): void
  peerConnected(peer: number): void
  peerDisconnected(peer: number): void
  /** The oldest entry that an answer under way is read from; Infinity = none. */
  oldestLogIndexInUse(): number
  /** No timer runs and nothing is sent after this. Who waits hears nothing more. */
  close(): void
}

const preferLeaderAfterMsDefault = 30_000
/** Bytes of sends on their way through one node. */
const requestBytesMaxDefault = 96 * 1024 * 1024

export function createBroker(options: BrokerOptions): { readonly broker: Broker; readonly hooks: BrokerHooks } {
  const { node, incarnation, clusterName, clock, raft, view, digestLarge, limits = {} } = options
  const deadlines = new Deadlines(clock)
  const gate = new ProposalGate(raft, { readEnvelope: decodeEnvelope, check: checkCommand })
  const proposer = new Proposer({
    node,
    incarnation,
    raft,
    gate,
    clock,
    deadlines,
    codec: { encode: encodeCommand, stamp: stampEnvelope },
    limits,
    ...(options.proposalTrace === undefined ? {} : { trace: options.proposalTrace }),
  })
  const nowMs = (): number => clock.nowMs()
  // In this order they gather for a flush: a client is there before it receives, acks go before pops.
  const clients = new ClientRegistry({ proposer, deadlines, clock })
  const settles = newSettles({ proposer, deadlines, nowMs })
  const barrier = new Barrier({ raft, deadlines, soon: callback => clock.soon(callback), nowMs })
  const polls = new LongPolls({ node, view, proposer, barrier, deadlines, clock })
  const watch = new NodeWatch({ node, raft, view, proposer, clock, deadlines, finalizesUpgrades: options.finalizesUpgrades ?? false })
  const retention =
    options.retention === undefined ? undefined : new RetentionWatch({ ...options.retention, raft, proposer, clock, deadlines })
  const reports = new NodeReports({
    node,
    get peers() {
      return options.nodes.map(({ id }) => id).filter(id => id !== node)
    },
    clock,
    deadlines,
    sendToPeer: (peer, buffers) => raft.sendToPeer(peer, buffers),
    ownReport: () => options.ownReport(),
  })
  const stableMs = options.preferLeaderAfterMs ?? preferLeaderAfterMsDefault
  const leadership = new Leadership({
    node,
    get nodes() {
      return options.nodes
    },
    raft,
    clock,
    deadlines,
    stableMs,
    syncMsOf: id => reports.of(id)?.report.sync.latelyMs,
    ...(options.note === undefined ? {} : { note: options.note }),
  })
  const members = new Members({ node, raft, clock, deadlines })
  const routes = new RouteMemory()
  const owners = new DeliveryOwners()
  const diskAlarm = new DiskAlarm({
    node,
    get nodes() {
      return options.nodes.map(({ id }) => id)
    },
    clock,
    raft,
    reports,
    disk: options.retention?.disk,
  })
  const admission = new Admission(limits.requestBytesMax ?? requestBytesMaxDefault)
  const broker: Broker = {
    node,
    clusterName,
    get nodes() {
      return [...options.nodes].sort((a, b) => a.id - b.id)
    },
    clock,
    deadlines,
    raft,
    view,
    proposer,
    barrier,
    settles,
    polls,
    owners,
    clients,
    routes,
    reports,
    leadership,
    members,
    admission,
    diskAlarm,
    digestLarge,
  }
  reports.start()
  let isClosed = false
  const hooks: BrokerHooks = {
    applied(entry, proposal) {
      if (isClosed) return
      if (proposal === undefined) {
        // A membership, perhaps, that ends somebody's session.
        gate.forgetRetired(id => view.session(id)?.isOver === true)
        return
      }
      const { result } = proposal
      if (result.kind === 'popped') polls.onPopped(proposal.node, result.consumerGroupId, result.topicId)
      proposer.onApplied(proposal, entry.index, entry.wallMs)
    },
    appliedBatch() {
      if (isClosed) return
      polls.onAppliedBatch()
      routes.note(view, options.nodes, clock.nowMs())
      watch.onAppliedBatch()
    },
    leadershipChanged() {
      if (isClosed) return
      proposer.onLeadershipChanged()
      barrier.onLeadershipChanged()
      watch.onLeadershipChanged()
      leadership.onLeadershipChanged()
      retention?.onLeadershipChanged()
    },
    peerFrame(from, bytes) {
      const frame = isClosed ? undefined : decodePeerFrame(bytes)
      switch (frame?.kind) {
        case undefined:
          return
        case 'proposals':
          acceptFrame(raft, gate, from, frame)
          return
        case 'refused':
          proposer.onFrameRefused(from, frame)
          return
        case 'report':
          reports.onReport(from, frame.json)
          return
        case 'wish':
          leadership.onWish(from, frame.json)
          members.onWish(from, frame.json)
          return
        default:
          return assertNever(frame)
      }
    },
    oldestLogIndexInUse: () => owners.oldestLogIndex,
    peerConnected: peer => proposer.onPeerConnected(peer),
    peerDisconnected: peer => proposer.onPeerDisconnected(peer),
    close() {
      isClosed = true
      reports.stop()
      watch.close()
      barrier.close()
      leadership.close()
      members.close()
      retention?.close()
      deadlines.close()
    },
  }
  return { broker, hooks }
}

/** A yes needs no word: the gateway sees it in its own apply. */
function acceptFrame(raft: BrokerRaft, gate: ProposalGate, from: number, frame: ProposalsFrame): void {
  gate.acceptFrame(from, frame, (reason, sequence) => {
    const { incarnation, run } = frame
    raft.sendToPeer(from, encodeRefused({ kind: 'refused', reason, term: raft.term, incarnation, run, sequence }))
  })
}
