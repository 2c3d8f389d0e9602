/**
 * No entry is stamped later than a majority of the calendar clocks has ever been, run on from there (rule 4): one wrong clock moves nothing. The other way
 * the time of the log may be behind for a while, never back.
 */
import { expectThat } from '../violation.ts'
import type { Checker, NodeView } from './checker.ts'

/** Clocks are heard of with a delay, start up to 2 s apart, and drift. */
const slackMs = 5_000

export function clusterTime(views: readonly NodeView[], nowMs: () => number): Checker {
  let boundMs = -Infinity
  let boundAtMs = 0
  let lastMs = 0
  const look = (): void => {
    const clocks = views.map(view => view.wallMs).sort((left, right) => right - left)
    boundMs = Math.max(boundMs + (nowMs() - boundAtMs), clocks[views.length >> 1] ?? 0)
    boundAtMs = nowMs()
  }
  return {
    name: 'cluster time',
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
