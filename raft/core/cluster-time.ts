/**
 * Cluster time: the only clock that the log knows (DESIGN rule 4). The leader runs it on its own monotonic clock towards the median of the voters'
 * calendar clocks; a follower only estimates it, from the last stamp it saw and its own monotonic time since.
 * Invariants: a leader's readings and stamps never go back and never stand still, whatever any calendar clock does. Ahead of the median they run at
 * half speed; behind by up to `leapMs` they are moved at once; behind by more only by an entry of their own (EntryKind.timeLeap), and only as far as
 * a majority of all clocks reach. One wrong clock moves nothing.
 */
import { assert } from '../../src/platform/assert.ts'
import { reachedByAll } from './quorum.ts'
import type { Electorate } from './quorum.ts'

export interface ClusterTime {
  readonly leapMs: number
  electorate: Electorate
  /** Calendar − our monotonic clock, by elector's slot; NaN = not heard since it was forgotten. */
  offsets: Float64Array
  /** When that was heard. */
  heardMs: Float64Array
  scratch: Float64Array
  /** The reading at `atMs`. */
  valueMs: number
  atMs: number
  /** Where the clocks say cluster time is, as an offset to our monotonic clock; NaN while fewer than a majority of them are known. */
  targetOffset: number
  isLeading: boolean
  /** The latest stamp in our log. */
  lastStampMs: number
}

export function createClusterTime(electorate: Electorate, leapMs: number, lastWallMs: number, nowMs: number): ClusterTime {
  const offsets = new Float64Array(electorate.ids.length).fill(NaN)
  const scratch = new Float64Array(electorate.ids.length)
  return {
    leapMs,
    electorate,
    offsets,
    heardMs: new Float64Array(electorate.ids.length).fill(nowMs),
    scratch,
    valueMs: lastWallMs,
    atMs: nowMs,
    targetOffset: NaN,
    isLeading: false,
    lastStampMs: lastWallMs,
  }
}

/** The cluster time at `nowMs`; changes nothing. */
export function readClusterTime(time: ClusterTime, nowMs: number): number {
  const elapsedMs = Math.max(0, nowMs - time.atMs)
  if (!time.isLeading) return Math.max(time.lastStampMs, time.valueMs + elapsedMs)
  const aheadMs = time.valueMs - (time.targetOffset + time.atMs)
  // Half speed until the median has caught up (after 2 × ahead), then its speed. NaN > 0 is false: without clocks we run at our own speed.
  const slowMs = aheadMs > 0 ? Math.min(elapsedMs, 2 * aheadMs) : 0
  return time.valueMs + slowMs / 2 + (elapsedMs - slowMs)
}

/** A voter's calendar clock as heard now. */
export function noteClock(time: ClusterTime, slot: number, wallMs: number, nowMs: number): void {
  assert(slot >= 0 && slot < time.offsets.length, 'clock-slot', slot)
  if (time.isLeading) settleReading(time, nowMs)
  time.offsets[slot] = wallMs - nowMs
  time.heardMs[slot] = nowMs
  time.targetOffset = findTarget(time, nowMs)
}

/** Other clocks count from now on. Those that did before keep what was heard of them. */
export function changeElectorate(time: ClusterTime, electorate: Electorate): void {
  const { offsets, heardMs, electorate: before } = time
  time.electorate = electorate
  time.offsets = Float64Array.from(electorate.ids, id => offsets[before.ids.indexOf(id)] ?? NaN)
  time.heardMs = Float64Array.from(electorate.ids, id => heardMs[before.ids.indexOf(id)] ?? 0)
  time.scratch = new Float64Array(electorate.ids.length)
}

/** What was heard of other clocks was long ago: a candidate asks anew. */
export function forgetClocks(time: ClusterTime, ownSlot: number | undefined): void {
  for (let i = 0; i < time.offsets.length; i++) if (i !== ownSlot) time.offsets[i] = NaN
  time.targetOffset = NaN
}

/**
 * Clocks that were last heard before `sinceMs` say nothing about now: theirs may have been put right meanwhile, and together with another that is wrong
 * now they would make a majority that never was (seed 700122).
 */
export function forgetOldClocks(time: ClusterTime, sinceMs: number): void {
  const { offsets, heardMs } = time
  for (let i = 0; i < offsets.length; i++) if ((heardMs[i] ?? 0) < sinceMs) offsets[i] = NaN
}

