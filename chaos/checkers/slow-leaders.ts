/**
 * A leader whose disk has become slow hands over, once (A57): while its disk is the only thing that is wrong in the world it may not keep the leadership
 * for long, may not get it back, and those whose disks are well do not pass it round.
 */
import { Violation } from '../violation.ts'
import type { Weather } from '../weather.ts'
import type { NodeView } from './checker.ts'

export interface SlowLeaders {
  /** Every now and then. */
  look(): void
}

/** Reports from the others, three looks a second apart, a hand-over that is tried once more. */
const leaveMs = 15_000
/** So many flushes tell a slow disk from a slow sync. */
const flushes = 10
/** Before the window began somebody may have been about to be elected. */
const settleMs = 2_000
const settleTimeouts = 6

interface Window {
  readonly slow: number
  readonly sinceMs: number
  leader: number | undefined
  leaderSinceMs: number
  hasHandedOver: boolean
}

export function slowLeaders(views: readonly NodeView[], weather: Weather, electionTimeoutMs: number, nowMs: () => number): SlowLeaders {
  let window: Window | undefined
  return {
    look() {
      const now = nowMs()
      const only = weather.onlySlowDisk()
      const leading = views.filter(({ node }) => node?.raft.role === 'leader')
      const leader = leading.length === 1 ? leading[0]?.id : undefined
      if (only === undefined || window?.slow !== only.id || window.sinceMs !== only.sinceMs) {
        window = only && { slow: only.id, sinceMs: only.sinceMs, leader, leaderSinceMs: now, hasHandedOver: false }
        return
      }
      const isSettled = now - window.sinceMs > settleMs + settleTimeouts * electionTimeoutMs
      if (leader === window.slow && window.leader === leader) {
        const boundMs = leaveMs + flushes * only.syncMs
        if (now - window.leaderSinceMs <= boundMs) return
        throw new Violation(
          'A57',
          `node ${leader} has led for ${Math.round(now - window.leaderSinceMs)} ms with a disk that takes ${Math.round(only.syncMs)} ms for a sync, and the others are well`,
        )
      }
      if (leader === undefined || leader === window.leader) return
      const { leader: before, hasHandedOver } = window
      window.leader = leader
      window.leaderSinceMs = now
      if (before === window.slow) {
        window.hasHandedOver = true
        return
      }
      if (hasHandedOver && isSettled)
        throw new Violation('A57', `node ${leader} leads after node ${before ?? 0}, although only the disk of node ${window.slow} is slow`)
    },
  }
}
