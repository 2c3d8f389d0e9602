/**
 * The group's membership as it was last applied: the body of the newest config entry, and where that was. One row. It is state so that it outlives the
 * segment that its entry stood in: after a trim the log may begin behind it, and a snapshot carries the membership of its own index by carrying the state.
 * A node that is no member any more is forgotten as a gateway: its clients, its unconfirmed deliveries, and its proposal session, for who comes back under
 * that number may come with an empty directory, and count its restarts from 1 again.
 */
import { retireNode } from './nodes.ts'
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
      return reader.end()
    },
  })
  return { row, table }
}

/** A config entry is applied. */
export function applyMembership(state: State, index: number, body: Uint8Array): void {
  const { row, table } = state.membership
  const isFirst = row.index === 0
  row.index = index
  row.body = Buffer.from(body).toString('utf8')
  if (isFirst) table.add(row)
  else table.changed(row)
  const members = memberIds(row.body)
  for (const node of state.nodes.all) if (!members.has(node.node)) retireNode(state, node)
}

/** Whoever proposed the entry encoded it, and every follower has decoded it before it reached a log. */
function memberIds(body: string): ReadonlySet<number> {
  const { members } = JSON.parse(body) as { readonly members: readonly { readonly id: number }[] }
  return new Set(members.map(({ id }) => id))
}
