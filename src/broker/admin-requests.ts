/**
 * What an operator asks of the broker floor and what it answers: topics, consumer groups, upgrades, who leads and who belongs to the group. As in
 * requests.ts every request has the instant at which its caller's patience ends, and every answer may be a refusal instead.
 */
import type { GroupSettings, Retention, StartPosition, TopicType } from '../state/command.ts'
import type { Asked } from './requests.ts'

export interface CreateTopicRequest extends Asked {
  readonly topic: string
  readonly type: TopicType
  readonly queueCount: number
  /** undefined = as it is, or as the nodes are configured. */
  readonly retention?: Retention
}

export interface TopicNameRequest extends Asked {
  readonly topic: string
}

export interface GroupNameRequest extends Asked {
  readonly consumerGroup: string
}

export interface ListRequest extends Asked {
  /** Names beginning so; '' = all. */
  readonly prefix: string
}

export interface TopicSummary {
  readonly topic: string
  readonly type: TopicType
  readonly queueCount: number
  readonly retention: Retention
  /** One for each queue, by number; the next offset is the number of messages ever appended. */
  readonly queues: readonly { readonly firstOffset: number; readonly nextOffset: number }[]
}

export interface TopicCreatedAnswer {
  readonly kind: 'topicCreated'
  readonly topic: TopicSummary
  /** It was there, just so. */
  readonly existed: boolean
}

export interface TopicDeletedAnswer {
  readonly kind: 'topicDeleted'
}

export interface TopicsAnswer {
  readonly kind: 'topics'
  readonly topics: readonly TopicSummary[]
}

export interface TopicAnswer {
  readonly kind: 'topic'
  readonly topic: TopicSummary
}

export interface EnsureGroupRequest extends Asked {
  readonly consumerGroup: string
  /** undefined = the defaults, or what is there. */
  readonly settings: GroupSettings | undefined
  readonly start: StartPosition
  readonly topics: readonly string[]
  readonly replaceSettings: boolean
}

export interface GroupEnsuredAnswer {
  readonly kind: 'groupEnsured'
  readonly group: GroupSummary
}

/** Where a group stands in one topic. */
export interface GroupTopicSummary {
  readonly topic: string
  /** Not delivered yet, or visible again. */
  readonly waiting: number
  /** Of `waiting`: visible again after a delivery. */
  readonly retrying: number
  /** Of `waiting`: behind an unfinished message of their message group. */
  readonly blocked: number
  /** Delivered and not settled. */
  readonly inFlight: number
  /** Moved to the group's dead letters. */
  readonly dead: number
  /** One for each queue, by number: everything below `cursor` is settled or has a row in flight. */
  readonly queues: readonly { readonly cursor: number; readonly nextOffset: number }[]
}

export interface GroupSummary {
  readonly consumerGroup: string
  readonly settings: GroupSettings
  readonly topics: readonly GroupTopicSummary[]
}

export interface GroupsAnswer {
  readonly kind: 'groups'
  readonly groups: readonly GroupSummary[]
}

export interface GroupAnswer {
  readonly kind: 'group'
  readonly group: GroupSummary
}

export interface FinalizeRequest {
  readonly deadlineMs: number
}

export interface UpgradeFinalizedAnswer {
  readonly kind: 'upgradeFinalized'
  /** The group's feature levels before and now; equal when there was nothing to finalise. */
  readonly before: number
  readonly level: number
}

/** Another node shall lead: `to`, or whoever is best. */
export interface TransferLeaderRequest {
  readonly deadlineMs: number
  readonly to: number | undefined
}

export interface LeaderTransferredAnswer {
  readonly kind: 'leaderTransferred'
  readonly from: number
  readonly to: number
  /** From the wish to the moment at which this node heard of the new leader. */
  readonly elapsedMs: number
}

/** A member as an operator names it: the number is its identity. */
export interface MemberInfo {
  readonly id: number
  readonly name: string
  /** `host:port`. */
  readonly peerAddress: string
  readonly clientAddress: string
}

/** What the group shall be: these in, those out, both in one step; or no change after all. */
export type MembersWish =
  { readonly kind: 'replace'; readonly add: readonly MemberInfo[]; readonly remove: readonly number[] } | { readonly kind: 'cancel' }

export interface ChangeMembersRequest {
  readonly deadlineMs: number
  readonly wish: MembersWish
}

/** The change stands in the log and is committed; it goes on by itself. */
export interface MembersChangedAnswer {
  readonly kind: 'membersChanged'
  readonly index: number
}

export interface MemberView extends MemberInfo {
  /** `voter`, or `learner`: it is fed and does not vote; `removed`: out, and being told so. */
  readonly role: 'voter' | 'learner' | 'removed'
  /** It is to become a voter, or to cease to be one, when the change under way ends. */
  readonly isJoining: boolean
  readonly isParting: boolean
}

/** The group as the asked node's log has it. */
export interface MembersView {
  readonly index: number
  readonly isCommitted: boolean
  readonly phase: 'steady' | 'catchUp' | 'joint'
  readonly members: readonly MemberView[]
  /** The asked node itself is out. */
  readonly isRemoved: boolean
}
