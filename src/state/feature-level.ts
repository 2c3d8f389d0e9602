/**
 * Feature levels: what all members of a group have agreed on that apply depends on (DESIGN rule 8). The level is state: a group begins at the oldest
 * level that any build still speaks, and a `raiseLevel` command in the log takes it up, once every member supports it. So builds of different age apply
 * the same entries to the same state: up to the raise all of them by the old constants, behind it all of them by the new ones.
 *
 * To change a constant of apply: a new level in `levels`, one greater than the last, never another value in an old one. What is the same at all
 * levels stands in limits.ts and moves here with its first change. A level may be dropped from the front when no build may meet it any more.
 */
import { mustExist } from '../platform/assert.ts'

/** What differs between levels. */
export interface LevelConstants {
  /** A client that said goodbye and has no connection any more is gone after this. */
  readonly clientTerminatedMs: number
}

/** From level 1 on. */
const levels: readonly LevelConstants[] = [
  { clientTerminatedMs: 500 },
  // Half a second was long enough for a FIFO group to notice each restart of its consumers; acks on their way through other nodes need far less.
  { clientTerminatedMs: 200 },
]

/** Where a group begins. */
export const oldestLevel = 1
/** What this build can do. */
export const newestLevel = levels.length
/** As a command holds it. */
export const levelMax = 65_535

export function constantsOf(level: number): LevelConstants {
  return mustExist(levels[level - oldestLevel], 'feature-level', level)
}

/** A build, or one that is capped for a rehearsal, meets a group that has gone further. */
export function tooOldSentence(level: number, supported: number): string {
  return `this group is at feature level ${level}, this node supports level ${supported}: start it with a build that supports level ${level}`
}
