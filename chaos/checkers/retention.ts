/**
 * Nothing is deleted that is still needed (A56): whenever a node's log begins further on, every message that a queue has, that a group has not
 * finished, or that lies in the dead letters stands at or behind its first entry, by the reference state at that node's own applied index or later.
 */
import type { QueueOffset } from '../../src/state/ids.ts'
import type { Marks } from '../marks.ts'
import type { ReferenceReplica } from '../reference.ts'
import { expectThat } from '../violation.ts'
import { carriedOut, type Checker } from './checker.ts'

export function retention(reference: ReferenceReplica, marks: Marks): Checker {
  const firsts = new Map<number, number>()
  return {
    name: 'retention',
    nodeChanged(view, node) {
      const { firstIndex } = node.log
      if ((firsts.get(view.id) ?? 1) >= firstIndex) return
      firsts.set(view.id, firstIndex)
      marks.hit('a segment was deleted')
      const needed = lowestNeeded(reference)
      expectThat(
        needed.index >= firstIndex,
        'A56',
        () => `node ${view.id} has deleted what is below entry ${firstIndex}, but ${needed.what} needs ${needed.index}`,
      )
    },
    committed(record) {
      const command = carriedOut(record)
      if (command?.kind === 'trim') marks.hit('messages were given up by retention')
      if (command?.kind === 'carry') marks.hit('a message was carried forward')
    },
  }
}

function lowestNeeded({ machine }: ReferenceReplica): { readonly index: number; readonly what: string } {
  const view = machine.retention
  let lowest = { index: Infinity, what: 'nothing' }
  const need = (index: number, what: string): void => {
    if (index < lowest.index) lowest = { index, what }
  }
  for (const topicId of view.topicIds()) {
    for (const { queueId, first, next } of view.topic(topicId)?.queues ?? []) {
      for (let offset = first; offset < next; offset += 1) {
        need(view.slot(topicId, queueId, offset as QueueOffset).logIndex, `message ${topicId}/${queueId}@${offset}`)
      }
      for (const { offset, logIndex } of view.unfinishedBelowFirst(topicId, queueId, Infinity)) {
        need(logIndex, `unfinished message ${topicId}/${queueId}@${offset}`)
      }
    }
  }
  return lowest
}
