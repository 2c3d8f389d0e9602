/** Timestamps and Durations: one shape on the wire, (seconds, nanos), and milliseconds in our hands. */
import type { FieldReader } from './reader.ts'

/**
 * Milliseconds of a Timestamp or Duration; undefined when it does not decode or lies beyond what a number holds exactly.
 * A part of a millisecond counts as a whole one, away from zero: a wish for half a millisecond is not a wish for none.
 */
export function readTimeMs(reader: FieldReader): number | undefined {
  let seconds = 0
  let nanos = 0
  while (reader.next()) {
    if (reader.field === 1) {
      reader.takeInt32()
      seconds = reader.int64
    } else if (reader.field === 2) nanos = reader.takeInt32()
  }
  if (reader.problem !== undefined) return undefined
  const ms = seconds * 1000 + nanos / 1e6
  const whole = ms < 0 ? Math.floor(ms) : Math.ceil(ms)
  return Number.isSafeInteger(whole) ? whole : undefined
}

/** The same as the generated classes like it. */
export interface WireTime {
  seconds: number
  nanos: number
}

export function wireTime(ms: number): WireTime {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) }
}
