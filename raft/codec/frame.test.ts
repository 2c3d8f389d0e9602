import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { viewOf } from '../../src/platform/bytes.ts'
import { FrameReader, frameHead, framePrefixBytes } from './frame.ts'

interface Frame {
  kind: number
  header: Uint8Array
  payload: Uint8Array[]
  isSelfChecked: boolean
}

const anyFrame: fc.Arbitrary<Frame> = fc.record({
  kind: fc.integer({ min: 0, max: 255 }),
  header: fc.uint8Array({ maxLength: 300 }),
  payload: fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 4 }),
  isSelfChecked: fc.boolean(),
})

function bytesOf(frame: Frame): Buffer {
  return Buffer.concat([frameHead(frame.kind, frame.header, frame.payload, frame.isSelfChecked), ...frame.payload])
}

function collect(bytesMax: number): { reader: FrameReader; taken: { kind: number; header: Buffer; payload: Buffer }[] } {
  const taken: { kind: number; header: Buffer; payload: Buffer }[] = []
  const reader = new FrameReader(bytesMax, (kind, header, payload) => {
    taken.push({ kind, header: Buffer.from(header), payload: Buffer.from(payload) })
    return true
  })
  return { reader, taken }
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map(place => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  let from = 0
  return ends.map(end => {
    const piece = bytes.subarray(from, end)
    from = end
    return piece
  })
}

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 6 }), fc.array(fc.nat(20_000), { maxLength: 12 }), (frames, places) => {
        const { reader, taken } = collect(100_000)
        for (const piece of cut(Buffer.concat(frames.map(bytesOf)), places)) expect(reader.push(piece)).toBeUndefined()
        expect(taken).toEqual(
          frames.map(frame => ({ kind: frame.kind, header: Buffer.from(frame.header), payload: Buffer.concat(frame.payload) })),
        )
        expect(reader.heldBytes).toBe(0)
      }),
    )
  })

  it('are refused when a bit of prefix, header or checked payload has flipped', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.nat(7), (frame, place, bit) => {
        const bytes = bytesOf({ ...frame, isSelfChecked: false })
        const at = place % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
        const { reader, taken } = collect(100_000)
        reader.push(bytes)
        expect(taken).toEqual([])
      }),
    )
  })

  it('leave the payload to its own checksums when told so', () => {
    const payload = new Uint8Array([1, 2, 3])
    const bytes = Buffer.concat([frameHead(20, new Uint8Array(2), [payload], true), payload])
    bytes[bytes.length - 1] = 9
    const { reader, taken } = collect(1_000)
    expect(reader.push(bytes)).toBeUndefined()
    expect([...(taken[0]?.payload ?? [])]).toEqual([1, 2, 9])
  })

  it('never make the reader throw, hold more than came, or go on after a fault', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 30 }), chunks => {
        const { reader } = collect(5_000)
        let came = 0
        let fault: string | undefined
        for (const chunk of chunks) {
          came += chunk.length
          const now = reader.push(chunk)
          if (fault !== undefined) expect(now).toBe(fault)
          fault = now
          expect(reader.heldBytes).toBeLessThanOrEqual(came)
        }
      }),
    )
  })

  it('announce no length that the reader would allocate ahead of the bytes', () => {
    const { reader } = collect(1 << 30)
    const prefix = new Uint8Array(framePrefixBytes)
    viewOf(prefix).setUint32(0, (1 << 30) - 1, true)
    const before = process.memoryUsage().arrayBuffers
    reader.push(prefix)
    reader.push(new Uint8Array(10))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
    expect(reader.heldBytes).toBe(framePrefixBytes + 10)
  })

  it('beyond the bound, with foreign flags or an impossible header are faults of their own', () => {
    const head = (change: (view: DataView) => void): Uint8Array => {
      const bytes = frameHead(1, new Uint8Array(4))
      change(viewOf(bytes))
      return bytes
    }
    expect(collect(100).reader.push(head(view => view.setUint32(0, 101, true)))).toBe('tooLong')
    expect(collect(100).reader.push(head(view => view.setUint8(5, 2)))).toBe('badPrefix')
    expect(collect(100).reader.push(head(view => view.setUint16(6, 5, true)))).toBe('badPrefix')
    expect(collect(100).reader.push(head(view => view.setUint32(8, 0, true)))).toBe('badChecksum')
    // A TLS hello, or HTTP, on the peer port: known by the first four bytes.
    expect(collect(4_096).reader.push(new Uint8Array([0x16, 3, 1, 2]))).toBe('tooLong')
    expect(collect(4_096).reader.push(Buffer.from('GET /'))).toBe('tooLong')
  })

  it('stop when the taker says so', () => {
    let taken = 0
    const reader = new FrameReader(100, () => ++taken < 2)
    const frame = frameHead(3, new Uint8Array(0))
    expect(reader.push(Buffer.concat([frame, frame, frame]))).toBe('stopped')
    expect(taken).toBe(2)
    expect(reader.push(frame)).toBe('stopped')
    expect(taken).toBe(2)
  })
})
