import { describe, expect, it } from 'vitest'
import type { TermRun } from '../../raft/index.ts'
import { Segment } from './segment.ts'
import { decodeSidecar, encodeSidecar } from './sidecar.ts'

const segment = new Segment({ index: 41, term: 3, headerCrc: 7, wallMs: 9 }, true)
segment.addPoint(99, 70_000)
segment.lastIndex = 120
segment.endPosition = 90_000
const last = { index: 120, term: 5, headerCrc: 0x9abcdef0, wallMs: 0x018c_1234_5678 }
const runs = [
  { firstIndex: 42, term: 3 },
  { firstIndex: 100, term: 5 },
] as unknown as readonly TermRun[]
segment.configs.push(44, 99)
const bytes = encodeSidecar(segment, { last, position: 90_000 }, runs)

describe('a sidecar', () => {
  it('has exactly these bytes', () => {
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '524d5158' + // 0 "RMQX"
        '01000000' + // 4 format 1
        '2a00000000000000' + // 8 first index 42
        '7800000000000000' + // 16 last index 120
        '905f010000000000' + // 24 end position 90 000
        '0500000000000000' + // 32 last term 5
        '785634128c010000' + // 40 last wallMs
        'f0debc9a' + // 48 last headerCrc
        '02000000' + // 52 two runs
        '02000000' + // 56 two points
        '02000000' + // 60 two config entries
        '2a000000000000000300000000000000' + // 64 from 42 on term 3
        '64000000000000000500000000000000' + // 80 from 100 on term 5
        '0000000000020000' + // 96 entry 42 at byte 512
        '3900000070110100' + // 104 entry 99 at byte 70 000
        '02000000' + // 112 entry 44 is a config entry
        '39000000' + // 116 and so is entry 99
        Buffer.from(bytes.subarray(120)).toString('hex'), // 120 crc
    )
    expect(bytes).toHaveLength(124)
  })

  it('comes back as it was written', () => {
    const points = [
      { index: 42, position: 512 },
      { index: 99, position: 70_000 },
    ]
    expect(decodeSidecar(bytes)).toEqual({ firstIndex: 42, endPosition: 90_000, last, runs, points, configs: [44, 99] })
  })

  it('of a beginning knows only the points in front of its end', () => {
    const middle = { index: 98, term: 3, headerCrc: 5, wallMs: 8 }
    const told = decodeSidecar(encodeSidecar(segment, { last: middle, position: 70_000 }, runs.slice(0, 1)))
    expect(told).toMatchObject({ endPosition: 70_000, last: middle, points: [{ index: 42, position: 512 }], configs: [44] })
  })

  it('is refused with any bit flipped, or cut', () => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeSidecar(flipped)).toBeUndefined()
    }
    for (let length = 0; length < bytes.length; length++) expect(decodeSidecar(bytes.subarray(0, length))).toBeUndefined()
  })
})
