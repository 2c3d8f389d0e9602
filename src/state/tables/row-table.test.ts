import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DigestSum, digestText, hashWords } from '../digest.ts'
import { firstKeyField, RowTable } from './row-table.ts'
import { CheckpointSink } from './words.ts'

const key = firstKeyField
const value = key + 1

function aTable(): RowTable {
  return new RowTable({ tag: 3, keyWords: 1, valueWords: 2, linkWords: 1, rowsMax: 10_000 })
}

function recomputed(table: RowTable): string {
  const sum = new DigestSum()
  const hash = new Int32Array(4)
  table.forEachRow((words, at, count) => {
    hashWords(table.tag, words, at, count, hash, 0)
    sum.add(hash, 0)
  })
  return digestText(sum.read())
}

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('add' as const), value: fc.integer() }),
    fc.record({ do: fc.constant('change' as const), which: fc.nat(), value: fc.integer() }),
    fc.record({ do: fc.constant('remove' as const), which: fc.nat() }),
    fc.record({ do: fc.constant('settle' as const) }),
    fc.record({ do: fc.constant('collect' as const) }),
  ),
  { maxLength: 200, size: 'max' },
)

test('rows, running sum and checkpoints agree with a plain map, whatever comes in whatever order', () => {
  fc.assert(
    fc.property(steps, all => {
      const table = aTable()
      const sum = new DigestSum()
      const rows = new Map<number, number>()
      const handles = new Map<number, number>()
      const stored = new Map<number, number>()
      let nextKey = 1
      const pick = (which: number) => [...handles.keys()][which % Math.max(1, handles.size)]
      const collect = () => {
        const sink = new CheckpointSink()
        table.collect(sink)
        const deleted = new Set(sink.deletes.map(bytes => new DataView(bytes.slice().buffer).getUint32(1, true)))
        for (const id of deleted) expect(stored.delete(id)).toBe(true)
        for (const put of sink.puts) {
          const id = new DataView(put.key.slice().buffer).getUint32(1, true)
          expect(put.key[0]).toBe(3)
          expect(deleted.has(id)).toBe(false)
          stored.set(id, new DataView(put.value.slice().buffer).getInt32(0, true))
        }
        expect(stored).toEqual(rows)
      }
      for (const step of all) {
        if (step.do === 'add') {
          const handle = table.allocate()
          expect(handle).toBeGreaterThan(0)
          expect(table.get(handle, value)).toBe(0)
          table.set(handle, key, nextKey)
          table.set(handle, value, step.value)
          rows.set(nextKey, step.value)
          handles.set(nextKey++, handle)
        } else if (step.do === 'settle') table.settle(sum)
        else if (step.do === 'collect') collect()
        else {
          const id = pick(step.which)
          const handle = id === undefined ? undefined : handles.get(id)
          if (id === undefined || handle === undefined) continue
          if (step.do === 'change') {
            table.set(handle, value, step.value)
            table.changed(handle)
            rows.set(id, step.value)
          } else {
            table.remove(handle)
            rows.delete(id)
            handles.delete(id)
          }
        }
      }
      expect(table.count).toBe(rows.size)
      table.settle(sum)
      expect(digestText(sum.read())).toBe(recomputed(table))
      collect()
      expect(table.changedCount).toBe(0)
    }),
    { numRuns: 200 },
  )
})

test('numbers of 64 bits come back as they were put', () => {
  const table = aTable()
  const handle = table.allocate()
  for (const n of [0, 1, 0xffff_ffff, 0x1_0000_0000, 1_700_000_000_123, Number.MAX_SAFE_INTEGER]) {
    table.setU64(handle, value, n)
    expect(table.getU64(handle, value)).toBe(n)
  }
})

test('a table over its bound is an error of ours', () => {
  const table = new RowTable({ tag: 1, keyWords: 1, valueWords: 1, linkWords: 0, rowsMax: 1 })
  table.allocate()
  expect(() => table.allocate()).toThrow('row-table-full')
})
