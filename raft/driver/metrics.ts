/** What the driver counts: plain numbers that only grow, read by status, metrics and tests. */
export interface DriverMetrics {
  turns: number
  /** Gaps of the monotonic clock that were longer than the loop should ever be away. */
  stalls: number
  stallMsLongest: number
  flushes: number
  entriesFlushed: number
  hardStateSaves: number
  entriesApplied: number
  entriesAppended: number
  /** Record bytes appended here, own and received. */
  bytesAppended: number
  proposals: number
  proposalsRejected: number
  proposalsUnknown: number
  framesIn: number
  framesOut: number
  bytesIn: number
  bytesOut: number
  /** Frames, records or hellos that made us close a connection. */
  framesCorrupt: number
  hellosRefused: number
  dials: number
  /** Appends that found no connection, or one that takes no more. */
  appendsDropped: number
  connectionsOverfull: number
}

export function createMetrics(): DriverMetrics {
  return {
    turns: 0,
    stalls: 0,
    stallMsLongest: 0,
    flushes: 0,
    entriesFlushed: 0,
    hardStateSaves: 0,
    entriesApplied: 0,
    entriesAppended: 0,
    bytesAppended: 0,
    proposals: 0,
    proposalsRejected: 0,
    proposalsUnknown: 0,
    framesIn: 0,
    framesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    framesCorrupt: 0,
    hellosRefused: 0,
    dials: 0,
    appendsDropped: 0,
    connectionsOverfull: 0,
  }
}

const samplesMax = 1_024
const latelyCount = 8

/** How long the last flushes took: a ring of about a thousand samples. */
export class Durations {
  readonly #samples = new Float64Array(samplesMax)
  #count = 0
  /** As of `#knownCount` samples: status is asked for more often than the disk is synced. */
  #known = { p50Ms: 0, p99Ms: 0 }
  #knownCount = 0

  add(ms: number): void {
    this.#samples[this.#count % samplesMax] = ms
    this.#count++
  }

  /** The middle of the last eight: what most of them took. 0 while there are fewer: a process that has just started knows little of its disk. */
  latelyMs(): number {
    if (this.#count < latelyCount) return 0
    const latest = Array.from({ length: latelyCount }, (_, i) => this.#samples[(this.#count - 1 - i) % samplesMax] ?? 0)
    return latest.sort((left, right) => left - right)[latelyCount >> 1] ?? 0
  }

  /** Of the samples kept, in ms; 0 without any. */
  quantiles(): { readonly p50Ms: number; readonly p99Ms: number } {
    if (this.#knownCount === this.#count) return this.#known
    const kept = this.#samples.slice(0, Math.min(this.#count, samplesMax)).sort()
    const at = (part: number): number => kept[Math.min(kept.length - 1, Math.floor(kept.length * part))] ?? 0
    this.#knownCount = this.#count
    this.#known = { p50Ms: at(0.5), p99Ms: at(0.99) }
    return this.#known
  }
}
