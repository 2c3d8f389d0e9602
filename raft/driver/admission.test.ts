import { describe, expect, it } from 'vitest'
import type { LogIndex } from '../core/ids.ts'
import { Admission } from './admission.ts'

interface Shape {
  readonly last?: number
  readonly durable?: number
  readonly commit?: number
  readonly applied?: number
  readonly waiting?: number
}

/** A leader of a log whose entries have 10 bytes each. */
function aLeader(shape: Shape): Admission {
  const { last = 0, waiting = 0 } = shape
  const { durable = last } = shape
  const { commit = durable } = shape
  const { applied = commit } = shape
  const node = {
    uncommitted: { bytesMax: 100, used: (last - commit) * 10 },
    durability: { durableIndex: durable as LogIndex } as never,
    commitIndex: commit as LogIndex,
    appliedIndex: applied as LogIndex,
  }
  return new Admission({
    config: { unwrittenBytesMax: 100, uncommittedBytesMax: 200, unappliedBytesMax: 300 },
    log: { bytesBehind: index => (last - index) * 10 },
    node: () => node,
    waitingBytes: () => waiting,
  })
}

describe('what a leader takes on', () => {
  it.each([
    ['nothing waits', {}, 50, undefined],
    ['its own disk hangs, and the others commit all the same', { last: 20, durable: 11, commit: 20, applied: 11 }, 11, 'unwritten'],
    ['… and there is room for just so much', { last: 20, durable: 11, commit: 20, applied: 11 }, 10, undefined],
    ['what waits for a turn counts too', { waiting: 95 }, 6, 'unwritten'],
    ["the followers' disks hang", { last: 20, durable: 20, commit: 1 }, 11, 'uncommitted'],
    ['apply does not keep up', { last: 40, applied: 10 }, 1, 'unapplied'],
    ['a full pool that is over its bound already', { last: 40, durable: 1 }, 1, 'unwritten'],
  ] as const)('is bounded: %s', (_what, shape, bytes, pool) => {
    expect(aLeader(shape).refuse(bytes)).toBe(pool)
  })

  it('is one proposal of any size, when nothing else is under way', () => {
    expect(aLeader({ last: 7 }).refuse(1_000_000)).toBeUndefined()
  })

  it('is told in numbers, with what was refused', () => {
    const admission = aLeader({ last: 20, durable: 12, commit: 14, applied: 12, waiting: 5 })
    admission.refuse(90)
    admission.refuse(10)
    admission.refuse(16)
    expect(admission.status()).toEqual([
      { pool: 'unwritten', bytes: 85, bytesMax: 100, refused: 2 },
      { pool: 'uncommitted', bytes: 65, bytesMax: 200, refused: 0 },
      { pool: 'unapplied', bytes: 20, bytesMax: 300, refused: 0 },
    ])
  })
})
