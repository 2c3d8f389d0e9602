/** Marks that the committed log tells of: what was appended, and by whom it was committed. Judges nothing. */
import { EntryKind } from '../raft/index.ts'
import type { Checker } from './checkers/checker.ts'
import type { Marks } from './marks.ts'
import type { ReferenceReplica } from './reference.ts'

export function logMarks(reference: ReferenceReplica, marks: Marks): Checker {
  const downNodes = new Set<number>()
  return {
    name: 'log marks',
    committed({ index, term, command, result }) {
      const entry = reference.entry(index)
      if (term < entry.committedInTerm) marks.hit('an entry of an earlier term was committed by a later leader')
      if (entry.kind === EntryKind.timeLeap) marks.hit('the cluster time leapt')
      if (result === undefined || command === undefined) return
      if (command.kind === 'digestCheck') marks.hit('a digest check was applied')
      if (command.kind !== 'nodeChanged') return
      if (!command.isUp) {
        downNodes.add(command.node)
        marks.hit('a node was declared down')
      } else if (downNodes.delete(command.node)) marks.hit('a node was declared up again')
    },
  }
}
