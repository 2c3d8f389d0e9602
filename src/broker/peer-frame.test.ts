import { expect, test } from 'vitest'
import { decodePeerFrame, encodeRefused, encodeReport, type PeerFrame } from './peer-frame.ts'

function whole(buffers: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(buffers))
}

test('a refusal reads as it was written, and no flipped bit passes', () => {
  const frame: PeerFrame = { kind: 'refused', reason: 'gap', term: 2 ** 40 + 1, incarnation: 7, run: 3, sequence: 2 ** 33 }
  const bytes = whole(encodeRefused(frame))
  expect(decodePeerFrame(bytes)).toEqual(frame)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Uint8Array.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(decodePeerFrame(flipped)).toBeUndefined()
  }
})

test('a leader without room says so, in bytes that a node of the first version reads as busy', () => {
  const frame: PeerFrame = { kind: 'refused', reason: 'full', term: 5, incarnation: 2, run: 1, sequence: 9 }
  const bytes = whole(encodeRefused(frame))
  expect(decodePeerFrame(bytes)).toEqual(frame)
  const busy = whole(encodeRefused({ ...frame, reason: 'busy' }))
  expect(bytes[1]).toBe(busy[1])
})

test('a report reads as it was written, and no cut passes', () => {
  const frame: PeerFrame = { kind: 'report', json: '{"node":1,"ä":"ö"}' }
  const bytes = whole(encodeReport(frame))
  expect(decodePeerFrame(bytes)).toEqual(frame)
  for (let length = 0; length < bytes.length; length++) expect(decodePeerFrame(bytes.subarray(0, length))).toBeUndefined()
})

test('garbage is no frame', () => {
  expect(decodePeerFrame(new Uint8Array())).toBeUndefined()
  for (let kind = 0; kind < 256; kind++) expect(decodePeerFrame(new Uint8Array(64).fill(kind))).toBeUndefined()
})

test('the bytes of a refusal are pinned: nodes of two versions must agree', () => {
  const bytes = whole(encodeRefused({ kind: 'refused', reason: 'busy', term: 5, incarnation: 2, run: 1, sequence: 9 }))
  expect(Buffer.from(bytes).toString('hex')).toMatchInlineSnapshot(
    `"0201000034fb31a405000000000000000200000000000000090000000000000001000000"`,
  )
})
