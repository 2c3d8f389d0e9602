import { describe, expect, it } from 'vitest'
import { EntryKind } from '../../raft/index.ts'
import { SimRandom } from '../../chaos/sim/random.ts'
import { mustExist } from '../../src/platform/assert.ts'
import { crc32c, viewOf } from '../../src/platform/bytes.ts'
import { recordHeaderBytes, writeRecordHeader } from '../../src/storage/record.ts'
import { remainsOf, type BlockRemains, type RottenBlock } from '../../src/storage/rotten-block.ts'

interface Made {
  readonly bytes: Uint8Array
  /** Where each record begins; the last one: where the block ends. */
  readonly starts: readonly number[]
  /** Of the last record: what the one behind the block follows. */
  readonly endCrc: number
}

const firstIndex = 101
const term = 7

/** Records with these bodies, one behind the other, from `index` on. */
function made(bodies: readonly Uint8Array[], { index = firstIndex, of = term, prevCrc = 99 } = {}): Made {
  const starts = [0]
  for (const body of bodies) starts.push(mustExist(starts.at(-1), 'start') + recordHeaderBytes + body.length)
  const bytes = new Uint8Array(mustExist(starts.at(-1), 'end'))
  const view = viewOf(bytes)
  let endCrc = prevCrc
  for (const [i, body] of bodies.entries()) {
    const at = mustExist(starts[i], 'start')
    bytes.set(body, at + recordHeaderBytes)
    const fields = {
      length: body.length,
      kind: EntryKind.data,
      term: of,
      index: index + i,
      wallMs: 5,
      prevCrc: endCrc,
      bodyCrc: crc32c(body),
    }
    endCrc = writeRecordHeader(bytes, view, at, fields)
  }
  return { bytes, starts, endCrc }
}

const bodiesOf = (count: number, bytes = 60): Uint8Array[] => Array.from({ length: count }, (_, i) => new Uint8Array(bytes + i).fill(i + 1))

function remains({ bytes, starts, endCrc }: Made, changes: Partial<RottenBlock> = {}): BlockRemains {
  const endIndex = firstIndex + starts.length - 1
  return remainsOf({ bytes, view: viewOf(bytes), count: bytes.length, firstIndex, endIndex, endCrc, termOf: () => term, ...changes })
}

/** As `101-104 x105 106-110`, holes with an x. */
function told({ pieces, holes }: BlockRemains): string {
  const parts = [...pieces.map(piece => ({ ...piece, mark: '' })), ...holes.map(hole => ({ ...hole, mark: 'x' }))]
  return parts
    .sort((a, b) => a.firstIndex - b.firstIndex)
    .map(({ mark, firstIndex: first, lastIndex: last }) => `${mark}${first}${first === last ? '' : `-${last}`}`)
    .join(' ')
}

function flip(block: Made, index: number, byte: number): void {
  const at = mustExist(block.starts[index - firstIndex], 'start') + byte
  block.bytes[at] = (block.bytes[at] ?? 0) ^ 4
}

