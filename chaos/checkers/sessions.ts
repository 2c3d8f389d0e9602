/**
 * Proposals and their sessions. A command is taken if it is above the last one taken of its node, by incarnation and sequence, and at no other time
 * (rule 6); it is refused as late if it comes more than 15 s after it was first forwarded, and at no other time (rule 7). A node begins a session each time
 * it becomes a member, with lower numbers too if it is another life; what it sent before that, or what comes when it has been removed, is refused, once: a
 * copy of it is ignored.
 */
import { expectThat } from '../violation.ts'
import type { Checker } from './checker.ts'
import { seats } from './seats.ts'

const lateMs = 15_000

export function sessions(): Checker {
  const last = new Map<number, { readonly incarnation: number; readonly sequence: number; readonly isOver: boolean }>()
  let members: ReadonlySet<number> | undefined
  const turn = seats()
  let idMax = 0
  const joinedAtMs = new Map<number, number>()
  return {
    name: 'sessions',
    committed({ index, wallMs, proposer, result, membership }) {
      if (membership !== undefined) {
        const { isAnew, isGone } = turn(membership)
        members = new Set<number>(membership.members.map(({ id }) => id))
        for (const [node, known] of last) if (isGone(node)) last.set(node, { ...known, isOver: true })
        for (const node of members) if (isAnew(node)) joinedAtMs.set(node, wallMs)
        idMax = membership.idMax
      }
      if (proposer === undefined) return
      const { node, incarnation, sequence, sentAtMs } = proposer
      const known = last.get(node)
      const isNew =
        known === undefined ||
        (incarnation === known.incarnation ? sequence > known.sequence : incarnation > known.incarnation || known.isOver)
      const name = (): string => `entry ${index}: proposal ${sequence} of node ${node} (life ${incarnation})`
      expectThat(isNew === (result !== undefined), 'rule6', () => {
        const above = known === undefined ? 'none' : `${known.sequence} (life ${known.incarnation})`
        return `${name()} was ${isNew ? 'ignored' : 'taken'} after ${above}`
      })
      if (!isNew) return
      const isMember = members?.has(node) ?? true
      const isStranger = isMember ? sentAtMs < (joinedAtMs.get(node) ?? 0) : node <= idMax
      const wasStranger = result?.kind === 'refused' && result.reason === 'notMember'
      expectThat(
        isStranger === wasStranger,
        'rule6',
        () => `${name()} was ${wasStranger ? 'refused as from no member' : 'taken from no member'}`,
      )
      if (isStranger) {
        const isNoted = known?.isOver === false ? incarnation === known.incarnation : incarnation >= (known?.incarnation ?? 0)
        if (isNoted) last.set(node, { incarnation, sequence, isOver: !isMember || known?.isOver === true })
        return
      }
      last.set(node, { incarnation, sequence, isOver: false })
      const isLate = wallMs - sentAtMs > lateMs
      const wasRefused = result?.kind === 'refused' && result.reason === 'late'
      expectThat(isLate === wasRefused, 'rule7', () => `${name()}, ${wallMs - sentAtMs} ms old, was ${wasRefused ? 'refused' : 'taken'}`)
    },
  }
}
