/**
 * Who is called up and down in the log is so (DESIGN rule 16): nobody is called down while all has been well for longer than it takes to notice a
 * death; a process that has been dead for long under one and the same leader is called down; and when all has been well for long, all are up.
 */
import type { ReferenceReplica } from '../reference.ts'
import { Violation } from '../violation.ts'
import type { Weather } from '../weather.ts'
import type { Checker, NodeView } from './checker.ts'
import type { Roster } from './membership.ts'

export interface NodeHealth extends Checker {
  /** Every now and then. */
  look(): void
}

/** A node is down after 2 s of silence, and up after 5 s of contact; what is proposed has to be committed too. */
const noticedMs = 4_000
const upMs = 12_000
const lagEntries = 20

export function nodeHealth(
  reference: ReferenceReplica,
  roster: Roster,
  views: readonly NodeView[],
  weather: Weather,
  electionTimeoutMs: number,
  nowMs: () => number,
): NodeHealth {
  const deadSinceMs = new Map<number, number>()
  let leader = { id: 0, term: 0, sinceMs: Infinity }
  /** By node: when it was last far behind. Whoever serves old state is not up. */
  const laggedMs = new Map<number, number>()
  /** When the committed log last grew. */
  let grownMs = 0

  const lookAtLeader = (): void => {
    const leading = views.filter(({ node }) => node?.raft.role === 'leader')
    const [only] = leading
    const { id = 0 } = only ?? {}
    const term = only?.node?.raft.term ?? 0
    if (leading.length !== 1 || id !== leader.id || term !== leader.term || weather.isStanding(id)) {
      leader = { id, term, sinceMs: leading.length === 1 && !weather.isStanding(id) ? nowMs() : Infinity }
    }
  }

  /** Who has just come in has its time to be called up. */
  let changedMs = 0

  return {
    name: 'node health',
    committed({ index, command, result, membership }) {
      grownMs = nowMs()
      if (membership !== undefined) changedMs = grownMs
      if (command?.kind !== 'nodeChanged' || command.isUp || result?.kind !== 'done') return
      const wellMs = weather.wellForMs(nowMs())
      if (wellMs <= noticedMs + 6 * electionTimeoutMs) return
      throw new Violation('rule16', `entry ${index} calls node ${command.node} down, and all has been well for ${Math.round(wellMs)} ms`)
    },
    look() {
      lookAtLeader()
      const now = nowMs()
      for (const view of views) {
        if (!roster.isElector(view.id)) {
          deadSinceMs.delete(view.id)
          continue
        }
        const since = view.node === undefined ? (deadSinceMs.get(view.id) ?? now) : undefined
        if (since === undefined) deadSinceMs.delete(view.id)
        else deadSinceMs.set(view.id, since)
        const isUp = reference.machine.isNodeUp(view.id)
        const deadMs = now - Math.max(since ?? now, leader.sinceMs, changedMs, weather.troubledUntilMs)
        // Only a leader whose word is taken can say so.
        if (isUp && deadMs > noticedMs + 2 * electionTimeoutMs && grownMs > now - deadMs / 2)
          throw new Violation(
            'rule16',
            `node ${view.id} has been dead for ${Math.round(deadMs)} ms under the same leader, and is not called down`,
          )
        if ((view.node?.machine.appliedIndex ?? 0) + lagEntries < reference.commitIndex) laggedMs.set(view.id, now)
        const wellMs = Math.min(weather.wellForMs(now), now - leader.sinceMs, now - changedMs, now - (laggedMs.get(view.id) ?? 0))
        if (!isUp && wellMs > upMs + 10 * electionTimeoutMs)
          throw new Violation('rule16', `node ${view.id} is called down, and all has been well for ${Math.round(wellMs)} ms`)
      }
    },
  }
}
