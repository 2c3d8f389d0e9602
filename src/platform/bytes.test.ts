import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { allocateUnzeroed, crc32c, crc32cOf, crc32cRange, isZero, readU64, viewOf, writeU64 } from './bytes.ts'

/** CRC-32C, bit by bit. */
function slowCrc(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

describe('CRC-32C', () => {
  it.each([
    ['', 0],
    ['123456789', 0xe3069283],
    ['a', 0xc1d04330],
    ['\0'.repeat(32), 0x8a9136aa],
  ])('of %j is the published value', (text, value) => {
    expect(crc32c(Buffer.from(text))).toBe(value)
  })

  it('is the same for any length, cut and place, short ways and long', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(400), fc.nat(20), (bytes, cut, before) => {
        const at = Math.min(cut, bytes.length)
        const expected = slowCrc(bytes)
        expect(crc32c(bytes)).toBe(expected)
        expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(expected)
        expect(crc32cOf([bytes.subarray(0, at), bytes.subarray(at)])).toBe(expected)
        const moved = new Uint8Array(before + bytes.length + 3)
        moved.set(bytes, before)
        expect(crc32cRange(moved, before, before + bytes.length)).toBe(expected)
        expect(crc32cRange(moved, before + at, before + bytes.length, crc32cRange(moved, before, before + at))).toBe(expected)
      }),
    )
  })
})

describe('u64', () => {
  it('comes back for every safe integer', () => {
    const view = viewOf(new Uint8Array(20))
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(12), (value, position) => {
        writeU64(view, position, value)
        expect(readU64(view, position)).toBe(value)
      }),
    )
  })

  it('is little endian, low half first', () => {
    const bytes = new Uint8Array(8)
    writeU64(viewOf(bytes), 0, 0x1_0203_0405_06)
    expect(Buffer.from(bytes).toString('hex')).toBe('0605040302010000')
  })

  it.each([-1, 1.5, Number.MAX_SAFE_INTEGER + 1, NaN])('refuses to write %s', value => {
    expect(() => writeU64(viewOf(new Uint8Array(8)), 0, value)).toThrow(AssertionError)
  })

  it('reads more than a safe integer as something that is not one', () => {
    const bytes = new Uint8Array(8).fill(0xff)
    expect(Number.isSafeInteger(readU64(viewOf(bytes), 0))).toBe(false)
  })
})

describe('memory', () => {
  it('is all zero or it is not', () => {
    const bytes = new Uint8Array([0, 0, 1, 0])
    expect([isZero(bytes), isZero(bytes, 0, 2), isZero(bytes, 3), isZero(bytes, 2, 2), isZero(new Uint8Array(0))]).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
  })

  it('comes in the length asked for, as plain bytes', () => {
    const bytes = allocateUnzeroed(100)
    expect(bytes.length).toBe(100)
    expect(Buffer.isBuffer(bytes)).toBe(false)
  })
})