describe('what is left of a block with rot in it', () => {
  it('is all but the one record whose body has rotted', () => {
    for (const [bad, expected] of [
      [101, 'x101 102-110'],
      [105, '101-104 x105 106-110'],
      [110, '101-109 x110'],
    ] as const) {
      const block = made(bodiesOf(10))
      flip(block, bad, recordHeaderBytes + 5)
      expect(told(remains(block))).toBe(expected)
    }
  })

  it('tells where the holes are, to the byte, each by itself', () => {
    const block = made(bodiesOf(10))
    flip(block, 103, recordHeaderBytes)
    flip(block, 104, recordHeaderBytes)
    const { holes, pieces } = remains(block)
    expect(holes.map(({ start, end, problem }) => ({ start, end, problem }))).toEqual([
      { start: block.starts[2], end: block.starts[3], problem: 'bodyCrc' },
      { start: block.starts[3], end: block.starts[4], problem: 'bodyCrc' },
    ])
    expect(pieces.map(({ start, end }) => ({ start, end }))).toEqual([
      { start: 0, end: block.starts[2] },
      { start: block.starts[4], end: block.bytes.length },
    ])
  })

  it('is all but the one record whose header has rotted, whatever byte of it', () => {
    for (let byte = 0; byte < recordHeaderBytes; byte++) {
      for (const bad of [101, 105, 109]) {
        const block = made(bodiesOf(10))
        flip(block, bad, byte)
        const before = bad === 101 ? '' : bad === 102 ? '101 ' : `101-${bad - 1} `
        expect(told(remains(block)), `byte ${byte}`).toBe(`${before}x${bad} ${bad + 1 === 110 ? '110' : `${bad + 1}-110`}`)
      }
    }
  })

  it('ends before a bad header where what stands behind the block can not be read, or follows something else', () => {
    for (const endCrc of [undefined, 12_345]) {
      const block = made(bodiesOf(10))
      flip(block, 105, 20)
      expect(told(remains(block, { endCrc }))).toBe('101-104 x105-110')
    }
  })

  it('between two bad headers nothing is proved: where the second one ends the chain begins again', () => {
    const block = made(bodiesOf(10))
    flip(block, 103, 20)
    flip(block, 107, 20)
    expect(told(remains(block))).toBe('101-102 x103-107 108-110')
  })

  it('has a bad body behind a bad header, too', () => {
    const block = made(bodiesOf(10))
    flip(block, 103, 20)
    flip(block, 107, recordHeaderBytes)
    expect(told(remains(block))).toBe('101-102 x103 104-106 x107 108-110')
  })

  it('ends where the file does', () => {
    const block = made(bodiesOf(10))
    for (const missing of [1, 100, 150]) {
      const count = mustExist(block.starts[6], 'start') - missing
      const last = missing < 110 ? 105 : 104
      expect(told(remains(block, { count }))).toBe(`101-${last} x${last + 1}-110`)
    }
  })

  it('is never what the body of a message pretends to be, though it looks like the records that are missed', () => {
    const bodies = bodiesOf(10)
    bodies[4] = made(bodiesOf(3, 70), { index: 106, prevCrc: 0 }).bytes
    bodies[9] = made(bodiesOf(1, 70), { index: 110, prevCrc: 0 }).bytes
    const block = made(bodies)
    flip(block, 105, 20)
    expect(told(remains(block))).toBe('101-104 x105 106-110')
    // This one ends where the block does: what stands behind it follows another one.
    flip(block, 109, 20)
    flip(block, 110, 20)
    expect(told(remains(block))).toBe('101-104 x105-110')
  })

  it('is no record of a tail that was cut off, which a lost write has left standing', () => {
    const [before, behind] = [bodiesOf(3), bodiesOf(7)]
    const first = made(before)
    const kept = made(behind, { index: 104, of: term + 1, prevCrc: first.endCrc })
    const cutOff = made(behind, { index: 104, prevCrc: first.endCrc })
    const starts = [...first.starts, ...kept.starts.slice(1).map(start => start + first.bytes.length)]
    const bytes = new Uint8Array(Buffer.concat([first.bytes, kept.bytes]))
    bytes.set(cutOff.bytes.subarray(0, cutOff.starts[3]), first.bytes.length)
    const termOf = (index: number): number => (index < 104 ? term : term + 1)
    expect(told(remains({ bytes, starts, endCrc: kept.endCrc }, { termOf }))).toBe('101-103 x104-106 107-110')
  })

  it('is nothing where records in order do not fill the block', () => {
    const block = made(bodiesOf(10))
    const longer = Buffer.concat([block.bytes, new Uint8Array(30)])
    expect(told(remains({ ...block, bytes: longer }))).toBe('x101-110')
  })

  it('holds, whatever is done to it, only what stood there, and with the holes the whole block', () => {
    let saved = 0
    for (let seed = 0; seed < 3_000; seed++) {
      const random = new SimRandom(`rotten block/${seed}`)
      const bodies = Array.from({ length: random.integer(1, 12) }, () => random.bytes(random.integer(0, 150)))
      const block = made(bodies)
      const before = block.bytes.slice()
      const length = block.bytes.length
      for (let i = random.integer(1, 3); i > 0; i--) {
        const at = random.integer(0, length - 1)
        const from = random.integer(0, length - 1)
        const how = random.pick(['bit', 'garbage', 'zeros', 'copy'] as const)
        if (how === 'bit') block.bytes[at] = (block.bytes[at] ?? 0) ^ (1 << random.integer(0, 7))
        if (how === 'garbage') block.bytes.set(random.bytes(Math.min(length - at, 40)), at)
        if (how === 'zeros') block.bytes.fill(0, at, at + random.integer(1, 200))
        if (how === 'copy') block.bytes.copyWithin(at, from, from + 200)
      }
      const { pieces, holes } = remains(block)
      let index = firstIndex
      let at = 0
      for (const range of [...pieces, ...holes].sort((a, b) => a.start - b.start)) {
        expect([seed, range.firstIndex, range.start]).toEqual([seed, index, at])
        index = range.lastIndex + 1
        at = range.end
      }
      expect([seed, index, at]).toEqual([seed, firstIndex + bodies.length, length])
      for (const { firstIndex: first, lastIndex: last, start, end } of pieces) {
        expect([start, end]).toEqual([block.starts[first - firstIndex], block.starts[last + 1 - firstIndex]])
        expect(Buffer.compare(block.bytes.subarray(start, end), before.subarray(start, end))).toBe(0)
        saved += last - first + 1
      }
    }
    expect(saved).toBeGreaterThan(8_000)
  })
})
