/**
 * Raft as a broker node starts it: what the configuration says, what was recovered, and where the state stands. With the state lost nothing of the log
 * may be applied, and the node takes no part until it has one (state-rescue.ts).
 */
import { defaultRaftConfig, firstMembership, logIndex, nodeId, RaftNode, type RaftApp } from '../../raft/index.ts'
import type { OpenedLog } from '../storage/open-log.ts'
import { memberFrom, membershipsOf } from './members.ts'
import { mustFindSelf, type BrokerNodeOptions } from './node-settings.ts'
import type { OpenedState } from './open-state.ts'
import { repairBefore } from './state-rescue.ts'

export interface RaftParts {
  readonly options: BrokerNodeOptions
  readonly opened: OpenedLog
  readonly state: OpenedState
  readonly featureLevel: number
  /** So far behind a member gets files. */
  readonly lagEntries: number
  readonly app: RaftApp
  /** The log is whole again, and the state is lost: the node starts again to get one. */
  readonly logMended: () => void
}

export function startRaft({ options, opened, state, featureLevel, lagEntries, app, logMended }: RaftParts): RaftNode {
  const { config, seams, trace } = options
  const id = nodeId(config.number)
  const founders = config.members.filter(member => member.isJoining !== true)
  const self = mustFindSelf(config)
  const first = self.isJoining === true ? undefined : firstMembership(founders.map(memberFrom))
  const { recovered, repair, log } = opened
  const { machine, isLost } = state
  // Nothing of the log may be applied to a state that is lost.
  const applied = isLost ? log.firstIndex - 1 : machine.appliedIndex
  return RaftNode.start({
    config: {
      ...defaultRaftConfig(id, first),
      ...config.replication,
      snapshotLagEntries: lagEntries,
      heartbeatIntervalMs: config.heartbeatMs,
      electionTimeoutMs: config.electionTimeoutMs,
    },
    recovered: {
      ...recovered,
      memberships: membershipsOf(machine, recovered.memberships),
      appliedIndex: logIndex(applied),
      isRecovering: recovered.isRecovering || isLost,
    },
    clock: seams.clock,
    random: seams.random,
    network: seams.network,
    listen: config.peerListen,
    self: { ...memberFrom(self), directory: Buffer.from(opened.directoryId).toString('hex') },
    join: founders.filter(member => member.id !== self.id).map(({ id, peerAddress }) => ({ id: nodeId(id), address: peerAddress })),
    clusterName: config.clusterName,
    featureLevel,
    log,
    repair: isLost ? repairBefore(repair, logMended) : repair,
    hardState: opened.hardState,
    app,
    ...(trace === undefined ? {} : { trace }),
  })
}
