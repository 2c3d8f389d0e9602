/**
 * No entry is stamped later than a majority of the calendar clocks has ever been, run on from there (rule 4): one wrong clock moves nothing. The other way
 * the time of the log may be behind for a while, never back.
 */
import { expectThat } from '../violation.ts'
import type { Checker, NodeView } from './checker.ts'

/** Clocks are heard of with a delay, start up to 2 s apart, and drift. */
const slackMs = 5_000
/** A leader goes by the last word of each clock, which may be this old. */
const rememberedMs = 10_000
const driftMs = 100

export interface ClusterTime extends Checker {
  /** Every now and then: clocks that jump and come back may have been heard of while nothing else happened. */
  look(): void
}

export function clusterTime(views: readonly NodeView[], nowMs: () => number): ClusterTime {
  /** By place of the node: what its clock has shown lately. */
  const shown = new Map<number, { atMs: number; readonly offsetMs: number }[]>()
  let boundMs = -Infinity
  let boundAtMs = 0
  let lastMs = 0
  const look = (): void => {
    const now = nowMs()
    const clocks = views
      .map((view, i) => {
        const words = (shown.get(i) ?? []).filter(({ atMs }) => now - atMs <= rememberedMs)
        const offsetMs = view.wallMs - now
        const last = words.at(-1)
        // What only drifts is one word.
        if (last !== undefined && Math.abs(last.offsetMs - offsetMs) < driftMs) last.atMs = now
        else words.push({ atMs: now, offsetMs })
        shown.set(i, words)
        return now + Math.max(...words.map(word => word.offsetMs))
      })
      .sort((left, right) => right - left)
    boundMs = Math.max(boundMs + (nowMs() - boundAtMs), clocks[views.length >> 1] ?? 0)
    boundAtMs = nowMs()
  }
  return {
    name: 'cluster time',
    look,
    nodeChanged: look,
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
