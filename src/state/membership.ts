/**
 * The group's membership as it was last applied: the body of the newest config entry, and where that was. One row. It is state so that it outlives the
 * segment that its entry stood in: after a trim the log may begin behind it, and a snapshot carries the membership of its own index by carrying the state.
 * A node that is no member any more is forgotten as a gateway: its clients, its unconfirmed deliveries, and its proposal session, for who comes back under
 * that number may come with an empty directory, and count its restarts from 1 again. Without the session a copy of what it proposed as a member could not
 * be told from something new, so nothing is taken of who is no member, nor what was sent before the node became one (seed 7350015).
 */
import type { Envelope } from './command.ts'
import { admitNode, retireNode } from './nodes.ts'
import { type State, tags } from './state.ts'
import { type Cell, CellTable, newMark } from './tables/cell-table.ts'
import { WordReader } from './tables/words.ts'

export interface MembershipRow extends Cell {
  /** 0 = none was applied. */
  index: number
  /** JSON, as raft/core/membership.ts writes it. */
  body: string
}

export interface AppliedMembership {
  readonly row: MembershipRow
  readonly table: CellTable<MembershipRow>
  /** Derived from the row: its members, those of them that are leaving, and the highest number that was ever given to one. */
  memberIds: ReadonlySet<number>
  leavingIds: ReadonlySet<number>
  idMax: number
}

export function newMembership(): AppliedMembership {
  const row: MembershipRow = { index: 0, body: '', mark: newMark() }
  const table = new CellTable<MembershipRow>({
    tag: tags.membership,
    writeKey: () => undefined,
    writeValue: ({ index, body }, out) => void out.u64(index).text(body),
    load: (_key, value) => {
      const reader = new WordReader().open(value, 0)
      row.index = reader.u64()
      row.body = reader.text()
      table.addStored(row)
      const problem = reader.end()
      if (problem !== undefined) return problem
      try {
        derive(membership)
      } catch (error) {
        return `the membership of entry ${row.index} is none: ${(error as Error).message}`
      }
      return undefined
    },
  })
  const membership: AppliedMembership = { row, table, memberIds: new Set(), leavingIds: new Set(), idMax: 0 }
  return membership
}

/** A config entry is applied. */
export function applyMembership(state: State, entry: { readonly index: number; readonly wallMs: number; readonly body: Uint8Array }): void {
  const { membership } = state
  const { row, table, memberIds: before, leavingIds: leftBefore } = membership
  const isFirst = row.index === 0
  row.index = entry.index
  row.body = Buffer.from(entry.body).toString('utf8')
  if (isFirst) table.add(row)
  else table.changed(row)
  derive(membership)
  // Who is still being told that it was removed may be taken in anew, perhaps with another directory: it never ceased to be named.
  const isAnew = (id: number): boolean => leftBefore.has(id) && !membership.leavingIds.has(id)
  for (const node of state.nodes.all) if (!membership.memberIds.has(node.node) || isAnew(node.node)) retireNode(state, node)
  if (!isFirst) for (const id of membership.memberIds) if (!before.has(id) || isAnew(id)) admitNode(state, id, entry.wallMs)
}

/** Sent by a node that was no member then, or is none any more: perhaps a copy of what was applied long ago. */
export function isOfStranger({ membership, nodes }: State, { node, sentAtMs }: Envelope): boolean {
  if (membership.memberIds.has(node)) return sentAtMs < (nodes.byNumber.get(node)?.joinedAtMs ?? 0)
  return node <= membership.idMax
}

/** Whoever proposed the entry encoded it, and every follower has decoded it before it reached a log. */
function derive(membership: AppliedMembership): void {
  const { members, leaving, idMax } = JSON.parse(membership.row.body) as {
    readonly members: readonly { readonly id: number }[]
    readonly leaving?: readonly number[]
    readonly idMax?: number
  }
  membership.memberIds = new Set(members.map(({ id }) => id))
  membership.leavingIds = new Set(leaving ?? [])
  membership.idMax = idMax ?? 0
}
