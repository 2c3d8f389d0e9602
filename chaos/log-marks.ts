/** Marks that the committed log tells of: what was appended, and by whom it was committed. Judges nothing. */
import { EntryKind, type NodeId } from '../raft/index.ts'
import { carriedOut, type Checker } from './checkers/checker.ts'
import type { Marks } from './marks.ts'
import type { ReferenceReplica } from './reference.ts'

export function logMarks(reference: ReferenceReplica, marks: Marks): Checker {
  const downNodes = new Set<number>()
  const removed = new Set<NodeId>()
  return {
    name: 'log marks',
    committed(record) {
      const { index, term, membership } = record
      const entry = reference.entry(index)
      if (term < entry.committedInTerm) marks.hit('an entry of an earlier term was committed by a later leader')
      if (entry.kind === EntryKind.timeLeap) marks.hit('the cluster time leapt')
      if (membership !== undefined) {
        const { voters, members, outgoing } = membership
        if (voters.length === 5 && outgoing.length === 0) marks.hit('the group was five nodes')
        if (voters.length === 1 && members.length > 1 && outgoing.length === 0) marks.hit('the group was one node')
        for (const id of voters) if (removed.delete(id)) marks.hit('a removed node came back')
        for (const id of membership.leaving) removed.add(id)
      }
      const command = carriedOut(record)
      if (command === undefined) return
      if (command.kind === 'digestCheck') marks.hit('a digest check was applied')
      if (command.kind !== 'nodeChanged') return
      if (!command.isUp) {
        downNodes.add(command.node)
        marks.hit('a node was declared down')
      } else if (downNodes.delete(command.node)) marks.hit('a node was declared up again')
    },
  }
}
