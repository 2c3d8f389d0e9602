import { expect, test } from 'vitest'
import { KeyIndex, mix } from './key-index.ts'
import { firstKeyField, RowTable } from './row-table.ts'

const key = firstKeyField
const next = key + 1

function found(index: KeyIndex, table: RowTable, wanted: number): number {
  let handle = index.first(mix(0, wanted))
  while (handle !== 0 && table.get(handle, key) !== wanted) handle = index.next(handle)
  return handle
}

test('every row is found through all growth, and none that is gone', () => {
  const table = new RowTable({ tag: 1, keyWords: 1, valueWords: 0, linkWords: 1, rowsMax: 100_000 })
  const index = new KeyIndex(table, next, handle => mix(0, table.get(handle, key)))
  const handles = new Map<number, number>()
  const remove = (n: number) => {
    const handle = handles.get(n) ?? 0
    index.remove(handle, mix(0, n))
    table.remove(handle)
    handles.delete(n)
  }
  for (let n = 1; n <= 30_000; n++) {
    const handle = table.allocate()
    table.set(handle, key, n)
    index.insert(handle, mix(0, n))
    handles.set(n, handle)
    if (n % 3 === 0) remove(n - 1)
  }
  for (let n = 1; n <= 30_000; n++) expect(found(index, table, n)).toBe(handles.get(n) ?? 0)
  for (const n of [...handles.keys()]) remove(n)
  for (let n = 1; n <= 30_000; n += 7) expect(found(index, table, n)).toBe(0)
})

test('rows of one hash are all in its chain', () => {
  const table = new RowTable({ tag: 1, keyWords: 1, valueWords: 0, linkWords: 1, rowsMax: 20_000 })
  const index = new KeyIndex(table, next, () => 77)
  const handles = Array.from({ length: 6_000 }, () => {
    const handle = table.allocate()
    index.insert(handle, 77)
    return handle
  })
  const seen = new Set<number>()
  for (let handle = index.first(77); handle !== 0; handle = index.next(handle)) seen.add(handle)
  expect(seen).toEqual(new Set(handles))
})
