/** A link whose bytes lie about a frame's length. */
import { expect, it } from 'vitest'
import { Link, type LinkOwner } from './link.ts'
import { createMetrics } from './metrics.ts'

/** A link that somebody dialled to us; nothing of what it leads to is asked for here. */
function accepted(): { link: Link; clock: { nowMs: number } } {
  const clock = { nowMs: 10_000 }
  const owner: Partial<LinkOwner> = { metrics: createMetrics(), nowMs: () => clock.nowMs, wake: () => undefined }
  return { link: new Link(owner as LinkOwner, undefined), clock }
}

/** The prefix of a frame of 2 000 bytes, and so many of them. */
function startOfFrame(bytes: number): Uint8Array {
  const start = new Uint8Array(12 + bytes)
  new DataView(start.buffer).setUint32(0, 2_000, true)
  return start
}

it('is stuck in a frame that does not end, however much is said over it (seed 540099)', () => {
  const { link, clock } = accepted()
  link.onData(startOfFrame(5))
  clock.nowMs += 3_000
  expect(link.isStuck(clock.nowMs)).toBe(false)
  link.onData(new Uint8Array(100))
  clock.nowMs += 1
  expect(link.isStuck(clock.nowMs)).toBe(true)
})

it('is not stuck between frames, nor in one that has only just begun', () => {
  const { link, clock } = accepted()
  clock.nowMs += 60_000
  expect(link.isStuck(clock.nowMs)).toBe(false)
  link.onData(startOfFrame(5))
  expect(link.isStuck(clock.nowMs)).toBe(false)
})