/** From here on our readings are the cluster time. They begin where the log ended, or where the last leader's time has got to since. */
export function startLeadingTime(time: ClusterTime, nowMs: number, isLogEmpty: boolean): void {
  assert(!time.isLeading, 'leads-time-already')
  time.valueMs = readClusterTime(time, nowMs)
  time.atMs = nowMs
  time.isLeading = true
  time.targetOffset = findTarget(time, nowMs)
  const majorityMs = reachedByMajority(time) + nowMs
  if (isLogEmpty && majorityMs > time.valueMs) time.valueMs = majorityMs
}

export function stopLeadingTime(time: ClusterTime, nowMs: number): void {
  if (!time.isLeading) return
  settleReading(time, nowMs)
  time.isLeading = false
}

/** The stamp of an entry that is appended now. */
export function stampNow(time: ClusterTime, nowMs: number): number {
  assert(time.isLeading, 'stamp-without-leading')
  settleReading(time, nowMs)
  const stamp = Math.floor(time.valueMs)
  assert(stamp >= time.lastStampMs, 'stamp-falls', stamp, time.lastStampMs)
  time.lastStampMs = stamp
  return stamp
}

/** A leader catches up with the median, if that is near enough to be moved to at once. */
export function followMedian(time: ClusterTime, nowMs: number): void {
  assert(time.isLeading, 'follow-without-leading')
  settleReading(time, nowMs)
  time.targetOffset = findTarget(time, nowMs)
  const behindMs = time.targetOffset + nowMs - time.valueMs
  if (behindMs > 0 && behindMs <= time.leapMs) time.valueMs += behindMs
}

/** Where to an entry of its own should move the time now; undefined = nowhere. */
export function wantedLeap(time: ClusterTime, nowMs: number): number | undefined {
  const majorityMs = Math.floor(reachedByMajority(time) + nowMs)
  return majorityMs - readClusterTime(time, nowMs) > time.leapMs ? majorityMs : undefined
}

/** The leap's entry is being appended. */
export function leapTo(time: ClusterTime, wallMs: number, nowMs: number): void {
  settleReading(time, nowMs)
  assert(wallMs > time.valueMs, 'leap-back', wallMs, time.valueMs)
  time.valueMs = wallMs
}

/** A leader told its time, or an entry of its log carries a stamp: a follower's estimate begins there. */
export function hearClusterTime(time: ClusterTime, clusterTimeMs: number, nowMs: number): void {
  assert(!time.isLeading, 'leader-hears-time')
  time.valueMs = clusterTimeMs
  time.atMs = nowMs
}

/** An entry with this stamp is in our log now. */
export function hearStamp(time: ClusterTime, wallMs: number, nowMs: number): void {
  if (wallMs > time.lastStampMs) time.lastStampMs = wallMs
  if (wallMs > readClusterTime(time, nowMs)) hearClusterTime(time, wallMs, nowMs)
}

/**
 * Entries of our log were thrown away and others came in their place, up to this stamp. What was thrown away may have been a leap: an estimate that
 * kept it would, if we led, move the time as far without a leap's entry (regression 0003).
 */
export function restartClusterTime(time: ClusterTime, lastStampMs: number, nowMs: number): void {
  hearClusterTime(time, lastStampMs, nowMs)
  time.lastStampMs = lastStampMs
}

function settleReading(time: ClusterTime, nowMs: number): void {
  const reading = readClusterTime(time, nowMs)
  assert(reading >= time.valueMs, 'time-goes-back', reading, time.valueMs)
  time.valueMs = reading
  if (nowMs > time.atMs) time.atMs = nowMs
}

/** How far a majority of the voters' clocks reach, in each half, as an offset; NaN while fewer are known. */
function reachedByMajority(time: ClusterTime): number {
  const { offsets, scratch } = time
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i] ?? NaN
    scratch[i] = Number.isNaN(offset) ? -Infinity : offset
  }
  const reached = reachedByAll(time.electorate, scratch)
  return reached === -Infinity ? NaN : reached
}

/**
 * The median of the known clocks, when they are a majority. Between the middle two of an even number the one that moves the time less is taken:
 * of two clocks one may be a year off, and then the other is right.
 */
function findTarget(time: ClusterTime, nowMs: number): number {
  if (Number.isNaN(reachedByMajority(time))) return NaN
  let known = 0
  for (const offset of time.offsets) if (!Number.isNaN(offset)) time.scratch[known++] = offset
  time.scratch.subarray(0, known).sort()
  const upper = time.scratch[known >> 1] ?? NaN
  const lower = time.scratch[(known - 1) >> 1] ?? NaN
  const here = readClusterTime(time, nowMs) - nowMs
  return Math.abs(upper - here) < Math.abs(lower - here) ? upper : lower
}
