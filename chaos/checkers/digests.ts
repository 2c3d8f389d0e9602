/**
 * Replicas are equal (A49): at each applied index that a node stops at, its digest is the one of the reference replica, which applied the same
 * entries one by one and never crashed. Now and then, and at the end, the digest is also computed anew from the state: incremental and recomputed agree.
 */
import { Violation } from '../violation.ts'
import type { Digest } from '../../src/state/command.ts'
import type { ReferenceReplica } from '../reference.ts'
import type { Checker, LiveNode, NodeView } from './checker.ts'

/** Recomputing costs a walk over the whole state. */
const recomputeEveryEntries = 500

export function digests(reference: ReferenceReplica, views: readonly NodeView[]): Checker {
  const recomputedAt = new Map<number, number>()
  const recompute = (view: NodeView, node: LiveNode): void => {
    const incremental = node.machine.digest()
    const fresh = node.machine.recomputeDigest()
    if (!same(incremental, fresh)) {
      throw new Violation('A49', `node ${view.id} at ${node.machine.appliedIndex}: digest ${show(incremental)}, recomputed ${show(fresh)}`)
    }
    recomputedAt.set(view.id, node.machine.appliedIndex)
  }
  return {
    name: 'digests',
    nodeStarted(view) {
      recomputedAt.set(view.id, 0)
    },
    nodeChanged(view, node, now, before) {
      if (now.appliedIndex === before.appliedIndex || now.appliedIndex === 0) return
      const own = node.machine.digest()
      const expected = reference.digestAt(now.appliedIndex)
      if (!same(own, expected)) {
        throw new Violation(
          'A49',
          `node ${view.id} (life ${view.lifeNumber}) at ${now.appliedIndex}: digest ${show(own)}, reference ${show(expected)}`,
        )
      }
      if (now.appliedIndex - (recomputedAt.get(view.id) ?? 0) >= recomputeEveryEntries) recompute(view, node)
    },
    atEnd() {
      for (const view of views) if (view.node !== undefined) recompute(view, view.node)
    },
  }
}

function same(left: Digest, right: Digest): boolean {
  return left.a.low === right.a.low && left.a.high === right.a.high && left.b.low === right.b.low && left.b.high === right.b.high
}

function show(digest: Digest): string {
  return [digest.a.high, digest.a.low, digest.b.high, digest.b.low].map(part => (part >>> 0).toString(16).padStart(8, '0')).join('')
}
