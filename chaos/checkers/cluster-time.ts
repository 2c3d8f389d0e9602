/**
 * No entry is stamped later than a majority of the calendar clocks has ever been, run on from there (rule 4): one wrong clock moves nothing. The other way
 * the time of the log may be behind for a while, never back.
 */
import type { Membership } from '../../raft/index.ts'
import { expectThat } from '../violation.ts'
import type { Checker, NodeView } from './checker.ts'
import { halvesOf, type Roster } from './membership.ts'

/** Clocks are heard of with a delay, start up to 2 s apart, and drift. */
const slackMs = 5_000
/** A clock that was put right lately may still be believed: its word was under way, or is no older than a leader waits for the next one. */
const believedMs = 1_500

export interface ClusterTimeChecker extends Checker {
  /** A node's calendar clock is about to be moved, or has just been: what it shows may be over before any node is seen to change. */
  clockMoves(): void
}

/** The highest that a clock has shown lately, as an offset to the world's time. */
interface Shown {
  offsetMs: number
  atMs: number
}

export function clusterTime(roster: Roster, views: readonly NodeView[], nowMs: () => number): ClusterTimeChecker {
  let boundMs = -Infinity
  let boundAtMs = 0
  let lastMs = 0
  const shown = views.map((): Shown => ({ offsetMs: -Infinity, atMs: 0 }))
  /** What a majority of some set of voters has shown, at its highest. */
  const highestOf = (membership: Membership): number => {
    const medians = halvesOf(membership).map(half => {
      const offsets = half.map(id => shown[id - 1]?.offsetMs ?? -Infinity).sort((left, right) => right - left)
      return offsets[half.length >> 1] ?? -Infinity
    })
    return Math.max(...medians) + nowMs()
  }
  const look = (): void => {
    const now = nowMs()
    shown.forEach((each, i) => {
      const offsetMs = (views[i]?.wallMs ?? -Infinity) - now
      if (offsetMs < each.offsetMs - slackMs && now - each.atMs <= believedMs) return
      each.offsetMs = offsetMs
      each.atMs = now
    })
    boundMs = Math.max(boundMs + (now - boundAtMs), ...roster.possible.map(highestOf))
    boundAtMs = now
  }
  return {
    name: 'cluster time',
    nodeChanged: look,
    clockMoves: look,
    committed({ index, wallMs }) {
      look()
      expectThat(
        wallMs <= boundMs + slackMs,
        'rule4',
        () => `entry ${index} is stamped ${wallMs - boundMs} ms ahead of what a majority of clocks has shown`,
      )
      expectThat(wallMs >= lastMs, 'rule4', () => `entry ${index} is stamped ${lastMs - wallMs} ms before the entry before it`)
      lastMs = wallMs
    },
  }
}
