/**
 * What the use cases work with: one object per node, made by create-broker.ts. Each use case is a function of its own file,
 * (broker, request, reply); this file only says what they share.
 */
import type { Clock } from '../platform/clock.ts'
import type { Admission } from './admission.ts'
import type { Barrier } from './barrier.ts'
import type { ClientRegistry } from './client-registry.ts'
import type { DeliveryOwners } from './delivery-owners.ts'
import type { DiskAlarm } from './disk-alarm.ts'
import type { Deadlines } from './deadlines.ts'
import type { Gatherer } from './gatherer.ts'
import type { Leadership } from './leadership.ts'
import type { LongPolls } from './long-poll.ts'
import type { Members } from './members.ts'
import type { NodeReports } from './node-reports.ts'
import type { Proposer } from './proposer.ts'
import type { BrokerRaft } from './raft-view.ts'
import type { RouteMemory } from './route.ts'
import type { SettleItem } from '../state/command.ts'
import type { StateView } from './state-view.ts'

/** A node of the group, as the applied membership has it. */
export interface BrokerNodeInfo {
  readonly id: number
  /** The broker name that clients see. */
  readonly name: string
  /** Of nodes that are well the one with the highest gets the leadership after a while; 0 unless told. */
  readonly leaderPriority?: number
  readonly clientAddress: { readonly host: string; readonly port: number }
  readonly peerAddress: { readonly host: string; readonly port: number }
}

/** MD5 of a large body, off the loop in production, at once or on the simulated clock elsewhere. `done` never runs inside the call. */
export type DigestLarge = (bytes: Uint8Array, done: (md5: Uint8Array) => void) => void

export interface Broker {
  /** Our own number. */
  readonly node: number
  readonly clusterName: string
  /** By number; ourselves included. */
  readonly nodes: readonly BrokerNodeInfo[]
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly raft: BrokerRaft
  readonly view: StateView
  readonly proposer: Proposer
  readonly barrier: Barrier
  readonly settles: Gatherer<SettleItem>
  readonly polls: LongPolls
  readonly owners: DeliveryOwners
  readonly clients: ClientRegistry
  readonly routes: RouteMemory
  readonly reports: NodeReports
  readonly members: Members
  readonly leadership: Leadership
  readonly admission: Admission
  readonly diskAlarm: DiskAlarm
  readonly digestLarge: DigestLarge
}
