/**
 * The end of a rolling upgrade: the group's feature level goes up to what every member supports (src/state/feature-level.ts). Before it, each node can be
 * started with the older build again; behind it, none can. Any node does it: each is connected with all members and knows what their processes support.
 * Never on hearsay: a member that is not connected now may come back as an older build, so nothing is finalised without it.
 */
import type { Broker } from './broker.ts'
import { afterBarrier, proposeForReply } from './propose.ts'
import type { BrokerRaft } from './raft-view.ts'
import { refuse } from './refusal.ts'
import type { FinalizeRequest, UpgradeFinalizedAnswer } from './admin-requests.ts'
import type { Reply } from './requests.ts'

export type LevelOutlook =
  /** Every member is here; all support `level`, and those in `heldBackBy` no more than that. */
  | { readonly kind: 'known'; readonly level: number; readonly heldBackBy: readonly number[] }
  | { readonly kind: 'unknown'; readonly missing: readonly number[] }

/** How far the group could go. */
export function levelOutlook(raft: BrokerRaft): LevelOutlook {
  const members = raft.supportedLevels()
  const missing = members.filter(member => member.level === undefined).map(member => member.node)
  if (missing.length > 0) return { kind: 'unknown', missing }
  const level = Math.min(...members.map(member => member.level ?? 0))
  return { kind: 'known', level, heldBackBy: members.filter(member => member.level === level).map(member => member.node) }
}

export function finalizeUpgrade(broker: Broker, request: FinalizeRequest, reply: Reply<UpgradeFinalizedAnswer>): void {
  const { raft, view } = broker
  afterBarrier(broker, request.deadlineMs, reply, () => {
    const before = view.featureLevel
    const outlook = levelOutlook(raft)
    if (outlook.kind === 'unknown') {
      const names = outlook.missing.map(node => nameOf(broker, node)).join(', ')
      return reply(refuse('preconditionFailed', `Not connected with ${names}: an upgrade is finalised when every member is here.`))
    }
    const { level } = outlook
    const mostSupported = Math.max(...raft.supportedLevels().map(member => member.level ?? 0))
    if (level <= before && mostSupported > before) {
      const names = outlook.heldBackBy.map(node => nameOf(broker, node)).join(', ')
      return reply(
        refuse('preconditionFailed', `Level ${mostSupported} waits for ${names}, which supports level ${level}: upgrade it first.`),
      )
    }
    if (level <= before) return reply({ kind: 'upgradeFinalized', before, level: before })
    proposeForReply(broker, { kind: 'raiseLevel', level }, request.deadlineMs, outcome => {
      reply(outcome.kind === 'refused' ? outcome : { kind: 'upgradeFinalized', before, level: view.featureLevel })
    })
  })
}

function nameOf(broker: Broker, node: number): string {
  return broker.nodes.find(info => info.id === node)?.name ?? `node ${node}`
}
