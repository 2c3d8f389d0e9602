/** Who belongs to the group, as a node puts it together: from its state, its log, and where neither says anything from its configuration. */
import {
  decodeMembership,
  formatAddress,
  isElector,
  logIndex,
  nodeId,
  parseAddress,
  type Member,
  type MembershipAt,
  type MembershipView,
} from '../../raft/index.ts'
import type { BrokerNodeInfo } from '../broker/broker.ts'
import { mustExist } from '../platform/assert.ts'
import type { StateMachine } from '../state/machine.ts'
import { mustFindSelf, type MemberSettings, type NodeSettings } from './node-settings.ts'

/**
 * Who is in the group by the state; by the configuration while no entry says it. Only who votes is a door for
 * clients: a learner may lag, and who leaves will go. */
export function nodesOf(machine: StateMachine, config: NodeSettings): readonly BrokerNodeInfo[] {
  const applied = machine.membership
  const decoded = applied && decodeMembership(applied.body)
  if (decoded?.kind !== 'ok') return config.members.filter(member => member.isJoining !== true || member.id === config.number)
  const { membership } = decoded
  return membership.members
    .filter(({ id }) => isElector(membership, id))
    .map(({ id, name, address, clientAddress }) => {
      const configured = config.members.find(member => member.id === id)
      const { leaderPriority } = configured ?? {}
      return {
        id,
        name,
        peerAddress: mustExist(parseAddress(address), 'member-address', id),
        clientAddress: mustExist(parseAddress(clientAddress), 'member-client-address', id),
        ...(leaderPriority === undefined ? {} : { leaderPriority }),
      }
    })
}

/** The log's own memberships, behind the one that the state remembers: the log may begin later than that one's entry. */
export function membershipsOf(machine: StateMachine, inLog: readonly MembershipAt[]): readonly MembershipAt[] {
  const applied = machine.membership
  const decoded = applied && decodeMembership(applied.body)
  if (applied === undefined || decoded?.kind !== 'ok' || inLog.some(({ index }) => index === applied.index)) return inLog
  return [{ index: logIndex(applied.index), membership: decoded.membership }, ...inLog.filter(({ index }) => index > applied.index)]
}

/** A member as the log knows it. */
export function memberFrom({ id, name, peerAddress, clientAddress }: MemberSettings): Member {
  return { id: nodeId(id), name, address: formatAddress(peerAddress), clientAddress: formatAddress(clientAddress) }
}

/** Tells what a node is to its group, when that changes. */
export function membershipTeller(config: NodeSettings, note: (sentence: string) => void): (view: MembershipView) => void {
  let told = standingOf({ isRemoved: false, isOtherDirectory: false })
  return view => {
    const standing = standingOf(view)
    if (standing === told) return
    told = standing
    note(membershipNews(view, config))
  }
}

function standingOf({ isRemoved, isOtherDirectory }: Pick<MembershipView, 'isRemoved' | 'isOtherDirectory'>): string {
  if (isOtherDirectory) return 'other directory'
  return isRemoved ? 'removed' : 'member'
}

/** A node that has come out of the group, or back into it, says so; and when it learns that the reason is another one. */
function membershipNews(view: MembershipView, config: NodeSettings): string {
  if (view.isOtherDirectory)
    return `${config.dataDirectory} is not the data directory that votes as node ${config.number}: taking no part; with that directory lost, let this one in: raftmq cluster member replace ${mustFindSelf(config).name}`
  if (view.isRemoved)
    return 'this node was removed from the group: it starts no election and may be stopped; to come back it is added as a member again'
  return 'this node belongs to the group again'
}
