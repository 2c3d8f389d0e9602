/**
 * No message gets lost between its states (A33): for every consumer group and topic, what was appended is below the group's start, waiting, in flight,
 * retrying, blocked, acknowledged, filtered or dead, each message in one of these exactly. The reference replica, which all nodes equal, is counted
 * after every entry, all of it: to count only what an entry should have touched would trust what is judged, and would save little (the whole takes
 * 1–2 % of a seed's time, 5 % under load). Every node's own state is counted now and then and at the end.
 */
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Checker, LiveNode, NodeView } from './checker.ts'

const nodeEveryEntries = 400

export function conservation(reference: ReferenceReplica, views: readonly NodeView[]): Checker {
  const countedAt = new Map<number, number>()
  const count = (who: string, machine: { conservation(): readonly string[] }): void => {
    const problem = machine.conservation()[0]
    if (problem !== undefined) throw new Violation('A33', `${who}: ${problem}`)
  }
  const countNode = (view: NodeView, node: LiveNode): void => {
    count(`node ${view.id} at ${node.machine.appliedIndex}`, node.machine)
    countedAt.set(view.id, node.machine.appliedIndex)
  }
  return {
    name: 'conservation',
    nodeStarted(view) {
      if (view.node !== undefined) countNode(view, view.node)
    },
    committed(record) {
      count(`reference at ${record.index}`, reference.machine)
    },
    nodeChanged(view, node, now) {
      if (now.appliedIndex - (countedAt.get(view.id) ?? 0) >= nodeEveryEntries) countNode(view, node)
    },
    atEnd() {
      count('reference at the end', reference.machine)
      for (const view of views) if (view.node !== undefined) countNode(view, view.node)
    },
  }
}
