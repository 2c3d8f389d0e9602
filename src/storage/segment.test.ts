import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chainOrigin } from './record.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  parseSegmentName,
  pointSpacingBytes,
  Segment,
  segmentHeaderBytes,
  segmentName,
} from './segment.ts'

const directoryId = Uint8Array.from({ length: 16 }, (_, i) => i + 1)
const prev = { index: 41, term: 3, headerCrc: 0x9abcdef0, wallMs: 0x018c_1234_5678 }

describe('a segment file', () => {
  it('is named after its first entry, so that names sort like entries', () => {
    expect(segmentName(4181)).toBe('00000000000000004181.log')
    expect(parseSegmentName('00000000000000004181.log')).toBe(4181)
    expect(parseSegmentName(segmentName(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER)
  })

  it.each([
    'prepared.tmp',
    '4181.log',
    '0000000000000000418x.log',
    '00000000000000004181.idx',
    '00000000000000000000.log',
    '99999999999999999999.log',
  ])('is not what %s is', name => expect(parseSegmentName(name)).toBeUndefined())

  it('begins with exactly these bytes', () => {
    const bytes = encodeSegmentHeader(prev, directoryId)
    expect(bytes).toHaveLength(512)
    const text = Buffer.from(bytes).toString('hex')
    expect(text.slice(0, 128)).toBe(
      '524d514c' + // 0 "RMQL"
        '01000000' + // 4 format 1
        '2a00000000000000' + // 8 first index 42
        '0300000000000000' + // 16 term of entry 41
        'f0debc9a' + // 24 headerCrc of entry 41
        '00000000' + // 28 zero
        '785634128c010000' + // 32 wallMs of entry 41
        '0102030405060708090a0b0c0d0e0f10' + // 40 directory id
        '00000000' + // 56 zero
        '75c6476b', // 60 crc of the bytes above
    )
    expect(text.slice(512, 640)).toBe(text.slice(0, 128))
    expect(text.slice(128, 512)).toMatch(/^0*$/)
    expect(text.slice(640)).toMatch(/^0*$/)
  })

  it('tells what its first record follows', () => {
    expect(decodeSegmentHeader(encodeSegmentHeader(prev, directoryId))).toEqual({ kind: 'ok', prev, directoryId, isHalfLost: false })
    expect(decodeSegmentHeader(encodeSegmentHeader(chainOrigin, directoryId))).toMatchObject({ kind: 'ok', prev: chainOrigin })
  })

  it('is read from its other copy when a bit of one is flipped, and refused when both are damaged, or cut', () => {
    const bytes = encodeSegmentHeader(prev, directoryId)
    for (let bit = 0; bit < 64 * 8; bit++) {
      for (const copy of [0, 256]) {
        const flipped = bytes.slice()
        flipped[copy + (bit >> 3)] = (flipped[copy + (bit >> 3)] ?? 0) ^ (1 << (bit & 7))
        expect(decodeSegmentHeader(flipped)).toEqual({ kind: 'ok', prev, directoryId, isHalfLost: true })
        flipped[256 - copy + 40] = (flipped[256 - copy + 40] ?? 0) ^ 1
        expect(decodeSegmentHeader(flipped).kind).toBe('bad')
      }
    }
    expect(decodeSegmentHeader(bytes.subarray(0, 511))).toEqual({ kind: 'bad', problem: 'is cut short', isDamaged: true })
    expect(decodeSegmentHeader(new Uint8Array(512)).kind).toBe('bad')
  })
})

describe('the sparse index of a segment', () => {
  it('finds the last point at or before any entry, like a search from the end', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 48, max: 90_000 }), { maxLength: 300 }), fc.nat(300), (sizes, cut) => {
        const segment = new Segment(prev, false)
        const starts: number[] = []
        for (const size of sizes) {
          const index = segment.lastIndex + 1
          segment.maybeAddPoint(index, segment.endPosition)
          starts.push(segment.endPosition)
          segment.lastIndex = index
          segment.endPosition += size
        }
        const index = segment.firstIndex + Math.min(cut, sizes.length)
        segment.truncate(index, starts[index - segment.firstIndex] ?? segment.endPosition)
        const points = Array.from({ length: segment.points }, (_, n) => segment.point(n))
        expect(points[0]).toEqual({ index: 42, position: segmentHeaderBytes })
        for (const point of points.slice(1)) {
          expect(point.index).toBeLessThan(index)
          expect(point.position).toBe(starts[point.index - 42])
        }
        for (let i = 1; i < points.length; i++) {
          expect((points[i]?.position ?? 0) - (points[i - 1]?.position ?? 0)).toBeGreaterThanOrEqual(pointSpacingBytes)
        }
        for (let wanted = 42; wanted < index; wanted++) {
          expect(segment.pointBefore(wanted)).toBe(points.findLastIndex(point => point.index <= wanted))
        }
      }),
    )
  })
})
