import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EntryKind } from '../../raft/index.ts'
import { crc32c, viewOf } from '../platform/bytes.ts'
import { chainOrigin, checkRecord, checkRecordHeader, linkOf, recordBytes, recordHeaderBytes, writeRecordHeader } from './record.ts'
import type { ChainLink, RecordFields } from './record.ts'

/** A whole record in memory of its own. */
function record(link: ChainLink, body: Uint8Array, changes: Partial<RecordFields> = {}): Uint8Array {
  const bytes = new Uint8Array(recordHeaderBytes + body.length)
  bytes.set(body, recordHeaderBytes)
  const fields: RecordFields = {
    length: body.length,
    kind: EntryKind.data,
    term: Math.max(1, link.term),
    index: link.index + 1,
    wallMs: 1_700_000_000_000,
    prevCrc: link.headerCrc,
    bodyCrc: crc32c(body),
    ...changes,
  }
  writeRecordHeader(bytes, viewOf(bytes), 0, fields)
  return bytes
}

function check(bytes: Uint8Array, link: ChainLink): string | undefined {
  return checkRecord(bytes, viewOf(bytes), 0, bytes.length, link)
}

const link: ChainLink = { index: 41, term: 3, headerCrc: 0x9abcdef0, wallMs: 5 }

describe('a record', () => {
  it('has exactly these bytes', () => {
    const bytes = record({ index: 0x1_0000_0001, term: 7, headerCrc: 0x12345678, wallMs: 0 }, Buffer.from('hello'), {
      kind: EntryKind.data,
      wallMs: 0x018c_1234_5678,
    })
    expect(hex(bytes)).toEqual([
      '05000000', //          0 length: 5
      '01', //                4 kind: data
      '00', //                5 flags
      '0100', //              6 format 1
      '0700000000000000', //  8 term 7
      '0200000001000000', // 16 index 2^32 + 2
      '785634128c010000', // 24 wallMs 0x018c12345678
      '78563412', //         32 prevCrc: the predecessor's headerCrc
      '4cbb719a', //         36 bodyCrc: CRC-32C of "hello" is 9a71bb4c
      'd1ed5b2f', //         40 headerCrc of the bytes above
      '00000000', //         44 zero
      '68656c6c6f', //       48 "hello"
    ])
  })

  it('is found whole by whoever holds its predecessor', () => {
    const bytes = record(link, Buffer.from('body'))
    expect(check(bytes, link)).toBeUndefined()
    expect(recordBytes(viewOf(bytes), 0)).toBe(52)
    const own = linkOf(viewOf(bytes), 0)
    expect(own).toEqual({ index: 42, term: 3, headerCrc: viewOf(bytes).getUint32(40, true), wallMs: 1_700_000_000_000 })
    expect(check(record(own, Buffer.alloc(0)), own)).toBeUndefined()
  })

  it.each([
    ['prevCrc', { prevCrc: 1 }],
    ['index', { index: 43 }],
    ['index', { index: 41 }],
    ['term', { term: 2 }],
    ['bodyCrc', { bodyCrc: 0 }],
    ['format', { kind: 9 as typeof EntryKind.data }],
    ['format', { kind: 0 as typeof EntryKind.data }],
    ['format', { length: 0xffff_ffff }],
  ] as const)('is refused for its %s when it does not fit: %o', (problem, changes) => {
    expect(check(record(link, Buffer.from('body'), changes), link)).toBe(problem)
  })

  it('is missing, not bad, where nothing was ever written', () => {
    expect(check(new Uint8Array(200), link)).toBe('end')
    expect(check(new Uint8Array(0), link)).toBe('end')
    expect(check(new Uint8Array(20), link)).toBe('end')
  })

  it('is not excused by a checksum of zero', () => {
    const bytes = record(chainOrigin, Buffer.from('body'))
    viewOf(bytes).setUint32(40, 0, true)
    expect(check(bytes, chainOrigin)).toBe('headerCrc')
    const noBodyCrc = record(chainOrigin, Buffer.from('body'), { bodyCrc: 0 })
    expect(check(noBodyCrc, chainOrigin)).toBe('bodyCrc')
  })

  it.each([
    ['headerCrc', 'the header or its checksum', 0, 44],
    ['format', 'the zero behind it', 44, 48],
    ['bodyCrc', 'the body', 48, 69],
  ] as const)('is refused for its %s with any bit of %s flipped', (problem, _, from, to) => {
    const bytes = record(link, Buffer.from('a body of some length'))
    expect(bytes).toHaveLength(69)
    for (let bit = from * 8; bit < to * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(check(flipped, link), `bit ${bit}`).toBe(problem)
    }
  })

  it('is refused when cut anywhere', () => {
    const bytes = record(link, Buffer.from('a body of some length'))
    for (let length = 0; length < bytes.length; length++) expect(check(bytes.subarray(0, length), link)).toBe(length === 0 ? 'end' : 'cut')
  })

  it('comes back as it was written, for any fields', () => {
    const anyRecord = fc.record({
      prevIndex: fc.maxSafeNat().map(n => Math.min(n, Number.MAX_SAFE_INTEGER - 1)),
      term: fc.maxSafeNat(),
      wallMs: fc.maxSafeNat(),
      prevCrc: fc.nat(0xffff_ffff),
      kind: fc.constantFrom(...Object.values(EntryKind)),
      body: fc.uint8Array({ maxLength: 200 }),
      position: fc.nat(64),
    })
    fc.assert(
      fc.property(anyRecord, ({ prevIndex, term, wallMs, prevCrc, kind, body, position }) => {
        const before: ChainLink = { index: prevIndex, term, headerCrc: prevCrc, wallMs: 0 }
        const bytes = new Uint8Array(position + recordHeaderBytes + body.length)
        const view = viewOf(bytes)
        bytes.set(body, position + recordHeaderBytes)
        const fields = { length: body.length, kind, term, index: prevIndex + 1, wallMs, prevCrc, bodyCrc: crc32c(body) }
        const headerCrc = writeRecordHeader(bytes, view, position, fields)
        expect(checkRecord(bytes, view, position, bytes.length, before)).toBeUndefined()
        expect(checkRecordHeader(bytes, view, position, bytes.length, before)).toBeUndefined()
        expect(linkOf(view, position)).toEqual({ index: prevIndex + 1, term, headerCrc, wallMs })
      }),
    )
  })

  it('of random bytes is never believed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 120 }), bytes => {
        const isZero = bytes.subarray(0, recordHeaderBytes).every(byte => byte === 0)
        expect(check(bytes, chainOrigin)).toBe(isZero ? 'end' : 'headerCrc')
      }),
    )
  })
})

/** The record cut into its fields. */
function hex(bytes: Uint8Array): string[] {
  const ends = [4, 5, 6, 8, 16, 24, 32, 36, 40, 44, 48, bytes.length]
  return ends.map((end, i) => Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end)).toString('hex'))
}
