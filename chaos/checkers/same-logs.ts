/** At the end all replicas that vote hold the same bytes (A47): their logs are compared record by record, headers included. */
import { logIndex } from '../../raft/index.ts'
import { Violation } from '../violation.ts'
import type { Checker, LiveNode, NodeView } from './checker.ts'
import type { Roster } from './membership.ts'

const blockBytes = 256 * 1024

export function sameLogs(roster: Roster, views: readonly NodeView[]): Checker {
  return {
    name: 'same logs',
    atEnd() {
      const electors = views.filter(({ id }) => roster.isElector(id))
      const [first, ...others] = electors.flatMap(view => (view.node === undefined ? [] : [{ id: view.id, node: view.node }]))
      if (first === undefined || others.length + 1 !== electors.length) throw new Violation('A51', 'a node is down at the end')
      for (const other of others) {
        const { lastId } = first.node.log
        if (other.node.log.lastId.index !== lastId.index) {
          throw new Violation('A47', `node ${first.id} ends at ${lastId.index}, node ${other.id} at ${other.node.log.lastId.index}`)
        }
        for (let from = Math.max(first.node.log.firstIndex, other.node.log.firstIndex); from <= lastId.index;) {
          const left = block(first.node, from)
          const right = block(other.node, from)
          // Where a record has rotted a block ends before it.
          const lastIndex = Math.min(left.lastIndex, right.lastIndex)
          const bytes = Math.min(left.bytes.length, right.bytes.length)
          if (Buffer.compare(left.bytes.subarray(0, bytes), right.bytes.subarray(0, bytes)) !== 0) {
            throw new Violation('A47', `nodes ${first.id} and ${other.id} hold different bytes in entries ${from} to ${lastIndex}`)
          }
          from = lastIndex + 1
        }
      }
    },
  }
}

function block(node: LiveNode, from: number): { readonly bytes: Buffer; readonly lastIndex: number } {
  const read = node.log.readBlock(logIndex(from), node.log.lastId.index, blockBytes)
  if (read === undefined) throw new Violation('A47', `entry ${from} can't be read back`)
  return { bytes: Buffer.concat(read.buffers), lastIndex: read.lastIndex }
}
