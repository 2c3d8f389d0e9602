/** What the auditor takes from a node, and when. */
import { expect, it } from 'vitest'
import type { StoredEntry } from '../raft/index.ts'
import { Auditor } from './audit.ts'
import type { CommittedRecord, NodeView } from './checkers/checker.ts'
import type { ReferenceReplica } from './reference.ts'

it('hears the last word of a process that ends in the middle of an event: others may have heard it too (seed 30002919)', () => {
  const taken: number[] = []
  const reference = {
    commitIndex: 1,
    take: ({ index }: StoredEntry) => ({ index: (reference.commitIndex = index) }) as unknown as CommittedRecord,
  }
  const log = { entry: (index: number) => ({ index }) }
  const view = { id: 3, node: { raft: { commitIndex: 3, term: 2 }, log } } as unknown as NodeView
  const gone = { id: 1, node: undefined } as unknown as NodeView
  const auditor = new Auditor([gone, view], reference as unknown as ReferenceReplica, [
    { name: 'committed', committed: ({ index }) => void taken.push(index) },
  ])
  auditor.leaves(gone)
  expect(taken).toEqual([])
  auditor.leaves(view)
  auditor.leaves(view)
  expect(taken).toEqual([2, 3])
})
