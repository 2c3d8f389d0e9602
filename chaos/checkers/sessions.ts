/**
 * Proposals and their sessions. A command is taken if it is above the last one taken of its node, by incarnation and sequence, and at no other time
 * (rule 6); it is refused as late if it comes more than 15 s after it was first forwarded, and at no other time (rule 7).
 */
import { expectThat } from '../violation.ts'
import type { Checker } from './checker.ts'

const lateMs = 15_000

export function sessions(): Checker {
  const last = new Map<number, { readonly incarnation: number; readonly sequence: number }>()
  return {
    name: 'sessions',
    committed({ index, wallMs, proposer, result, membership }) {
      // Who is no member begins a session of its own when it comes back.
      if (membership !== undefined)
        for (const node of last.keys()) if (!membership.members.some(({ id }) => Number(id) === node)) last.delete(node)
      if (proposer === undefined) return
      const { node, incarnation, sequence, sentAtMs } = proposer
      const known = last.get(node)
      const isNew =
        known === undefined || incarnation > known.incarnation || (incarnation === known.incarnation && sequence > known.sequence)
      const name = (): string => `entry ${index}: proposal ${sequence} of node ${node} (life ${incarnation})`
      expectThat(isNew === (result !== undefined), 'rule6', () => {
        const above = known === undefined ? 'none' : `${known.sequence} (life ${known.incarnation})`
        return `${name()} was ${isNew ? 'ignored' : 'taken'} after ${above}`
      })
      if (!isNew) return
      last.set(node, { incarnation, sequence })
      const isLate = wallMs - sentAtMs > lateMs
      const wasRefused = result?.kind === 'refused' && result.reason === 'late'
      expectThat(isLate === wasRefused, 'rule7', () => `${name()}, ${wallMs - sentAtMs} ms old, was ${wasRefused ? 'refused' : 'taken'}`)
    },
  }
}
